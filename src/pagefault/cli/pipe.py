"""A conversation through a pipe: each line of the input is answered before the next one is read.

Nobody can be asked: a call that needs an approval is refused, with a line that says so.
"""

from __future__ import annotations

import asyncio
import queue
import signal
import sys
import threading

import anyio

from pagefault.cli.conversation import Conversation
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
    lines = _Lines()
    while line := await lines.next():
        text = line.decode("utf-8", "replace").removeprefix("\ufeff").rstrip("\r\n")
        if leaves(text):
            return
        if text.strip() and not await conversation.slash(text):
            await conversation.say(text)
            await conversation.refuse_mine()


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
