"""A conversation with one agent: messages in, outputs to a screen. Left out: where the lines come from."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream

from pagefault.cli.approvals import Verdict, call_text
from pagefault.cli.screens import Screen
from pagefault.cli.slash import Slash
from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel import Kernel
from pagefault.kernel.approvals import answer
from pagefault.kernel.posting import EventOutputs
from pagefault.names import check_text
from pagefault.types import Event, EventKind, Output
from pagefault.views.approvals import ApprovalView, approvals

__all__ = ["Conversation"]

_TRIES = 3  # that find no model, within some seconds, before a person is no longer kept waiting
_NAMED = 3  # other agents that the notice of waiting events names


@dataclass(slots=True)
class Conversation:
    """Messages in, outputs to a screen."""

    kernel: Kernel
    name: str
    screen: Screen
    outputs: MemoryObjectReceiveStream[Output]
    _mine: set[int | None] = field(default_factory=set[int | None])
    _done: set[int | None] = field(default_factory=set[int | None])
    unreached: bool = False  # a message was not answered, for nothing answered at the model's address
    _waits: bool = False
    _failed: int = 0

    async def undecided(self) -> tuple[ApprovalView, ...]:
        """The calls of the agent that wait for a decision."""
        return await approvals(self.kernel, self.name)

    async def decide(self, call: ApprovalView, verdict: Verdict) -> None:
        """Decide on a call, and show what comes of it. Somebody else may have decided before."""
        self._mine.add(call.event)
        with self._waiting():
            try:
                async for _ in answer(
                    self.kernel, self.name, call.id, verdict.approved,
                    note=verdict.note, remember=verdict.remember,
                ):  # fmt: skip
                    pass
            except (UsageError, NotFoundError) as error:
                self.screen.notice(str(error), "yellow")
            await self.kernel.idle(self.name)
        await self.caught_up()

    async def refuse_mine(self) -> None:
        """Refuse what was asked for in turns of messages from here: nobody can be asked."""
        while mine := [call for call in await self.undecided() if call.event in self._mine]:
            why = "nobody can be asked here, so it is refused; use the chat on a terminal, or the library"
            self.screen.notice(f"{call_text(mine[0])}\nThis call needs an approval, and {why}.", "yellow")
            await self.decide(mine[0], Verdict(False, note="Nobody could be asked."))

    async def listen(self) -> None:
        """Show every output, as long as the chat lasts."""
        async for output in self.outputs:
            self._show(output)
            if self._waits and output.data.get("unreachable"):
                self._failed += 1
                if self._failed == _TRIES:
                    await self._give_up()
            elif output.type not in ("noticed", "retracted"):
                self._failed = 0

    async def _give_up(self) -> None:
        """End the turn of a model that cannot be reached: a kernel would try for minutes."""
        self.unreached = True
        why = "start its server or choose another with --model, then send it again"
        self.screen.notice(f"The model cannot be reached, so the message is not answered; {why}.", "yellow")
        await self.kernel.cancel(self.name)

    @contextmanager
    def _waiting(self) -> Generator[None]:
        self._waits, self._failed = True, 0
        try:
            yield
        finally:
            self._waits = False

    def _show(self, output: Output) -> None:
        self.screen.show(output, output.event in self._mine)
        if output.type == "done":
            self._done.add(output.event)

    async def say(self, text: str) -> None:
        """Send a message; return when its turn is over and shown, and a memory-pressure turn behind it.

        A message that is too long is refused, and the conversation goes on.
        """
        try:
            check_text(text)
        except UsageError as error:
            return self._refuse(0, f"Not sent: {error}")
        await self._send(Event(EventKind.MESSAGE, text))

    async def attach(self, line: str) -> str:
        """Send a file and the words behind its path, as ``say`` sends a message; return what there is to say
        of a line that names none. A path with spaces stands in quotes, unless nothing follows on it."""
        from pagefault.ingest.attaching import attached  # it brings what reads documents

        source, text = _path_and_words(line)
        if not source:
            return "Write the path behind it: /attach photo.jpg what is this?"
        await self._send(await attached(self.kernel, self.name, source, text=text, typed=True))
        return ""

    async def answered(self, posting: AbstractAsyncContextManager[EventOutputs]) -> str:
        """Post an event again, as ``say`` does; what there is to say of it is in its outputs."""
        async with posting as (_, posted, _):
            self._mine.add(posted.id)
        await self._served(posted)
        return ""

    async def _send(self, event: Event) -> None:
        posted = await self.kernel.post(self.name, event)
        self._mine.add(posted.id)
        await self._served(posted)

    async def _served(self, posted: Event) -> None:
        with self._waiting():
            await self.kernel.idle(self.name)
        await self.caught_up()
        if posted.id not in self._done:
            await self._explain(posted.id)

    async def _explain(self, event: int) -> None:
        """Say why a message was not served; one whose own turn waits is asked about instead."""
        undecided = await self.undecided()
        if any(call.event == event for call in undecided):
            return
        why = "an event before it could not be served"
        if undecided:
            why = f"the call {undecided[0].id} of a turn before it waits for a decision"
        self._refuse(event, f"The message waits in the inbox, because {why}.")

    def _refuse(self, event: int, why: str) -> None:
        self._mine.add(event)
        for output in (Output("alerted", why, event, 0), Output("done", "", event, 0)):
            self._show(output)

    async def recover(self, others: str) -> None:
        """Finish the agent's own open turn and serve what waits for it; show what that says.

        Other agents for whom something waits are named, with ``others``, what becomes of them.
        """
        waiting = [name for name in await self.kernel.waiting(_NAMED + 2) if name != self.name]
        if waiting:
            rest = " and more" if len(waiting) > _NAMED else ""
            self.screen.notice(f"Events of other agents wait: {', '.join(waiting[:_NAMED])}{rest}{others}.")
        with self._waiting():
            await self.kernel.recover(self.name)
        await self.caught_up()

    async def caught_up(self) -> None:
        """Return when all that has come is shown."""
        await anyio.lowlevel.checkpoint()
        while self.outputs.statistics().current_buffer_used:
            await anyio.lowlevel.checkpoint()

    async def slash(self, line: str) -> bool:
        """Run a slash command; False if the line is a message."""
        ran = await Slash(self.kernel, self.name, self.screen.notice, self.attach, self.answered).run(line)
        await self.caught_up()
        return ran


def _path_and_words(line: str) -> tuple[str, str]:
    """The path or address that a line begins with, and the rest of it."""
    with suppress(OSError):  # too long a path
        if Path(os.path.expanduser(line)).exists():
            return line, ""
    quote = line[:1] if line[:1] in "\"'" else ""
    path, _, words = line[len(quote) :].partition(quote or " ")
    return path, words.strip()
