"""The limits of a provider: one limiter for all agents of an event loop, so that they share what it allows.

Requests wait in the order in which their completions began, whatever was tried in between; an agent has one
completion at a time, so that the agents take turns. The rate is learnt: a refusal for the rate (429) slows
all of them down to what was answered lately, answers make it faster again. Left out: limits in tokens, other
processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from math import inf

import anyio
from anyio.lowlevel import RunVar

from pagefault.connections.rate_headers import pause_until_reset, retry_after

__all__ = ["NO_LIMITS", "Pace", "RateLimiter", "RateLimits", "limiter_of"]

_WINDOW = 5.0  # seconds over which answers are counted
_SLOWER, _FASTER = 0.8, 1.02  # at a refusal, at an answer
_SLOWEST = 1 / 60  # requests a second
_FORGET = 120.0  # seconds without a refusal after which nothing is limited
_NO_LONGER = 300.0  # seconds: a server that asks for more has that request wait alone


class Pace:
    """Time as retries and limits see it; ``speed``: how many of its seconds pass in one of the machine's."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed

    def now(self) -> float:
        return anyio.current_time() * self._speed

    def deadline(self, at: float) -> float:
        """Return a moment as a deadline of ``anyio``."""
        return at / self._speed

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds / self._speed)

    async def wait(self, event: anyio.Event, seconds: float) -> None:
        """Wait for an event, no longer than so many seconds."""
        with anyio.move_on_after(seconds / self._speed):
            await event.wait()


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The limits that the settings set; None: none."""

    requests_per_minute: float | None = None
    max_concurrent: int | None = None


NO_LIMITS = RateLimits()


@dataclass(slots=True)
class _Waiter:
    ticket: int
    changed: anyio.Event = field(default_factory=anyio.Event)


class RateLimiter:
    """The limiter of one provider. ``paced`` is True while its rate is limited."""

    def __init__(self, limits: RateLimits, pace: Pace) -> None:
        self.pace = pace
        self._most = limits.requests_per_minute / 60 if limits.requests_per_minute else inf
        self._at_once = limits.max_concurrent or inf
        self._rate = self._most
        self._tickets = count()
        self._waiting: list[_Waiter] = []
        self._in_flight = 0
        self._next = self._paused_until = 0.0
        self._refused_at = self._slowed_at = -inf
        self._answered: deque[float] = deque(maxlen=1000)

    @property
    def paced(self) -> bool:
        return self._rate < inf

    @property
    def ahead(self) -> int:
        """The number of requests that wait."""
        return len(self._waiting)

    def ticket(self) -> int:
        """Return a place in the order, for one completion with all its tries."""
        return next(self._tickets)

    async def enter(self, ticket: int) -> None:
        """Wait until a request may be sent; ``leave`` must follow."""
        waiter = _Waiter(ticket)
        self._waiting.append(waiter)
        try:
            while (delay := self._delay(waiter)) > 0:
                waiter.changed = anyio.Event()
                await self.pace.wait(waiter.changed, delay)
            self._in_flight += 1
            self._next = max(self.pace.now(), self._next) + 1 / self._rate
        finally:
            self._waiting.remove(waiter)
            self._wake()

    def leave(self) -> None:
        self._in_flight -= 1
        self._wake()

    def saw(self, status: int, headers: Mapping[str, str]) -> None:
        """Learn from a response."""
        if status == 429:
            self._refuse(retry_after(headers))
        elif status < 400:
            self._answer(pause_until_reset(headers))
        elif (asked := retry_after(headers)) is not None and status >= 500:
            self._pause(asked)

    def _delay(self, waiter: _Waiter) -> float:
        if waiter is not min(self._waiting, key=lambda each: each.ticket) or self._in_flight >= self._at_once:
            return inf
        return max(self._paused_until, self._next if self.paced else 0.0) - self.pace.now()

    def _wake(self) -> None:
        if self._waiting:
            min(self._waiting, key=lambda each: each.ticket).changed.set()

    def _pause(self, seconds: float) -> None:
        if seconds <= _NO_LONGER:
            self._paused_until = max(self._paused_until, self.pace.now() + seconds)

    def _refuse(self, asked: float | None) -> None:
        now = self.pace.now()
        self._refused_at = now
        self._pause(asked if asked is not None else 1.0)
        if now - self._slowed_at < max(1.0, 2 / self._rate):  # a refusal of what was sent before
            return
        self._slowed_at = now
        lately = [at for at in self._answered if at > now - _WINDOW]
        span = max(1.0, now - lately[0]) if lately else _WINDOW
        seen = len(lately) / span if lately else 1.0
        self._rate = max(_SLOWEST, min(self._rate, seen) * _SLOWER)
        self._next = max(self._next, self._paused_until)

    def _answer(self, pause: float | None) -> None:
        now = self.pace.now()
        self._answered.append(now)
        if pause is not None:
            self._pause(pause)
        if self.paced:
            forgotten = now - self._refused_at > _FORGET
            self._rate = self._most if forgotten else min(self._most, self._rate * _FASTER)


_limiters: RunVar[dict[tuple[str, str], RateLimiter]] = RunVar("limiters")


def limiter_of(provider: tuple[str, str], limits: RateLimits, pace: Pace) -> RateLimiter:
    """Return the limiter of a provider, given by address and key: the same one for the whole event loop."""
    try:
        known = _limiters.get()
    except LookupError:
        _limiters.set(known := {})
    if provider not in known:
        known[provider] = RateLimiter(limits, pace)
    return known[provider]
