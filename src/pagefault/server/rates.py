"""Allowances: how often a minute something may be done, by whose it is, in this process.

Left out: what is done, and the response to one time too many.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from math import ceil
from time import monotonic

__all__ = ["Allowances"]


@dataclass(slots=True)
class Allowances:
    """The times that are left to each of those that were counted last; ``kept``: the most of them. Whoever
    is forgotten begins anew."""

    clock: Callable[[], float] = monotonic
    kept: int = 10_000
    _left: dict[Hashable, tuple[float, float]] = field(
        default_factory=dict[Hashable, tuple[float, float]]
    )  # times, and when they were counted; the one counted last is at the end

    def take(self, of: Hashable, per_minute: int) -> int:
        """Count one time and return 0; of one too many return the seconds to wait, and count nothing."""
        now, rate = self.clock(), per_minute / 60
        left, since = self._left.pop(of, (float(per_minute), now))
        left = min(float(per_minute), left + (now - since) * rate)
        self._left[of] = (left - 1 if left >= 1 else left), now
        if len(self._left) > self.kept:
            del self._left[next(iter(self._left))]
        return 0 if left >= 1 else ceil((1 - left) / rate)

    def give_back(self, of: Hashable) -> None:
        """Uncount one time."""
        if of in self._left:
            left, since = self._left[of]
            self._left[of] = left + 1, since
