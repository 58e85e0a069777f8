"""Forgetting: what is named, or has a text literally, goes from every place, with all that was made of it.

Planned first (``reach``: which agents; ``planning``, ``sections``, ``summaries``, ``settings``: which places
of theirs), then applied in one transaction for each agent, under its turn lock: the agent itself, with what
it shares, then its forks and the copies that others have. Done again after a crash in between, it does the
rest. Left out: proving it (``pagefault db check --deleted``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import anyio

from pagefault.agent import Process
from pagefault.agent.output import output_of
from pagefault.context.queue_log import write_numbered
from pagefault.kernel import Kernel
from pagefault.kernel.between_turns import between_turns, refuse_open_turn
from pagefault.kernel.forgetting.applying import (
    PlanMovedError,
    apply_plan,
    apply_shared,
    refuse_if_held,
)
from pagefault.kernel.forgetting.plan import ForgetPlan, OwnerPlan, PlannedPlace, count_places
from pagefault.kernel.forgetting.reach import plan_again, plan_forgetting
from pagefault.kernel.forgetting.receipts import ForgetReceipt
from pagefault.kernel.forgetting.selection import Selection
from pagefault.kernel.forgetting.summaries import NewSummary, new_summary
from pagefault.kernel.owners import record_of
from pagefault.literal_query import LiteralQuery
from pagefault.shared import is_shared
from pagefault.storage import Transaction, TurnHold
from pagefault.storage.withdrawing import Tombstone
from pagefault.text_caches import clear_texts
from pagefault.types import Message

__all__ = [
    "ForgetPlan",
    "ForgetReceipt",
    "LiteralQuery",
    "PlannedPlace",
    "Selection",
    "Tombstone",
    "forget",
    "plan",
]


async def plan(kernel: Kernel, name: str, selection: Selection) -> ForgetPlan:
    """Every place that ``forget`` would change, as things stand; nothing is changed."""
    return await kernel.store.read(lambda tx: plan_forgetting(tx, record_of(tx, name), selection))


async def forget(kernel: Kernel, name: str, selection: Selection, *, by: str = "") -> ForgetReceipt:
    """Forget what is selected, everywhere; return the receipt. ``by``: at whose word.

    ``InTurnError`` while a turn of the agent is run, ``UsageError`` while one waits for a decision or is
    unfinished, and if the agent, or one that would be changed with it, is held; then nothing is changed.
    """
    await kernel.deliverer.deliver()  # what is on its way arrives first
    found = await plan(kernel, name, selection)
    await kernel.store.read(lambda tx: refuse_if_held(tx, found.owners))
    record = await kernel.record(name)
    agents = [each for each in found.owners if not is_shared(each.record.name) and each.id != record.id]
    own = next((each for each in found.owners if each.id == record.id), OwnerPlan(record))
    places = list[PlannedPlace]()
    if not found.is_empty:
        for each in (own, *agents):
            places += await _Forgetting(kernel, selection, each, by or kernel.store.by).run()
        clear_texts()
        kernel.indexer.wake()
        await kernel.deliverer.deliver()
    owners = tuple(dict.fromkeys(place.owner for place in places))
    return ForgetReceipt(name, kernel.clock.now(), by, count_places(places), owners, found.kept)


@dataclass(slots=True)
class _Forgetting:
    """The forgetting of one agent, with what it shares. ``known``: what was planned."""

    kernel: Kernel
    selection: Selection
    known: OwnerPlan
    by: str

    async def run(self) -> list[PlannedPlace]:
        """Plan again and apply it, under the turn lock; return what was changed."""
        kernel, record = self.kernel, self.known.record
        agent = await kernel.find(record.name)
        try:
            async with between_turns(
                kernel.store, agent, lambda tx: refuse_open_turn(tx, record.id, record.name)
            ) as hold:
                process = await kernel.scheduler.loaded(agent)
                process.begin(hold)
                places, rows = await self._applied(process, hold)
        finally:
            kernel.forget(record.name)
        for row in rows:
            if output := output_of(row):
                agent.emit(output)
        kernel.scheduler.wake(agent)
        return places

    async def _applied(self, process: Process, hold: TurnHold) -> tuple[list[PlannedPlace], list[Message]]:
        """Apply the plan as it stands, with a new summary that is written for it."""
        store = self.kernel.store

        def moved(last_seq: int) -> None:
            process.memory.last_seq = last_seq

        while True:
            plans = await store.read(self._plans)
            made = await new_summary(store, process, plans[0], self.selection.query) if plans else None
            try:
                with anyio.CancelScope(shield=True):
                    work = partial(self._apply, process, made)
                    return await write_numbered(store, hold, self.known.id, work, moved)
            except PlanMovedError:  # something was added meanwhile: the summary is written again
                continue

    def _plans(self, tx: Transaction) -> list[OwnerPlan]:
        return plan_again(tx, self.selection, self.known)

    def _apply(
        self, process: Process, made: NewSummary | None, tx: Transaction
    ) -> tuple[list[PlannedPlace], list[Message]]:
        plans, now = self._plans(tx), self.kernel.clock.now()
        refuse_if_held(tx, plans)
        places = [place for each in plans for place in each.places()]
        for each in plans[1:]:
            if not each.is_empty:
                apply_shared(tx, each, now, self.by)
        rows = apply_plan(tx, process, plans[0], made, now, self.by) if plans else []
        return places, rows
