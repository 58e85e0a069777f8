"""The rows and vectors of one tier in memory, kept up with the database by reading what is new.

A search is given a view, which later refreshes leave as it is. Vectors are read when the first search asks
for them: browsing and searching by words need none. Leaves out what matches (``search``) and how many tiers
are held (``cache``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np

from pagefault.storage.index import Counters, IndexSource
from pagefault.storage.index.codes import ExactVectors, SignCodes, quantized
from pagefault.storage.index.columns import Columns, IndexView, columns_of
from pagefault.types import AgentId, Tier

__all__ = ["TierIndex"]

_BATCH = 50_000  # rows read at a time
_VECTORS = 8_192  # vectors read at a time


@dataclass(slots=True)
class TierIndex:
    """Keyed by agent, tier and the embedder's fingerprint; several threads may ask at once. ``small``: the
    most vectors that are held exactly."""

    agent: AgentId
    tier: Tier
    fingerprint: str
    small: int
    _lock: Lock = field(default_factory=Lock)
    _columns: Columns | None = None
    _vectors: ExactVectors | SignCodes | None = None
    _last_vector: int = 0
    _vectors_as_of: int = -1  # the count of changes up to which vectors are read
    _view: IndexView | None = None

    def refreshed(self, source: IndexSource, *, with_vectors: bool) -> IndexView:
        """The view as of the source's transaction, or a newer one."""
        counters = source.counters(self.agent, self.tier)
        with self._lock:
            held = self._view
            if held is None or held.counters.changes < counters.changes:
                self._view = held = self._read_rows(source, held, counters)
            if with_vectors and self._vectors_as_of < counters.changes:
                if counters.changes < held.counters.changes:  # vectors of an older state than the rows
                    alone = TierIndex(self.agent, self.tier, self.fingerprint, self.small)
                    return alone.refreshed(source, with_vectors=True)
                self._read_vectors(source, counters)
                self._vectors_as_of = counters.changes
                self._view = held = self._with_vectors(held)
            return held

    @property
    def nbytes(self) -> int:
        columns = self._columns.nbytes if self._columns is not None else 0
        return columns + (self._vectors.nbytes if self._vectors is not None else 0)

    def _read_rows(self, source: IndexSource, held: IndexView | None, counters: Counters) -> IndexView:
        columns = self._columns
        if columns is None or held is None or held.counters.rebuilds != counters.rebuilds:
            columns = self._columns = Columns(self.tier, counters.rows)
            self._vectors, self._last_vector, self._vectors_as_of = None, 0, -1
        elif self.tier == "archival":
            columns.remove(source.deleted_since(self.agent, held.counters.changes))
        while True:
            last = int(columns.number.view[-1]) if len(columns.number) else 0
            rows = source.rows_after(self.agent, self.tier, last, _BATCH)
            if rows:
                columns.add(columns_of(rows))
            if len(rows) < _BATCH:
                return self._with_vectors(columns.view(counters))

    def _read_vectors(self, source: IndexSource, counters: Counters) -> None:
        assert self._columns is not None
        while True:
            stored = source.vectors_after(
                self.agent, self.tier, self.fingerprint, self._last_vector, _VECTORS
            )
            if not len(stored.numbers):
                return
            self._last_vector = int(stored.numbers[-1])
            owners = np.searchsorted(self._columns.number.view, stored.numbers)
            if isinstance(self._vectors, SignCodes):
                self._vectors.extend(owners, *quantized(stored.halves))
                continue
            if self._vectors is None:
                expected = min(counters.rows, self.small + _VECTORS)
                self._vectors = ExactVectors(stored.halves.shape[1], expected)
            self._vectors.extend(owners, stored.halves)
            if len(self._vectors) > self.small:
                self._vectors = self._vectors.coded(self.small, counters.rows)

    def _with_vectors(self, view: IndexView) -> IndexView:
        vectors = self._vectors
        exact = vectors.view() if isinstance(vectors, ExactVectors) else None
        return replace(view, exact=exact, signs=vectors.view() if isinstance(vectors, SignCodes) else None)
