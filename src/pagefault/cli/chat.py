"""A conversation with one agent: on a terminal, or line by line through a pipe.

The agent's outputs come to one listener for the whole session, whoever caused them; what differs between
a person and a pipe is where lines come from and the screen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio

from pagefault.cli.conversation import Conversation
from pagefault.cli.person import talk
from pagefault.cli.pipe import answer_pipe
from pagefault.cli.screens import Screen, Terminal, screen_for
from pagefault.cli.session import Session
from pagefault.cli.typed_lines import FILE
from pagefault.config import SMALLEST_WINDOW, AgentSettings, parse_settings, settings_of
from pagefault.errors import ModelUnreachable, UsageError
from pagefault.kernel import Kernel

_OFFLINE = (
    "`offline` is no language model: a small rule-based stand-in that notes facts, searches and quotes. "
    "For a real one: pagefault chat --model openai:gpt-4o-mini, with OPENAI_API_KEY set."
)


def chat(session: Session, name: str, wanted: dict[str, Any], chosen: dict[str, Any], quiet: bool) -> None:
    """Talk with agent ``name`` until the input ends; it is created, or its settings changed to ``wanted``;
    ``chosen`` are settings of the installation for this time."""
    screen = screen_for(name, as_json=session.json, quiet=quiet)
    with session.naming_damage():
        interrupted = anyio.run(_chat, session, name, wanted, chosen, screen)
    if interrupted:
        raise KeyboardInterrupt


async def _chat(
    session: Session, name: str, wanted: dict[str, Any], chosen: dict[str, Any], screen: Screen
) -> bool:
    """Return True if Ctrl-C ended the chat."""
    installation = session.installation.model_copy(update=chosen)
    async with session.serving(installation) as kernel:
        settings = await ready(kernel, name, wanted, installation.agent)
        await kernel.process(name)  # a model that cannot work is reported before anything else
        if settings.model.partition(":")[0] == "offline":
            screen.notice(_OFFLINE)
        _, notice = await kernel.window(settings)
        if notice:
            screen.notice(notice, "yellow")
        return await converse(kernel, name, screen, session.folder / FILE)


async def converse(kernel: Kernel, name: str, screen: Screen, typed: Path) -> bool:
    """Finish the agent's open turn, then talk until the input ends; return True if Ctrl-C ended it.

    ``typed``: the file of the lines typed before. ``ModelUnreachable`` at the end of a pipe if a message was
    not answered for that reason.
    """
    interrupted = unreached = False
    async with kernel.listen(name) as outputs, anyio.create_task_group() as tasks:
        conversation = Conversation(kernel, name, screen, outputs)
        tasks.start_soon(conversation.listen)
        if isinstance(screen, Terminal):
            await talk(conversation, typed)
        else:
            interrupted = await answer_pipe(conversation)
            unreached = conversation.unreached and not interrupted
        tasks.cancel_scope.cancel()
    if unreached:
        raise ModelUnreachable("A message was not answered, because the model could not be reached.")
    return interrupted


async def ready(kernel: Kernel, name: str, wanted: dict[str, Any], defaults: AgentSettings) -> AgentSettings:
    """Create the agent, or change its settings to ``wanted``, and return them. If they cannot work, nothing
    is stored."""
    if (window := wanted.get("window")) is not None and window < SMALLEST_WINDOW:
        raise UsageError(
            f"A window of {window:,} tokens is too small; pagefault needs at least {SMALLEST_WINDOW:,}."
        )
    record = await kernel.ensure_agent(name, parse_settings(defaults.model_dump(mode="json") | wanted))
    settings_of(record)  # what cannot be read is not changed either
    settings = parse_settings(dict(record.settings) | wanted)
    if settings != settings_of(record):
        await kernel.change_settings(name, settings)
    return settings
