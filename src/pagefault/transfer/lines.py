"""The file of an export: JSON Lines, one block for each agent.

    {"pagefault": "0.1.0", "format": 6, "agent": "ana", "number": 1, "of": 1, "rows": 1234}
    {"agents": {"created": ..., "last_seq": ..., ...}}
    {"messages": {"seq": 1, "role": "user", ...}}
    ...
    {"end": {"tables": {"messages": [1200, "9f..."], ...}, "embedders": [...], "sha256": "4b..."}}

Bytes are in base64. ``sha256`` is of all bytes of the block before its last line. A file of an earlier
format is read too: its rows get the columns that were added since. Leaves out what the rows mean
(``storage.row_transfer``).
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby, islice
from pathlib import Path
from typing import Any, BinaryIO, cast

from pagefault.errors import UsageError
from pagefault.storage.row_transfer import AGENT, OWNED, Row, TransferTable, Value

__all__ = ["FACT_COLUMNS", "FORMAT", "Block", "blocks", "decode", "dump", "encode", "is_export", "rows_of"]

FORMAT = 6

_TABLES = {table.name: table for table in (AGENT, *OWNED)}
_END = b'{"end":'
_ATTACHMENT = b'{"attachments":'
FACT_COLUMNS = ("valid_from", "valid_until", "superseded", "ended", "marked", "found", "same", "about")
"""The columns of facts, each of which may be null."""

_ADDED: dict[int, dict[str, dict[str, Any]]] = {
    1: {"agents": {"tenant": ""}, "inbox": {"attempts": 0}},
    2: {"agents": {"last_outgoing": 0}},
    3: {"inbox": {"media": None}},
    4: {
        "agents": {"hold": None},
        "messages": {"withdrawn": None, "erased": False},
        "section_versions": {"born": None},
        "passages": {"born": None, "event": None, "withdrawn": None},
        "schedules": {"event": None, "withdrawn": None},
    },
    5: {"passages": dict.fromkeys(FACT_COLUMNS)},
}
"""The columns, by table, that the format after this one added."""
_AGAIN = "have it exported again."
_HEADER = 1 << 16  # bytes: no first line is longer, and what is no export may have no lines at all


@dataclass(frozen=True, slots=True)
class Block:
    """One agent in a file whose checksums were found right. ``rows`` counts lines between the first and the
    last, and ``first`` is the first of these, which says the ``tenant``; ``attachments``: the lines of that
    table; ``tables``: rows and checksum of each; ``embedders``: fingerprint, name, dimensions of each."""

    agent: str
    format: int
    rows: int
    tables: dict[str, tuple[int, str]]
    embedders: list[tuple[str, str, int]]
    first: bytes
    attachments: tuple[bytes, ...]
    tenant: str = ""


def dump(value: object) -> bytes:
    """A line of JSON, with its end."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def encode(table: TransferTable, row: Row) -> bytes:
    """A row as a line."""
    values = {
        name: b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in zip(table.columns, row, strict=True)
    }
    return dump({table.name: values})


def decode(line: bytes, place: str, format: int = FORMAT) -> tuple[TransferTable, Row]:
    """The row of a line that ``encode`` wrote; ``UsageError`` if it is no row of ours."""
    said = _parse(line)
    if said is not None and len(said) == 1:
        ((name, found),) = said.items()
        table = _TABLES.get(name)
        if table and isinstance(found, dict):
            try:
                values = cast(dict[str, Any], found)
                row = values if format == FORMAT else _of_earlier(format, table, values)
                if list(row) == list(table.columns):
                    return table, tuple(map(_value, table.columns.values(), row.values()))
            except (TypeError, ValueError, KeyError):  # a Base64Error is a ValueError
                pass
    raise UsageError(f"{place} has rows that this pagefault does not know; import it with the one it is of.")


