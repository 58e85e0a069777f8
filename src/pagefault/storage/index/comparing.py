"""Cosines of rows with the vector of a query, and the rows nearest to it; for a pair of embedders with two.

Leaves out which rows are candidates (``search``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pagefault.storage import Match, OtherVector
from pagefault.storage.index import IndexSource, Numbers
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.index.codes import of_windows
from pagefault.storage.index.columns import IndexView
from pagefault.storage.index.scan import dot
from pagefault.storage.index.sealed import SealedComparison
from pagefault.types import AgentId, Tier

__all__ = ["Comparison", "PairComparison", "comparison"]

_SCANNED = 1600  # nearest by their signs, then compared: .998 of the true nearest ten are among them

_Mask = NDArray[np.bool_]
_Floats = NDArray[np.float32]


@dataclass(slots=True)
class Comparison:
    """A query's vector (None: by words alone) and the vectors of a view, in memory or in the database;
    ``exact``: see ``IndexCache``."""

    view: IndexView
    source: IndexSource
    agent: AgentId
    tier: Tier
    fingerprint: str
    query: _Floats | None
    exact: int
    _every: _Floats | None = None  # the cosine of each row, where all are held exactly
    _open: int = field(init=False, default=0)  # the first row that is not sealed
    _sealed: SealedComparison | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        view, query = self.view, self.query
        if view.sealed is not None and query is not None:
            self._open = int(np.searchsorted(view.number, view.sealed.through, side="right"))
            self._sealed = SealedComparison(view.sealed, view.number[: self._open], query, self.exact)

    def cosines(self, rows: Numbers) -> _Floats:
        """The cosines of rows, ascending; NaN without a vector."""
        if self._sealed is None:
            return self._held_cosines(rows)
        last = np.searchsorted(rows, self._open)
        return np.concatenate((self._sealed.cosines(rows[:last]), self._held_cosines(rows[last:])))

    def _held_cosines(self, rows: Numbers) -> _Floats:
        view, query = self.view, self.query
        if query is not None and view.exact is not None:
            if self._every is None:
                self._every = np.full(len(view.number), np.nan, np.float32)
                owners, cosines = view.exact(query)
                self._every[owners] = cosines
            return self._every[rows]
        cosine = np.full(len(rows), np.nan, np.float32)
        if query is None or view.signs is None:
            return cosine
        if (held := view.signs.cosines(query, rows)) is not None:
            cosine[np.searchsorted(rows, held[0])] = held[1]
            return cosine
        numbers = view.number[rows].tolist()
        stored = self.source.vectors_of(self.agent, self.tier, self.fingerprint, numbers)
        if len(stored.numbers):
            found, cosines = of_windows(stored.numbers, dot(stored.halves, query))
            cosine[np.searchsorted(view.number[rows], found)] = cosines
        return cosine

    def nearest(self, allowed: _Mask, count: int) -> Numbers:
        """The rows that may be the nearest ``count`` of those allowed, ascending; all where all are held
        exactly."""
        held = self._held_nearest(allowed)
        if self._sealed is None:
            return held
        near = self._sealed.nearest(allowed[: self._open], count)
        return np.concatenate((near, held[np.searchsorted(held, self._open) :]))

    def _held_nearest(self, allowed: _Mask) -> Numbers:
        if self.query is not None and self.view.signs is not None:
            return self.view.signs.nearest(self.query, _SCANNED, allowed)
        known = self.query is not None and self.view.exact is not None
        return np.flatnonzero(allowed) if known else np.empty(0, np.int64)

    def lacking(self, allowed: _Mask) -> _Mask:
        """The rows of those allowed that may have no vector."""
        lacking = allowed.copy()
        if self.view.signs is not None:
            lacking[self.view.signs.owners] = False
        if self._sealed is not None and self.view.unread is not None:
            lacking[: self._open] &= np.isin(self.view.number[: self._open], self.view.unread)
        return lacking


@dataclass(frozen=True, slots=True)
class PairComparison:
    """The comparison by ``first``, and by ``second`` of the rows that have no vector for the first. The two
    views may be of different states."""

    first: Comparison
    second: Comparison
    other: OtherVector

    def cosines(self, rows: Numbers) -> _Floats:
        """The cosines of rows, ascending, on the first one's scale; NaN without any vector."""
        cosine = self.first.cosines(rows)
        lacking = np.flatnonzero(np.isnan(cosine))
        if len(lacking):
            there, theirs = _same(self.first.view, self.second.view, rows[lacking])
            cosines = self.second.cosines(theirs)
            cosine[lacking[there]] = self.other.gain * cosines + self.other.offset
        return cosine

    def nearest(self, allowed: _Mask, count: int) -> Numbers:
        """See ``Comparison.nearest``."""
        near = self.first.nearest(allowed, count)
        lacking = self.first.lacking(allowed)
        theirs = np.zeros(len(self.second.view.number), np.bool_)
        theirs[_same(self.first.view, self.second.view, np.flatnonzero(lacking))[1]] = True
        if not theirs.any():
            return near
        others = _same(self.second.view, self.first.view, self.second.nearest(theirs, count))[1]
        return np.union1d(near, others)


def _same(view: IndexView, other: IndexView, rows: Numbers) -> tuple[Numbers, Numbers]:
    """The rows of these that the other view has too: their indices in ``rows``, and its own rows."""
    numbers = view.number[rows]
    theirs = np.searchsorted(other.number, numbers)
    there = np.flatnonzero(theirs < len(other.number))
    there = there[other.number[theirs[there]] == numbers[there]]
    return there, theirs[there]


def comparison(
    view: IndexView,
    source: IndexSource,
    cache: IndexCache,
    agent: AgentId,
    tier: Tier,
    match: Match,
    fingerprint: str,
) -> Comparison | PairComparison:
    """The comparison that a match asks for."""
    first = Comparison(view, source, agent, tier, fingerprint, match.vector, cache.exact)
    if (other := match.elsewhere) is None:
        return first
    beside = cache.view(source, agent, tier, other.fingerprint)
    second = Comparison(beside, source, agent, tier, other.fingerprint, other.vector, cache.exact)
    return PairComparison(first, second, other)
