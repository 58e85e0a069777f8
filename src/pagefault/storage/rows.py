"""Rows to values and back: how the tables of every SQL store hold what ``pagefault.types`` says. No SQL."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from pagefault.storage import LONGEST_NAME, Spent
from pagefault.types import (
    SEARCHED_BY_DEFAULT,
    AgentId,
    AgentRecord,
    Document,
    Event,
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
    "to_page",
    "to_passage",
    "to_schedule",
    "to_section",
    "to_spent",
    "with_model",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """An aware time as the tables hold it: microseconds since 1970, UTC."""
    return (at - _EPOCH) // _MICROSECOND


def moment(stored: int) -> datetime:
    """The aware UTC time that ``micros`` stored."""
    return _EPOCH + timedelta(microseconds=stored)


def storable(text: str) -> str:
    """``text`` with what UTF-8 cannot hold (lone surrogates) replaced; almost always ``text`` itself."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def to_agent(row: Any) -> AgentRecord:
    name, settings, created, number, last_seq, start, summary, pinned, head, warned, ratio = row
    queue = QueueState(start, summary, pinned, head, bool(warned), ratio)
    return AgentRecord(name, json.loads(settings), moment(created), queue, AgentId(number), last_seq)


def to_event(row: Any) -> Event:
    kind, text, key, sender, at, number, state, started = row
    return Event(kind, text, key, sender, None if at is None else moment(at), number, state, started)


def to_schedule(row: Any) -> Schedule:
    note, due, zone, cron, catch_up, number, _ = row
    return Schedule(note, moment(due), zone, cron, catch_up, number)


def queue_values(queue: QueueState) -> dict[str, Any]:
    return {
        "start": queue.start,
        "summary": queue.summary,
        "pinned": queue.pinned,
        "head": queue.head,
        "warned": queue.warned,
        "ratio": queue.ratio,
    }


def message_values(agent: AgentId, row: Message, units: int) -> dict[str, Any]:
    return {
        "agent": agent,
        "seq": row.seq,
        "role": row.role,
        "at": micros(row.at),
        "event": row.event,
        "completion": row.completion,
        "tokens": row.tokens,
        "units": units,
        "embed": row.role in SEARCHED_BY_DEFAULT and bool(row.text.strip()),
        "call_id": row.call_id,
        "name": row.name,
        "meta": json.dumps(row.meta) if row.meta else "{}",
        "text": row.text,
        "shown": row.shown,
        "speaker": row.speaker,
    }


def speakers_of(rows: Iterable[Message]) -> list[str]:
    """The names of those who speak in these rows, each once; what is too long is no name, and no key."""
    return sorted({row.speaker for row in rows if 0 < len(row.speaker) <= LONGEST_NAME})


def to_message(row: Any) -> Message:
    role, text, at, shown, tokens, event, completion, call_id, name, meta, seq, speaker = row
    known: dict[str, Any] = {} if meta == "{}" else json.loads(meta)
    return Message(
        Role(role), text, moment(at), shown, tokens, event, completion, call_id, name, known, seq, speaker
    )


def to_spent(row: Any) -> Spent:
    seq, at, event, role, meta = row
    return Spent(seq, moment(at), event, Role(role), tuple(json.loads(meta).get("usage", ())))


def with_model(model: str | None) -> str | None:
    """The text that a row's ``meta`` holds if one of its requests went to ``model``."""
    return None if model is None else json.dumps({"model": model})[1:-1]


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


def to_passage(row: Any) -> Passage:
    text, at, tags, source, title, document, page, section, start, stop, number = row
    place = None if document is None else Place(document, page, section, start, stop)
    return Passage(text, moment(at), tuple(json.loads(tags)), source, number, title, place)


def to_document(row: Any) -> Document:
    source, title, media, digest, at, pages, tags, number = row
    return Document(source, title, media, digest, moment(at), pages, tuple(json.loads(tags)), number)


def to_page(row: Any) -> Page:
    number, heading, text = row
    return Page(number, heading, text)
