"""Walls around foreign code: tools, models, embedders, parsers of other people, which may raise anything.

It runs in a task of its own, so that it can be left behind: a cancelled task may refuse to end, and its
caller would wait for it without end. What it raises becomes a ``Fault``, or stays what it is if it is an
error of ours; a cancellation that it let loose is told apart from one that is meant for us. The event loop
turns Ctrl-C into a cancellation, so a ``KeyboardInterrupt`` that is raised in a task is a fault too. Left
out: code that blocks the thread of the event loop; nothing in the process can interrupt that.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Generic, TypeVar, cast

import anyio
import anyio.to_thread

from pagefault.errors import OperatorError, PagefaultError
from pagefault.redaction import logger_of, redacted

__all__ = ["Contained", "Fault", "barrier", "contained", "in_thread", "sentence_of"]

logger = logger_of(__name__)

T = TypeVar("T")

_GRACE = 2.0  # seconds that cancelled code may take to end
_LONGEST = 2_000  # characters of what an exception says of itself

_within: ContextVar[bool] = ContextVar("pagefault_within", default=False)  # foreign code runs
_left_behind: set[asyncio.Task[Any]] = set()  # the event loop itself holds tasks weakly


class Fault(OperatorError):
    """Something that foreign code raised, in its words; ``__cause__`` is the exception."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(sentence_of(error))
        self.__cause__ = error


def sentence_of(error: BaseException) -> str:
    """An exception in a line without secrets, ``ValueError: what it says``; of a group, its first one. It may
    be broken itself."""
    while group := _members(error):
        error = group[0]
    name = type(error).__name__
    try:
        said = redacted(f"{error!s}"[:_LONGEST])
    except BaseException:  # noqa: BLE001  whatever an exception does when it is asked
        return f"{name}, which does not say what is wrong"
    return f"{name}: {said}" if said else name


class Contained(Generic[T]):
    """A coroutine of foreign code, started at once. Whoever starts it must ``end`` it; ``name`` is for the
    log."""

    def __init__(self, name: str, work: Awaitable[T]) -> None:
        self._name = name
        loop = asyncio.get_running_loop()
        if loop.get_task_factory() is None:
            loop.set_task_factory(cast("Any", _task))
        self._task: asyncio.Task[tuple[T] | BaseException] = loop.create_task(_caught(work))

    async def wait(self, seconds: float | None = None) -> bool:
        """Return whether the code has ended, within so many seconds."""
        await asyncio.wait({self._task}, timeout=None if seconds is None else max(0.0, seconds))
        return self._task.done()

    def result(self) -> T:
        """Return what the code returned, or raise what it raised as an error of ours, now that it has
        ended."""
        if self._task.cancelled():  # nobody else knows the task
            raise Fault(asyncio.CancelledError("it cancelled itself"))
        result = self._task.result()
        if isinstance(result, BaseException):
            raise _as_ours(result)
        return result[0]

    async def end(self, *, after: float = 0.0, grace: float = _GRACE) -> None:
        """Cancel the code if it does not end by itself within ``after`` seconds; leave it behind if that
        takes more than ``grace``."""
        task = self._task
        with anyio.CancelScope(shield=True):
            if after and not task.done():
                await asyncio.wait({task}, timeout=after)
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=grace)
        if not task.done():
            logger.warning("%s does not end when it is cancelled; it was left behind", self._name)
            _left_behind.add(task)
            task.add_done_callback(_left_behind.discard)


async def contained(
    name: str, work: Awaitable[T], seconds: float | None = None, *, grace: float = _GRACE
) -> T:
    """Run foreign code and return its value. Raises ``Fault``, errors of ours as they are, and
    ``TimeoutError`` after ``seconds``, when it may take ``grace`` seconds more to end."""
    code = Contained(name, work)
    try:
        if not await code.wait(seconds):
            raise TimeoutError
    finally:
        await code.end(grace=grace)
    return code.result()


async def in_thread(call: Callable[..., T], *args: Any) -> T:
    """Run a blocking function in a thread, which is left behind if the caller is cancelled."""
    return await anyio.to_thread.run_sync(partial(call, *args), abandon_on_cancel=True)


@contextmanager
def barrier() -> Generator[None]:
    """Around our own code that calls foreign code on its way: what comes out of it is an error of ours, or
    the cancellation of its task or of the scope that it runs in."""
    try:
        yield
    except BaseException as error:
        if _is_from_outside(error):
            raise
        raise _as_ours(error)  # noqa: B904  it has its cause


async def _caught(work: Awaitable[T]) -> tuple[T] | BaseException:
    """The value in a tuple, or what was raised: a task that raises some exceptions ends the event loop."""
    _within.set(True)
    try:
        return (await work,)
    except BaseException as error:  # noqa: BLE001  see the module
        return error


def _task(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], **rest: Any) -> asyncio.Task[T]:
    """Make a task; one that foreign code starts must not end the event loop either."""
    return asyncio.Task(_tamed(work) if _within.get() else work, loop=loop, **rest)


async def _tamed(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        raise Fault(error) from error


def _as_ours(error: BaseException) -> PagefaultError:
    while len(group := _members(error)) == 1:
        error = group[0]
    return error if isinstance(error, PagefaultError) else Fault(error)


def _members(error: BaseException) -> tuple[BaseException, ...]:
    """The exceptions of a group, none of any other."""
    is_group = isinstance(error, BaseExceptionGroup)
    return cast("BaseExceptionGroup[BaseException]", error).exceptions if is_group else ()


def _is_from_outside(error: BaseException) -> bool:
    """Return whether it ends this task for a reason that does not lie in it."""
    try:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError):
            was_asked = bool(task and task.cancelling())  # by asyncio, whose task groups ask once
            return was_asked or anyio.current_effective_deadline() == -math.inf
        return isinstance(error, GeneratorExit) and task is None
    except RuntimeError:  # no event loop: a store's thread, or the coroutine is being collected
        return isinstance(error, GeneratorExit)
