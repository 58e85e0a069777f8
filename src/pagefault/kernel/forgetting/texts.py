"""The texts of what an agent has: each column that can hold what somebody said, by the value it is in.

A new field of a value in which texts are stored belongs here, or it is not forgotten: a test compares these
with the columns of the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import cast

from pagefault.media import dumped
from pagefault.message_meta import NO_META, values_of
from pagefault.names import system_key
from pagefault.types import Document, Event, Message, Passage, Schedule, Section

__all__ = [
    "document_texts",
    "event_texts",
    "keys_of",
    "message_texts",
    "passage_texts",
    "section_texts",
    "texts_in",
    "timer_texts",
]


def message_texts(row: Message) -> Iterator[str | None]:
    yield from (row.text, row.shown, row.speaker, row.name, row.call_id)
    if row.meta is not NO_META:
        yield from texts_in(values_of(row.meta))


def passage_texts(passage: Passage) -> Iterator[str | None]:
    yield from (passage.text, passage.title, passage.source, *passage.tags)
    if passage.place:
        yield passage.place.section


def document_texts(document: Document) -> Iterator[str | None]:
    """The texts of a document itself, not of its pages."""
    yield from (document.source, document.title, document.media, *document.tags)


def event_texts(event: Event) -> Iterator[str | None]:
    """The texts of an event; its kind is a word of the program."""
    yield from (event.text, event.key, event.sender, event.parked, event.trace)
    yield dumped(event.media)


def timer_texts(timer: Schedule) -> Iterator[str | None]:
    yield from (timer.note, timer.cron, timer.zone, timer.parked)


def section_texts(section: Section) -> Iterator[str | None]:
    yield from (section.text, section.description)


def texts_in(value: object) -> Iterator[str]:
    """The texts in a JSON value, names of fields among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in cast("Mapping[str, object]", value).items():
            yield name
            yield from texts_in(item)
    elif isinstance(value, list | tuple):
        for item in cast("list[object]", value):
            yield from texts_in(item)


def keys_of(passage: Passage) -> tuple[str, ...]:
    """The keys of events that are made of a passage's text or path (what earlier versions kept once,
    ``facade.memory_files``)."""
    digest = sha256(passage.text.encode("utf-8", "surrogatepass")).hexdigest()
    paths = (passage.title,) if passage.title else ()
    return system_key(f"memory:{digest}"), *(system_key(f"memory-file:{path}") for path in paths)
