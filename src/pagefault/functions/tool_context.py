"""The context of a tool's call, as the tool sees it: whose call it is, the program's own value, progress.

A parameter of a tool that is annotated with ``ToolContext`` is given one; the model is not offered it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from types import UnionType
from typing import Annotated, Any, Generic, Union, get_args, get_origin

from typing_extensions import TypeVar

from pagefault.quoting import whole
from pagefault.types import Event, EventKind

__all__ = ["CallProgress", "ToolContext", "is_tool_context"]

DepsT = TypeVar("DepsT", default=Any)

_LONGEST = 1_000  # characters of one text
_MOST = 1_000  # texts of one call
_BURST, _RATE = 20, 10.0  # texts at once, and a second


class CallProgress:
    """The progress of one call, from any thread: texts to show, in order, no more than the bounds. Of texts
    that come too fast the last one is kept for the end. ``show`` is called in the event loop's thread."""

    def __init__(self, show: Callable[[str], None] = lambda _: None) -> None:
        self.cancelled = False
        self._show = show
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None  # while the call runs
        self._texts: list[str] = []
        self._last: str | None = None
        self._left, self._room, self._at = _MOST, float(_BURST), monotonic()

    def put(self, text: str) -> None:
        with self._lock:
            if self._loop is None:
                return
            if not self._may_show():
                self._last = text
                return
            self._texts.append(text)
            self._last = None
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._show_texts)

    def _may_show(self) -> bool:
        now = monotonic()
        self._room = min(float(_BURST), self._room + (now - self._at) * _RATE)
        self._at = now
        if self._room < 1.0 or not self._left:
            return False
        self._room -= 1.0
        self._left -= 1
        return True

    def _show_texts(self) -> None:
        with self._lock:
            texts, self._texts = self._texts, []
        for text in texts:
            self._show(text)

    @contextmanager
    def running(self) -> Generator[None]:
        """Around the call, in the event loop's thread; whatever goes on behind it shows nothing."""
        self._loop = asyncio.get_running_loop()
        try:
            yield
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            with self._lock:
                self._loop = None
                if self._last is not None:
                    self._texts.append(self._last)
            self._show_texts()


@dataclass(frozen=True, slots=True)
class ToolContext(Generic[DepsT]):
    """The context of one call.

    ``deps``: the program's own value, of ``pagefault.open(deps=...)``; it stays in this process. ``agent``:
    the name of the agent that calls. ``event``: the event that it handles, with its kind and sender.
    ``position``: the log number of the call. ``key``: the same for this call after a crash or in another
    process, and for no other call of this database, for services that take an idempotency key.
    """

    deps: DepsT = field(default=None, repr=False)  # pyright: ignore[reportAssignmentType]  # for tests
    agent: str = "default"
    event: Event = field(default_factory=lambda: Event(EventKind.MESSAGE))
    position: int = 0
    key: str = ""
    running_call: CallProgress = field(default_factory=CallProgress, repr=False, compare=False)

    @property
    def sender(self) -> str | None:
        """The sender of the event, as far as one was given: a person in a group, another agent."""
        return self.event.sender

    @property
    def cancelled(self) -> bool:
        """Return whether nobody waits for the call any more: it took too long, or its turn was cancelled. A
        tool in a thread cannot be ended from outside; one that takes long looks here, from any thread."""
        return self.running_call.cancelled

    def progress(self, text: str) -> None:
        """Report to whoever listens how far the call is, as an output of type ``progress``; from any thread.
        The model does not read it. Cut at 1,000 characters; about ten a second are shown, and the last."""
        if shown := whole(f"{text}"[:_LONGEST]):
            self.running_call.put(shown)


def is_tool_context(hint: Any) -> bool:
    """Return whether a parameter with this type hint is given the context."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) in (Union, UnionType):
        return any(is_tool_context(option) for option in get_args(hint))
    return hint is ToolContext or get_origin(hint) is ToolContext
