"""The turns of an agent, newest first: the event of each, what it led to and what it cost.

Left out: one turn step by step (``trace``). A page reads the rows of its own turns and no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pagefault.accounting.prices import Prices
from pagefault.errors import UsageError
from pagefault.images import with_media
from pagefault.kernel import Kernel
from pagefault.storage import Transaction
from pagefault.types import AgentRecord, Event, EventState, Role
from pagefault.views.asking import zone_shown
from pagefault.views.trace import TraceTotals, totals_of, turn_rows
from pagefault.views.usage import prices_of

__all__ = ["TurnSummary", "Turns", "turns"]

_OPENINGS = (Role.USER, Role.EVENT, Role.ALERT)  # the roles of rows that open a turn
_LOOK_BACK = 64  # rows in which the newest event is looked for
_LONGEST = 240  # characters of an event's text


@dataclass(frozen=True, slots=True)
class TurnSummary:
    """A turn by its event. ``text``: the beginning of what the event says, in one line; ``at``: when it was
    admitted or, if that is still to come, posted; ``first``: id of its first row, empty if it has none yet;
    ``attempts``: times that the turn was begun since it last got on."""

    event: int
    kind: str
    sender: str
    state: EventState
    text: str
    at: datetime | None
    first: str
    attempts: int
    totals: TraceTotals


@dataclass(frozen=True, slots=True)
class Turns:
    """Turns, newest event first. ``before``: the event to ask for the page behind this one, if any."""

    turns: tuple[TurnSummary, ...]
    before: int | None


async def turns(kernel: Kernel, name: str, *, before: int | None = None, limit: int = 20) -> Turns:
    """The turns of the newest ``limit`` events, or of the newest before that event."""
    if limit < 1:
        raise UsageError(f"A page of {limit} turns is none; ask for 1 or more.")
    record, prices = await kernel.record(name), prices_of(kernel)

    def read(tx: Transaction) -> list[TurnSummary]:
        newest = _newest(tx, record)
        newest = newest if before is None else min(newest, before - 1)
        found = list[TurnSummary]()
        for number in range(newest, 0, -1):
            if event := tx.event(record.id, number):
                found.append(_summary(tx, record, event, prices))
            if len(found) > limit:
                break
        return found

    found = await kernel.store.read(read)
    return Turns(tuple(found[:limit]), found[limit - 1].event if len(found) > limit else None)


def _newest(tx: Transaction, record: AgentRecord) -> int:
    """The number of the newest event: one that waits, or one of the newest rows."""
    numbers = [event.id for event in tx.events(record.id, state="pending")]
    rows = tx.messages(record.id, roles=_OPENINGS, newest=_LOOK_BACK)
    asked = tx.completion_row(record.id, record.last_seq)
    numbers += [row.event for row in (*rows, *((asked,) if asked else ())) if row.event is not None]
    return max(numbers, default=0)


def _summary(tx: Transaction, record: AgentRecord, event: Event, prices: Prices) -> TurnSummary:
    rows = turn_rows(tx, record.id, event.id)
    at = rows[0].at if rows else event.at
    text = event.text or (rows[0].text if rows else "")
    return TurnSummary(
        event.id, event.kind, event.sender or "", event.state,
        " ".join(with_media(text, event.media).split())[:_LONGEST], at and at.astimezone(zone_shown(record)),
        rows[0].id if rows else "", event.attempts, totals_of(rows, prices),
    )  # fmt: skip
