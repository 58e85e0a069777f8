"""A conversation with one agent: on a terminal, or line by line through a pipe.

The agent's outputs come to one listener for the whole session, whoever caused them; what differs between
a person and a pipe is where lines come from and the screen.
"""

from __future__ import annotations

import asyncio
import queue
import signal
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream

from pagefault.build import open_kernel
from pagefault.cli.render import clip, gauge
from pagefault.cli.screens import Screen, Terminal, screen_for
from pagefault.cli.session import Session
from pagefault.cli.slash import Slash, leaves
from pagefault.cli.usage import Meter
from pagefault.config import SMALLEST_WINDOW, AgentSettings, parse_settings, settings_of
from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel import Kernel
from pagefault.types import Event, EventKind, Output, Role
from pagefault.views.agents import context
from pagefault.views.history import history

_OFFLINE = (
    "`offline` is no language model: a small rule-based stand-in that notes facts, searches and quotes. "
    "For a real one: pagefault chat --model openai:gpt-4o-mini, with OPENAI_API_KEY set."
)
_REMEMBERED = 4  # messages of the past that are shown when a terminal chat starts


def chat(session: Session, name: str, wanted: dict[str, Any], embedder: str | None, quiet: bool) -> None:
    """Talk with agent ``name`` until the input ends; it is created, or its settings changed to ``wanted``."""
    screen = screen_for(name, as_json=session.json, quiet=quiet)
    if anyio.run(_chat, session, name, wanted, embedder, screen):
        raise KeyboardInterrupt


async def _chat(
    session: Session, name: str, wanted: dict[str, Any], embedder: str | None, screen: Screen
) -> bool:
    """Return True if Ctrl-C ended the chat."""
    installation = session.installation
    if embedder:
        installation = installation.model_copy(update={"embedder": embedder})
    async with open_kernel(session.folder, installation=installation) as kernel:
        settings = await ready(kernel, name, wanted, installation.agent)
        await kernel.process(name)  # a model that cannot work is reported before anything else
        if settings.model.partition(":")[0] == "offline":
            screen.notice(_OFFLINE)
        _, notice = await kernel.window(settings)
        if notice:
            screen.notice(notice, "yellow")
        return await converse(kernel, name, screen, session.folder / "history")


async def converse(kernel: Kernel, name: str, screen: Screen, typed: Path) -> bool:
    """Finish open turns, then talk until the input ends; return True if Ctrl-C ended it.

    ``typed``: the file of the lines typed before.
    """
    interrupted = False
    async with kernel.listen(name) as outputs, anyio.create_task_group() as tasks:
        conversation = Conversation(kernel, name, screen, outputs)
        tasks.start_soon(conversation.listen)
        if isinstance(screen, Terminal):
            await _greet(kernel, name, screen)
        await kernel.fire_timers()
        await kernel.recover()
        await conversation.caught_up()
        if isinstance(screen, Terminal):
            tasks.start_soon(kernel.serve)
            _keep_private(typed)
            await _with_person(conversation, screen, typed)
        else:
            interrupted = await _with_pipe(conversation)
        tasks.cancel_scope.cancel()
    return interrupted


async def ready(kernel: Kernel, name: str, wanted: dict[str, Any], defaults: AgentSettings) -> AgentSettings:
    """Create the agent, or change its settings to ``wanted``, and return them. If they cannot work, nothing
    is stored."""
    if (window := wanted.get("window")) is not None and window < SMALLEST_WINDOW:
        raise UsageError(
            f"A window of {window:,} tokens is too small; pagefault needs at least {SMALLEST_WINDOW:,}."
        )
    try:
        record = await kernel.record(name)
    except NotFoundError:
        settings = parse_settings(defaults.model_dump(mode="json") | wanted)
        await kernel.create_agent(name, settings)
        return settings
    settings = parse_settings(dict(record.settings) | wanted)
    if settings != settings_of(record):
        await kernel.change_settings(name, settings)
    return settings


@dataclass(slots=True)
class Conversation:
    """Messages in, outputs to a screen."""

    kernel: Kernel
    name: str
    screen: Screen
    outputs: MemoryObjectReceiveStream[Output]
    _mine: set[int | None] = field(default_factory=set[int | None])
    _done: set[int | None] = field(default_factory=set[int | None])

    async def listen(self) -> None:
        """Show every output, as long as the chat lasts."""
        async for output in self.outputs:
            self._show(output)

    def _show(self, output: Output) -> None:
        self.screen.show(output, output.event in self._mine)
        if output.type == "done":
            self._done.add(output.event)

    async def say(self, text: str) -> None:
        """Send a message; return when its turn is over and shown, and a memory-pressure turn behind it."""
        posted = await self.kernel.post(self.name, Event(EventKind.MESSAGE, text))
        self._mine.add(posted.id)
        await self.kernel.idle()
        await self.caught_up()
        if posted.id not in self._done:
            why = "The message waits in the inbox, because an event before it could not be served."
            for output in (Output("alerted", why, posted.id, 0), Output("done", "", posted.id, 0)):
                self._show(output)

    async def caught_up(self) -> None:
        """Return when all that has come is shown."""
        await anyio.lowlevel.checkpoint()
        while self.outputs.statistics().current_buffer_used:
            await anyio.lowlevel.checkpoint()

    async def slash(self, line: str) -> bool:
        """Run a slash command; False if the line is a message."""
        ran = await Slash(self.kernel, self.name, self.screen.notice).run(line)
        await self.caught_up()
        return ran


