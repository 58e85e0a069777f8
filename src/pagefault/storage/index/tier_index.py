"""The rows and vectors of one tier in memory, kept up with the database by reading what is new.

A search is given a view, which later refreshes leave as it is. Vectors are read when the first search asks
for them: browsing and searching by words need none. Leaves out what matches (``search``) and how many tiers
are held (``cache``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TypeVar

import numpy as np

from pagefault.storage.index import (
    NO_AGENT,
    Counters,
    IndexBlock,
    IndexSource,
    Numbers,
    RowColumns,
    SealedVectors,
    StoredVectors,
)
from pagefault.storage.index.blocks import ROWS, SIZE, CodedVectors, to_rows, to_vectors
from pagefault.storage.index.codes import ExactVectors, SignCodes, quantized
from pagefault.storage.index.columns import Columns, IndexView, columns_of
from pagefault.types import AgentId, Tier

__all__ = ["TierIndex"]

T = TypeVar("T")

_ROWS = 50_000  # rows read at a time
_VECTORS = 8_192  # vectors read at a time
_BLOCKS = 8  # blocks read at a time
_END = 1 << 62  # above every number


@dataclass(slots=True)
class TierIndex:
    """Keyed by agent, tier and the embedder's fingerprint; several threads may ask at once. ``small``: the
    most vectors that are held exactly; ``block_size``: see ``blocks.SIZE``."""

    agent: AgentId
    tier: Tier
    fingerprint: str
    small: int
    block_size: int = SIZE
    _lock: Lock = field(default_factory=Lock)
    _columns: Columns | None = None
    _vectors: ExactVectors | SignCodes | None = None
    _last_vector: int = 0
    _vectors_as_of: int = -1  # the count of changes up to which vectors are read
    _through: int = 0  # the last number whose vector is sealed, and so not held
    _unread: Numbers | None = None  # see ``IndexView``
    _view: IndexView | None = None

    def refreshed(self, source: IndexSource, *, with_vectors: bool) -> IndexView:
        """The view as of the source's transaction, or a newer one."""
        counters = source.counters(self.agent, self.tier)
        if counters.changes == NO_AGENT:  # deleted, or another tenant's: what is held is not for it
            return self._alone()._read_rows(source, None, counters)
        sealed = None
        if with_vectors and counters.segments:
            sealed = source.sealed(self.agent, self.tier, self.fingerprint)
        through = sealed.through if sealed else 0
        with self._lock:
            held = self._view
            if held is None or held.counters.changes < counters.changes:
                self._view = held = self._read_rows(source, held, counters)
            if with_vectors and (self._vectors_as_of < counters.changes or self._through != through):
                if counters.changes < held.counters.changes:  # vectors of an older state than the rows
                    return self._alone().refreshed(source, with_vectors=True)
                self._read_vectors(source, counters, sealed)
                self._vectors_as_of = counters.changes
                self._view = held = self._with_vectors(held)
            return replace(held, sealed=sealed, unread=self._unread) if sealed else held

    def _alone(self) -> TierIndex:
        return TierIndex(self.agent, self.tier, self.fingerprint, self.small, self.block_size)

    @property
    def nbytes(self) -> int:
        columns = self._columns.nbytes if self._columns is not None else 0
        return columns + (self._vectors.nbytes if self._vectors is not None else 0)

    def _read_rows(self, source: IndexSource, held: IndexView | None, counters: Counters) -> IndexView:
        columns = self._columns
        if columns is None or held is None or held.counters.rebuilds != counters.rebuilds:
            columns = self._columns = Columns(self.tier, counters.rows)
            self._vectors, self._last_vector, self._vectors_as_of, self._through = None, 0, -1, 0
            for rows in self._pieces(source, ROWS, to_rows, self._rows):
                columns.add(rows)
        else:
            if self.tier == "archival":
                columns.remove(source.deleted_since(self.agent, held.counters.changes))
            for rows in self._rows(source, columns.last, _END):
                columns.add(rows)
        return self._with_vectors(columns.view(counters))

    def _read_vectors(self, source: IndexSource, counters: Counters, sealed: SealedVectors | None) -> None:
        through = sealed.through if sealed else 0
        if through != self._through:
            self._vectors, self._last_vector, self._through = None, through, through
            self._unread = sealed.unread() if sealed else None
        if self._vectors is None and not through:
            coded = sum(source.block_sizes(self.agent, self.tier, self.fingerprint).values())
            if coded > self.small:
                self._vectors = self._read_coded(source, coded + _VECTORS)
                return
        for stored in self._stored(source, self._last_vector, _END):
            owners = self._owners(stored.numbers)
            if isinstance(self._vectors, SignCodes):
                self._vectors.extend(owners, *quantized(stored.halves))
                continue
            if self._vectors is None:
                expected = 0 if through else min(counters.rows, self.small + _VECTORS)
                self._vectors = ExactVectors(stored.halves.shape[1], expected)
            self._vectors.extend(owners, stored.halves)
            if len(self._vectors) > self.small:
                self._vectors = self._vectors.coded(self.small, counters.rows)

    def _read_coded(self, source: IndexSource, expected: int) -> SignCodes | None:
        """All vectors as codes, of which there are more than ``small``."""
        codes: SignCodes | None = None
        waiting: list[CodedVectors] = []
        for part in self._pieces(source, self.fingerprint, to_vectors, self._coded):
            waiting.append(part)
            if codes is None and sum(len(each.numbers) for each in waiting) > self.small:
                first = np.concatenate([each.codes for each in waiting])[: self.small]
                scales = np.concatenate([each.scales for each in waiting])[: self.small]
                codes = SignCodes.centred(first, scales, expected)
            if codes is not None:
                for each in waiting:
                    codes.extend(self._owners(each.numbers), each.codes, each.scales)
                waiting.clear()
        return codes

    def _owners(self, numbers: Numbers) -> Numbers:
        """The row indices of ascending numbers, the last of which is remembered."""
        assert self._columns is not None
        self._last_vector = int(numbers[-1])
        return np.searchsorted(self._columns.number.view, numbers)

    def _pieces(
        self,
        source: IndexSource,
        fingerprint: str,
        decode: Callable[[IndexBlock], T],
        between: Callable[[IndexSource, int, int], Iterator[T]],
    ) -> Iterator[T]:
        """Everything in order of numbers: blocks where there are any, and ``between`` them what has none."""
        block = start = 0
        while blocks := source.blocks_from(self.agent, self.tier, fingerprint, block, _BLOCKS):
            for each in blocks:
                if each.number * self.block_size > start:
                    yield from between(source, start - 1, each.number * self.block_size)
                if each.count:
                    yield decode(each)
                start = (each.number + 1) * self.block_size
            block = blocks[-1].number + 1
        yield from between(source, start - 1, _END)

    def _rows(self, source: IndexSource, after: int, stop: int) -> Iterator[RowColumns]:
        while rows := source.rows_after(self.agent, self.tier, after, _ROWS, stop):
            yield columns_of(rows)
            if len(rows) < _ROWS:
                return
            after = rows[-1][0]

    def _stored(self, source: IndexSource, after: int, stop: int) -> Iterator[StoredVectors]:
        while True:
            stored = source.vectors_after(self.agent, self.tier, self.fingerprint, after, _VECTORS, stop)
            if not len(stored.numbers):
                return
            yield stored
            after = int(stored.numbers[-1])

    def _coded(self, source: IndexSource, after: int, stop: int) -> Iterator[CodedVectors]:
        for stored in self._stored(source, after, stop):
            yield CodedVectors(stored.numbers, *quantized(stored.halves))

    def _with_vectors(self, view: IndexView) -> IndexView:
        vectors = self._vectors
        exact = vectors.view() if isinstance(vectors, ExactVectors) else None
        return replace(view, exact=exact, signs=vectors.view() if isinstance(vectors, SignCodes) else None)
