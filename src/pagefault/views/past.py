"""An agent as it was at a position of its log: the sections, messages and passages of then.

What was undone since is there again, and what had been undone by then is not. What was deleted or forgotten
since is gone here too. The main context of then: ``context.context_blocks``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pagefault.config import settings_of, zone_for
from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel import Kernel
from pagefault.kernel.points import position_of
from pagefault.models.tokens import HeuristicCounter, family_of
from pagefault.storage import Transaction
from pagefault.types import AgentId, AgentRecord, Message, Passage, Role, Section
from pagefault.views.asking import number_of, page_of
from pagefault.views.history import READABLE, History, log_row
from pagefault.views.hits import PassageView, passage_view
from pagefault.views.memory import SectionView

__all__ = [
    "Moment",
    "PassagePage",
    "moment_of",
    "passages_at",
    "past_history",
    "past_passages",
    "past_sections",
    "sections_at",
]  # fmt: skip

_READ = 1000  # rows read at once


@dataclass(frozen=True, slots=True)
class Moment:
    """A position of the log: the number of a row, and when that was written."""

    position: int
    at: datetime


@dataclass(frozen=True, slots=True)
class PassagePage:
    """One page of passages, newest first. ``total``: of all pages."""

    total: int
    page: int
    pages: int
    passages: tuple[PassageView, ...]

    def __iter__(self) -> Iterator[PassageView]:
        return iter(self.passages)


def moment_of(tx: Transaction, record: AgentRecord, position: int | str) -> Moment:
    """The moment of a position (``12``, ``m12``); ``NotFoundError`` if the log has no such row."""
    row = tx.message(record.id, position_of(position))
    if row is None:
        raise NotFoundError(
            f"The log of agent {record.name} has no message m{position_of(position)}; "
            + (f"it ends with m{record.last_seq}." if record.last_seq else "it is empty.")
        )
    return Moment(row.seq, row.at)


def sections_at(tx: Transaction, agent: AgentId, then: Moment) -> list[Section]:
    """The sections of then, in the order of their creation."""
    found = list[Section]()
    for _, newest in tx.sections_at(agent, datetime.max.replace(tzinfo=then.at.tzinfo)):
        known = [
            each
            for at, each in tx.section_history(agent, newest.name)
            if (at <= then.at if each.born is None else each.born <= then.position)
        ]
        found += [each for each in known[-1:] if each.limit]
    return found


def passages_at(tx: Transaction, agent: AgentId, then: Moment | None) -> Iterator[Passage]:
    """The passages of then, None: of now, by number."""
    after = 0
    while batch := tx.stored_passages(agent, after, _READ):
        yield from (_as_then(tx, agent, each, then) for each in batch if _was_there(each, then))
        after = batch[-1].number


def _as_then(tx: Transaction, agent: AgentId, passage: Passage, then: Moment | None) -> Passage:
    """The passage without the mark of what took its place later."""
    if then is None or passage.superseded is None:
        return passage
    by = next(iter(tx.stored_passages(agent, passage.superseded - 1, 1)), None)
    is_later = by is None or (by.at > then.at if by.born is None else by.born > then.position)
    return replace(passage, superseded=None, ended=None) if is_later else passage


def _was_there(passage: Passage, then: Moment | None) -> bool:
    if then is None:
        return passage.withdrawn is None
    known = passage.at <= then.at if passage.born is None else passage.born <= then.position
    return known and (passage.withdrawn is None or passage.withdrawn > then.position)


async def past_sections(kernel: Kernel, name: str, position: int | str) -> tuple[SectionView, ...]:
    """The sections of the working context as they were."""
    record = await kernel.record(name)
    found = await kernel.store.read(lambda tx: sections_at(tx, record.id, moment_of(tx, record, position)))
    count = HeuristicCounter(family_of(settings_of(record).model)).count
    return tuple(
        SectionView(s.name, s.description, s.text, count(s.text), s.limit, s.read_only, s.version)
        for s in found
    )


async def past_history(
    kernel: Kernel,
    name: str,
    position: int | str,
    *,
    before: str | None = None,
    limit: int = 50,
    roles: Sequence[Role] = READABLE,
) -> History:
    """The newest ``limit`` rows of these roles up to the position, or before the message of id ``before``."""
    if limit < 1:
        raise UsageError(f"A history of {limit} rows is none; ask for 1 or more.")
    record = await kernel.record(name)

    def read(tx: Transaction) -> list[Message]:
        then, found = moment_of(tx, record, position), list[Message]()
        last = then.position if before is None else min(then.position, number_of(before, "m") - 1)
        while last > 0 and len(found) <= limit:
            rows = tx.messages(record.id, last=last, roles=roles, newest=2 * limit + 2, withdrawn=True)
            stood = [r for r in rows if r.withdrawn is None or r.withdrawn > then.position]
            found, last = [*stood, *found], rows[0].seq - 1 if rows else 0
        return found[-limit - 1 :]

    rows, zone = await kernel.store.read(read), zone_for(record)
    shown = rows[-limit:]
    return History(tuple(log_row(r, zone) for r in shown), shown[0].id if len(rows) > limit else None)


async def past_passages(
    kernel: Kernel, name: str, position: int | str, *, page: int = 1, size: int = 10
) -> PassagePage:
    """One page of the passages of archival storage of then, without what was deleted since."""
    if size < 1:
        raise UsageError(f"A page of {size} results is none; ask for 1 or more.")
    record = await kernel.record(name)

    def read(tx: Transaction) -> tuple[int, Sequence[Passage], int]:
        then = moment_of(tx, record, position)
        numbers = [each.number for each in passages_at(tx, record.id, then)]
        shown, pages = page_of(numbers[::-1], page, size)
        stored = (tx.stored_passages(record.id, number - 1, 1)[0] for number in shown)
        return len(numbers), [_as_then(tx, record.id, each, then) for each in stored], pages

    total, found, pages = await kernel.store.read(read)
    zone = zone_for(record)
    return PassagePage(total, page, pages, tuple(passage_view(each, zone) for each in found))
