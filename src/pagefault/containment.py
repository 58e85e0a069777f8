"""Foreign code in a task of its own, so that it can be left behind: models and tools of other people.

A cancelled task may refuse to end, and its caller would wait for it without end. Here the caller waits for a
bounded time, then goes on alone. Left out: code that blocks the thread of the event loop; nothing in the
process can interrupt that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

import anyio

__all__ = ["Contained", "ForeignCancellation"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_GRACE = 2.0  # seconds that cancelled code may take to end

_left_behind: set[asyncio.Task[Any]] = set()  # the event loop itself holds tasks weakly


class ForeignCancellation(RuntimeError):
    """Foreign code ended as if it had been cancelled, and nobody had."""


class Contained(Generic[T]):
    """A coroutine of foreign code, started at once. Whoever starts it must ``end`` it; ``name`` is for the
    log."""

    def __init__(self, name: str, work: Coroutine[Any, Any, T]) -> None:
        self._name = name
        self._error: BaseException | None = None
        self._task: asyncio.Task[T | None] = asyncio.create_task(self._run(work))

    async def _run(self, work: Coroutine[Any, Any, T]) -> T | None:
        try:
            return await work
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  for ``result``; a SystemExit would end the event loop
            self._error = error
            return None

    async def wait(self, seconds: float) -> bool:
        """Return whether the code has ended, within so many seconds."""
        await asyncio.wait({self._task}, timeout=max(0.0, seconds))
        return self._task.done()

    def result(self) -> T:
        """Return what the code returned or raise what it raised, now that it has ended."""
        if self._task.cancelled():
            raise ForeignCancellation("it cancelled itself")
        if self._error is not None:
            raise self._error
        return self._task.result()  # pyright: ignore[reportReturnType]

    async def end(self, *, after: float = 0.0) -> None:
        """Cancel the code if it does not end by itself within ``after`` seconds; leave it behind if it
        ignores that."""
        task = self._task
        with anyio.CancelScope(shield=True):
            if after and not task.done():
                await asyncio.wait({task}, timeout=after)
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_GRACE)
        if not task.done():
            logger.warning("%s does not end when it is cancelled; it was left behind", self._name)
            _left_behind.add(task)
            task.add_done_callback(_left_behind.discard)
