"""A conversation with a person at a terminal: line editing, and keys that interrupt a turn."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from pagefault.cli.approvals import ask
from pagefault.cli.conversation import Conversation
from pagefault.cli.render import clip, gauge
from pagefault.cli.slash import leaves
from pagefault.cli.usage import Meter
from pagefault.types import Role
from pagefault.views.agents import context
from pagefault.views.history import history

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.input import Input
    from prompt_toolkit.key_binding import KeyPress

__all__ = ["talk"]

_REMEMBERED = 4  # messages of the past that are shown at the start


async def talk(conversation: Conversation, typed: Path) -> None:
    """Finish the open turn, then talk until the person leaves: Ctrl-C ends a turn, Ctrl-D (or Ctrl-C twice at
    the prompt) the chat. ``typed``: the file of the lines typed before."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory

    _keep_private(typed)
    prompt: PromptSession[str] = PromptSession(history=FileHistory(str(typed)))
    kernel, name, screen = conversation.kernel, conversation.name, conversation.screen
    await _greet(conversation)
    background = "; they are served in the background"
    await _interruptible(conversation, prompt.input, lambda: conversation.recover(background))
    await _ask(conversation, prompt)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kernel.serve)
        meter = await Meter.started(kernel, name)
        while (line := await _line(conversation, prompt)) is not None and not leaves(line):
            if line.strip() and not await conversation.slash(line):
                await _interruptible(conversation, prompt.input, lambda line=line: conversation.say(line))
                await _ask(conversation, prompt)
                screen.notice(gauge((await context(kernel, name)).sizes))
                if spent := await meter.line():
                    screen.notice(spent)
        tasks.cancel_scope.cancel()


async def _ask(conversation: Conversation, prompt: PromptSession[str]) -> None:
    """Ask about each call that waits, until none does or the person leaves the question; then it is asked
    again behind the next message."""

    async def line(question: str) -> str | None:
        from prompt_toolkit.patch_stdout import patch_stdout

        try:
            with patch_stdout(raw=True):
                return await prompt.prompt_async(question)
        except (EOFError, KeyboardInterrupt):
            return None

    while calls := await conversation.undecided():
        verdict = await ask(calls[0], conversation.screen.notice, line)
        if verdict is None:
            return conversation.screen.notice("It waits, and later messages behind it.", "yellow")
        work = partial(conversation.decide, calls[0], verdict)
        await _interruptible(conversation, prompt.input, work)
    return None


async def _line(conversation: Conversation, prompt: PromptSession[str]) -> str | None:
    """The next line; None if the person leaves. Typing takes back the first of two Ctrl-C."""
    from prompt_toolkit.patch_stdout import patch_stdout

    armed = False

    def disarm(_: object) -> None:
        nonlocal armed
        armed = False

    while True:
        prompt.default_buffer.on_text_changed += disarm
        try:
            with patch_stdout(raw=True):
                return await prompt.prompt_async("> ")
        except EOFError:
            return None
        except KeyboardInterrupt:
            if armed:
                return None
            conversation.screen.notice("Ctrl-C again, or Ctrl-D, to leave.")
        finally:
            prompt.default_buffer.on_text_changed -= disarm
        armed = True


async def _interruptible(
    conversation: Conversation, keys: Input, work: Callable[[], Awaitable[None]]
) -> None:
    """Do the work; Ctrl-C cancels the turn, or stops waiting if it is not this process that runs it.

    Keys are read as they are pressed: as a signal, Ctrl-C would also reach the programs around, such as make.
    Other keys wait for the prompt.
    """
    from prompt_toolkit.input.typeahead import store_typeahead
    from prompt_toolkit.keys import Keys

    pressed: list[KeyPress] = []
    async with anyio.create_task_group() as tasks:

        async def cancel() -> None:
            if not await conversation.kernel.cancel(conversation.name):
                conversation.screen.notice("Not waiting any longer; what is under way goes on.")
                tasks.cancel_scope.cancel()

        async def watch() -> None:
            with anyio.open_signal_receiver(signal.SIGINT) as signals:
                async for _ in signals:
                    await cancel()

        def read() -> None:
            for press in keys.read_keys():
                if press.key == Keys.ControlC:
                    tasks.start_soon(cancel)
                else:
                    pressed.append(press)

        tasks.start_soon(watch)
        with keys.raw_mode(), keys.attach(read):
            await work()
        tasks.cancel_scope.cancel()
    store_typeahead(keys, pressed + keys.flush_keys())


def _keep_private(history: Path) -> None:
    history.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # with PostgreSQL nothing else makes it
    history.touch(mode=0o600)


async def _greet(conversation: Conversation) -> None:
    """Say with whom, and show the last messages of the conversation."""
    kernel, name, screen = conversation.kernel, conversation.name, conversation.screen
    found = await context(kernel, name)
    screen.notice(f"{name} · {found.model} · window {found.sizes.window:,} · /help")
    spoken = await history(kernel, name, limit=_REMEMBERED, roles=(Role.USER, Role.ASSISTANT))
    for row in spoken.rows:
        screen.notice(f"{'>' if row.role is Role.USER else f'{name}:'} {clip(row.text)}")
