"""Talking to an agent in asynchronous code: events in, outputs and replies out.

Leaves out what else can be done with an agent (``facade.agent``).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from pagefault.facade.checking import checked_methods, event_of
from pagefault.facade.handle import Handle
from pagefault.facade.inputs import with_images
from pagefault.types import Event, Output

if TYPE_CHECKING:
    from pagefault.facade.inputs import Images
    from pagefault.images import Image
    from pagefault.ingest.attaching import AttachedKind
    from pagefault.kernel.posting import EventOutputs
    from pagefault.kernel.withdrawing import UndoReport
    from pagefault.views.reply import Reply

__all__ = ["AsyncTalking"]

T = TypeVar("T")


@checked_methods
class AsyncTalking:
    """The part of ``AsyncAgent`` on events and outputs."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._handle.name

    @overload
    async def send(self, event: str | Event, *, images: Images = ()) -> Reply: ...
    @overload
    async def send(self, event: str | Event, *, into: type[T], images: Images = ()) -> Reply[T]: ...
    @overload
    async def send(self, event: str | Event, *, into: Any, images: Images = ()) -> Reply[Any]: ...
    async def send(self, event: str | Event, *, into: Any = None, images: Images = ()) -> Reply[Any]:
        """Send a user message (a string) or any event, and return its reply when its turn is done, or waits
        until a person decides on a call: ``reply.waiting`` lists such calls, and ``approve`` goes on.

        Several may send at once: events are handled one after another, and each gets its own reply.
        ``into``: a type (a pydantic model, a dataclass, ``list[str]`` ...) that the answer is to be of; it is
        the reply's ``value``. An answer that does not fit is asked for once again, then ``OutputError``.
        ``images``: paths, bytes or addresses, for a model that sees; others read their names and sizes.
        """
        posted = await with_images(self._handle.kernel, event_of(event), images)
        if into is None:
            return await self._reply(posted)
        from pagefault.views.structured import reply_into

        return await reply_into(self._reply, posted, into)

    async def attach(
        self, source: Image | bytes | str | Path, *, name: str = "", text: str = "",
        kind: AttachedKind | None = None, sender: str | None = None,
    ) -> Reply:  # fmt: skip
        """Send a file (a path, bytes or an address) as an event of its kind, with ``text``; return the reply.

        An ``image`` is shown to a model that sees; the words of a ``transcript`` (WebVTT, SubRip) are the
        event's text; any other ``file`` is loaded as a document. ``name``: of the file. ``UsageError``, and
        no event, if it cannot be read.
        """
        from pagefault.ingest.attaching import attached

        agent = self._handle.kernel, self.name
        return await self._reply(
            await attached(*agent, source, called=name, text=text, kind=kind, sender=sender)
        )

    async def media(self, hash: str) -> bytes:
        """The bytes of an image or file of the log (``reply.media``); ``NotFoundError`` if there are none."""
        from pagefault.views.media import media

        return (await media(self._handle.kernel, self.name, hash)).data

    async def _reply(self, event: Event) -> Reply:
        return await self._reply_to(self._handle.kernel.posting(self.name, event))

    async def _reply_to(self, posting: AbstractAsyncContextManager[EventOutputs]) -> Reply:
        from pagefault.views.reply import reply_of

        async with posting as (agent, _, outputs):
            collected = [output async for output in outputs]
        return await reply_of(self._handle.kernel, agent, collected)

    async def sleep(self) -> Reply:
        """Have the agent tidy its memory now, within the bounds that its settings set for one sleep
        (``sleep_steps``, ``sleep_tokens``, ``sleep_cost``), and return what it did. Nobody is told anything;
        ``undo`` takes it back. With ``sleep_after`` it does so by itself when it has rested."""
        from pagefault.kernel.sleeping import sleep

        return await self._reply_to(sleep(self._handle.kernel, self.name))

    # what was said, taken back

    async def undo(self, to: int | str | None = None, turns: int = 1) -> UndoReport:
        """Withdraw the last turns, so many, or all that came behind a position (``m12``), and return what was
        withdrawn and what stays because it happened outside.

        Messages, passages and timers of these turns are out of prompt, search and summary from then on, and
        the sections as they were; the log keeps the rows, marked. ``UsageError``, and nothing is done, if
        there is nothing to undo, and while the agent is in a turn or waits for a decision.
        """
        from pagefault.kernel.withdrawing import undo

        return await undo(self._handle.kernel, self.name, to=to, turns=turns)

    async def rewind(self, at: int | str) -> UndoReport:
        """Withdraw all that came behind a position (``m12``), as ``undo(to=at)`` does."""
        return await self.undo(to=at)

    async def edit(self, position: int | str | None, text: str) -> Reply:
        """Say a user's message (``m12``; None: the last one) otherwise: what came since is withdrawn as by
        ``undo``, and the message, with this text, is answered anew. Return the reply."""
        from pagefault.kernel.withdrawing import edited

        return await self._reply_to(edited(self._handle.kernel, self.name, position, text))

    async def retry(self) -> Reply:
        """Withdraw the last answer, as ``undo`` does, and have the same event answered anew. Return the
        reply. What was overheard since is kept, behind it."""
        from pagefault.kernel.withdrawing import retried

        return await self._reply_to(retried(self._handle.kernel, self.name))

    async def stream(self, event: str | Event, *, images: Images = ()) -> AsyncGenerator[Output]:
        """Send an event and yield its outputs as they come, deltas included; the last one is ``done``, or
        ``waiting`` if a person has to decide on a call first.

        Nothing is sent before the first output is asked for. Leaving early does not stop the turn.
        """
        posted = await with_images(self._handle.kernel, event_of(event), images)
        outputs = self._handle.kernel.send(self.name, posted)
        async for output in outputs:
            yield output

    async def post(self, event: str | Event, *, images: Images = ()) -> Event:
        """Store an event in the agent's inbox and return it with its id; its turn runs in the background."""
        posted = await with_images(self._handle.kernel, event_of(event), images)
        return await self._handle.kernel.post(self.name, posted)

    async def listen(self, after: int | None = None) -> AsyncGenerator[Output]:
        """Yield all outputs of the agent from now on, deltas included, whoever sent the event; with ``after``
        first those that were committed behind this position, so that a reader that was away misses none."""
        from pagefault.kernel.streams import outputs_after

        async for output in outputs_after(self._handle.kernel, self.name, after):
            yield output

    async def outputs(self, after: int = 0) -> list[Output]:
        """The committed outputs behind a position, for a reader that went away and came back."""
        return await self._handle.kernel.outputs(self.name, after)

    async def cancel(self) -> bool:
        """End the open turn; False if there is none in this process and none that waits for a decision. The
        event counts as handled."""
        return await self._handle.kernel.cancel(self.name)
