"""Tokens and money: what the log records of requests to models, by agent, turn, day or model.

Requests that failed are not there: providers report nothing of them. No provider is asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from pagefault.accounting.prices import Prices
from pagefault.config import zone_for
from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.message_meta import RequestUsage
from pagefault.storage import RowUsage
from pagefault.types import AgentRecord
from pagefault.views.asking import When, record_of, time_of

__all__ = ["Part", "Spending", "UsageRow", "prices_of", "spending_of", "usage"]

Part = Literal["agent", "turn", "day", "model"]
"""What usage is added up by."""

_TOKENS = ("input", "cached", "written", "output", "thinking")


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


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The spending of one part of one agent. ``part``: empty by agent; the number of the turn's event (a
    flush outside a turn: the id of its summary, ``m12 flush``); the day (``2026-11-22``, in the agent's
    zone); or the model's name as the settings have it."""

    agent: str
    part: str
    spent: Spending


@dataclass(slots=True)
class _Sum:
    """A sum while it grows."""

    numbers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("requests", *_TOKENS), 0))
    estimated: int = 0
    cost: float = 0.0
    unpriced: set[str] = field(default_factory=set[str])
    errors: list[float] = field(default_factory=list[float])

    def add(self, request: RequestUsage, cost: float | None) -> None:
        self.numbers["requests"] += 1
        for name in _TOKENS:
            self.numbers[name] += getattr(request.usage, name)
        self.estimated += request.estimated
        if cost is None:
            self.unpriced.add(request.model)
        else:
            self.cost += cost
        if request.ratio:
            self.errors.append(1 / request.ratio - 1)

    def spending(self) -> Spending:
        unknown = bool(self.unpriced) and not self.cost
        return Spending(
            **self.numbers,
            estimated=self.estimated,
            cost=None if unknown else round(self.cost, 8),
            unpriced=tuple(sorted(self.unpriced)),
            error=round(100 * sum(self.errors) / len(self.errors), 1) if self.errors else None,
            measured=len(self.errors),
        )


def prices_of(kernel: Kernel) -> Prices:
    """The prices of a kernel's models: the user's own, else those of the library."""
    return Prices(kernel.models.vendor, kernel.own_prices)


def spending_of(rows: Iterable[RowUsage], prices: Prices) -> Spending:
    """The sum of the requests that rows of the log record."""
    sum_ = _Sum()
    for row in rows:
        for request in row.usage:
            sum_.add(request, prices.cost(request, row.at))
    return sum_.spending()


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
