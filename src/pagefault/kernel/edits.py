"""Changes to an agent's memory from outside: passages, documents, timers.

Each is one transaction, and the agent gets no event; an edit of its working context, for which it must,
is in ``sections``. Passages and documents may be an archive's as well. Times and ids are as people write
them; wrong ones raise ``UsageError``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, cast, get_args

from pagefault.clock import When, next_due, time_of
from pagefault.config import settings_of, zone_of
from pagefault.errors import FunctionError, NotFoundError, UsageError
from pagefault.functions.archives import refuse_held
from pagefault.functions.facts import edited_fact, marks_of
from pagefault.kernel import Kernel
from pagefault.kernel.facts import cleaned_tags
from pagefault.kernel.owners import (
    find_edited,
    find_stored,
    no_agent,
    no_archive,
    not_stored,
    note_edited,
    part_of_document,
)
from pagefault.names import check_text
from pagefault.shared import StorageOwner, archive_of
from pagefault.storage import Transaction
from pagefault.types import AgentRecord, Document, Event, EventKind, Message, Page, Passage, Schedule

__all__ = [
    "add_passages",
    "add_timer",
    "append_rows",
    "check_writable",
    "delete_document",
    "delete_passage",
    "document_of",
    "edit_passage",
    "insert_once",
    "put_document",
    "remove_timer",
]

CatchUp = Literal["once", "skip"]


async def check_writable(kernel: Kernel) -> None:
    """``StorageError`` if nothing can be written; whoever would serve agents asks before it begins."""
    await kernel.store.write(lambda _: None)


async def insert_once(
    kernel: Kernel, name: str, passage: Passage, key: str, is_same: Callable[[Passage], bool], known: int = 0
) -> tuple[Passage, bool]:
    """Put a passage into an agent's own storage unless one that ``is_same`` was put there with this key, or
    has the number ``known``; return the one that is there, and whether it is new."""
    record, now = await kernel.record(name), kernel.clock.now()

    def work(tx: Transaction) -> tuple[Passage, bool]:
        event = tx.post(record.id, Event(EventKind.APPENDED, "", key, at=now))
        candidates = (tx.passage(record.id, number) for number in (event.started, known) if number)
        same = next((old for old in candidates if old and old.place is None and is_same(old)), None)
        stored = same or tx.insert_passage(record.id, passage)
        if event.started != stored.number:
            tx.set_event(record.id, event.id, "done", stored.number)
        return stored, same is None

    try:
        stored, is_new = await kernel.store.write(work)
    except NotFoundError:  # it was deleted meanwhile
        raise no_agent(name) from None
    kernel.indexer.wake()
    return stored, is_new


async def add_passages(kernel: Kernel, name: StorageOwner, passages: Sequence[Passage]) -> tuple[str, ...]:
    """Put passages into archival storage, all or none; return their ids in order."""
    record = await kernel.record(name)
    stored = await kernel.store.write(lambda tx: tx.insert_passages(record.id, passages))
    kernel.indexer.wake()
    return tuple(replace(passage, archive=archive_of(record)).id for passage in stored)


async def edit_passage(
    kernel: Kernel, name: StorageOwner, id: str, text: str, *, tags: Sequence[str] | None = None,
    exact: bool = False,
) -> Passage:  # fmt: skip
    """Store a passage anew with another text, and other ``tags`` if given, and delete the old one.

    Returned with its new id, for indexes only grow; its earlier ids name it as before. One that has this
    text and these tags stays as it is. ``exact``: only as it has this very id, so that of two who edit one
    text the second is refused. ``UsageError`` for a part of a document.
    """
    if not text.strip():
        raise UsageError("The text is empty; delete the passage instead.")
    record, now = await kernel.record(name), kernel.clock.now()

    def work(tx: Transaction) -> Passage:
        storage, first = find_stored(tx, record, id, "p", to_change=True)
        missed = 0
        while True:
            number = first if exact else find_edited(tx, storage.id, first)
            if (old := tx.passage(storage.id, number)) is None:
                if number == missed:
                    raise not_stored(record, id, "p")
                missed = number  # if it was edited just now, the next look finds its next number
                continue
            if old.place is not None:
                raise part_of_document(id, old.place)
            kept = old.tags if tags is None else cleaned_tags(tags)
            if (old.text, old.tags) == (text, kept):
                return replace(old, archive=storage.name)
            marks = marks_of(tx, storage.id, number)
            if tx.delete_passage(storage.id, number):  # which nobody else has done meanwhile
                break
        stored = edited_fact(tx, storage.id, replace(old, text=text, tags=kept), number, marks)
        for each in {first, number}:  # who keeps the first id is led to the newest in one step
            note_edited(tx, storage.id, each, stored.number, now)
        return replace(stored, archive=storage.name)

    stored = await kernel.store.write(work)
    kernel.indexer.wake()
    return stored


async def delete_passage(kernel: Kernel, name: StorageOwner, id: str, *, exact: bool = False) -> None:
    """Delete the passage of this id (``p7``) or, unless it has to be ``exact``, of an earlier id of it;
    ``NotFoundError`` if there is none."""
    record = await kernel.record(name)

    def work(tx: Transaction) -> None:
        storage, first = find_stored(tx, record, id, "p", to_change=True)
        number = first if exact else find_edited(tx, storage.id, first)
        while not tx.delete_passage(storage.id, number):
            missed, number = number, number if exact else find_edited(tx, storage.id, first)
            if number == missed:
                raise not_stored(record, id, "p")

    await kernel.store.write(work)


async def append_rows(kernel: Kernel, name: str, rows: Sequence[Message]) -> None:
    """Append numbered rows to an agent's log as they are, without events: a conversation held elsewhere."""
    record = await kernel.record(name)
    await kernel.store.write(lambda tx: tx.append(record.id, rows))


