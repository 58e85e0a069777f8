"""The values of raw rows, one by one: JSON, enums, times, zones, cron lines and names that code can read.

A value passes here if the code that will read it can; so what passes lets every command work. Left out: how
rows belong together (``checking``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, BinaryIO, get_args

from pydantic import ConfigDict, TypeAdapter

from pagefault.approvals import Decision
from pagefault.clock import next_due
from pagefault.config import parse_settings
from pagefault.errors import PagefaultError, UsageError
from pagefault.media import Media
from pagefault.message_meta import MessageMeta, RequestUsage, meta_of
from pagefault.names import check_agent_name, check_stored_name, check_tenant
from pagefault.section_settings import SectionSettings
from pagefault.shared import is_shared
from pagefault.storage.row_transfer import MEDIA, Row, TransferTable
from pagefault.transfer.lines import FACT_COLUMNS, Block, rows_of
from pagefault.transfer.media import row_of_media_faults
from pagefault.types import EventState, Role, Tier
from pagefault.zones import zone_named

__all__ = ["agent_faults", "called", "named", "refuse_damaged", "row_faults", "some", "whole"]

_OPTIONAL = {
    "agents": {"summary", "pinned", "hold"},
    "shared": {"summary", "pinned", "hold"},
    "messages": {"event", "completion", "call_id", "name", "usage", "withdrawn"},
    "section_versions": {"born"},
    "passages": {"document", "page", "start", "stop", "born", "event", "withdrawn", *FACT_COLUMNS},
    "inbox": {"key", "sender", "at", "started", "rank", "media"},
    "schedules": {"cron", "event", "withdrawn"},
    "approvals": {"expires", "changed", "decided"},
}
_SHOWN = 20  # sentences about what is damaged
_NUMBERS = ("number", "seq", "name", "document", "change", "source")  # what a row is called by
_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STRICT = ConfigDict(strict=True)
_META = TypeAdapter(MessageMeta)
_USAGE = TypeAdapter(RequestUsage)
_REFERENCES = TypeAdapter(tuple[Media, ...])


def _one_of(*allowed: str) -> Callable[[Any], object]:
    def check(value: Any) -> None:
        if value not in allowed:
            raise ValueError(f"it is none of {', '.join(allowed)}")

    return check


def _time(value: int) -> None:
    if not (_FIRST - _EPOCH).total_seconds() <= value / 1e6 <= (_LAST - _EPOCH).total_seconds():
        raise ValueError("it is no time of our calendar")


def _meta(value: str) -> None:
    values = json.loads(value)
    if not isinstance(values, dict):
        raise TypeError("it is no JSON object")
    _META.validate_json(json.dumps(asdict(meta_of(values))), strict=True)  # pyright: ignore[reportUnknownArgumentType]


def _media(value: str) -> None:
    _REFERENCES.validate_json(value, strict=True)


def _usage(value: str) -> None:
    requests: list[dict[str, Any]] = json.loads(value)
    for request in requests:
        usage = {key: request.pop(key) for key in list(request) if key in _TOKENS}
        _USAGE.validate_json(json.dumps({**request, "usage": usage}), strict=True)


_TOKENS = ("input", "output", "cached", "written", "thinking")


def _tags(value: str) -> None:
    tags = json.loads(value)
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):  # pyright: ignore[reportUnknownVariableType]
        raise TypeError("it is no JSON list of texts")


def _settings(value: str) -> None:
    values = json.loads(value)
    if not isinstance(values, dict):
        raise TypeError("it is no JSON object")
    zone_named(parse_settings(values).zone or "UTC")  # pyright: ignore[reportUnknownArgumentType]


def _shared_settings(value: str) -> None:
    values = json.loads(value)
    if not isinstance(values, dict) or not all(isinstance(each, str) for each in values.values()):  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        raise TypeError("it is no JSON object of texts")


def _target(value: str) -> None:
    if not is_shared(value):
        raise ValueError("it is neither an archive nor a shared section")
    check_stored_name(value)


def _object(value: str) -> None:
    if not isinstance(json.loads(value), dict):
        raise TypeError("it is no JSON object")


def _section(value: str) -> None:
    SectionSettings(name=value)


def _at_least_zero(value: float) -> None:
    if not 0 <= value < 1 << 62:
        raise ValueError("it is out of range")


_CHECKS: Mapping[tuple[str, str], Callable[[Any], object]] = {
    ("agents", "tenant"): check_tenant,
    ("agents", "created"): _time,
    ("agents", "settings"): _settings,
    ("agents", "ratio"): _at_least_zero,
    ("shared", "tenant"): check_tenant,
    ("shared", "created"): _time,
    ("shared", "settings"): _shared_settings,
    ("messages", "role"): _one_of(*Role),
    ("messages", "at"): _time,
    ("messages", "meta"): _meta,
    ("messages", "usage"): _usage,
    ("sections", "name"): _section,
    ("section_versions", "name"): _section,
    ("section_versions", "at"): _time,
    ("section_versions", "token_limit"): _at_least_zero,
    ("passages", "at"): _time,
    ("passages", "tags"): _tags,
    ("documents", "at"): _time,
    ("documents", "tags"): _tags,
    ("inbox", "at"): _time,
    ("inbox", "state"): _one_of(*get_args(EventState)),
    ("inbox", "attempts"): _at_least_zero,
    ("inbox", "media"): _media,
    ("schedules", "due"): _time,
    ("schedules", "zone"): zone_named,
    ("schedules", "cron"): lambda cron: next_due(cron, datetime.now(UTC), UTC),
    ("schedules", "catch_up"): _one_of("once", "skip"),
    ("vectors", "tier"): _one_of(*get_args(Tier)),
    ("attachments", "target"): _target,
    ("attachments", "at"): _time,
    ("outbox", "target"): _target,
    ("outbox", "payload"): _object,
    ("outbox", "at"): _time,
    ("approvals", "arguments"): _object,
    ("approvals", "changed"): _object,
    ("approvals", "decision"): _one_of(*get_args(Decision)),
    ("approvals", "asked"): _time,
    ("approvals", "expires"): _time,
    ("approvals", "decided"): _time,
    ("grants", "at"): _time,
    ("tombstones", "at"): _time,
    ("tombstones", "counts"): _object,
}


_IN_SHARED: Mapping[str, set[str]] = {
    "archive": {"passages", "passage_tags", "deletions", "documents", "document_pages", "vectors"}
    | {"tombstones"},
    "section": {"sections", "section_versions", "outbox", "tombstones"},
}
"""The tables in which an archive or a shared section has rows. It has no inbox, and so no turns."""


def agent_faults(name: str) -> Iterator[str]:
    """The sentence about a name under which nothing can be stored."""
    try:
        check_stored_name(name)
    except UsageError as error:
        yield str(error)


def text_faults(whose: str, texts: int) -> Iterator[str]:
    """The sentence about a shared section that has more than one text, or none."""
    if whose.startswith("section:") and texts != 1:
        yield f"It has {texts} texts; a shared section has one."


def row_faults(whose: str, table: TransferTable, row: Row) -> Iterator[str]:
    """A sentence for each value of a row that cannot be read: table, row, column, and what is wrong."""
    kind = whose.partition(":")[0] if is_shared(whose) else ""
    if kind and table.name not in {"agents"} | _IN_SHARED[kind]:
        yield f"It has a row of {table.name}, which only agents have."
        return
    if kind and table.name == "section_versions" and row[table.column("token_limit")] == 0:
        yield "It has a text of a limit of 0 tokens, as only what was removed has."
    checked = "shared" if kind and table.name == "agents" else table.name
    faults = list(_value_faults(table, checked, row))
    yield from faults or (row_of_media_faults(row) if table is MEDIA else ())


def _value_faults(table: TransferTable, checked: str, row: Row) -> Iterator[str]:
    called = next((f" {row[table.column(key)]}" for key in _NUMBERS if key in table.columns), "")
    for (column, expected), value in zip(table.columns.items(), row, strict=True):
        if why := _fault(checked, column, expected, value):
            yield f"In {table.name}{called}, {column} is {str(value)[:60]!r}: {why}."


def _fault(table: str, column: str, kind: type[object], value: object) -> str:
    if value is None:
        return "" if column in _OPTIONAL.get(table, ()) else "it is missing"
    if not isinstance(value, kind) and not (kind is float and isinstance(value, int)):
        return f"it is no {'text' if kind is str else 'number'}"
    try:
        if check := _CHECKS.get((table, column)):
            check(value)
    except PagefaultError as error:
        return str(error).rstrip(".")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        return str(error).splitlines()[0].rstrip(".:") if str(error) else type(error).__name__
    return ""


def called(name: str, tenant: str = "") -> str:
    """Return the stored name as a sentence says it: ``archive 'news'``, ``agent 'ana' of tenant 'firm'``."""
    kind, _, own = name.partition(":") if is_shared(name) else ("agent", "", name)
    of = f" of tenant {tenant!r}" if tenant else ""
    return f"{'shared section' if kind == 'section' else kind} {own!r}{of}"


def named(block: Block, name: str | None) -> str:
    """The name under which a block's rows are stored; ``UsageError`` if a new one cannot be of its kind."""
    if name is None:
        return block.agent
    if not is_shared(block.agent):
        check_agent_name(name)
        return name
    kind = block.agent.partition(":")[0]
    return f"{kind}:{name.removeprefix(f'{kind}:')}"


