"""The columns and vectors of one agent's recall or archival storage, in memory.

``refreshed`` brings them up to the transaction's state by reading what is new, and gives a ``View`` that
later refreshes leave as it is. Leaves out what matches (``search``) and how many tiers are held (``cache``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from pagefault.storage import SESSION_GAP
from pagefault.storage.index import Counters, Numbers, RowFacts, Source
from pagefault.storage.index.growing import Growing
from pagefault.storage.index.vectors import ExactVectors, SignCodes, Signs
from pagefault.types import SEARCHED_BY_DEFAULT, AgentId, Role, Tier

__all__ = ["ROLES", "TierIndex", "View"]

ROLES = {"": 0, **{str(role): code for code, role in enumerate(Role, 1)}}
_DEFAULT = np.array([ROLES[""], *(ROLES[role] for role in SEARCHED_BY_DEFAULT)], np.uint8)
_GAP = SESSION_GAP // timedelta(microseconds=1)
_BATCH = 50_000  # rows read at a time
_VECTORS = 8_192  # vectors read at a time


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The columns as of one state (see ``storage.Found``), and the vectors: exact, signs only, or none.
    ``searched``: the row index of each position."""

    counters: Counters
    number: Numbers
    position: Numbers
    session: Numbers
    at: Numbers
    role: NDArray[np.uint8]
    speaker: NDArray[np.int32]
    own: NDArray[np.bool_]
    units: NDArray[np.int32]
    question: NDArray[np.bool_]
    alive: NDArray[np.bool_]
    searched: Numbers
    speakers: tuple[str, ...]
    exact: Callable[[NDArray[np.float32]], tuple[Numbers, NDArray[np.float32]]] | None
    signs: Signs | None


@dataclass(slots=True)
class _Columns:
    number: Growing[np.int64] = field(default_factory=lambda: Growing[np.int64](np.int64))
    position: Growing[np.int64] = field(default_factory=lambda: Growing[np.int64](np.int64))
    session: Growing[np.int64] = field(default_factory=lambda: Growing[np.int64](np.int64))
    at: Growing[np.int64] = field(default_factory=lambda: Growing[np.int64](np.int64))
    role: Growing[np.uint8] = field(default_factory=lambda: Growing[np.uint8](np.uint8))
    speaker: Growing[np.int32] = field(default_factory=lambda: Growing[np.int32](np.int32))
    units: Growing[np.int32] = field(default_factory=lambda: Growing[np.int32](np.int32))
    question: Growing[np.bool_] = field(default_factory=lambda: Growing[np.bool_](np.bool_))
    alive: Growing[np.bool_] = field(default_factory=lambda: Growing[np.bool_](np.bool_))
    searched: Growing[np.int64] = field(default_factory=lambda: Growing[np.int64](np.int64))
    speakers: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def nbytes(self) -> int:
        return len(self.number) * (4 * 8 + 2 * 4 + 3) + self.searched.nbytes


@dataclass(slots=True)
class TierIndex:
    """Keyed by agent, tier and the embedder's fingerprint; several threads may ask at once. ``small``: the
    most vectors that are held exactly."""

    agent: AgentId
    tier: Tier
    fingerprint: str
    small: int
    _lock: Lock = field(default_factory=Lock)
    _columns: _Columns = field(default_factory=_Columns)
    _vectors: ExactVectors | SignCodes | None = None
    _last_vector: int = 0
    _view: View | None = None

    def refreshed(self, source: Source) -> View:
        """The view as of the source's transaction, or a newer one."""
        counters = source.counters(self.agent, self.tier)
        with self._lock:
            held = self._view
            if held is not None and held.counters.changes >= counters.changes:
                return held
            if held is None or held.counters.rebuilds != counters.rebuilds:
                self._columns, self._vectors, self._last_vector = _Columns(), None, 0
            elif self.tier == "archival":
                self._bury(source.deleted_since(self.agent, held.counters.changes))
            self._read_rows(source)
            self._read_vectors(source)
            self._view = self._make_view(counters)
            return self._view

    @property
    def nbytes(self) -> int:
        return self._columns.nbytes + (self._vectors.nbytes if self._vectors is not None else 0)

    def _bury(self, numbers: Sequence[int]) -> None:
        held = self._columns.number.view
        gone = np.searchsorted(held, np.array(sorted(numbers), np.int64))
        if len(gone := gone[gone < len(held)]):
            self._columns.alive.put(gone, False)

    def _read_rows(self, source: Source) -> None:
        numbers = self._columns.number
        while True:
            last = int(numbers.view[-1]) if len(numbers) else 0
            rows = source.rows_after(self.agent, self.tier, last, _BATCH)
            if rows:
                self._add_rows(rows)
            if len(rows) < _BATCH:
                return

    def _add_rows(self, rows: Sequence[RowFacts]) -> None:
        held = self._columns
        number, at, role, speaker, document, units, question = zip(*rows, strict=True)
        roles = np.fromiter((ROLES[name] for name in role), np.uint8, len(rows))
        times = np.array(at, np.int64)
        default = np.isin(roles, _DEFAULT)
        first, row = len(held.searched), len(held.number)
        session = self._sessions(times, default) if self.tier == "recall" else np.array(document, np.int64)
        position = np.where(default, first - 1 + np.cumsum(default), -1)
        held.searched.extend(row + np.flatnonzero(default))
        held.position.extend(position)
        held.session.extend(session)
        held.number.extend(number)
        held.at.extend(times)
        held.role.extend(roles)
        held.speaker.extend([held.speakers.setdefault(name, len(held.speakers)) for name in speaker])
        held.units.extend(units)
        held.question.extend(question)
        held.alive.extend(np.ones(len(rows), np.bool_))

    def _sessions(self, at: Numbers, default: NDArray[np.bool_]) -> Numbers:
        """The session of each new recall row; the rows not searched by default begin none."""
        held = self._columns
        before = int(held.at.view[held.searched.view[-1]]) if len(held.searched) else -_GAP * 2
        times = at[default]
        begins = np.zeros(len(at), np.int64)
        begins[default] = np.abs(np.diff(times, prepend=before)) > _GAP
        session = int(held.session.view[-1]) if len(held.session) else 0
        return session + np.cumsum(begins)

    def _read_vectors(self, source: Source) -> None:
        while True:
            stored = source.vectors_after(
                self.agent, self.tier, self.fingerprint, self._last_vector, _VECTORS
            )
            if not len(stored.numbers):
                return
            self._last_vector = int(stored.numbers[-1])
            owners = np.searchsorted(self._columns.number.view, stored.numbers)
            if self._vectors is None:
                self._vectors = ExactVectors(stored.halves.shape[1])
            self._vectors.extend(owners, stored.halves)
            if isinstance(self._vectors, ExactVectors) and len(self._vectors) > self.small:
                self._vectors = self._vectors.coded()

    def _make_view(self, counters: Counters) -> View:
        held, vectors = self._columns, self._vectors
        return View(
            counters, held.number.view, held.position.view, held.session.view, held.at.view, held.role.view,
            held.speaker.view, held.role.view == ROLES[Role.ASSISTANT], held.units.view, held.question.view,
            held.alive.view, held.searched.view, tuple(held.speakers),
            vectors.view() if isinstance(vectors, ExactVectors) else None,
            vectors.view() if isinstance(vectors, SignCodes) else None,
        )  # fmt: skip