def is_export(path: Path) -> bool:
    """Return whether a file begins as an export does."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.readline(_HEADER))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and {"pagefault", "format", "agent"} <= header.keys()


def blocks(file: BinaryIO, place: str) -> list[Block]:
    """Read a file through, and say what is in it; ``UsageError`` if it is cut off or was changed."""
    found: list[Block] = []
    expected = 1
    while len(found) < expected:
        first = file.readline(_HEADER)
        header = _parse(first) or {}
        if not {"pagefault", "format"} <= header.keys():
            raise UsageError(f"{place} is {'cut off' if found else 'no export of pagefault'}; {_AGAIN}")
        if header["format"] not in range(1, FORMAT + 1):
            raise UsageError(f"{place} was made by a newer pagefault ({header['pagefault']}); upgrade.")
        found.append(_block(file, place, first, header))
        expected = header.get("of")
        if not isinstance(expected, int) or header.get("number") != len(found):
            raise UsageError(f"{place} lacks an agent, or has one twice; {_AGAIN}")
    if file.readline():
        raise UsageError(f"{place} goes on behind its end; {_AGAIN}")
    return found


def _block(file: BinaryIO, place: str, first: bytes, header: dict[str, Any]) -> Block:
    digest, agent, row = sha256(first), str(header.get("agent")), b""
    attachments: list[bytes] = []
    for rows, line in enumerate(file):
        if line.startswith(_END):
            end = cast(dict[str, Any], (_parse(line) or {}).get("end") or {})
            if not line.endswith(b"\n") or not end:
                break
            if end.get("sha256") != digest.hexdigest():
                raise UsageError(
                    f"{place} is not as it was written: the checksum of agent {agent!r} is another; {_AGAIN}"
                )
            tables = {name: (count, sum) for name, (count, sum) in end["tables"].items()}
            embedders = [(f, n, d) for f, n, d in end["embedders"]]
            format = header["format"]
            tenant = _tenant(row, place, format)
            return Block(agent, format, rows, tables, embedders, row, tuple(attachments), tenant)
        digest.update(line)
        row = row or line
        if line.startswith(_ATTACHMENT):
            attachments.append(line)
    raise UsageError(f"{place} is cut off within agent {agent!r}; {_AGAIN}")


def _tenant(first: bytes, place: str, format: int) -> str:
    """The tenant that the first row of a block names, if it is the agent's own."""
    table, row = decode(first, place, format)
    return str(row[AGENT.column("tenant")]) if table is AGENT else ""


def rows_of(file: BinaryIO, block: Block, place: str) -> Iterator[tuple[TransferTable, list[Row]]]:
    """The rows of the next block in a file that ``blocks`` has read through, in batches of one table."""
    file.readline()
    lines = islice(file, block.rows)
    decoded = (decode(line, place, block.format) for line in lines)
    for table, found in groupby(decoded, key=lambda item: item[0].name):
        while batch := [row for _, row in islice(found, _TABLES[table].batch)]:
            yield _TABLES[table], batch
    file.readline()


def _of_earlier(format: int, table: TransferTable, values: dict[str, Any]) -> dict[str, Any]:
    """A row with the columns that later formats added; in format 1 usage was within ``meta``."""
    row = {name: values[name] for name in table.columns if name in values}
    if len(row) != len(values):
        raise KeyError
    if format == 1 and table.name == "messages":
        meta = json.loads(values["meta"])
        usage = meta.pop("usage", None)
        row |= {"meta": json.dumps(meta), "usage": json.dumps(usage) if usage else None}
    for later in range(format, FORMAT):
        row |= _ADDED[later].get(table.name, {})
    return {name: row[name] for name in table.columns}


def _parse(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line, None if it is none."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return cast(dict[str, Any], said) if isinstance(said, dict) else None


def _value(kind: type[int | float | str | bytes], value: Any) -> Value:
    if kind is bytes and isinstance(value, str):
        return b64decode(value, validate=True)
    if value is not None and not isinstance(value, kind):
        raise TypeError
    return value
