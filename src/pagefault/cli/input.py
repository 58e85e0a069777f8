"""Stdin, read piece by piece by a thread that keeps nothing from ending.

Left out: what a piece is; a line for a chat through a pipe, some bytes for a protocol.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable

__all__ = ["InputPieces"]


class InputPieces:
    """Pieces of an input, none read before it is asked for; ``read`` returns one, empty at the end.

    A daemon thread reads: a thread that waits for input must neither keep the process from ending nor hold a
    lock that the interpreter needs for that, so ``read`` is unbuffered.
    """

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self._asked: queue.SimpleQueue[asyncio.Future[bytes]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="stdin", daemon=True).start()

    async def next(self) -> bytes:
        """The next piece; empty at the end of the input."""
        piece = asyncio.get_running_loop().create_future()
        self._asked.put(piece)
        return await piece

    def _run(self) -> None:
        while True:
            asked = self._asked.get()
            try:
                piece: bytes | OSError = self._read()
            except OSError as error:
                piece = error
            asked.get_loop().call_soon_threadsafe(self._answer, asked, piece)

    @staticmethod
    def _answer(asked: asyncio.Future[bytes], piece: bytes | OSError) -> None:
        if asked.done():  # nobody waits any longer
            return
        if isinstance(piece, OSError):
            asked.set_exception(piece)
        else:
            asked.set_result(piece)
