"""Tokens and money: what the log records of requests to models, by agent, turn, day or model.

Requests that failed are not there: providers report nothing of them. No provider is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Literal, get_args

from pagefault.accounting.prices import Prices
from pagefault.clock import When, time_of
from pagefault.config import settings_of
from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.message_meta import Usage
from pagefault.storage import RowUsage, Transaction, UsageTotal
from pagefault.storage.usage import QUARTER, add_up, without
from pagefault.types import AgentId, AgentRecord, Message
from pagefault.views.asking import zone_shown

__all__ = [
    "Part", "Spending", "UsageRow", "period_for", "prices_of", "row_usage", "spending_of",
    "spending_of_totals", "usage", "usage_after",
]  # fmt: skip

Part = Literal["agent", "turn", "day", "model"]
"""The parts that usage is added up by."""

_HOUR = timedelta(hours=1)


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
    return spending_of_totals(add_up(rows), prices)


def spending_of_totals(totals: Iterable[UsageTotal], prices: Prices) -> Spending:
    """The sum of totals; those of one price are priced together."""
    groups: dict[tuple[str, str, int, int], list[UsageTotal]] = {}
    for total in totals:
        period = prices.period(total.model, total.answered, total.start)
        groups.setdefault((total.model, total.answered, total.tier, period), []).append(total)
    whole = sum((_group(group, prices) for group in groups.values()), Spending())
    return replace(whole, cost=None if whole.cost is None else round(whole.cost, 8))


def _group(totals: Sequence[UsageTotal], prices: Prices) -> Spending:
    first, requests = totals[0], sum(total.requests for total in totals)
    columns = zip(*(astuple(total.usage) for total in totals), strict=True)
    used = Usage(*map(sum, columns))
    measured = sum(total.measured for total in totals)
    cost = prices.cost_of_sum(first.model, first.answered, used, requests, first.start)
    return Spending(
        requests,
        used.input,
        used.cached,
        used.written,
        used.output,
        used.thinking,
        sum(total.estimated for total in totals),
        cost,
        () if cost is not None else (first.model,),
        sum(total.off for total in totals) / measured / 1e4 if measured else None,
        measured,
    )


async def usage(
    kernel: Kernel,
    name: str | None = None,
    *,
    by: Part = "agent",
    since: When = None,
    until: When = None,
    withdrawn: bool = False,
) -> tuple[UsageRow, ...]:
    """The usage of one agent, or of all of them by name; the parts in the order in which they came.

    ``since`` is inclusive, ``until`` exclusive (a date without a time is included); both are read in each
    agent's zone. By agent, one that has made no request has a row of zeros. ``withdrawn``: that of turns
    which were undone too.
    """
    if by not in get_args(Part):
        raise UsageError(f"Usage is not added up by {by!r}; write one of {', '.join(get_args(Part))}.")
    records = [await kernel.record(name)] if name else await kernel.agents()
    if name:  # of all, those that cannot be read are counted too
        settings_of(records[0])
    now = kernel.clock.now()

    def read(tx: Transaction) -> list[dict[str, list[UsageTotal]]]:
        return [_parts(tx, record, by, since, until, now, withdrawn) for record in records]

    found, prices = await kernel.store.read(read), prices_of(kernel)
    return tuple(
        UsageRow(record.name, part, spending_of_totals(totals, prices))
        for record, parts in zip(records, found, strict=True)
        for part, totals in parts.items()
    )


def _parts(
    tx: Transaction, record: AgentRecord, by: Part, since: When, until: When, now: datetime, withdrawn: bool
) -> dict[str, list[UsageTotal]]:
    """An agent's totals by the name of their part. Only turns are read from the log, the rest from sums."""
    zone = zone_shown(record)
    start, stop = time_of(since, now, zone), time_of(until, now, zone, end=True)
    if by == "turn":
        turns: dict[str, list[RowUsage]] = {}
        for row in _spent(tx, record.id, start, stop, withdrawn):
            turns.setdefault(_turn(row), []).append(row)
        return {turn: add_up(rows) for turn, rows in turns.items()}
    step = period_for(zone, now)
    totals = tx.usage_totals(record.id, since=start, until=stop, step=step)
    if not withdrawn and (undone := tx.withdrawn_usage(record.id, since=start, until=stop, step=step)):
        totals = without(totals, undone)
    parts: dict[str, list[UsageTotal]] = {"": []} if by == "agent" else {}
    for total in totals:
        day = total.start.astimezone(zone).date().isoformat() if by == "day" else ""
        parts.setdefault(total.model if by == "model" else day, []).append(total)
    return parts


def _spent(
    tx: Transaction, agent: AgentId, start: datetime | None, stop: datetime | None, withdrawn: bool
) -> list[RowUsage]:
    """The usage of rows, oldest first; that of rows which were undone is read from the whole log."""
    if not withdrawn:
        return tx.spent(agent, since=start, until=stop)
    rows = (row for row in tx.messages(agent, withdrawn=True) if row.usage)
    return [row_usage(row) for row in rows if (not start or row.at >= start) and (not stop or row.at < stop)]


def _turn(row: RowUsage) -> str:
    """The name of the turn; a flush may fall into one, or between two."""
    return f"m{row.seq} flush" if row.event is None else str(row.event)


def period_for(zone: tzinfo, now: datetime) -> timedelta:
    """A period that no midnight of the zone falls into."""
    half_a_year = timedelta(days=182)
    offsets = [at.astimezone(zone).utcoffset() or _HOUR for at in (now, now - half_a_year)]
    return QUARTER if any(offset % _HOUR for offset in offsets) else _HOUR


async def usage_after(kernel: Kernel, name: str, position: int) -> tuple[Spending, int]:
    """The spending that rows of the log after ``position`` (a row's number) record, and the newest number.

    For a running total: only what is new is read.
    """
    record = await kernel.record(name)
    rows = await kernel.store.read(lambda tx: tx.messages(record.id, first=position + 1))
    spent = spending_of(map(row_usage, rows), prices_of(kernel))
    return spent, rows[-1].seq if rows else position


def row_usage(row: Message) -> RowUsage:
    """The requests that a row records."""
    return RowUsage(row.seq, row.at, row.event, row.role, row.usage)
