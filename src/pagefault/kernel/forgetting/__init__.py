"""Forgetting: what is named, or has a text literally, goes from every place, with all that was made of it.

Planned first (``reach``: which agents; ``planning``, ``sections``, ``summaries``, ``settings``: which places
of theirs), then applied in one transaction for each agent, under its turn lock: the agent itself, its forks
and the copies that others have, each with the sections that it shares. Archives go last, in a transaction of
their own: by what goes there is known what quotes it. So asked for again after a crash in between, it does
the rest. Left out: proving it (``pagefault db check --deleted``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import anyio

from pagefault.agent import Process
from pagefault.agent.output import output_of
from pagefault.context.queue_log import write_numbered
from pagefault.kernel import Kernel
from pagefault.kernel.between_turns import between_turns, refuse_open_turn, refuse_turn
from pagefault.kernel.drafts import clear_drafts
from pagefault.kernel.forgetting.applying import (
    PlanMovedError,
    apply_plan,
    apply_shared,
    refuse_if_held,
)
from pagefault.kernel.forgetting.plan import ForgetPlan, OwnerPlan, PlannedPlace, count_places
from pagefault.kernel.forgetting.reach import (
    is_as_planned,
    plan_again,
    plan_archive,
    plan_forgetting,
)
from pagefault.kernel.forgetting.receipts import ForgetReceipt
from pagefault.kernel.forgetting.selection import Selection
from pagefault.kernel.forgetting.summaries import NewSummary, new_summary
from pagefault.kernel.origins import forks_of
from pagefault.kernel.owners import record_of
from pagefault.literal_query import LiteralQuery
from pagefault.shared import is_archive, is_shared
from pagefault.storage import Transaction, TurnHold
from pagefault.storage.withdrawing import Tombstone
from pagefault.text_caches import clear_texts
from pagefault.types import AgentId, AgentRecord, Message

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


_TRIES = 4  # of a plan made outside of the transaction that applies it


async def plan(kernel: Kernel, name: str, selection: Selection) -> ForgetPlan:
    """Every place that ``forget`` would change, as things stand; nothing is changed."""
    return await kernel.store.read(lambda tx: plan_forgetting(tx, record_of(tx, name), selection))


async def forget(kernel: Kernel, name: str, selection: Selection, *, by: str = "") -> ForgetReceipt:
    """Forget what is selected, everywhere; return the receipt. ``by``: at whose word.

    ``InTurnError`` while a turn of the agent, or of one that would be changed with it, is run, waits for a
    decision or is unfinished, and ``UsageError`` if one of them is held; then nothing is changed.
    """
    await kernel.deliverer.deliver()  # what is on its way arrives first
    await clear_drafts(kernel)
    record, by = await kernel.record(name), by or kernel.store.by
    places, done = list[PlannedPlace](), set[AgentId]()
    while True:
        forks = await kernel.store.read(lambda tx: forks_of(tx, record))
        found = await plan(kernel, name, selection)
        await kernel.store.read(partial(refuse_if_held, plans=found.owners))
        agents = [each for each in _agents_of(found, record) if each.id not in done]
        await kernel.store.read(partial(_refuse_turns, [each for each in agents if each.id != record.id]))
        for each in agents:
            places += await _Forgetting(kernel, record, selection, each, by).run()
            done.add(each.id)
        if await kernel.store.read(lambda tx: forks_of(tx, record)) == forks:
            break  # else one was made while all this was planned
    if not found.is_empty:
        in_archives = partial(_forget_in_archives, kernel.clock.now(), by, selection, found)
        places += await kernel.store.write(in_archives)
        clear_texts()
        kernel.indexer.wake()
        await kernel.deliverer.deliver()
    owners = tuple(dict.fromkeys(place.owner for place in places))
    return ForgetReceipt(name, kernel.clock.now(), by, count_places(places), owners, found.kept)


def _refuse_turns(agents: Sequence[OwnerPlan], tx: Transaction) -> None:
    """Raise ``InTurnError`` if one of the agents that come after the first is in a turn: each has its own
    transaction, and the first would be done by then."""
    for each in agents:
        refuse_turn(tx, each.id, each.record.name)


def _agents_of(found: ForgetPlan, record: AgentRecord) -> list[OwnerPlan]:
    """The plans of agents, with that of the agent itself first; none if there is nothing at all."""
    agents = [each for each in found.owners if not is_shared(each.record.name)]
    own = next((each for each in agents if each.id == record.id), OwnerPlan(record))
    return [] if found.is_empty else [own, *(each for each in agents if each.id != record.id)]


@dataclass(slots=True)
class _Forgetting:
    """The forgetting of one agent, with the sections that it shares. ``asked``: the agent of which all this
    was asked; ``known``: what was planned."""

    kernel: Kernel
    asked: AgentRecord
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

        tries = 0
        while True:
            plans = await store.read(self._plans)
            made = await new_summary(store, process, plans[0], self.selection.query) if plans else None
            tries += 1
            again = plans if tries < _TRIES else None
            try:
                with anyio.CancelScope(shield=True):
                    work = partial(self._apply, process, made, again)
                    return await write_numbered(store, hold, self.known.id, work, moved)
            except PlanMovedError:  # something was added meanwhile: the summary is written again
                continue

    def _plans(self, tx: Transaction) -> list[OwnerPlan]:
        return plan_again(tx, self.asked, self.selection, self.known)

    def _apply(
        self, process: Process, made: NewSummary | None, planned: list[OwnerPlan] | None, tx: Transaction
    ) -> tuple[list[PlannedPlace], list[Message]]:
        """Apply a plan that was made outside, for a long log takes long to look through while nobody else can
        write; None: plan it here, for others wrote again and again meanwhile."""
        if planned is not None and not all(is_as_planned(tx, each) for each in planned):
            raise PlanMovedError
        plans, now = self._plans(tx) if planned is None else planned, self.kernel.clock.now()
        refuse_if_held(tx, plans)
        own, sections = plans[:1], [each for each in plans[1:] if not is_archive(each.record)]
        for each in sections:
            if not each.is_empty:
                apply_shared(tx, each, now, self.by)
        rows = [row for each in own for row in apply_plan(tx, process, each, made, now, self.by)]
        return [place for each in (*own, *sections) for place in each.places()], rows


def _forget_in_archives(
    now: datetime, by: str, selection: Selection, found: ForgetPlan, tx: Transaction
) -> list[PlannedPlace]:
    """Apply the plans of the archives, as they stand now; return what was changed."""
    places = list[PlannedPlace]()
    for known in sorted(found.owners, key=lambda each: each.id):
        if is_archive(known.record) and (plan := plan_archive(tx, selection, known)) and not plan.is_empty:
            refuse_if_held(tx, [plan])
            places += plan.places()
            apply_shared(tx, plan, now, by)
    return places
