"""The caches of this process that hold texts, so that a forgetting can empty them all.

Whatever keeps texts, or what was made of them, beyond its use registers here; nothing depends on a cache.
Left out: when they are emptied (``kernel.forgetting``, and ``context.queue_log`` for what other processes
forget).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol
from weakref import WeakSet

__all__ = [
    "FORGOTTEN",
    "CachedFunction",
    "TextCache",
    "caches_texts",
    "clear_texts",
    "holds_texts",
    "note_forgotten",
]

FORGOTTEN = "forgotten"
"""The name of the alert that stands in a log for what was forgotten."""


class TextCache(Protocol):
    """A cache of texts; ``forget_texts`` empties it, in any thread, and never raises."""

    def forget_texts(self) -> None: ...


class CachedFunction(Protocol):
    """A function with a cache of ``functools``."""

    def cache_clear(self) -> None: ...


_functions: list[CachedFunction] = []
_noted: dict[Hashable, int] = {}  # the last such row of each agent
_holders: WeakSet[TextCache] = WeakSet()


def caches_texts(function: CachedFunction) -> None:
    """Register a function with a cache of ``functools``."""
    _functions.append(function)


def holds_texts(holder: TextCache) -> None:
    """Register an object with a cache of its own, as long as it lives."""
    _holders.add(holder)


def note_forgotten(agent: Hashable, number: int) -> None:
    """Empty the caches if this row, which says that something of an agent was forgotten, is new here."""
    if number > _noted.get(agent, 0):
        _noted[agent] = number
        clear_texts()


def clear_texts() -> None:
    """Empty all caches of texts in this process."""
    for function in _functions:
        function.cache_clear()
    for holder in tuple(_holders):
        holder.forget_texts()
