"""The inbox of one agent as the scheduler serves it: the next event, its attempts, and what is parked.

An attempt is counted with the event before it is made, so that it counts however the process ends. What fails
for reasons that do not lie in the event is not counted. Left out: when an agent is served (``scheduler``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import anyio

from pagefault.agent.approval import waiting_output
from pagefault.agent.output import output_of
from pagefault.errors import ParkedError
from pagefault.kernel.deciding import expire
from pagefault.kernel.slot import AgentSlot
from pagefault.redaction import logger_of
from pagefault.storage import Store, Transaction, TurnHold
from pagefault.storage.signals import LogGrew
from pagefault.types import AgentId, AgentRecord, Event, Message, Output

__all__ = ["ATTEMPTS", "catch_up", "closing", "forgive", "park", "show_missed", "take"]

logger = logger_of(__name__)

ATTEMPTS = 3
"""The times a turn is begun, without getting on, until its event is parked."""

_HELD_UP = "Events wait behind a turn that waits for approval"
_FORGIVING = 10.0  # seconds that a kernel which is left gives these writes, of thousands of turns perhaps


async def take(store: Store, agent: AgentSlot, hold: TurnHold, now: datetime) -> Event | None:
    """The agent's next event, with this attempt counted, in the transaction that takes the turn if it is not
    taken; None, with a report to those who wait, if the agent is parked. An event that cannot be read is
    parked on the way."""
    record, damaged, event = await store.write(partial(_take, agent.record.id, agent.uncounted, now), hold)
    if record is None:
        return None
    await catch_up(store, agent, record)
    for parked in damaged:
        logger.warning("agent %s: event %s is parked: %s", record.name, parked.id, parked.parked)
        agent.emit(
            Output("alerted", f"Event {parked.id} is parked: {parked.parked}", parked.id, agent.followed)
        )
        agent.end(Output("done", "", parked.id, agent.followed))
    if record.parked:
        agent.rest(ParkedError(record.name, record.parked), None, now)
    elif event and event.state == "waiting":  # those who sent what is behind it look there
        agent.end(Output("waiting", _HELD_UP, None, agent.followed))
        return None
    elif event and agent.uncounted == event.id:
        agent.uncounted = None
    return event


def _take(
    id: AgentId, uncounted: int | None, now: datetime, tx: Transaction
) -> tuple[AgentRecord | None, list[Event], Event | None]:
    """The agent, the events of which it can be shown nothing, parked now, and its next event, or the one
    whose turn waits for a decision. Nobody may have looked whether the time for that is over."""
    record, damaged, waiting = tx.agent_by_id(id), list[Event](), list[Event]()
    if record is None or record.parked:
        return record, damaged, None
    if not (event := tx.next_event(id)) and (waiting := tx.events(id, state="waiting")):
        waiting = [] if expire(tx, id, now) else waiting
    while event := event or tx.next_event(id):
        if event.state != "parked":
            return record, damaged, event if event.id == uncounted else _count(tx, id, event, 1)
        damaged.append(event)
        tx.set_event(id, event.id, "parked", parked=event.parked)
        event = None
    tx.settle(id)
    return record, damaged, waiting[0] if waiting else None


async def forgive(store: Store, agent: AgentSlot, hold: TurnHold, event: Event) -> None:
    """Take an attempt back that ended for a reason which does not lie in the event. How far its turn came
    stands in the store alone: a write that failed may have been committed."""
    agent.uncounted = event.id
    with anyio.move_on_after(_FORGIVING, shield=True):
        await store.write(partial(_uncount, agent.record.id, event.id), hold)
    agent.uncounted = None


def _uncount(agent: AgentId, number: int, tx: Transaction) -> None:
    event = tx.event(agent, number)
    if event and event.state in ("pending", "active") and event.attempts:
        _count(tx, agent, event, -1)


async def park(store: Store, agent: AgentSlot, why: str) -> None:
    """Park an agent: keep the reason with it, so that every process and command finds it."""
    logger.warning("agent %s is parked: %s", agent.record.name, why)
    id = agent.record.id
    agent.record = replace(agent.record, parked=why)
    await store.write(lambda tx: tx.park_agent(id, why))


def _count(tx: Transaction, agent: AgentId, event: Event, more: int) -> Event:
    """The event, with so many attempts more."""
    counted = replace(event, attempts=event.attempts + more)
    tx.set_event(agent, event.id, event.state, event.started, attempts=counted.attempts)
    return counted


async def catch_up(store: Store, agent: AgentSlot, record: AgentRecord) -> None:
    """Take over the agent as it was just read, and show what another process did in the meantime."""
    agent.record = record
    if record.last_seq > agent.followed:
        if agent.is_heard:
            await show_missed(store, agent)
        agent.followed = max(agent.followed, record.last_seq)


async def show_missed(store: Store, agent: AgentSlot, signal: LogGrew | None = None) -> None:
    """Show what other workers committed, up to where the signal says, and keep the ``done`` of the event it
    names; without a signal show all, and keep the ``done`` of each event that is over."""
    async with agent.showing:
        missed = await store.read(partial(_missed, agent, signal))
        for row in missed.rows:
            if row.seq > agent.followed:
                agent.followed = row.seq
                if output := output_of(row):
                    agent.show(output)
        agent.unended |= {row.event for row in missed.rows if row.event is not None}
        for output in missed.over:
            agent.end_elsewhere(replace(output, position=agent.followed))


@dataclass(frozen=True, slots=True)
class _Missed:
    """Rows that were not shown, and what closes those of their events that are over, or wait."""

    rows: list[Message]
    over: list[Output]


def _missed(agent: AgentSlot, signal: LogGrew | None, tx: Transaction) -> _Missed:
    id = agent.record.id
    if agent.is_behind and signal and (record := tx.agent_by_id(id)):
        agent.followed = max(agent.followed, min(signal.after, record.last_seq))
    agent.is_behind = False
    rows = tx.messages(id, first=agent.followed + 1, last=signal.position if signal else None)
    events = agent.unended | {row.event for row in rows if row.event is not None}
    if signal:
        events = set[int]() if signal.done is None else {signal.done}
    found = [event for number in sorted(events) if (event := tx.event(id, number))]
    return _Missed(rows, [output for event in found if (output := closing(tx, id, event, 0))])


def closing(tx: Transaction, agent: AgentId, event: Event, position: int) -> Output | None:
    """The output that closes an event for who sent it: its turn is over, or waits for a decision. None: it
    goes on."""
    if event.state in ("done", "parked"):
        return Output("done", "", event.id, position)
    if event.state == "waiting":
        approvals = [each for each in tx.approvals(agent) if each.event == event.id]
        return waiting_output(event.id, position, approvals)
    return None
