"""A conversation through a pipe: each line of the input is answered before the next one is read.

Nobody can be asked: a call that needs an approval is refused, with a line that says so.
"""

from __future__ import annotations

import signal
import sys
from io import FileIO

import anyio

from pagefault.cli.conversation import Conversation
from pagefault.cli.input import InputPieces
from pagefault.cli.slash import leaves

__all__ = ["answer_pipe"]


async def answer_pipe(conversation: Conversation) -> bool:
    """Answer what waits, then the lines of the input; return True if Ctrl-C ended the chat.

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
        await conversation.recover("; `pagefault run` serves them")
        await _answer_lines(conversation)
        tasks.cancel_scope.cancel()
    return interrupted


async def _answer_lines(conversation: Conversation) -> None:
    """Each non-empty line is answered before the next one is read."""
    lines = InputPieces(FileIO(sys.stdin.fileno(), closefd=False).readline)
    while line := await lines.next():
        text = line.decode("utf-8", "replace").removeprefix("\ufeff").rstrip("\r\n")
        if leaves(text):
            return
        if text.strip() and not await conversation.slash(text):
            await conversation.say(text)
            await conversation.refuse_mine()
