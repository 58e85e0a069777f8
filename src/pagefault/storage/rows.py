"""Rows to values and back: how the tables of every SQL store hold what ``pagefault.types`` says. No SQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, get_args

from pagefault.media import loaded
from pagefault.message_meta import NO_META, MessageMeta, RequestUsage, Usage, meta_of, values_of
from pagefault.quoting import whole as storable
from pagefault.storage import LONGEST_NAME
from pagefault.storage.readable import UNREADABLE, reads, require
from pagefault.storage.usage import QUARTER, RowUsage, UsageTotal
from pagefault.types import (
    SEARCHED_BY_DEFAULT,
    AgentId,
    AgentRecord,
    Document,
    Event,
    EventState,
    Message,
    Page,
    Passage,
    Place,
    QueueState,
    Role,
    Schedule,
    Section,
)

__all__ = [
    "message_values",
    "micros",
    "moment",
    "passage_values",
    "quarters",
    "queue_values",
    "speakers_of",
    "storable",
    "to_agent",
    "to_document",
    "to_event",
    "to_message",
    "to_meta",
    "to_page",
    "to_passage",
    "to_row_usage",
    "to_schedule",
    "to_section",
    "to_total",
    "to_usage",
    "total_values",
    "usage_text",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """An aware time as the tables hold it: microseconds since 1970, UTC."""
    return (at - _EPOCH) // _MICROSECOND


def moment(stored: int) -> datetime:
    """The aware UTC time that ``micros`` stored."""
    return _EPOCH + timedelta(microseconds=stored)


def to_agent(row: Any) -> AgentRecord:
    """The agent; one of which something cannot be read has its name and id, and says so as ``damage``."""
    (
        name, settings, created, number, last_seq, start, summary, pinned, head, warned, ratio, tenant,
        parked, changes,
    ) = row  # fmt: skip
    try:
        require(settings, head, parked or "", kind=str)
        require(start, last_seq, summary or 0, pinned or 0, kind=int)
        queue = QueueState(start, summary, pinned, head, bool(warned), float(ratio))
        values = dict(_settings(settings))
        id, at = AgentId(number), moment(created)
        return AgentRecord(name, values, at, queue, id, last_seq, tenant, parked or "", "", changes)
    except UNREADABLE as error:
        empty = QueueState()
        damage = f"The stored row of agent {name} cannot be read ({error})"
        return AgentRecord(
            str(name), {}, _EPOCH, empty, AgentId(number), 0, str(tenant), str(parked or ""), damage
        )


@lru_cache(maxsize=64)
def _settings(stored: str) -> Mapping[str, Any]:
    """Settings from JSON; most agents of a database have the same."""
    values = json.loads(stored)
    require(values, kind=dict)
    return values


_STATES: tuple[str, ...] = get_args(EventState)


def to_event(row: Any) -> Event:
    """The event; one that cannot be read is parked, with the reason."""
    kind, text, key, sender, at, number, state, started, attempts, parked, hops, trace, media = row
    parked, trace = parked or "", trace or ""
    try:
        require(kind, text, key or "", sender or "", parked, trace, kind=str)
        require(attempts, started or 0, hops, kind=int)
        if state not in _STATES:
            raise ValueError(f"{state!r} is no state of an event")
        when, media = None if at is None else moment(at), loaded(media)
    except UNREADABLE as error:
        why = f"The stored event {number} cannot be read ({error})."
        return Event(str(kind), str(text), id=number, state="parked", parked=why)
    return Event(kind, text, key, sender, when, number, state, started, attempts, parked, hops, trace, media)


def to_schedule(row: Any) -> Schedule:
    """The schedule; one that cannot be read is parked, with the reason."""
    note, due, zone, cron, catch_up, number, parked, hops, _ = row
    when = _EPOCH
    try:
        when = moment(due)
        require(note, zone, cron or "", parked or "", kind=str)
        if catch_up not in ("once", "skip"):
            raise ValueError(f"{catch_up!r} is no way to catch up")
        return Schedule(note, when, zone, cron, catch_up, number, parked or "", hops)
    except UNREADABLE as error:
        why = f"The stored timer {number} cannot be read ({error})."
        return Schedule(str(note), when, "UTC", number=number, parked=why)


def queue_values(queue: QueueState) -> dict[str, Any]:
    return {
        "start": queue.start,
        "summary": queue.summary,
        "pinned": queue.pinned,
        "head": queue.head,
        "warned": queue.warned,
        "ratio": queue.ratio,
    }


def is_embedded(row: Message) -> bool:
    """Return whether a row of the log is to have a vector."""
    return row.role in SEARCHED_BY_DEFAULT and bool(row.text.strip())


def message_values(agent: AgentId, row: Message, units: int) -> dict[str, Any]:
    return {
        "agent": agent,
        "seq": row.seq,
        "role": row.role.value,
        "at": micros(row.at),
        "event": row.event,
        "completion": row.completion,
        "tokens": row.tokens,
        "units": units,
        "embed": is_embedded(row),
        "call_id": row.call_id,
        "name": row.name,
        "meta": json.dumps(values_of(row.meta)),
        "usage": usage_text(row.usage),
        "text": row.text,
        "shown": row.shown,
        "speaker": row.speaker,
    }


def speakers_of(rows: Iterable[Message]) -> list[str]:
    """The names of those who speak in these rows, each once; what is too long is no name, and no key."""
    return sorted({row.speaker for row in rows if 0 < len(row.speaker) <= LONGEST_NAME})


@reads("message", 10)
def to_message(row: Any) -> Message:
    role, text, at, shown, tokens, event, completion, call_id, name, meta, seq, speaker, usage = row
    return Message(
        Role(role), text, moment(at), shown, tokens, event, completion, call_id, name, to_meta(meta), seq,
        speaker, to_usage(usage),
    )  # fmt: skip


def to_meta(stored: str) -> MessageMeta:
    return NO_META if stored == "{}" else meta_of(json.loads(stored))


def usage_text(usage: Sequence[RequestUsage]) -> str | None:
    """The usage of a row as stored: a JSON list of an object for each request, zeros left out; None without
    any."""
    return json.dumps([_usage_values(request) for request in usage]) if usage else None


def _usage_values(request: RequestUsage) -> dict[str, Any]:
    rest = {"counted": request.counted, "answered": _plain(request.answered)}
    marks = {"estimated": request.estimated, "cut": request.cut, "images": request.images}
    values = {"model": _plain(request.model), **asdict(request.usage), **rest, **marks}
    return {name: value for name, value in values.items() if value}


def _plain(name: str) -> str:
    """A model's name that every database can find in JSON: PostgreSQL reads no null from it."""
    return storable(name).replace("\0", "\ufffd")


