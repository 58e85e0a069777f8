"""One event's turn, step by step, from the log alone: what was in the context, what was done, what it cost.

The first row of each completion records what the model saw and what its requests cost; calls, results and
speech are rows of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from pagefault.accounting.prices import Prices
from pagefault.config import zone_for
from pagefault.errors import NotFoundError, UsageError
from pagefault.images import with_media
from pagefault.kernel import Kernel
from pagefault.message_meta import MessageMeta
from pagefault.storage import Transaction
from pagefault.types import AgentId, Event, EventState, Message, Role
from pagefault.views.history import LogRow, log_row
from pagefault.views.usage import Spending, prices_of, row_usage, spending_of

__all__ = [
    "ContextSeen", "Trace", "TraceStep", "TraceTotals", "TracedEvent", "totals_of", "trace", "turn_rows",
]  # fmt: skip

_RECENT = 5  # events named beside a trace
_LOOK_BACK = 400  # rows in which they are looked for


@dataclass(frozen=True, slots=True)
class TracedEvent:
    """The event that opened the turn; ``id`` is its number in the inbox."""

    id: int
    kind: str
    text: str
    state: EventState


@dataclass(frozen=True, slots=True)
class ContextSeen:
    """The main context of one completion, sizes in calibrated tokens.

    ``first`` and ``last``: ids of the oldest and the newest row in the queue; ``summary`` and ``pinned``: ids
    of the summary and of the pinned open event, if there were any. ``notes``: what was repaired in the
    answer, each a sentence.
    """

    window: int
    instructions: int
    working_context: int
    queue: int
    first: str
    last: str
    summary: str | None = None
    pinned: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One completion and the results of its calls. ``completion``: the number its rows share. ``saw``: None
    if the log does not record it."""

    completion: int
    at: datetime
    saw: ContextSeen | None
    spent: Spending
    rows: tuple[LogRow, ...]


@dataclass(frozen=True, slots=True)
class TraceTotals:
    """A turn in numbers. ``seconds``: from its first row to its last; ``failed``: results that are errors."""

    steps: int
    calls: int
    failed: int
    seconds: float
    spent: Spending


@dataclass(frozen=True, slots=True)
class Trace:
    """A turn. ``between``: the rows that belong to no completion (the event itself, flushes, warnings,
    alerts). ``recent``: the rows by which recent events entered the log, oldest first."""

    event: TracedEvent
    steps: tuple[TraceStep, ...]
    between: tuple[LogRow, ...]
    totals: TraceTotals
    recent: tuple[LogRow, ...]


async def trace(kernel: Kernel, name: str, event: int | str | None = None) -> Trace:
    """The turn of an event: of this number, or in which the message of this id (``m12``) was written; without
    one, of the last user message. ``NotFoundError`` if there is none such."""
    record = await kernel.record(name)
    found, rows, recent = await kernel.store.read(lambda tx: _read(tx, record.id, event))
    zone, prices = zone_for(record), prices_of(kernel)
    steps = _steps(rows, zone, prices)
    return Trace(
        TracedEvent(found.id, found.kind, with_media(found.text, found.media), found.state),
        steps,
        tuple(log_row(row, zone) for row in rows if row.completion is None),
        totals_of(rows, prices),
        tuple(log_row(row, zone) for row in recent),
    )


def _read(
    tx: Transaction, agent: AgentId, asked: int | str | None
) -> tuple[Event, Sequence[Message], Sequence[Message]]:
    """The event, the rows of its turn with the flushes that fell into it, and those of recent events."""
    id = _event_of(tx, agent, asked)
    event = tx.event(agent, id)
    if event is None:
        raise NotFoundError(f"There is no event {id}; `pagefault trace NAME` lists recent ones.")
    return event, turn_rows(tx, agent, id), _recent(tx, agent)


def turn_rows(tx: Transaction, agent: AgentId, event: int) -> list[Message]:
    """The rows of an event's turn, with the flushes that fell into it."""
    own = tx.messages(agent, event=event)
    if not own:
        return []
    first, last = own[0].seq, own[-1].seq
    flushes = tx.messages(agent, first=first, last=last, roles=(Role.SUMMARY, Role.PREFETCH))
    return sorted([*own, *(row for row in flushes if row.event != event)], key=lambda row: row.seq)


def _event_of(tx: Transaction, agent: AgentId, asked: int | str | None) -> int:
    """The number of the event asked for: itself, that of a message's turn, or of the last user message's."""
    given = "" if asked is None else str(asked)
    if re.fullmatch(r"\d{1,15}", given):
        return int(given)
    if given and not re.fullmatch(r"m\d{1,15}", given):
        raise UsageError(f"{given!r} is neither an event's number nor a message's id (m12).")
    if given:
        row = tx.message(agent, int(given[1:]))
        missing = f"{given} belongs to no event."
    else:
        said = tx.messages(agent, roles=(Role.USER,), newest=1, appended=False)
        row = said[0] if said else None
        missing = "Nothing has been said to it yet."
    if row is None or row.event is None:
        raise NotFoundError(missing)
    return row.event


def _recent(tx: Transaction, agent: AgentId) -> list[Message]:
    opened: dict[int, Message] = {}
    for row in tx.messages(agent, newest=_LOOK_BACK):
        if row.event is not None and row.role in (Role.USER, Role.EVENT, Role.ALERT):
            opened.setdefault(row.event, row)
    return list(opened.values())[-_RECENT:]


def _steps(rows: Iterable[Message], zone: ZoneInfo, prices: Prices) -> tuple[TraceStep, ...]:
    groups: dict[int, list[Message]] = {}
    for row in rows:
        if row.completion is not None:
            groups.setdefault(row.completion, []).append(row)
    return tuple(
        TraceStep(
            completion,
            group[0].at.astimezone(zone),
            _seen(group[0].meta),
            _spent(group, prices),
            tuple(log_row(row, zone) for row in group),
        )
        for completion, group in groups.items()
    )


def _seen(meta: MessageMeta) -> ContextSeen | None:
    """The context as a view; None if the log does not record it."""
    if (saw := meta.saw) is None:
        return None
    return ContextSeen(
        saw.window,
        saw.instructions,
        saw.working_context,
        saw.queue,
        f"m{saw.first}",
        f"m{saw.last}",
        f"m{saw.summary}" if saw.summary else None,
        f"m{saw.pinned}" if saw.pinned else None,
        meta.notes,
    )


def _spent(rows: Iterable[Message], prices: Prices) -> Spending:
    return spending_of(map(row_usage, rows), prices)


def totals_of(rows: Sequence[Message], prices: Prices) -> TraceTotals:
    """The rows of a turn in numbers."""
    failed = [row for row in rows if row.role is Role.RESULT and row.meta.failed]
    return TraceTotals(
        len({row.completion for row in rows if row.completion is not None}),
        sum(row.role is Role.CALL for row in rows),
        len(failed),
        (rows[-1].at - rows[0].at).total_seconds() if rows else 0.0,
        _spent(rows, prices),
    )
