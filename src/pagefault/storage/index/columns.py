"""The columns of one agent's recall or archival storage, in memory, and a view of them as of one state.

Leaves out reading them from the database (``tier_index``) and what matches (``search``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pagefault.storage import SESSION_GAP
from pagefault.storage.index import Counters, Numbers, RowColumns, RowFacts, SealedVectors
from pagefault.storage.index.arrays import AppendArray
from pagefault.storage.index.codes import Signs
from pagefault.types import SEARCHED_BY_DEFAULT, Role, Tier

__all__ = ["ROLES", "Columns", "IndexView", "columns_of"]

S = TypeVar("S", bound=np.generic)

ROLES = {"": 0, **{str(role): code for code, role in enumerate(Role, 1)}}
_DEFAULT = np.array([ROLES[""], *(ROLES[role] for role in SEARCHED_BY_DEFAULT)], np.uint8)
_GAP = SESSION_GAP // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, eq=False)
class IndexView:
    """The columns as of one state (see ``storage.Found``), and the vectors: exact, signs only, or none; those
    of ``sealed`` are in the database, but for the rows ``unread``, which have none.

    ``default``: whether the row is searched by default and is not deleted; ``searched``: the row index of
    each position.
    """

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
    default: NDArray[np.bool_]
    searched: Numbers
    speakers: tuple[str, ...]
    exact: Callable[[NDArray[np.float32]], tuple[Numbers, NDArray[np.float32]]] | None
    signs: Signs | None
    sealed: SealedVectors | None = None
    unread: Numbers | None = None


def columns_of(rows: Sequence[RowFacts]) -> RowColumns:
    """Rows as columns; there must be one at least."""
    number, at, role, speaker, document, units, question = zip(*rows, strict=True)
    known = {name: code for code, name in enumerate(dict.fromkeys(speaker))}
    return RowColumns(
        np.array(number, np.int64),
        np.array(at, np.int64),
        np.fromiter(map(ROLES.__getitem__, role), np.uint8, len(rows)),
        np.fromiter(map(known.__getitem__, speaker), np.int32, len(rows)),
        np.array(document, np.int64),
        np.array(units, np.int32),
        np.array(question, np.bool_),
        tuple(known),
    )


class Columns:
    """The columns of ``tier``, appended to. ``expected``: how many rows to make room for."""

    def __init__(self, tier: Tier, expected: int = 0) -> None:
        def array(kind: type[S]) -> AppendArray[S]:
            return AppendArray(kind, capacity=expected)

        self._tier = tier
        self.number = array(np.int64)
        self._position = array(np.int64)
        self._session = array(np.int64)
        self._at = array(np.int64)
        self._role = array(np.uint8)
        self._speaker = array(np.int32)
        self._own = array(np.bool_)
        self._units = array(np.int32)
        self._question = array(np.bool_)
        self._alive = array(np.bool_)
        self._default = array(np.bool_)
        self._searched = array(np.int64)
        self._speakers: dict[str, int] = {}

    @property
    def last(self) -> int:
        """The largest number, 0 without rows."""
        return int(self.number.view[-1]) if len(self.number) else 0

    def add(self, rows: RowColumns) -> None:
        """Append rows with larger numbers than those there are."""
        count = len(rows.number)
        default = np.isin(rows.role, _DEFAULT)
        first, row = len(self._searched), len(self.number)
        speakers = [self._speakers.setdefault(name, len(self._speakers)) for name in rows.speakers]
        recall = self._tier == "recall"
        self._session.extend(self._sessions(rows.at, default) if recall else rows.document)
        self._position.extend(np.where(default, first - 1 + np.cumsum(default), -1))
        self._searched.extend(row + np.flatnonzero(default))
        self.number.extend(rows.number)
        self._at.extend(rows.at)
        self._role.extend(rows.role)
        self._speaker.extend(np.array(speakers, np.int32)[rows.speaker])
        self._own.extend(rows.role == ROLES[Role.ASSISTANT])
        self._units.extend(rows.units)
        self._question.extend(rows.question)
        self._alive.extend(np.ones(count, np.bool_))
        self._default.extend(default)

    def remove(self, numbers: Sequence[int]) -> None:
        """Mark rows as deleted; those that are not held have left before."""
        held, asked = self.number.view, np.array(sorted(numbers), np.int64)
        gone = np.searchsorted(held, asked)
        there = gone < len(held)
        there[there] = held[gone[there]] == asked[there]
        if len(gone := gone[there]):
            self._alive.put(gone, False)
            self._default.put(gone, False)

    def view(self, counters: Counters) -> IndexView:
        """The columns as they are now, without vectors."""
        return IndexView(
            counters, self.number.view, self._position.view, self._session.view, self._at.view,
            self._role.view, self._speaker.view, self._own.view, self._units.view, self._question.view,
            self._alive.view, self._default.view, self._searched.view, tuple(self._speakers), None, None,
        )  # fmt: skip

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self._arrays())

    def _arrays(self) -> tuple[AppendArray[Any], ...]:
        return (
            self.number, self._position, self._session, self._at, self._role, self._speaker, self._own,
            self._units, self._question, self._alive, self._default, self._searched,
        )  # fmt: skip

    def _sessions(self, at: Numbers, default: NDArray[np.bool_]) -> Numbers:
        """The session of each new recall row; the rows not searched by default begin none."""
        before = int(self._at.view[self._searched.view[-1]]) if len(self._searched) else -_GAP * 2
        begins = np.zeros(len(at), np.int64)
        begins[default] = np.abs(np.diff(at[default], prepend=before)) > _GAP
        session = int(self._session.view[-1]) if len(self._session) else 0
        return session + np.cumsum(begins)