def to_usage(stored: str | None) -> tuple[RequestUsage, ...]:
    return () if stored is None else tuple(_to_request(values) for values in json.loads(stored))


def _to_request(values: dict[str, Any]) -> RequestUsage:
    tokens = Usage(**{name: values[name] for name in _TOKENS if name in values})
    rest = {name: values[name] for name in _REST if name in values}
    return RequestUsage(values["model"], tokens, **rest)


_TOKENS = ("input", "output", "cached", "written", "thinking")
_REST = ("counted", "answered", "estimated", "cut", "images")


@reads("message", 0)
def to_row_usage(row: Any) -> RowUsage:
    seq, at, event, role, usage = row
    return RowUsage(seq, moment(at), event, Role(role), to_usage(usage))


def total_values(agent: AgentId, total: UsageTotal) -> dict[str, Any]:
    return {
        "agent": agent,
        "start": quarters(total.start),
        "model": _plain(total.model),
        "answered": _plain(total.answered),
        "tier": total.tier,
        "requests": total.requests,
        "estimated": total.estimated,
        **asdict(total.usage),
        "measured": total.measured,
        "off": total.off,
    }


_QUARTER = QUARTER // _MICROSECOND


def quarters(at: datetime) -> int:
    """The number of the quarter of an hour that a time is in, counted from 1970."""
    return micros(at) // _QUARTER


def to_total(row: Any) -> UsageTotal:
    start, model, answered, tier, requests, estimated, *tokens, measured, off = row
    at = moment(start * _QUARTER)
    return UsageTotal(at, model, answered, tier, requests, estimated, Usage(*tokens), measured, off)


@reads("section", 0)
def to_section(row: Any) -> Section:
    name, description, limit, text, read_only, version, _ = row
    return Section(name, description, limit, text, bool(read_only), version)


def passage_values(agent: AgentId, passage: Passage, units: int) -> dict[str, Any]:
    place = passage.place
    return {
        "agent": agent,
        "number": passage.number,
        "at": micros(passage.at),
        "units": units,
        "embed": bool(passage.text.strip()),
        "tags": json.dumps(passage.tags),
        "source": passage.source,
        "title": passage.title,
        "document": place and place.document,
        "page": place and place.page,
        "section": place.section if place else "",
        "start": place and place.start,
        "stop": place and place.stop,
        "text": passage.text,
    }


@reads("passage", 10)
def to_passage(row: Any) -> Passage:
    text, at, tags, source, title, document, page, section, start, stop, number = row
    place = None if document is None else Place(document, page, section, start, stop)
    return Passage(text, moment(at), tuple(json.loads(tags)), source, number, title, place)


@reads("document", 7)
def to_document(row: Any) -> Document:
    source, title, media, digest, at, pages, tags, number = row
    return Document(source, title, media, digest, moment(at), pages, tuple(json.loads(tags)), number)


def to_page(row: Any) -> Page:
    number, heading, text = row
    return Page(number, heading, text)
