"""The inbox of one agent as the scheduler serves it: the next event, its attempts, and what is parked.

An attempt is counted with the event before it is made, so that it counts however the process ends. What fails
for reasons that do not lie in the event is not counted. Left out: when an agent is served (``scheduler``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import anyio

from pagefault.agent.output import output_of
from pagefault.errors import ParkedError
from pagefault.kernel.slot import AgentSlot
from pagefault.redaction import logger_of
from pagefault.storage import Store, Transaction, TurnHold
from pagefault.storage.signals import LogGrew
from pagefault.types import AgentRecord, Event, Message, Output

__all__ = ["ATTEMPTS", "forgive", "look", "park", "show_missed", "take"]

logger = logger_of(__name__)

ATTEMPTS = 3
"""The times a turn is begun, without getting on, until its event is parked."""

_FORGIVING = 2.0  # seconds that a kernel which is left gives a write


async def look(store: Store, agent: AgentSlot) -> Event | None:
    """The agent's next event; what another process did in the meantime is shown first."""
    id = agent.record.id

    def read(tx: Transaction) -> tuple[AgentRecord | None, Event | None]:
        return tx.agent_by_id(id), tx.next_event(id)

    record, event = await store.read(read)
    if record is None:
        return None
    agent.record = record
    if record.last_seq > agent.followed:
        if agent.is_heard:
            await show_missed(store, agent)
        agent.followed = max(agent.followed, record.last_seq)
    return event


async def take(store: Store, agent: AgentSlot, hold: TurnHold, now: datetime) -> Event | None:
    """The agent's next event, with this attempt counted; None, with a report to those who wait, if the agent
    is parked. An event that cannot be read is parked on the way."""
    while event := await look(store, agent):
        if agent.record.parked:
            agent.rest(ParkedError(agent.record.name, agent.record.parked), None, now)
            return None
        if event.state == "parked":
            await _park_event(store, agent, hold, event)
            continue
        if agent.uncounted == event.id:
            agent.uncounted = None
            return event
        return await _count(store, agent, hold, event, event.attempts + 1)
    return None


async def forgive(store: Store, agent: AgentSlot, hold: TurnHold, event: Event) -> None:
    """Take an attempt back that ended for a reason which does not lie in the event."""
    now = agent.process and agent.process.event
    event = replace(now, state="active") if now else event
    agent.uncounted = event.id
    if event.attempts:
        with anyio.move_on_after(_FORGIVING, shield=True):
            await _count(store, agent, hold, event, event.attempts - 1)
    agent.uncounted = None


async def park(store: Store, agent: AgentSlot, why: str) -> None:
    """Park an agent: keep the reason with it, so that every process and command finds it."""
    logger.warning("agent %s is parked: %s", agent.record.name, why)
    id = agent.record.id
    agent.record = replace(agent.record, parked=why)
    await store.write(lambda tx: tx.park_agent(id, why))


async def _count(store: Store, agent: AgentSlot, hold: TurnHold, event: Event, attempts: int) -> Event:
    id, at = agent.record.id, event.started

    def work(tx: Transaction) -> None:
        tx.set_event(id, event.id, event.state, at, attempts=attempts)

    await store.write(work, hold)
    return replace(event, attempts=attempts)


async def _park_event(store: Store, agent: AgentSlot, hold: TurnHold, event: Event) -> None:
    """Park an event of which the agent can be shown nothing."""
    id = agent.record.id
    logger.warning("agent %s: event %s is parked: %s", agent.record.name, event.id, event.parked)
    await store.write(lambda tx: tx.set_event(id, event.id, "parked", parked=event.parked), hold)
    agent.emit(Output("alerted", f"Event {event.id} is parked: {event.parked}", event.id, agent.followed))
    agent.end(Output("done", "", event.id, agent.followed))


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
        for event in missed.over:
            agent.end_elsewhere(event)


@dataclass(frozen=True, slots=True)
class _Missed:
    """Rows that were not shown, and which of their events are over."""

    rows: list[Message]
    over: list[int]


def _missed(agent: AgentSlot, signal: LogGrew | None, tx: Transaction) -> _Missed:
    id = agent.record.id
    if agent.is_behind and signal and (record := tx.agent_by_id(id)):
        agent.followed = max(agent.followed, min(signal.after, record.last_seq))
    agent.is_behind = False
    rows = tx.messages(id, first=agent.followed + 1, last=signal.position if signal else None)
    events = agent.unended | {row.event for row in rows if row.event is not None}
    if signal:
        events = set[int]() if signal.done is None else {signal.done}
    over = ("done", "parked")
    return _Missed(rows, [e for e in sorted(events) if (found := tx.event(id, e)) and found.state in over])
