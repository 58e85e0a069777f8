"""Signals: best-effort messages between the processes on one database.

Each may be lost, late or forged by another user of the database: a signal says where to look, the store says
how it is, and polling is the safety net. Left out: how they travel (the stores), what is done about them
(``kernel.following``).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

import anyio

from pagefault.types import AgentId, Output

__all__ = [
    "AgentReady",
    "LogGrew",
    "OutputsWanted",
    "Signal",
    "SignalArrivals",
    "SignalQueue",
    "Signals",
    "SilentSignals",
    "UncommittedOutput",
]


@dataclass(frozen=True, slots=True)
class AgentReady:
    """Something waits in the agent's inbox, and no worker is known to serve it. ``full``: the worker that
    sends this because it has no room for another turn."""

    agent: AgentId
    full: str = ""


@dataclass(frozen=True, slots=True)
class LogGrew:
    """Outputs of the agent behind ``after``, up to ``position``, are committed. ``done``: the event whose
    turn ended with them, or waits for a decision; the agent's lease is free, or the next event's turn
    begins."""

    agent: AgentId
    after: int
    position: int
    done: int | None = None


@dataclass(frozen=True, slots=True)
class OutputsWanted:
    """A process wants to hear the outputs of the agent (None: of all) for the next seconds."""

    agent: AgentId | None


@dataclass(frozen=True, slots=True)
class UncommittedOutput:
    """An output that is not in the log. Between ``after`` and its position there is no output. ``start``: the
    characters of deltas of its attempt that were sent before."""

    agent: AgentId
    output: Output
    after: int
    start: int = 0

    @property
    def position(self) -> int:
        return self.output.position


Signal = AgentReady | LogGrew | OutputsWanted | UncommittedOutput


class Signals(Protocol):
    """The signals of one store, from any thread."""

    @property
    def alive(self) -> bool:
        """Return whether the signals of other processes arrive now."""
        ...

    def send(self, signal: Signal) -> None:
        """Send a signal to the other processes soon; never waits, never raises."""
        ...

    async def received(self) -> Sequence[Signal]:
        """Wait for signals of other processes, and return those that came since the last call. An agent's are
        in the order of sending; what says the same is there once."""
        ...


class SilentSignals:
    """The ``Signals`` of a store without any: whoever waits for something polls."""

    alive = False

    def send(self, signal: Signal) -> None:
        pass

    async def received(self) -> Sequence[Signal]:
        await anyio.sleep_forever()
        return ()


_MOST = 4096
"""The most signals that wait in a queue; further ones are dropped."""

_LONGEST = 4000  # characters of the deltas that are made one


class SignalQueue:
    """Signals on their way, in order, coalesced, never more than ``_MOST``. For any threads."""

    def __init__(self) -> None:
        self._signals: dict[int, Signal] = {}  # by number, in order
        self._last: dict[object, int] = {}  # the number of the last signal that a further one may join
        self._number = 0
        self._lock = threading.Lock()

    def put(self, signal: Signal) -> None:
        key = _key(signal)
        with self._lock:
            last = self._last.get(key)
            if last is not None and (joined := _joined(self._signals[last], signal)):
                self._signals[last] = joined
            elif len(self._signals) < _MOST:
                self._number += 1
                self._signals[self._number] = signal
                self._last[key] = self._number

    def take(self) -> list[Signal]:
        """Return all that wait, and begin anew."""
        with self._lock:
            taken, self._signals = self._signals, {}
            self._last.clear()
        return list(taken.values())

    def __len__(self) -> int:
        return len(self._signals)


def _key(signal: Signal) -> object:
    """Equal for signals that may be coalesced."""
    if isinstance(signal, LogGrew | UncommittedOutput):
        return signal.agent
    return signal


def _joined(last: Signal, signal: Signal) -> Signal | None:
    """One signal that says what the two say, the second sent right behind the first for its agent."""
    if last == signal and not isinstance(signal, UncommittedOutput):
        return last
    if isinstance(last, LogGrew) and isinstance(signal, LogGrew) and last.done is None:
        return replace(signal, after=min(last.after, signal.after))
    if isinstance(last, UncommittedOutput) and isinstance(signal, UncommittedOutput):
        return _joined_deltas(last, signal)
    return None


def _joined_deltas(last: UncommittedOutput, signal: UncommittedOutput) -> UncommittedOutput | None:
    text = last.output.text + signal.output.text
    follows = signal.start == last.start + len(last.output.text) and len(text) <= _LONGEST
    output = replace(last.output, text=text)
    same = last.output.type == "delta" and output == replace(signal.output, text=text)
    return replace(last, output=output) if follows and same else None


class SignalArrivals:
    """Signals on their way from any thread to the one reader of a store."""

    def __init__(self) -> None:
        self._queue = SignalQueue()
        self._reader: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def put(self, signals: Iterable[Signal]) -> None:
        for signal in signals:
            self._queue.put(signal)
        if self._queue and (reader := self._reader) and not reader[1].is_set():
            with suppress(RuntimeError):  # the reader's event loop is closed
                reader[0].call_soon_threadsafe(reader[1].set)

    async def take(self) -> Sequence[Signal]:
        """Wait until there are any."""
        came = asyncio.Event()
        self._reader = (asyncio.get_running_loop(), came)
        while not (taken := self._queue.take()):
            await came.wait()
            came.clear()
        return taken
