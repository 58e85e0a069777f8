"""Cosines of rows with the vector of a query, and the rows nearest to it; for a pair of embedders with two.

Leaves out which rows are candidates (``search``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pagefault.storage import Match, OtherVector
from pagefault.storage.index import IndexSource, Numbers
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.index.codes import of_windows
from pagefault.storage.index.columns import IndexView
from pagefault.storage.index.scan import dot
from pagefault.types import AgentId, Tier

__all__ = ["Comparison", "PairComparison", "comparison"]

_SCANNED = 1600  # nearest by their signs, then compared: .998 of the true nearest ten are among them

_Mask = NDArray[np.bool_]
_Floats = NDArray[np.float32]


@dataclass(slots=True)
class Comparison:
    """A query's vector (None: by words alone) and the vectors of a view, in memory or in the database."""

    view: IndexView
    source: IndexSource
    agent: AgentId
    tier: Tier
    fingerprint: str
    query: _Floats | None
    _every: _Floats | None = None  # the cosine of each row, where all are held exactly

    def cosines(self, rows: Numbers) -> _Floats:
        """The cosines of rows, ascending; NaN without a vector."""
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

    def nearest(self, allowed: _Mask) -> Numbers:
        """The rows that may be the nearest of those allowed, ascending; all where all are held exactly."""
        if self.query is not None and self.view.signs is not None:
            return self.view.signs.nearest(self.query, _SCANNED, allowed)
        known = self.query is not None and self.view.exact is not None
        return np.flatnonzero(allowed) if known else np.empty(0, np.int64)


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

    def nearest(self, allowed: _Mask) -> Numbers:
        """See ``Comparison.nearest``."""
        near = self.first.nearest(allowed)
        lacking = allowed.copy()
        if self.first.view.signs is not None:
            lacking[self.first.view.signs.owners] = False
        theirs = np.zeros(len(self.second.view.number), np.bool_)
        theirs[_same(self.first.view, self.second.view, np.flatnonzero(lacking))[1]] = True
        if not theirs.any():
            return near
        others = _same(self.second.view, self.first.view, self.second.nearest(theirs))[1]
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
    first = Comparison(view, source, agent, tier, fingerprint, match.vector)
    if (other := match.elsewhere) is None:
        return first
    beside = cache.view(source, agent, tier, other.fingerprint)
    second = Comparison(beside, source, agent, tier, other.fingerprint, other.vector)
    return PairComparison(first, second, other)
