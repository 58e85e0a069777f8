"""The outputs of one event: those in the log, then those of its turn as they come, until it is closed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from anyio.streams.memory import MemoryObjectReceiveStream

from pagefault.agent.output import output_of
from pagefault.kernel.inbox import closing
from pagefault.kernel.owners import no_agent
from pagefault.kernel.slot import AgentSlot, for_sender
from pagefault.storage import Store, Transaction
from pagefault.types import CLOSING, UNCOMMITTED, AgentId, Event, Output

__all__ = ["outputs_until_closed", "whole"]


async def outputs_until_closed(
    store: Store, agent: AgentSlot, event: Event, outputs: MemoryObjectReceiveStream[Output], after: int = -1
) -> AsyncIterator[Output]:
    """Yield the committed outputs of an event behind ``after``, then those that come: ``outputs`` are all of
    the agent's since before. The last one closes the event: ``done``, or ``waiting``, which an event may also
    have to do for a turn before its own. ``NotFoundError`` if the agent is deleted before."""
    if event.state != "pending":
        kept, closed = await store.read(lambda tx: _kept(tx, agent.record.id, event, after))
        for output in kept:
            yield output
            after = output.position
        if closed:
            yield closed
            return
    with agent.awaiting(event.id):
        async for output in outputs:
            if held_up := await _held_up(store, agent.record.id, event, output):
                yield held_up
                return
            for each in for_sender(output, event.id):
                if each.type in UNCOMMITTED or each.position > after or each.type in CLOSING:
                    yield each
                if each.type in CLOSING:
                    return
    if await store.read(lambda tx: tx.agent_by_id(agent.record.id)) is None:
        raise no_agent(agent.record.name)


async def whole(
    outputs: AsyncIterator[Output] | MemoryObjectReceiveStream[Output], since: int
) -> AsyncIterator[Output]:
    """Leave out what is not committed of a completion that may have begun when the log ended at ``since``."""
    async for output in outputs:
        if output.type not in UNCOMMITTED or output.position > since:
            yield output


async def _held_up(store: Store, agent: AgentId, event: Event, heard: Output) -> Output | None:
    """The ``waiting`` of an event that is behind a turn which waits for a decision, after one was heard."""
    if heard.type != "waiting" or heard.event == event.id:
        return None
    found = await store.read(lambda tx: _waits_before(tx, agent, event))
    return found and replace(found, event=event.id, position=heard.position)


def _waits_before(tx: Transaction, agent: AgentId, event: Event) -> Output | None:
    now = tx.event(agent, event.id)
    waiting = tx.events(agent, state="waiting") if now and now.state == "pending" else []
    return closing(tx, agent, waiting[0], 0) if waiting else None


def _kept(tx: Transaction, agent: AgentId, event: Event, after: int) -> tuple[list[Output], Output | None]:
    rows = tx.messages(agent, event=event.id, first=max(1, after + 1))
    kept = [output for row in rows if (output := output_of(row))]
    return kept, closing(tx, agent, event, max(0, after, *(output.position for output in kept)))
