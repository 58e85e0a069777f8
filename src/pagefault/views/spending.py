"""Usage by day and model over the last days, and the daily budgets with what is left of them.

Left out: usage in other parts and times (``usage``). It reads sums that the log keeps, not its rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

from pagefault.accounting.budget import Budgets, DailyLimit, day_of
from pagefault.accounting.prices import Prices
from pagefault.config import settings_of
from pagefault.errors import DamageError, UsageError
from pagefault.kernel import Kernel
from pagefault.storage import Transaction, UsageTotal
from pagefault.storage.usage import QUARTER
from pagefault.types import AgentRecord
from pagefault.views.asking import zone_shown
from pagefault.views.usage import Spending, period_for, prices_of, spending_of_totals

__all__ = ["LONGEST", "BudgetView", "DailyUsage", "DayUsage", "budgets", "daily_usage"]

LONGEST = 366
"""The most days that are shown at once."""


@dataclass(frozen=True, slots=True)
class DayUsage:
    """The usage of one model on one day (``2026-11-22``). ``model``: its name as the settings have it."""

    day: str
    model: str
    spent: Spending


@dataclass(frozen=True, slots=True)
class DailyUsage:
    """The usage of some days. ``days``: all of them, oldest first, those without usage included; ``zone``:
    where they begin; ``used``: by day, then model; ``whole``: all of it."""

    days: tuple[str, ...]
    zone: str
    used: tuple[DayUsage, ...]
    whole: Spending


@dataclass(frozen=True, slots=True)
class BudgetView:
    """A daily budget: of an ``agent``, of a ``tenant`` or of the whole ``installation``. ``tokens`` and
    ``cost``: what may be spent, None without limit; ``until``: when the day ends."""

    of: Literal["agent", "tenant", "installation"]
    name: str
    tokens: int | None
    cost: float | None
    spent: Spending
    until: datetime


async def daily_usage(
    kernel: Kernel, name: str | None = None, *, days: int = 30, of: Collection[str] | None = None
) -> DailyUsage:
    """The usage of an agent over the last ``days``, today included, in its zone; without one, of all agents
    of the tenant or, if these are given, of those ``of`` these names, in UTC."""
    if not 1 <= days <= LONGEST:
        raise UsageError(f"Usage of {days} days cannot be shown; ask for 1 to {LONGEST}.")
    records = await _records(kernel, name, of)
    zone = zone_shown(records[0]) if name else UTC
    now, prices = kernel.clock.now(), prices_of(kernel)
    today = now.astimezone(zone).date()
    names = [(today - timedelta(days=back)).isoformat() for back in reversed(range(days))]
    first = day_of(datetime.combine(today - timedelta(days=days - 1), datetime.min.time(), zone), zone)[0]
    step = period_for(zone, now)

    def read(tx: Transaction) -> list[UsageTotal]:
        if records:
            return [each for one in records for each in tx.usage_totals(one.id, since=first, step=step)]
        return tx.usage_of_all(first, kernel.tenant) if of is None else []

    totals = await kernel.store.read(read)
    parts: dict[tuple[str, str], list[UsageTotal]] = {}
    for total in totals:
        day = total.start.astimezone(zone).date().isoformat()
        parts.setdefault((day, total.model), []).append(total)
    used = [DayUsage(*part, spending_of_totals(parts[part], prices)) for part in sorted(parts)]
    return DailyUsage(tuple(names), str(zone), tuple(used), spending_of_totals(totals, prices))


async def _records(kernel: Kernel, name: str | None, of: Collection[str] | None) -> list[AgentRecord]:
    if name:
        return [await kernel.record(name)]
    if of is None:
        return []
    names = frozenset(of)
    return [record for record in await kernel.agents() if record.name in names]


async def budgets(
    kernel: Kernel, names: Sequence[str] = (), *, installation: bool = False
) -> tuple[BudgetView, ...]:
    """The daily budgets that are set: of these agents, of the kernel's tenant and, if that is to be shown, of
    the whole ``installation``, with what was spent of each today."""
    now, prices, limit = kernel.clock.now(), prices_of(kernel), kernel.assembly.limit
    records = [await kernel.record(name) for name in names]
    own = [(record, found) for record in records if (found := _own(kernel, record)) and found.own.is_set]

    def read(tx: Transaction) -> list[BudgetView]:
        shown = [
            _view("agent", record.name, each.own, prices, now, tx.usage_totals(
                record.id, since=day_of(now, each.own.zone)[0], step=QUARTER))
            for record, each in own
        ]  # fmt: skip
        if kernel.tenant and (quota := tx.quota()):
            daily = DailyLimit(UTC, quota.daily_tokens, quota.daily_cost)
            if daily.is_set:
                spent = tx.usage_of_all(day_of(now, UTC)[0], kernel.tenant)
                shown.append(_view("tenant", kernel.tenant, daily, prices, now, spent))
        return shown

    shown = await kernel.store.read(read)
    if installation and limit is not None and limit.is_set:
        start = day_of(now, limit.zone)[0]
        spent = await kernel.scheduler.store.read(lambda tx: tx.usage_of_all(start))  # of all tenants
        shown.append(_view("installation", "", limit, prices, now, spent))
    return tuple(shown)


def _own(kernel: Kernel, record: AgentRecord) -> Budgets | None:
    try:
        return kernel.assembly.budgets(record, settings_of(record))
    except DamageError:  # such an agent makes no requests
        return None


def _view(
    of: Literal["agent", "tenant", "installation"], name: str, limit: DailyLimit, prices: Prices,
    now: datetime, spent: Sequence[UsageTotal],
) -> BudgetView:  # fmt: skip
    zone: tzinfo = limit.zone
    until = day_of(now, zone)[1].astimezone(zone)
    return BudgetView(of, name, limit.tokens, limit.cost, spending_of_totals(spent, prices), until)
