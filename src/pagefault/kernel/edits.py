"""Changes to an agent's memory from outside: passages, documents, timers.

Each is one transaction, and the agent gets no event; an edit of its working context, for which it must,
is in ``sections``. Passages and documents may be an archive's as well. Times and ids are as people write
them; wrong ones raise ``UsageError``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, cast, get_args

from pagefault.clock import When, next_due, time_of
from pagefault.config import settings_of, zone_for, zone_of
from pagefault.errors import FunctionError, NotFoundError, UsageError
from pagefault.kernel import Kernel
from pagefault.names import check_text
from pagefault.shared import Archive, StorageOwner
from pagefault.storage import Transaction
from pagefault.types import Document, Message, Page, Passage, Schedule

__all__ = [
    "add_passages",
    "add_timer",
    "append_rows",
    "check_writable",
    "delete_document",
    "delete_passage",
    "document_of",
    "edit_passage",
    "put_document",
    "remember",
    "remove_timer",
]

CatchUp = Literal["once", "skip"]


async def check_writable(kernel: Kernel) -> None:
    """``StorageError`` if nothing can be written; whoever would serve agents asks before it begins."""
    await kernel.store.write(lambda _: None)


async def remember(
    kernel: Kernel, name: StorageOwner, text: str, *, tags: Sequence[str] = (), at: When = None
) -> Passage:
    """Put a text into archival storage and return it with its id. ``at``: its time, in the agent's zone if it
    names none; None: now."""
    if not text.strip():
        raise UsageError("The text is empty; give the text to keep.")
    record, now = await kernel.record(name), kernel.clock.now()
    passage = Passage(text, time_of(at, now, zone_for(record)) or now, _cleaned(tags))
    stored = await kernel.store.write(lambda tx: tx.insert_passage(record.id, passage))
    kernel.indexer.wake()
    return stored


async def add_passages(kernel: Kernel, name: StorageOwner, passages: Sequence[Passage]) -> tuple[str, ...]:
    """Put passages into archival storage, all or none; return their ids in order."""
    record = await kernel.record(name)
    stored = await kernel.store.write(lambda tx: tx.insert_passages(record.id, passages))
    kernel.indexer.wake()
    return tuple(passage.id for passage in stored)


async def edit_passage(
    kernel: Kernel, name: StorageOwner, id: str, text: str, *, tags: Sequence[str] | None = None
) -> Passage:
    """Store a passage anew with another text, and other ``tags`` if given, and delete the old one.

    Returned with its new id, for indexes only grow. ``UsageError`` for a part of a document.
    """
    if not text.strip():
        raise UsageError("The text is empty; delete the passage instead.")
    record, number = await kernel.record(name), _number(id, "p", name)

    def work(tx: Transaction) -> Passage:
        old = tx.passage(record.id, number)
        if old is None:
            raise _no_passage(id)
        if old.place is not None:
            raise UsageError(f"{id} is part of document d{old.place.document}; load the changed document.")
        tx.delete_passage(record.id, number)
        kept = old.tags if tags is None else _cleaned(tags)
        return tx.insert_passage(record.id, replace(old, text=text, tags=kept, number=0))

    stored = await kernel.store.write(work)
    kernel.indexer.wake()
    return stored


async def delete_passage(kernel: Kernel, name: StorageOwner, id: str) -> None:
    """Delete the passage of this id (``p7``); ``NotFoundError`` if there is none."""
    record, number = await kernel.record(name), _number(id, "p", name)
    if not await kernel.store.write(lambda tx: tx.delete_passage(record.id, number)):
        raise _no_passage(id)


async def append_rows(kernel: Kernel, name: str, rows: Sequence[Message]) -> None:
    """Append numbered rows to an agent's log as they are, without events: a conversation held elsewhere."""
    record = await kernel.record(name)
    await kernel.store.write(lambda tx: tx.append(record.id, rows))


async def document_of(kernel: Kernel, name: StorageOwner, source: str) -> Document | None:
    """The stored document of a source, a path or a URL; None if that was not loaded."""
    record = await kernel.record(name)
    return await kernel.store.read(lambda tx: tx.document_by_source(record.id, source))


async def put_document(
    kernel: Kernel, name: StorageOwner, document: Document, pages: Sequence[Page], passages: Sequence[Passage]
) -> Document:
    """Store a document with its pages and passages in the place of the one of its source, if there is one;
    return it with its id and its number of pages."""
    record = await kernel.record(name)
    return await kernel.store.write(lambda tx: tx.put_document(record.id, document, pages, passages))


async def delete_document(kernel: Kernel, name: StorageOwner, id: str) -> None:
    """Delete the document of this id (``d1``) with its pages and passages; ``NotFoundError`` if there is
    none."""
    record, number = await kernel.record(name), _number(id, "d", name)

    def work(tx: Transaction) -> None:
        if not tx.delete_document(record.id, number):
            raise NotFoundError(
                f"There is no document {id}; `pagefault document list` shows those there are."
            )

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
    record, number = await kernel.record(name), _number(id, "t", name)
    if not await kernel.store.write(lambda tx: tx.remove_schedule(record.id, number)):
        raise NotFoundError(f"There is no timer {id}; `pagefault schedule list {name}` shows those set.")


def _cleaned(tags: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tag.strip("# ") for tag in tags))


def _no_passage(id: str) -> NotFoundError:
    return NotFoundError(f"There is no passage {id}; `pagefault archival list` shows those there are.")


def _number(id: str, letter: str, owner: StorageOwner) -> int:
    """The number in an id; 0, which nothing has, if it is no id of that kind. Of an archive it may have the
    archive's name before it."""
    before = f"(?:{re.escape(owner.name)}/)?" if isinstance(owner, Archive) else ""
    return int(found[1]) if (found := re.fullmatch(rf"{before}{letter}([0-9]{{1,15}})", id)) else 0
