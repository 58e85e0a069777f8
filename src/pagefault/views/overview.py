"""Agents at a glance, for a list: what each is doing, when it was last heard of, how full its window is, what
it has cost.

Left out: one agent in detail (``agents``), its inbox (``events``) and usage by part (``usage``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pagefault.kernel import Kernel
from pagefault.storage import RowUsage, Transaction, UsageTotal
from pagefault.types import AgentId, AgentRecord, EventState
from pagefault.views.agents import AgentSummary, summaries
from pagefault.views.asking import zone_shown
from pagefault.views.history import READABLE
from pagefault.views.usage import Spending, prices_of, spending_of_totals

__all__ = ["AgentOverview", "AgentState", "agent_names", "agents_behind", "overview"]

AgentState = Literal["idle", "queued", "in turn", "undecided", "over budget", "parked"]
"""The state of an agent: nothing to do, an event waits, a turn is open, a turn waits for a person's decision,
its daily budget is spent, not served until it is released."""


@dataclass(frozen=True, slots=True)
class AgentOverview:
    """An agent at a glance. ``last``: when something was last said or came in, in the agent's zone; ``used``:
    the tokens of the last request, of ``summary.window``, None before the first; ``waiting``: pending events;
    ``parked_events``: events that were set aside."""

    summary: AgentSummary
    state: AgentState
    last: datetime | None
    used: int | None
    spent: Spending
    waiting: int
    parked_events: int


@dataclass(frozen=True, slots=True)
class _Facts:
    last: datetime | None
    request: Sequence[RowUsage]
    totals: Sequence[UsageTotal]
    events: dict[EventState, int]


_PART = 1000  # records that are read at a time, where many are not to be shown
_STATES: tuple[EventState, ...] = ("pending", "active", "waiting", "parked")


async def agent_names(kernel: Kernel) -> list[str]:
    """The names of all agents, in their order."""
    return await kernel.store.read(lambda tx: tx.agent_names())


async def agents_behind(
    kernel: Kernel, reaches: Callable[[AgentRecord], bool], after: str, limit: int
) -> tuple[list[AgentSummary], str | None]:
    """The agents by name that ``reaches`` lets through, behind the one of the name ``after``, ``limit`` at
    most; and the name behind which the next ones are, None at the end."""
    found, size = list[AgentRecord](), limit + 1
    while len(found) <= limit:
        part = await kernel.store.read(lambda tx, after=after, size=size: tx.agents(after, size))
        found += filter(reaches, part)
        if len(part) < size:
            break
        after, size = part[-1].name, _PART
    shown = await summaries(kernel, found[:limit])
    return shown, shown[-1].name if len(found) > limit else None


async def overview(kernel: Kernel, records: Sequence[AgentRecord]) -> list[AgentOverview]:
    """These agents at a glance, in this order."""
    about = await summaries(kernel, records)
    facts = await kernel.store.read(lambda tx: [_facts(tx, record.id) for record in records])
    prices, found = prices_of(kernel), list[AgentOverview]()
    for record, summary, fact in zip(records, about, facts, strict=True):
        requests = [request for row in fact.request for request in row.usage]
        found.append(
            AgentOverview(
                summary,
                _state(summary, fact.events),
                fact.last and fact.last.astimezone(zone_shown(record)),
                requests[-1].usage.input + requests[-1].usage.output if requests else None,
                spending_of_totals(fact.totals, prices),
                fact.events["pending"],
                fact.events["parked"],
            )
        )
    return found


def _facts(tx: Transaction, agent: AgentId) -> _Facts:
    newest = tx.messages(agent, roles=READABLE, newest=1)
    counts: dict[EventState, int] = {state: len(tx.events(agent, state=state)) for state in _STATES}
    return _Facts(newest[0].at if newest else None, tx.spent(agent, newest=1), tx.usage_totals(agent), counts)


def _state(summary: AgentSummary, events: dict[EventState, int]) -> AgentState:
    by_state: tuple[tuple[object, AgentState], ...] = (
        (summary.parked, "parked"),
        (events["waiting"], "undecided"),
        (events["active"], "in turn"),
        (events["pending"] and summary.spent, "over budget"),
        (events["pending"], "queued"),
    )
    for holds, state in by_state:
        if holds:
            return state
    return "idle"
