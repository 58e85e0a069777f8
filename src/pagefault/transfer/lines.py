"""The file of an export: JSON Lines, one block for each agent.

    {"pagefault": "0.1.0", "format": 1, "agent": "ana", "number": 1, "of": 1, "rows": 1234}
    {"agents": {"created": ..., "last_seq": ..., ...}}
    {"messages": {"seq": 1, "role": "user", ...}}
    ...
    {"end": {"tables": {"messages": [1200, "9f..."], ...}, "embedders": [...], "sha256": "4b..."}}

Bytes are in base64. ``sha256`` is of all bytes of the block before its last line. Leaves out what the rows
mean (``storage.raw``).
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby, islice
from typing import Any, BinaryIO, cast

from pagefault.errors import UsageError
from pagefault.storage.raw import AGENT, OWNED, Row, Table, Value

__all__ = ["FORMAT", "Block", "blocks", "decode", "dump", "encode", "rows_of"]

FORMAT = 1

_TABLES = {table.name: table for table in (AGENT, *OWNED)}
_END = b'{"end":'
_AGAIN = "have it exported again."
_BATCH = 200
_HEADER = 1 << 16  # bytes: no first line is longer, and what is no export may have no lines at all


@dataclass(frozen=True, slots=True)
class Block:
    """One agent in a file whose checksums were found right. ``rows`` counts lines between the first and the
    last; ``tables``: rows and checksum of each; ``embedders``: fingerprint, name, dimensions of each."""

    agent: str
    rows: int
    tables: dict[str, tuple[int, str]]
    embedders: list[tuple[str, str, int]]


def dump(value: object) -> bytes:
    """A line of JSON, with its end."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def encode(table: Table, row: Row) -> bytes:
    """A row as a line."""
    values = {
        name: b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in zip(table.columns, row, strict=True)
    }
    return dump({table.name: values})


def decode(line: bytes, place: str) -> tuple[Table, Row]:
    """The row of a line that ``encode`` wrote; ``UsageError`` if it is no row of ours."""
    said = _parse(line)
    if said is not None and len(said) == 1:
        ((name, values),) = said.items()
        table = _TABLES.get(name)
        if table and isinstance(values, dict) and list(cast(dict[str, Any], values)) == list(table.columns):
            try:
                row = zip(table.columns.values(), cast(dict[str, Any], values).values(), strict=True)
                return table, tuple(_value(kind, value) for kind, value in row)
            except (TypeError, Base64Error):
                pass
    raise UsageError(f"{place} has rows that this pagefault does not know; import it with the one it is of.")


def blocks(file: BinaryIO, place: str) -> list[Block]:
    """Read a file through, and say what is in it; ``UsageError`` if it is cut off or was changed."""
    found: list[Block] = []
    expected = 1
    while len(found) < expected:
        first = file.readline(_HEADER)
        header = _parse(first) or {}
        if not {"pagefault", "format"} <= header.keys():
            raise UsageError(f"{place} is {'cut off' if found else 'no export of pagefault'}; {_AGAIN}")
        if header["format"] != FORMAT:
            raise UsageError(f"{place} was made by a newer pagefault ({header['pagefault']}); upgrade.")
        found.append(_block(file, place, first, str(header.get("agent"))))
        expected = header.get("of")
        if not isinstance(expected, int) or header.get("number") != len(found):
            raise UsageError(f"{place} lacks an agent, or has one twice; {_AGAIN}")
    if file.readline():
        raise UsageError(f"{place} goes on behind its end; {_AGAIN}")
    return found


def _block(file: BinaryIO, place: str, first: bytes, agent: str) -> Block:
    digest = sha256(first)
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
            return Block(agent, rows, tables, [(f, n, d) for f, n, d in end["embedders"]])
        digest.update(line)
    raise UsageError(f"{place} is cut off within agent {agent!r}; {_AGAIN}")


def rows_of(file: BinaryIO, block: Block, place: str) -> Iterator[tuple[Table, list[Row]]]:
    """The rows of the next block in a file that ``blocks`` has read through, in batches of one table."""
    file.readline()
    lines = islice(file, block.rows)
    decoded = (decode(line, place) for line in lines)
    for table, found in groupby(decoded, key=lambda item: item[0].name):
        while batch := [row for _, row in islice(found, _BATCH)]:
            yield _TABLES[table], batch
    file.readline()


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