def whole(batches: Iterable[tuple[TransferTable, Any]], whose: str) -> Iterator[tuple[TransferTable, Any]]:
    """The batches as they are; ``UsageError`` at the first value that cannot be read."""
    for fault in agent_faults(whose):
        raise UsageError(f"An agent is damaged and is not taken over: {fault}")
    for table, rows in batches:
        for row in rows:
            for fault in row_faults(whose, table, row):
                raise UsageError(f"Agent {whose} is damaged and is not taken over: {fault}")
        yield table, rows


def refuse_damaged(found: Sequence[Block], file: BinaryIO, place: str, name: str | None) -> None:
    """Raise ``UsageError`` with a sentence for each value that cannot be read."""
    file.seek(0)
    faults: list[str] = []
    for block in found:
        whose = named(block, name)
        faults += (f"Agent {whose}: {fault}" for fault in agent_faults(whose))
        texts = 0
        for table, batch in rows_of(file, block, place):
            faults += (f"Agent {whose}: {fault}" for row in batch for fault in row_faults(whose, table, row))
            texts += len(batch) if table.name == "sections" else 0
        faults += (f"Agent {whose}: {fault}" for fault in text_faults(whose, texts))
    if faults:
        more = [f"There are {len(faults) - _SHOWN:,} more."] if faults[_SHOWN:] else []
        raise UsageError("\n".join([f"{place} is damaged; nothing is imported.", *faults[:_SHOWN], *more]))


_EXAMPLES = 3  # examples of what is wrong in one sentence


def some(what: str, numbers: list[int]) -> str:
    """``numbers`` of things, the first few."""
    listed = ", ".join(map(str, numbers[:_EXAMPLES]))
    return f"{what.capitalize()}s {listed}" + (
        f" and {len(numbers) - _EXAMPLES:,} more" if numbers[_EXAMPLES:] else ""
    )


def is_counted(numbers: set[int], last: int) -> bool:
    """Return True if these are the numbers from 1 to ``last``, which may be any."""
    return len(numbers) == last and numbers == set(range(1, len(numbers) + 1))
