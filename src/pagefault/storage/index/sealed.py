"""The vectors of sealed segments, compared with one query: how deep each segment's HNSW index is searched.

Each is first asked for its share of the rows wanted, and a little more; those whose last hit is as near as
the last row that is wanted are asked for more. Whatever the indexes miss, no fewer rows are returned than
exist: a filter that lets few rows pass is answered exactly, and so is a search that came back short. Leaves
out the segments themselves (``SealedVectors``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

import numpy as np
from numpy.typing import NDArray

from pagefault.storage.index import Numbers, SealedScores, SealedVectors
from pagefault.storage.index.codes import of_windows

__all__ = ["SealedComparison"]

_DEEPEST = 20_000  # hits asked for; a scan of all is quicker than more
_SPARE = 1.1  # hits asked for beyond a single segment's share
_SPREAD = 3.0  # the same where several segments have shares, which are uneven
_LEAST = 24  # hits asked of a segment
_DEEPER = 4  # times as many hits in a further round
_ROUNDS = 3
_EFFORT = 2.0  # of hnsw.ef_search, times the hits asked for
_MOST_EFFORT = 1_000  # that pgvector takes

_Mask = NDArray[np.bool_]
_Floats = NDArray[np.float32]


@dataclass(slots=True)
class SealedComparison:
    """A query's vector and the vectors of ``sealed``, whose rows have ascending ``numbers``; up to ``exact``
    rows are compared one by one. A cosine is read once."""

    sealed: SealedVectors
    numbers: Numbers
    query: _Floats
    exact: int
    _asked: _Mask = field(init=False)
    _cosine: _Floats = field(init=False)

    def __post_init__(self) -> None:
        self._asked = np.zeros(len(self.numbers), np.bool_)
        self._cosine = np.full(len(self.numbers), np.nan, np.float32)

    def cosines(self, rows: Numbers) -> _Floats:
        """The cosines of rows, ascending; NaN without a vector."""
        new = rows[~self._asked[rows]]
        if len(new):
            for scores in self.sealed.scores(self.query, self.numbers[new]):
                self._note(scores)
            self._asked[new] = True
        return self._cosine[rows]

    def nearest(self, allowed: _Mask, count: int) -> Numbers:
        """The rows that may be the nearest ``count`` of those allowed, ascending, and others; no fewer than
        there are."""
        total = int(np.count_nonzero(allowed))
        if total <= self.exact:
            rows = np.flatnonzero(allowed)
            return rows[~np.isnan(self.cosines(rows))]
        wanted = min(count, total)
        limit = wanted * len(allowed) / total
        if limit <= _DEEPEST:
            rows = self._by_index(allowed, wanted, limit)
            if len(rows) >= wanted:
                return rows
        for scores in self.sealed.scores(self.query, None):
            self._note(scores)
        self._asked[:] = True
        return np.flatnonzero(allowed & ~np.isnan(self._cosine))

    def _by_index(self, allowed: _Mask, wanted: int, limit: float) -> Numbers:
        sizes = self.sealed.sizes
        spare = _SPARE if len(sizes) == 1 else _SPREAD
        limits = [max(_LEAST, ceil(spare * limit * size / max(1, sum(sizes)))) for size in sizes]
        rows: Numbers = np.empty(0, np.int64)
        for _ in range(_ROUNDS):
            effort = min(_MOST_EFFORT, ceil(_EFFORT * max(limits)))
            found = self.sealed.nearest(self.query, limits, effort)
            last = [self._note(scores) for scores in found]
            rows = np.flatnonzero(allowed & ~np.isnan(self._cosine))
            enough = len(rows) >= wanted
            least = float(np.partition(self._cosine[rows], -wanted)[-wanted]) if enough else -np.inf
            limits = [
                limit * _DEEPER if limit and limit < size and worst >= least else 0
                for limit, size, worst in zip(limits, sizes, last, strict=True)
            ]
            if not any(limits):
                break
        return rows

    def _note(self, scores: SealedScores) -> float:
        """Note the cosines of rows; return the last of them by their best windows."""
        if not len(scores.numbers):
            return -np.inf
        numbers, cosines = of_windows(scores.numbers, scores.cosines)
        rows = np.searchsorted(self.numbers, numbers)
        there = np.flatnonzero(rows < len(self.numbers))
        there = there[self.numbers[rows[there]] == numbers[there]]
        self._cosine[rows[there]] = cosines[there]
        self._asked[rows[there]] = True
        first = np.flatnonzero(np.diff(scores.numbers, prepend=-1))
        return float(np.maximum.reduceat(scores.cosines, first).min())
