"""Admission: the turns that this process may have open at once, by their number and by its memory.

Memory is read now and then, not for each turn. Python keeps what a turn gave back for the next one, so the
reading hardly falls when turns end: what counts is the highest reading and the most turns that were open by
then. As many may be open again, and more by as much as is left to the bound. Left out: who is admitted
(``ready``), and where readings come from (``process_limits``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from pagefault.redaction import logger_of

__all__ = ["Admission"]

logger = logger_of(__name__)

_EVERY = 0.1  # seconds between readings
_TURN = 100_000  # bytes that a turn is taken to need, until the next reading
_LEAST = 4  # turns that may be open however much memory is taken: what waits must be served some time
_FALLEN = 0.8  # of the highest reading: from here on memory was given back to the system


@dataclass(slots=True)
class Admission:
    """Counts the open turns. ``most``: of them; ``memory``: bytes of the process, None: no bound; ``used``
    reads them."""

    most: int
    memory: int | None = None
    used: Callable[[], int] = lambda: 0
    now: Callable[[], float] = time.monotonic
    open: int = 0
    closed: bool = False
    _held: int = 0  # the most that were open at once, at the highest reading
    _highest: int = 0  # bytes
    _read_at: float = float("-inf")
    _allowed: int = 0
    _warned: bool = False

    def close(self) -> None:
        """Admit no turn any more: the process is about to end."""
        self.closed = True

    def room(self) -> int:
        """Return how many turns may be opened now; 0: the process is full, or admits none any more."""
        if self.closed:
            return 0
        if self.memory is None:
            return max(0, self.most - self.open)
        if self.now() - self._read_at >= _EVERY:
            self._read(self.memory)
        return max(0, self._allowed - self.open)

    def enter(self) -> None:
        """Count a turn as open; ``leave`` must follow."""
        self.open += 1

    def leave(self) -> None:
        self.open -= 1

    def _read(self, bound: int) -> None:
        self._read_at, used = self.now(), self.used()
        if used < _FALLEN * self._highest:
            self._highest = self._held = 0
        self._highest, self._held = max(self._highest, used), max(self._held, self.open)
        allowed = max(_LEAST, self._held + (bound - self._highest) // _TURN)
        self._allowed = min(self.most, allowed)
        if allowed <= self.open and not self._warned:
            self._warned = True
            logger.warning(
                "this process takes %d MB of memory, and may have %d (the setting memory): no more than %d "
                "turns are open at once; other events wait",
                used // 1_000_000, bound // 1_000_000, self._allowed,
            )  # fmt: skip
