"""From the asynchronous faces to synchronous ones: an event loop in a thread, and methods that block on it.

A synchronous face names its methods once more and nothing else: ``send = blocking(AsyncAgent.send)`` has the
signature and the docstring of the method it calls. Leaves out what the methods do.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, aclosing
from functools import wraps
from queue import SimpleQueue
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import anyio
from anyio.abc import TaskStatus
from anyio.from_thread import BlockingPortal

from pagefault.errors import UsageError
from pagefault.redaction import logger_of

__all__ = ["Face", "LoopThread", "blocking", "blocking_iterator"]

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

logger = logger_of(__name__)

CLOSED = "This agent is closed; open it again with pagefault.Agent(NAME)."
FORKED = (
    "This agent was opened before the process forked, and its database connection belongs to the parent; "
    "open the agent in the child."
)


class LoopThread:
    """An event loop in a daemon thread, and a context that is entered in it from ``open`` to ``close``."""

    def __init__(self, closing_time: float = 10.0) -> None:
        """``closing_time``: seconds that closing may take; what hangs longer is left to the daemon thread."""
        self._pid = os.getpid()
        self._closing_time = closing_time
        self._calls: set[Future[Any]] = set()
        self._entered, self._closing, self._left = False, anyio.Event(), anyio.Event()
        started: Future[tuple[BlockingPortal, asyncio.AbstractEventLoop]] = Future()
        self._thread = threading.Thread(
            target=anyio.run, args=(self._serve, started), name="pagefault-loop", daemon=True
        )
        self._thread.start()
        portal, self._loop = started.result()
        self._portal: BlockingPortal | None = portal

    async def _serve(self, started: Future[tuple[BlockingPortal, asyncio.AbstractEventLoop]]) -> None:
        async with BlockingPortal() as portal:
            started.set_result((portal, asyncio.get_running_loop()))
            await self._closing.wait()
            for call in list(self._calls):
                call.cancel()
            if self._entered:
                await self._left.wait()
            await portal.stop(cancel_remaining=True)

    def open(self, context: AbstractAsyncContextManager[T]) -> T:
        """Enter ``context`` in the loop and return its value; raises what entering raises."""
        if self._portal is None:
            raise UsageError(CLOSED)
        self._entered = True
        _, value = self._portal.start_task(self._live, context)
        return value

    async def _live(self, context: AbstractAsyncContextManager[T], *, task_status: TaskStatus[T]) -> None:
        try:
            async with context as value:
                task_status.started(value)
                await self._closing.wait()
        finally:
            self._left.set()

    def call(self, work: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Run a coroutine in the loop and return its result; an interrupt here cancels it there."""
        return self._wait(self._start(work))

    def iterate(self, make: Callable[[], AsyncGenerator[R]]) -> Generator[R]:
        """Yield the items of an asynchronous generator as they come; closing this closes it."""
        items: SimpleQueue[tuple[R] | None] = SimpleQueue()

        async def pump() -> None:
            try:
                async with aclosing(make()) as stream:
                    async for item in stream:
                        items.put((item,))
            finally:
                items.put(None)

        pumping = self._start(pump)
        try:
            while (item := items.get()) is not None:
                yield item[0]
            self._wait(pumping)
        finally:
            pumping.cancel()

    def _start(self, work: Callable[[], Coroutine[Any, Any, R]]) -> Future[R]:
        if os.getpid() != self._pid:
            raise UsageError(FORKED)
        if self._portal is None:
            raise UsageError(CLOSED)
        if threading.current_thread() is self._thread:
            raise UsageError("An agent cannot be used from its own event loop; use pagefault.open there.")
        try:
            future = self._portal.start_task_soon(work)
        except RuntimeError:  # another thread closed it just now
            raise UsageError(CLOSED) from None
        self._calls.add(future)
        future.add_done_callback(self._calls.discard)
        return future

    def _wait(self, future: Future[R]) -> R:
        try:
            return future.result()
        except CancelledError:
            raise UsageError("The agent was closed before this was done; open it again.") from None
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Cancel the calls that run, leave the context and end the thread; does nothing the second time,
        and after a fork."""
        portal, self._portal = self._portal, None
        if portal is None or os.getpid() != self._pid:
            return
        self._loop.call_soon_threadsafe(self._closing.set)  # the portal would wait for a blocked loop
        if threading.current_thread() is self._thread:
            return
        self._thread.join(self._closing_time)
        if self._thread.is_alive():
            logger.warning("An agent did not close in %g s: a tool does not stop.", self._closing_time)


class Face(Generic[T]):
    """The synchronous face of an object that lives in a loop thread."""

    def __init__(self, inner: T, loop: LoopThread) -> None:
        self._inner = inner
        self._loop = loop


def blocking(
    method: Callable[Concatenate[T, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Face[T], P], R]:
    """Make a method that calls an asynchronous one and returns when that is done."""

    @wraps(method)
    def call(self: Face[T], *args: P.args, **kwargs: P.kwargs) -> R:
        inner = self._inner  # pyright: ignore[reportPrivateUsage]
        return self._loop.call(lambda: method(inner, *args, **kwargs))  # pyright: ignore[reportPrivateUsage]

    return call


def blocking_iterator(
    method: Callable[Concatenate[T, P], AsyncGenerator[R]],
) -> Callable[Concatenate[Face[T], P], Generator[R]]:
    """Make a method that yields what an asynchronous one yields."""

    @wraps(method)
    def iterate(self: Face[T], *args: P.args, **kwargs: P.kwargs) -> Generator[R]:
        inner = self._inner  # pyright: ignore[reportPrivateUsage]
        return self._loop.iterate(lambda: method(inner, *args, **kwargs))  # pyright: ignore[reportPrivateUsage]

    return iterate
