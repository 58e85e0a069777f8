"""The slot of an agent in the scheduler: what a process of the machine holds of one agent.

Left out: when its turns run (``scheduler``).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from pagefault.agent import Process
from pagefault.errors import DailyBudgetSpent, NotFoundError, PagefaultError, TurnLostError
from pagefault.types import AgentRecord, Event, Output

T = TypeVar("T")

_LONGEST_REST = 300.0  # seconds between tries of an agent that cannot be served


@dataclass(slots=True)
class Posting:
    """An event on its way into the inbox of an agent that rests: its turn begins in the transaction that
    stores it. Not ``stored`` when it is ``over``: it is to be stored by itself."""

    event: Event
    stored: Event | None = None
    error: PagefaultError | None = None
    over: anyio.Event = field(default_factory=anyio.Event)

    def refuse(self, error: PagefaultError) -> None:
        """Report to the sender that the event could not be stored, unless that is decided; a lost turn is no
        reason: the event is stored for whoever has taken it."""
        if not self.over.is_set() and not isinstance(error, TurnLostError):
            self.error = error
        self.over.set()


@dataclass(slots=True)
class AgentSlot:
    """One agent in this process: its process once booted, and the streams that get its outputs.
    ``listeners_to_all`` is shared by all slots."""

    record: AgentRecord
    listeners_to_all: set[MemoryObjectSendStream[tuple[str, Output]]]
    process: Process | None = None
    serving: bool = False
    rested: anyio.Event = field(default_factory=anyio.Event)  # set when it is no longer served
    asked: bool = False  # an event came while it was being served
    cancel: anyio.CancelScope | None = None
    failures: int = 0  # times in a row that it could not be served
    rest_until: datetime | None = None  # before that it is not tried again unasked
    uncounted: int | None = None  # the event of which an attempt could not be taken back
    followed: int = 0  # up to where another process's log was shown
    ended: list[Output] = field(default_factory=list[Output])  # ``done``, until the turn lock is free
    listeners: set[MemoryObjectSendStream[Output]] = field(
        default_factory=set[MemoryObjectSendStream[Output]]
    )

    @property
    def is_heard(self) -> bool:
        return bool(self.listeners or self.listeners_to_all)

    def emit(self, output: Output) -> None:
        """Give an output to all who listen."""
        self.followed = max(self.followed, output.position)
        _send(self.listeners, output)
        if self.listeners_to_all:
            _send(self.listeners_to_all, (self.record.name, output))

    def end(self, output: Output) -> None:
        """Keep the ``done`` of an event's turn until ``report_ended``."""
        self.followed = max(self.followed, output.position)
        self.ended.append(output)

    def rest(self, error: PagefaultError, event: int | None, now: datetime) -> None:
        """Leave the agent alone for a while, the longer the more often it failed. Who sent ``event`` gets an
        alert; a ``done`` of no event, with the reason, ends the waiting of all others."""
        self.process = None
        self.failures += 1
        self.rest_until = now + timedelta(seconds=min(_LONGEST_REST, 2.0**self.failures))
        if isinstance(error, DailyBudgetSpent):
            self.rest_until = min(self.rest_until, error.until)
        self.end(Output("alerted", str(error), event, self.followed))
        if event is not None:
            self.end(Output("done", "", event, self.followed))
        self.end(Output("done", str(error), None, self.followed))

    def report_ended(self) -> None:
        """Emit what ``end`` kept: the turn lock is free, or another event's turn begins."""
        ended, self.ended = self.ended, []
        for output in ended:
            self.emit(output)


def for_sender(output: Output, event: int) -> tuple[Output, ...]:
    """The outputs for the sender of an event: its own, and the end of its waiting if the agent rests."""
    if output.event is None and output.type == "done":
        alert = replace(output, type="alerted", event=event)
        return alert, replace(output, text="", event=event)
    return (output,) if output.event == event else ()


@asynccontextmanager
async def listening(
    listeners: set[MemoryObjectSendStream[T]],
) -> AsyncGenerator[MemoryObjectReceiveStream[T]]:
    """The items that are sent to ``listeners`` from now on."""
    send, receive = anyio.create_memory_object_stream[T](float("inf"))
    listeners.add(send)
    try:
        with send, receive:
            yield receive
    finally:
        listeners.discard(send)


def _send(listeners: set[MemoryObjectSendStream[T]], item: T) -> None:
    for listener in tuple(listeners):
        try:
            listener.send_nowait(item)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            listeners.discard(listener)


def no_agent(name: str) -> NotFoundError:
    made = f"`pagefault agent list` shows those there are, `pagefault agent create {name}` makes it."
    return NotFoundError(f"There is no agent {name}; {made}")
