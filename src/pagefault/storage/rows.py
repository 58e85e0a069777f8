"""Rows to values and back: how the tables of every SQL store hold what ``pagefault.types`` says. No SQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, get_args

from pagefault.media import loaded
from pagefault.message_meta import NO_META, MessageMeta, meta_of, values_of
from pagefault.quoting import whole as storable
from pagefault.storage import LONGEST_NAME
from pagefault.storage.readable import UNREADABLE, reads, require
from pagefault.storage.tidying import FactSpan
from pagefault.storage.times import micros, moment
from pagefault.storage.usage_rows import to_usage, usage_text
from pagefault.text_caches import caches_texts
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
    "to_schedule",
    "to_section",
    "to_span",
]


def to_agent(row: Any) -> AgentRecord:
    """The agent; one of which something cannot be read has its name and id, and says so as ``damage``."""
    (
        name, settings, created, number, last_seq, start, summary, pinned, head, warned, ratio, tenant,
        parked, changes, hold,
    ) = row  # fmt: skip
    try:
        require(settings, head, parked or "", hold or "", kind=str)
        require(start, last_seq, summary or 0, pinned or 0, kind=int)
        queue = QueueState(start, summary, pinned, head, bool(warned), float(ratio))
        values = dict(_settings(settings))
        id, at = AgentId(number), moment(created)
        state = (parked or "", "", changes, hold or "")
        return AgentRecord(name, values, at, queue, id, last_seq, tenant, *state)
    except UNREADABLE as error:
        empty = QueueState()
        damage = f"The stored row of agent {name} cannot be read ({error})"
        return AgentRecord(
            str(name), {}, moment(0), empty, AgentId(number), 0, str(tenant), str(parked or ""), damage,
            hold=str(hold or ""),
        )  # fmt: skip


@lru_cache(maxsize=64)
def _settings(stored: str) -> Mapping[str, Any]:
    """Settings from JSON; most agents of a database have the same."""
    values = json.loads(stored)
    require(values, kind=dict)
    return values


caches_texts(_settings)


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
    note, due, zone, cron, catch_up, number, parked, hops, event, withdrawn, _ = row
    when = moment(0)
    try:
        when = moment(due)
        require(note, zone, cron or "", parked or "", kind=str)
        if catch_up not in ("once", "skip"):
            raise ValueError(f"{catch_up!r} is no way to catch up")
        return Schedule(note, when, zone, cron, catch_up, number, parked or "", hops, event, withdrawn)
    except UNREADABLE as error:
        why = f"The stored timer {number} cannot be read ({error})."
        return Schedule(str(note), when, "UTC", number=number, parked=why, withdrawn=withdrawn)


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
    role, text, at, shown, tokens, event, completion, call_id, name, meta, seq, speaker, usage, *marks = row
    withdrawn, erased = marks
    return Message(
        Role(role), text, moment(at), shown, tokens, event, completion, call_id, name, to_meta(meta), seq,
        speaker, to_usage(usage), withdrawn, bool(erased),
    )  # fmt: skip


def to_meta(stored: str) -> MessageMeta:
    return NO_META if stored == "{}" else meta_of(json.loads(stored))


@reads("section", 0)
def to_section(row: Any) -> Section:
    name, description, limit, text, read_only, version, born, _ = row
    return Section(name, description, limit, text, bool(read_only), version, born)


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
        "event": passage.event,
        "born": passage.born,
        "valid_from": passage.valid_from and micros(passage.valid_from),
        "valid_until": passage.valid_until and micros(passage.valid_until),
        "same": passage.same,
        "about": passage.about,
    }


@reads("passage", 20)
def to_passage(row: Any) -> Passage:
    text, at, tags, source, title, document, page, section, start, stop, *marks, number = row
    place = None if document is None else Place(document, page, section, start, stop)
    event, born, withdrawn, *times, superseded, same, about = marks
    valid_from, valid_until, ended, found = (each if each is None else moment(each) for each in times)
    return Passage(
        text, moment(at), tuple(json.loads(tags)), source, number, title, place,
        event=event, born=born, withdrawn=withdrawn, valid_from=valid_from, valid_until=valid_until,
        superseded=superseded, ended=ended, found=found, same=same, about=about,
    )  # fmt: skip


def to_span(row: Any) -> FactSpan:
    """When a fact holds; times that cannot be read are not known."""
    number, superseded, *times = row
    since, until, ended = (moment(each) if isinstance(each, int) else None for each in times)
    return FactSpan(number, since, until, superseded, ended)


@reads("document", 7)
def to_document(row: Any) -> Document:
    source, title, media, digest, at, pages, tags, number = row
    return Document(source, title, media, digest, moment(at), pages, tuple(json.loads(tags)), number)


def to_page(row: Any) -> Page:
    number, heading, text = row
    return Page(number, heading, text)
