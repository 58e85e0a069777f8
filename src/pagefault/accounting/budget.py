"""Daily budgets, in tokens and in money, of an agent and of all agents of an installation together.

There is no account but the log's: the totals of a day are what was spent. A budget is looked at before each
request, so that a day may end one request above it, and no more. Where it takes long to add up all agents,
that is done less often (``SharedUsage``): a day may end above by what they spend meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from time import monotonic

from pagefault.accounting.prices import Prices
from pagefault.errors import DailyBudgetSpent
from pagefault.storage import Store, Transaction
from pagefault.storage.usage import QUARTER, UsageTotal
from pagefault.types import AgentId

__all__ = ["Budgets", "DailyLimit", "SharedUsage", "day_of"]

_QUICK = 0.05  # seconds that a read may take to be made before each request
_REST = 20.0  # the pause after a longer one, in times of what it took


@dataclass(frozen=True, slots=True)
class DailyLimit:
    """The most that may be spent from midnight to midnight of ``zone``: ``tokens`` of input and output
    together, and ``cost`` in US dollars; None: without limit."""

    zone: tzinfo
    tokens: int | None = None
    cost: float | None = None

    @property
    def is_set(self) -> bool:
        return self.tokens is not None or self.cost is not None

    def excess(self, spent: Sequence[UsageTotal], prices: Prices) -> tuple[str, str] | None:
        """The name of the limit that is reached (``tokens`` or ``cost``), and a sentence on it."""
        used = sum(total.usage.input + total.usage.output for total in spent)
        if self.tokens is not None and used >= self.tokens:
            return "tokens", f"{used:,} of {self.tokens:,} tokens a day are spent"
        if self.cost is None:
            return None
        paid = 0.0
        for total in spent:
            cost = prices.cost_of_sum(total.model, total.answered, total.usage, total.requests, total.start)
            if cost is None:
                return "cost", f'no price of {total.model} is known; set [prices."{total.model}"] or no cost'
            paid += cost
        return ("cost", f"${paid:,.2f} of ${self.cost:,.2f} a day are spent") if paid >= self.cost else None


@dataclass(slots=True)
class SharedUsage:
    """The usage of all agents of a day, as this process has read it: each time, unless that takes long."""

    clock: Callable[[], float] = monotonic
    _since: datetime | None = None
    _spent: Sequence[UsageTotal] = ()
    _pause: float = 0.0
    _until: float = 0.0  # when it is to be read again

    def since(self, start: datetime, tx: Transaction, tenant: str | None = None) -> Sequence[UsageTotal]:
        began = self.clock()
        if start == self._since and began < self._until:
            return self._spent
        self._until = began + self._pause  # whoever asks while it is read goes by the last
        spent = tx.usage_of_all(start, tenant)
        took = self.clock() - began
        self._pause = _REST * took if took > _QUICK else 0.0
        self._since, self._spent, self._until = start, spent, self.clock() + self._pause
        return spent


@dataclass(frozen=True, slots=True)
class Budgets:
    """The limits that hold for one agent: its ``own``, that of the ``whole`` installation, whose usage is
    ``shared``, and the quota of its ``tenant``, whose usage is ``of_tenant``. ``store``: of all tenants."""

    store: Store
    agent: AgentId
    name: str
    own: DailyLimit
    whole: DailyLimit | None
    prices: Prices
    now: Callable[[], datetime]
    shared: SharedUsage
    tenant: str = ""
    of_tenant: SharedUsage = field(default_factory=SharedUsage)

    @property
    def are_set(self) -> bool:
        return self.own.is_set or bool(self.tenant) or (self.whole is not None and self.whole.is_set)

    def check(self, tx: Transaction) -> None:
        """Raise ``DailyBudgetSpent`` if a limit is reached today."""
        now = self.now()
        if self.own.is_set:
            start, end = day_of(now, self.own.zone)
            spent = tx.usage_totals(self.agent, since=start, step=QUARTER)
            if found := self.own.excess(spent, self.prices):
                raise _spent(f"Agent {self.name}", found[1], end, self.own.zone, (
                    f"`pagefault agent set {self.name} daily_{found[0]}=N`"
                ))  # fmt: skip
        if self.whole is not None and self.whole.is_set:
            start, end = day_of(now, self.whole.zone)
            if found := self.whole.excess(self.shared.since(start, tx), self.prices):
                raise _spent("The installation", found[1], end, self.whole.zone, (
                    f"total_daily_{found[0]} in config.toml or PAGEFAULT_TOTAL_DAILY_{found[0].upper()}"
                ))  # fmt: skip
        if self.tenant and (quota := tx.within(self.tenant).quota()):
            self._check_tenant(tx, DailyLimit(UTC, quota.daily_tokens, quota.daily_cost), now)

    def _check_tenant(self, tx: Transaction, limit: DailyLimit, now: datetime) -> None:
        start, end = day_of(now, UTC)
        spent = self.of_tenant.since(start, tx, self.tenant) if limit.is_set else ()
        if found := limit.excess(spent, self.prices):
            raise _spent(f"The tenant {self.tenant}", found[1], end, UTC, (
                f"`pagefault tenant set {self.tenant} --daily-{found[0]} N`"
            ))  # fmt: skip


def _spent(whose: str, what: str, end: datetime, zone: tzinfo, fix: str) -> DailyBudgetSpent:
    at = end.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    return DailyBudgetSpent(
        f"{whose} has reached its daily budget: {what}. Its events wait until {at} ({zone}); "
        f"to go on now, raise it: {fix}.", end,
    )  # fmt: skip


def day_of(now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """The first moment of the day of a zone, and of the next one, in UTC."""
    today = now.astimezone(zone).date()
    days = (today, today + timedelta(days=1))
    start, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in days)
    return start, end
