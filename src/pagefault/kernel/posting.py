"""An event on its way in: stored for the agent that has the name, whose outputs are heard from before.

Another process may give the name to another agent at any time. Who sends hears the agent that gets the event
and no other; the agent's id goes with the outputs. Left out: the write (``scheduler``).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from pagefault.errors import StaleAgentError
from pagefault.images import with_references
from pagefault.kernel.scheduler import Scheduler
from pagefault.kernel.sending import outputs_until_closed, whole
from pagefault.kernel.slot import AgentSlot, listening
from pagefault.names import check_kind, check_sender, check_text
from pagefault.types import AgentId, Event, Output

__all__ = ["EventOutputs", "checked", "log_end", "outputs_of", "posting"]

EventOutputs = tuple[AgentId, Event, AsyncIterator[Output]]
"""The agent that has an event, the event as stored, and the outputs of its turn."""


def checked(event: Event, now: datetime, trace: Callable[[], str]) -> Event:
    """The event as it is to be stored; ``UsageError`` for a kind, a sender or a text that none can have."""
    check_kind(event.kind)
    check_text(event.text)
    if event.sender is not None:
        check_sender(event.sender)
    return replace(with_references(event), at=event.at or now, trace=event.trace or trace())


@asynccontextmanager
async def posting(
    scheduler: Scheduler, tenant: str, name: str, event: Event, most: float, only: AgentId | None = None
) -> AsyncGenerator[EventOutputs]:
    """Post an event, and hear its outputs until ``most`` of the agent's were not taken; 0: hear none.
    ``StaleAgentError`` if the name is not that of ``only``."""
    agent = await scheduler.servable(tenant, name)
    while True:
        if only not in (None, agent.record.id):
            raise StaleAgentError(name)
        listeners = agent.listeners if most else set[MemoryObjectSendStream[Output]]()
        async with listening(listeners, most) as heard:
            since = await log_end(scheduler, agent) if most and event.key else 0
            try:
                posted = await scheduler.post(agent, name, event)
            except StaleAgentError:
                agent = await scheduler.slots.find_again(name, agent)
                continue
            yield agent.record.id, posted, outputs_of(scheduler, agent, posted, heard, since)
            return


def outputs_of(
    scheduler: Scheduler, agent: AgentSlot, event: Event, heard: MemoryObjectReceiveStream[Output],
    since: int, after: int = -1,
) -> AsyncIterator[Output]:  # fmt: skip
    """The outputs of an event, without deltas of a completion that may have begun when the log ended at
    ``since``; none come of a turn that is to begin after ``drain``."""
    if scheduler.admission.closed and not agent.running:
        heard.close()
    return whole(outputs_until_closed(scheduler.store, agent, event, heard, after), since)


async def log_end(scheduler: Scheduler, agent: AgentSlot) -> int:
    """The number of the last row of the agent's log as it is stored."""
    id = agent.record.id
    record = await scheduler.store.read(lambda tx: tx.agent_by_id(id))
    return record.last_seq if record else 0
