"""Tokens and money: what the log records of requests to models, by agent, turn, day or model.

Requests that failed are not there: providers report nothing of them. No provider is asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from pagefault.accounting.prices import Prices
from pagefault.config import zone_for
from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.message_meta import RequestUsage
from pagefault.storage import RowUsage
from pagefault.types import AgentRecord, Message
from pagefault.views.asking import When, record_of, time_of

__all__ = ["Part", "Spending", "UsageRow", "prices_of", "row_usage", "spending_of", "usage", "usage_after"]

Part = Literal["agent", "turn", "day", "model"]
"""What usage is added up by."""


@dataclass(frozen=True, slots=True)
class Spending:
    """A sum over requests: tokens, and US dollars.

    ``input`` includes ``cached`` (read from the provider's cache) and ``written`` (put there); ``output``
    includes ``thinking``. ``estimated``: requests of which the provider reported nothing, counted by us.
    ``cost``: of the requests with a known price, None if no price at all is known; ``unpriced`` names the
    models without one. ``error``: by how many percent our own count of a prompt is off on average over
    ``measured`` requests (above 0: too many); None if it was never measured.
    """

    requests: int = 0
    input: int = 0
    cached: int = 0
    written: int = 0
    output: int = 0
    thinking: int = 0
    estimated: int = 0
    cost: float | None = 0.0
    unpriced: tuple[str, ...] = ()
    error: float | None = None
    measured: int = 0

    def __add__(self, other: Spending) -> Spending:
        measured = self.measured + other.measured
        off = (self.error or 0.0) * self.measured + (other.error or 0.0) * other.measured
        cost = (self.cost or 0.0) + (other.cost or 0.0)
        unpriced = self.unpriced
        if other.unpriced and other.unpriced != unpriced:
            unpriced = tuple(sorted({*unpriced, *other.unpriced}))
        return Spending(
            self.requests + other.requests,
            self.input + other.input,
            self.cached + other.cached,
            self.written + other.written,
            self.output + other.output,
            self.thinking + other.thinking,
            self.estimated + other.estimated,
            None if unpriced and not cost else cost,
            unpriced,
            off / measured if measured else None,
            measured,
        )


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The spending of one part of one agent. ``part``: empty by agent; the number of the turn's event (a
    flush outside a turn: the id of its summary, ``m12 flush``); the day (``2026-11-22``, in the agent's
    zone); or the model's name as the settings have it."""

    agent: str
    part: str
    spent: Spending


def prices_of(kernel: Kernel) -> Prices:
    """The prices of a kernel's models: the user's own, else those of the library."""
    return Prices(kernel.models.vendor, kernel.own_prices)


def spending_of(rows: Iterable[RowUsage], prices: Prices) -> Spending:
    """The sum of the requests that rows of the log record."""
    made = ((request, row.at) for row in rows for request in row.usage)
    whole = sum((_spending(request, prices.cost(request, at)) for request, at in made), Spending())
    return replace(whole, cost=None if whole.cost is None else round(whole.cost, 8))


def _spending(request: RequestUsage, cost: float | None) -> Spending:
    used = request.usage
    return Spending(
        1,
        used.input,
        used.cached,
        used.written,
        used.output,
        used.thinking,
        int(request.estimated),
        cost,
        () if cost is not None else (request.model,),
        100 / request.ratio - 100 if request.ratio else None,
        1 if request.ratio else 0,
    )


async def usage(
    kernel: Kernel,
    name: str | None = None,
    *,
    by: Part = "agent",
    since: When = None,
    until: When = None,
) -> tuple[UsageRow, ...]:
    """The usage of one agent, or of all of them by name; the parts in the order in which they came.

    ``since`` is inclusive, ``until`` exclusive (a date without a time is included); both are read in each
    agent's zone. By agent, one that has made no request has a row of zeros.
    """
    if by not in get_args(Part):
        raise UsageError(f"Usage is not added up by {by!r}; write one of {', '.join(get_args(Part))}.")
    records = [await record_of(kernel, name)] if name else await kernel.agents()
    found: list[UsageRow] = []
    for record in records:
        found += await _of_agent(kernel, record, by, since, until)
    return tuple(found)


async def _of_agent(
    kernel: Kernel, record: AgentRecord, by: Part, since: When, until: When
) -> list[UsageRow]:
    zone, now = zone_for(record), kernel.clock.now()
    start, stop = time_of(since, now, zone), time_of(until, now, zone, end=True)
    rows = await kernel.store.read(lambda tx: tx.spent(record.id, since=start, until=stop))
    groups: dict[str, list[RowUsage]] = {} if rows or by != "agent" else {"": []}
    for row in rows:
        for key, part in _parts(row, by, zone):
            groups.setdefault(key, []).append(part)
    prices = prices_of(kernel)
    return [UsageRow(record.name, key, spending_of(parts, prices)) for key, parts in groups.items()]


async def usage_after(kernel: Kernel, name: str, position: int) -> tuple[Spending, int]:
    """The spending that rows of the log after ``position`` (a row's number) record, and the newest number.

    For a running total: only what is new is read.
    """
    record = await record_of(kernel, name)
    rows = await kernel.store.read(lambda tx: tx.messages(record.id, first=position + 1))
    return spending_of(map(row_usage, rows), prices_of(kernel)), record.last_seq


def row_usage(row: Message) -> RowUsage:
    """The requests that a row records."""
    return RowUsage(row.seq, row.at, row.event, row.role, row.usage)


def _parts(row: RowUsage, by: Part, zone: ZoneInfo) -> list[tuple[str, RowUsage]]:
    """The row with the name of its part; one row for each of its requests if parts are models."""
    if by == "model":
        return [(request.model, replace(row, usage=(request,))) for request in row.usage]
    return [(_name(row, by, row.at.astimezone(zone)), row)]


def _name(row: RowUsage, by: Part, at: datetime) -> str:
    if by == "day":
        return at.date().isoformat()
    if by == "turn":  # a flush may fall into a turn or between two
        return f"m{row.seq} flush" if row.event is None else str(row.event)
    return ""
