"""An agent in asynchronous code: what can be done with it, each a call of the kernel or of a view.

Leaves out how an agent is made and opened (``facade.session``) and how calls block (``facade.sync``).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from pagefault.errors import ArgumentTypeError
from pagefault.facade.reply import Reply, reply_of
from pagefault.types import Event, EventKind, Output

if TYPE_CHECKING:
    from pagefault.kernel import Kernel

__all__ = ["AsyncAgent", "OpenKernel"]


class OpenKernel(Protocol):
    """Gives the kernel while it is open; ``UsageError`` once it is not."""

    @property
    def kernel(self) -> Kernel: ...


class AsyncAgent:
    """One agent by name. ``Pagefault.agent`` makes it; it is of use as long as that is open."""

    def __init__(self, opened: OpenKernel, name: str) -> None:
        self._opened = opened
        self._name = name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name!r}>"

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._name

    @property
    def _kernel(self) -> Kernel:
        return self._opened.kernel

    async def send(self, event: str | Event) -> Reply:
        """Send a user message (a string) or any event, and return its reply when its turn is done.

        Several may send at once: events are handled one after another, and each gets its own reply.
        """
        async with aclosing(self.stream(event)) as outputs:
            return reply_of([output async for output in outputs])

    async def stream(self, event: str | Event) -> AsyncGenerator[Output]:
        """Send an event and yield its outputs as they come, deltas included; the last one is ``done``.

        Nothing is sent before the first output is asked for. Leaving early does not stop the turn.
        """
        outputs = self._kernel.send(self._name, event_of(event))
        async for output in outputs:
            yield output

    async def post(self, event: str | Event) -> Event:
        """Store an event in the agent's inbox and return it with its id; its turn runs in the background."""
        return await self._kernel.post(self._name, event_of(event))

    async def listen(self) -> AsyncGenerator[Output]:
        """Yield all outputs of the agent from now on, deltas included, whoever sent the event."""
        async with self._kernel.listen(self._name) as outputs:
            async for output in outputs:
                yield output

    async def cancel(self) -> bool:
        """End the open turn; False if there is none in this process. The event counts as handled."""
        return await self._kernel.cancel(self._name)

    async def flush(self) -> bool:
        """Flush the queue now; False if there is nothing to evict or the agent is in a turn elsewhere."""
        return await self._kernel.flush(self._name)

    async def delete(self) -> None:
        """Delete the agent with all its memory; ``UsageError`` while it is in a turn."""
        await self._kernel.delete(self._name)


def event_of(given: object) -> Event:
    """The event that is meant, a user message if it is a string; ``ArgumentTypeError`` for anything else."""
    if isinstance(given, Event):
        return given
    if isinstance(given, str):
        return Event(EventKind.MESSAGE, given)
    raise ArgumentTypeError(
        f"An agent is sent a string or a pagefault.Event, not {type(given).__name__}; "
        'write send("...") or send(Event("door_opened", "...")).'
    )
