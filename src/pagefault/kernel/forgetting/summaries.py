"""The summaries over what is forgotten: which of them go, and the live one written anew without it.

A summary is made of the one before it and the rows behind that, so each that covers a row that goes may have
something of it, in whatever words. The live one is written anew from the last summary that covers none of
them, and the rows behind that which stay; where the model fails, by extraction, as at a flush.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pagefault.agent import Process
from pagefault.context.summary import Summary, summarise
from pagefault.kernel.forgetting.plan import Covering, OwnerPlan
from pagefault.kernel.forgetting.planning import BATCH, LogFacts
from pagefault.literal_query import LiteralQuery
from pagefault.storage import Store, Transaction
from pagefault.types import AgentId, Message, Role

__all__ = ["NewSummary", "new_summary", "plan_summaries"]


@dataclass(frozen=True, slots=True)
class NewSummary:
    """The summary in the place of the live one, which was this row, and the plan that it was written by."""

    row: Message
    covering: Covering
    without: frozenset[int]


def plan_summaries(tx: Transaction, plan: OwnerPlan, facts: LogFacts) -> None:
    """Add the summaries that cover rows that go, and how the live one is written anew."""
    state = plan.record.queue
    for summary in facts.summaries:
        if summary.seq not in plan.rows and _covers(plan, 1, summary.through):
            plan.rows[summary.seq] = "derived"
    if state.summary is None or state.summary not in plan.rows:
        return
    live = tx.message(plan.id, state.summary)
    if live is None:
        return
    base = _base(tx, plan, facts, live)
    plan.covering = Covering(live, base, base.meta.through + 1 if base else 1, live.meta.through)


def _covers(plan: OwnerPlan, first: int, last: int) -> bool:
    return any(first <= seq <= last for seq in plan.rows)


def _base(tx: Transaction, plan: OwnerPlan, facts: LogFacts, live: Message) -> Message | None:
    """The newest summary before the live one that stays, was not undone, and covers no more than that."""
    for summary in reversed(facts.summaries):
        stays = summary.seq not in plan.rows and not summary.withdrawn
        if stays and summary.seq < live.seq and summary.through <= live.meta.through:
            return tx.message(plan.id, summary.seq)
    return None


async def new_summary(
    store: Store, process: Process, plan: OwnerPlan, query: LiteralQuery | None
) -> NewSummary | None:
    """The live summary without what goes, not stored; None if it stays as it is."""
    covering, memory = plan.covering, process.memory
    if covering is None:
        return None
    without = frozenset(plan.rows)
    rows = await store.read(lambda tx: list(_rows(tx, plan.id, covering, without)))
    state = memory.queue.state
    room = max(0, memory.sizes().room)
    limit = max(48, int(memory.policy.summary_limit(room) / state.ratio))
    made = await summarise(
        memory.model, covering.base.text if covering.base else "", rows,
        window=int(memory.budget.window / state.ratio), limit=limit, counter=memory.counter,
    )  # fmt: skip
    return NewSummary(_row(process, covering, made, query), covering, without)


def _rows(tx: Transaction, agent: AgentId, covering: Covering, without: frozenset[int]) -> Iterator[Message]:
    """The rows under the live summary that stay and are not under its base."""
    for first in range(covering.first, covering.last + 1, BATCH):
        last = min(first + BATCH - 1, covering.last)
        for row in tx.messages(agent, first=first, last=last, appended=False):
            if row.seq not in without and not row.erased and row.role not in (Role.SUMMARY, Role.PREFETCH):
                yield row


def _row(process: Process, covering: Covering, made: Summary, query: LiteralQuery | None) -> Message:
    """The summary as a draft; what the model wrote of it all the same, goes line by line."""
    text = query.without(made.text) if query else made.text
    meta = replace(covering.live.meta, extracted=made.extracted)
    return replace(made, text=text).row(meta, process.memory.clock.now())
