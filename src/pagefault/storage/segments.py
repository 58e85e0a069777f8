"""Sealed segments: ranges of an owner's numbers that have an index of their own, for words or for vectors.

The segments of one such index are contiguous from 1 on; above the last sealed one is the open segment, which
is what it was. One is planned, built beside what serves, then published in a short transaction, and what it
replaces is deleted afterwards. Leaves out the steps (``sql.segments``) and the indexes themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pagefault.types import AgentId, Tier

__all__ = ["WORDS", "SealStep", "Segment", "SegmentKind", "SegmentSizes", "SegmentState", "planned"]

SegmentState = Literal["building", "built", "sealed", "replaced"]
"""Readers use those that are ``sealed``, and no others."""

SealStep = Literal["", "plan", "build", "publish", "clean", "drop"]
"""A step of sealing that was done; empty: nothing is to be done, or another process does it."""

WORDS = ""
"""The fingerprint of segments of words."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The rows from ``first`` to ``last`` of a tier, for words or for the vectors of a fingerprint. ``rows``:
    how many there were when it was built; ``dead``: how many of these were deleted since."""

    number: int
    tier: Tier
    fingerprint: str
    first: int
    last: int
    state: SegmentState = "building"
    rows: int = 0
    dead: int = 0

    @property
    def alive(self) -> int:
        return self.rows - self.dead


@dataclass(frozen=True, slots=True)
class SegmentSizes:
    """``small``: the most rows of an index of which nothing is sealed; ``open``: the most rows that are left
    open of a larger one; ``dead``: the share of deleted rows from which a segment is built anew."""

    small: int = 50_000
    open: int = 20_000
    dead: float = 0.15


class SegmentKind(Protocol):
    """One kind of index, words or vectors, inside a transaction. Each call is a step that may be repeated."""

    def indexes(self, agent: AgentId) -> Sequence[tuple[Tier, str]]:
        """The tiers and fingerprints that may have segments; none where this database cannot."""
        ...

    def most(self, fingerprint: str) -> int:
        """The most rows of one segment."""
        ...

    def reach(self, agent: AgentId, tier: Tier, fingerprint: str) -> int:
        """The number up to which rows may be sealed: nothing is added at or below it any more."""
        ...

    def measure(self, agent: AgentId, tier: Tier, fingerprint: str, first: int, last: int) -> int:
        """Count the rows of a range that is not sealed."""
        ...

    def build(self, agent: AgentId, segment: Segment, sealed: Sequence[Segment]) -> int | None:
        """Build on, from the sealed segments of its range and from the rows above these, without the agent's
        lock; return how many rows the segment has once it is whole, else None."""
        ...

    def publish(self, agent: AgentId, segment: Segment) -> int:
        """Take out what was deleted meanwhile; readers use the segment from this transaction on. The agent is
        locked. Return how many rows were taken out."""
        ...

    def clean(self, agent: AgentId, tier: Tier, fingerprint: str, last: int) -> bool:
        """Delete some of the rows up to ``last``, which readers ignore; return False if there were none."""
        ...

    def drop(self, agent: AgentId, segment: Segment) -> bool | None:
        """Delete some of what a segment has; return False once all is gone, None while readers use it."""
        ...


def planned(
    sealed: Sequence[Segment], reach: int, measure: Callable[[int, int], int], sizes: SegmentSizes, most: int
) -> tuple[int, int] | None:
    """The first and last number of the next segment to build; None: nothing is to be done.

    It has what is open if that is more than may stay so, and the longest tail of segments of which each is no
    larger than all behind it, so that sizes at least double from the last to the first; or what a segment
    has of which too much is deleted. ``sealed``: in order of numbers; ``measure`` counts open rows from a
    number to another; ``most``: the rows of a segment at most.
    """
    through = sealed[-1].last if sealed else 0
    last, fresh = through, 0
    bound = sizes.open if sealed else sizes.small
    if reach - through > bound and (count := measure(through + 1, reach)) > bound:
        last, fresh = reach, count
        if fresh > most:  # as if every number had a row: what is left over is sealed next
            last, fresh = through + most, min(most, measure(through + 1, through + most))
    if merged := _tail(sealed, fresh, most):
        return merged[0].first, last
    if last > through:
        return through + 1, last
    ageing = (segment for segment in sealed if segment.dead > sizes.dead * segment.rows)
    return next(((segment.first, segment.last) for segment in ageing), None)


def _tail(sealed: Sequence[Segment], fresh: int, most: int) -> Sequence[Segment]:
    """The segments to be merged with so many rows behind them, 0: with each other."""
    behind, best = fresh, len(sealed)
    for index in reversed(range(len(sealed))):
        rows = sealed[index].alive
        if rows + behind > most:
            break
        if rows <= behind and (fresh or index + 1 < len(sealed)):
            best = index
        behind += rows
    return sealed[best:]
