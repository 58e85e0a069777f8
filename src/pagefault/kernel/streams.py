"""Outputs of one event or one agent as a stream that a consumer can leave and take up again.

The log is the truth: what is committed is shown from any position, once and in order. Deltas are not in it;
those of a completion that had begun before the consumer listened are left out, for their beginning is
missing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio

from pagefault.agent.output import output_of
from pagefault.errors import DamageError, NotFoundError
from pagefault.kernel import Kernel
from pagefault.kernel.posting import EventOutputs, outputs_of
from pagefault.kernel.sending import whole
from pagefault.kernel.slot import AgentSlot, listening
from pagefault.storage import Transaction
from pagefault.types import CLOSING, UNCOMMITTED, AgentId, Event, Message, Output

__all__ = ["MOST_BEHIND", "drain", "following", "outputs_after", "outputs_page"]

_LOOKS = 0.05  # seconds between looks whether turns are over
_ROWS = 500  # of the log, read at once
MOST_BEHIND = 10_000
"""Outputs that a consumer has not taken; it can take the stream up again."""


@asynccontextmanager
async def following(kernel: Kernel, name: str, number: int, after: int = 0) -> AsyncGenerator[EventOutputs]:
    """The event of this number, and its outputs behind a position; the last one is ``done`` or ``waiting``.
    ``NotFoundError`` if there is no such event."""
    agent = await kernel.find(name)
    async with listening(agent.listeners, MOST_BEHIND) as heard:
        kernel.scheduler.following.announce(agent)
        since, _ = await _last(kernel, name)
        event = await _found(kernel, agent, number)
        yield agent.record.id, event, outputs_of(kernel.scheduler, agent, event, heard, since, after)


async def outputs_after(kernel: Kernel, name: str, after: int | None = 0) -> AsyncIterator[Output]:
    """The committed outputs of an agent behind a position (None: the last), of all its events, then all that
    come, deltas included, without an end."""
    async with kernel.listen(name, MOST_BEHIND) as heard:
        since, _ = await _last(kernel, name)
        after = since if after is None else after
        for output in await kernel.outputs(name, after):
            yield output
            after = max(after, output.position)
        async for output in whole(heard, since):
            if output.type in UNCOMMITTED or output.type in CLOSING or output.position > after:
                yield output


async def outputs_page(kernel: Kernel, name: str, after: int, most: int) -> list[Output]:
    """The first committed outputs of an agent behind a position, ``most`` at the most."""
    last, id = await _last(kernel, name)
    found = list[Output]()
    for first in range(after + 1, last + 1, _ROWS):
        rows = await kernel.store.read(partial(_rows, id, first, min(first + _ROWS - 1, last)))
        found += [output for row in rows if (output := output_of(row))]
        if len(found) >= most:
            break
    return found[:most]


async def _last(kernel: Kernel, name: str) -> tuple[int, AgentId]:
    """The last position of an agent's log; ``DamageError`` if that cannot be read."""
    record = await kernel.record(name)
    if record.damage:
        raise DamageError(record.damage)
    return record.last_seq, record.id


def _rows(agent: AgentId, first: int, last: int, tx: Transaction) -> list[Message]:
    return tx.messages(agent, first=first, last=last)


async def _found(kernel: Kernel, agent: AgentSlot, number: int) -> Event:
    id = agent.record.id
    event = await kernel.store.read(lambda tx: tx.event(id, number))
    if event is None:
        raise NotFoundError(f"Agent {agent.record.name} has no event {number}; its trace lists recent ones.")
    return event


async def drain(kernel: Kernel, seconds: float) -> None:
    """Begin no more turns in this process, wait so long for those that are open, then end all streams. What
    is left in the inboxes, and a turn that is still open, is served by other processes or at the next
    start."""
    kernel.scheduler.admission.close()
    with anyio.move_on_after(seconds):
        while kernel.scheduler.admission.open:  # noqa: ASYNC110  turns end in many ways
            await anyio.sleep(_LOOKS)
    for agent in kernel.scheduler.slots.heard():
        agent.hang_up()