async def document_of(kernel: Kernel, owner: AgentRecord, source: str) -> Document | None:
    """The stored document of a source, a path or a URL; None if that was not loaded."""
    found = await kernel.store.read(lambda tx: tx.document_by_source(owner.id, source))
    return found and replace(found, archive=archive_of(owner))


async def put_document(
    kernel: Kernel, owner: AgentRecord, document: Document, pages: Sequence[Page], passages: Sequence[Passage]
) -> Document:
    """Store a document with its pages and passages in the place of the one of its source, if there is one;
    return it with its id and its number of pages."""
    archive = archive_of(owner)

    def work(tx: Transaction) -> Document:
        if tx.document_by_source(owner.id, document.source):
            refuse_held(tx, owner.id, "deleted or replaced")
        try:
            return replace(tx.put_document(owner.id, document, pages, passages), archive=archive)
        except NotFoundError:  # it was deleted meanwhile
            raise (no_archive(tx, archive) if archive else no_agent(owner.name)) from None

    return await kernel.store.write(work)


async def delete_document(kernel: Kernel, name: StorageOwner, id: str) -> None:
    """Delete the document of this id (``d1``) with its pages and passages; ``NotFoundError`` if there is
    none."""
    record = await kernel.record(name)

    def work(tx: Transaction) -> None:
        storage, number = find_stored(tx, record, id, "d", to_change=True)
        if not tx.delete_document(storage.id, number):
            raise not_stored(record, id, "d")

    await kernel.store.write(work)


async def add_timer(
    kernel: Kernel,
    name: str,
    note: str,
    *,
    when: When = None,
    cron: str | None = None,
    catch_up: str = "once",
) -> Schedule:
    """Set a timer, at a time (``when``) or by a cron line, and return it with its id.

    ``catch_up``: what a missed time does, ``once`` or ``skip``. Either works for agents without timers of
    their own, too.
    """
    if (when is None) == (cron is None):
        raise UsageError("Give a time (when) or a cron line (cron): one of them, not both.")
    if not note.strip():
        raise UsageError("The note is empty; give the text that the agent is to get.")
    if catch_up not in get_args(CatchUp):
        raise UsageError(f"{catch_up!r} is not a way to catch up; write once or skip.")
    check_text(note)
    record, now = await kernel.record(name), kernel.clock.now()
    zone, zone_name = zone_of(settings_of(record))
    try:
        due = time_of(when, now, zone, ahead=True) if cron is None else next_due(cron, now, zone)
    except FunctionError as error:
        raise UsageError(str(error)) from None
    if due is None:
        raise UsageError("The time (when) is empty; write e.g. +2h or tomorrow 9am.")
    if due <= now:
        raise UsageError(
            f"{when} is in the past; it is {now.astimezone(zone).isoformat(timespec='seconds')}."
        )
    timer = Schedule(note, due, zone_name, cron, cast(CatchUp, catch_up))
    return await kernel.store.write(lambda tx: tx.add_schedule(record.id, timer))


async def remove_timer(kernel: Kernel, name: str, id: str) -> None:
    """Remove the timer of this id (``t3``); ``NotFoundError`` if there is none."""
    record = await kernel.record(name)
    number = int(found[1]) if (found := re.fullmatch("t([0-9]{1,15})", id)) else 0
    if not await kernel.store.write(lambda tx: tx.remove_schedule(record.id, number)):
        raise NotFoundError(f"There is no timer {id}; `pagefault schedule list {name}` shows those set.")