async def _with_pipe(conversation: Conversation) -> bool:
    """Answer the lines of the input; return True if Ctrl-C ended the chat.

    The event loop's own handling of Ctrl-C cancels a task once, and that one cancellation is lost when it
    comes while a scope of anyio is being left. A cancelled scope cancels until it is left.
    """
    interrupted = False
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            nonlocal interrupted
            with anyio.open_signal_receiver(signal.SIGINT) as signals:
                async for _ in signals:
                    interrupted = True
                    tasks.cancel_scope.cancel()

        tasks.start_soon(watch)
        await _answer_lines(conversation)
        tasks.cancel_scope.cancel()
    return interrupted


async def _answer_lines(conversation: Conversation) -> None:
    """Each non-empty line is answered before the next one is read."""
    lines = _Lines()
    while line := await lines.next():
        text = line.decode("utf-8", "replace").removeprefix("\ufeff").rstrip("\r\n")
        if leaves(text):
            return
        if text.strip() and not await conversation.slash(text):
            await conversation.say(text)


class _Lines:
    """Lines of stdin, none read before it is asked for.

    A daemon thread reads, unbuffered: a thread that waits for input must neither keep the process from
    ending nor hold a lock that the interpreter needs for that.
    """

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[asyncio.Future[bytes]] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    async def next(self) -> bytes:
        """The next line with its end; empty at the end of the input."""
        line = asyncio.get_running_loop().create_future()
        self._asked.put(line)
        return await line

    def _read(self) -> None:
        with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as stdin:
            while True:
                asked = self._asked.get()
                try:
                    line: bytes | OSError = stdin.readline()
                except OSError as error:
                    line = error
                asked.get_loop().call_soon_threadsafe(self._answer, asked, line)

    @staticmethod
    def _answer(asked: asyncio.Future[bytes], line: bytes | OSError) -> None:
        if asked.done():  # nobody waits any longer
            return
        if isinstance(line, OSError):
            asked.set_exception(line)
        else:
            asked.set_result(line)


def _keep_private(history: Path) -> None:
    history.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # with PostgreSQL nothing else makes it
    history.touch()
    history.chmod(0o600)


async def _with_person(conversation: Conversation, screen: Terminal, history: Path) -> None:
    """Line editing; Ctrl-C ends a turn, Ctrl-D (or Ctrl-C twice at the prompt) the chat."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.patch_stdout import patch_stdout

    prompt: PromptSession[str] = PromptSession(history=FileHistory(str(history)))
    kernel, name = conversation.kernel, conversation.name
    meter = await Meter.started(kernel, name)
    interrupted = False
    while True:
        try:
            with patch_stdout(raw=True):
                line = await prompt.prompt_async("> ")
        except EOFError:
            return
        except KeyboardInterrupt:
            if interrupted:
                return
            interrupted = True
            screen.notice("Ctrl-C again, or Ctrl-D, to leave.")
            continue
        interrupted = False
        if leaves(line):
            return
        if line.strip() and not await conversation.slash(line):
            await _interruptible(conversation, line)
            screen.notice(gauge((await context(kernel, name)).sizes))
            if spent := await meter.line():
                screen.notice(spent)


async def _interruptible(conversation: Conversation, text: str) -> None:
    """Say it; Ctrl-C cancels the turn, or stops waiting if it is not this process that runs it."""
    kernel, name = conversation.kernel, conversation.name
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            with anyio.open_signal_receiver(signal.SIGINT) as signals:
                async for _ in signals:
                    if not await kernel.cancel(name):
                        conversation.screen.notice("Not waiting any longer; what is under way goes on.")
                        tasks.cancel_scope.cancel()

        tasks.start_soon(watch)
        await conversation.say(text)
        tasks.cancel_scope.cancel()


async def _greet(kernel: Kernel, name: str, screen: Terminal) -> None:
    """Say with whom, and show the last messages of the conversation."""
    found = await context(kernel, name)
    screen.notice(f"{name} · {found.model} · window {found.sizes.window:,} · /help")
    spoken = await history(kernel, name, limit=_REMEMBERED, roles=(Role.USER, Role.ASSISTANT))
    for row in spoken.rows:
        screen.notice(f"{'>' if row.role is Role.USER else f'{name}:'} {clip(row.text)}")
