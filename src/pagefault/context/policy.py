"""When to warn, when to flush, how much to keep, and which rows go: pure decisions on sizes.

Replaceable: give ``assembly.Parts(policy=...)`` anything with the methods of ``Policy``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pagefault.context import Queue, Sizes
from pagefault.types import Message


class Policy(Protocol):
    """When to warn, when to flush, how much to keep, and the shares of the room. Replaceable."""

    def warns(self, sizes: Sizes) -> bool: ...
    def flushes(self, sizes: Sizes) -> bool: ...
    def keeps(self, room: int) -> int:
        """Calibrated tokens of the queue that may stay at a flush, summary included."""
        ...

    def summary_limit(self, room: int) -> int:
        """Calibrated tokens the summary may take."""
        ...

    def page_limit(self, room: int) -> int:
        """Calibrated tokens that one message or one page of results may take."""
        ...


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """The paper's policy (section 2.2: warn at 70 %, flush at 100 %, evict 50 %), as shares of the room."""

    warn: float = 0.70
    flush: float = 1.00
    evict: float = 0.50
    summary: float = 0.15
    page: float = 0.25

    def warns(self, sizes: Sizes) -> bool:
        return sizes.queue >= self.warn * sizes.room

    def flushes(self, sizes: Sizes) -> bool:
        return sizes.queue > self.flush * sizes.room

    def keeps(self, room: int) -> int:
        return int(room * (1 - self.evict))

    def summary_limit(self, room: int) -> int:
        return max(48, int(room * self.summary))

    def page_limit(self, room: int) -> int:
        return max(64, int(room * self.page))


@dataclass(frozen=True, slots=True)
class Eviction:
    """The choice of a flush: ``evicted`` goes under the summary, ``start`` is the queue's new first row,
    ``pinned`` the open event's row if it is among the evicted and must stay in view."""

    evicted: tuple[Message, ...]
    start: int
    pinned: Message | None


def evict(queue: Queue, keep: int, open_seq: int | None) -> Eviction | None:
    """Choose the oldest rows to evict so that at most ``keep`` uncalibrated tokens of rows stay.

    A completion and its results go together; the open event's row (``open_seq``) stays pinned. None if
    there is nothing to evict.
    """
    starts = [0] + [
        i
        for i in range(1, len(queue.rows))
        if queue.rows[i].completion is None or queue.rows[i].completion != queue.rows[i - 1].completion
    ]
    cut, kept = len(queue.rows), 0
    for start in reversed(starts):
        kept += sum(row.tokens for row in queue.rows[start:cut])
        if kept > keep:
            break
        cut = start
    evicted = queue.rows[:cut]
    if not evicted:
        return None
    pinned = next((row for row in (queue.pinned, *evicted) if row and row.seq == open_seq), None)
    return Eviction(evicted, evicted[-1].seq + 1, pinned)
