"""The values of a search: what to look for, which rows may be found, and the rows that a store finds.

Leaves out their order: ``pagefault.retrieval`` ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pagefault.types import SEARCHED_BY_DEFAULT, Role

if TYPE_CHECKING:  # numpy takes longer to import than all of this package
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BEST_WINDOW", "LONGEST_NAME", "SESSION_GAP", "Filter", "Found", "Match", "OtherVector"]


@dataclass(frozen=True, slots=True, eq=False)
class OtherVector:
    """The query's unit vector by another embedder; a cosine with it counts as ``gain * cosine + offset``."""

    fingerprint: str
    vector: NDArray[np.float32]
    gain: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """The words and the vector to look for. An empty match finds every row that passes the filter
    (browsing by time).

    ``terms``: lexical units as ``storage.terms.terms`` makes them; a row matches if it has any of them.
    ``exact``: sequences of such units (quoted text, codes); a row must contain each, in order and
    adjacent, and then it is found, whether or not it matches otherwise. ``vector``: unit vector, shape
    (dimensions,); a row matches if its cosine is at least ``floor``. ``elsewhere``: compared with rows that
    have no vector to compare with ``vector``.
    """

    terms: tuple[str, ...] = ()
    exact: tuple[tuple[str, ...], ...] = ()
    vector: NDArray[np.float32] | None = None
    floor: float = 0.35
    elsewhere: OtherVector | None = None

    @property
    def is_empty(self) -> bool:
        return not any(self.exact) and not self.terms and self.vector is None


@dataclass(frozen=True, slots=True)
class Filter:
    """The rows that may be found; applied before any limit. ``since`` is inclusive, ``until`` exclusive.

    ``roles`` applies to recall, ``tags`` (all must be present) to archival. ``before`` keeps rows whose
    number is smaller. ``session`` keeps the rows of one session: in recall as numbered in ``Found``, in
    archival a document's number. ``speaker`` keeps those rows of recall that have this one.
    """

    roles: tuple[Role, ...] = SEARCHED_BY_DEFAULT
    tags: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    session: int | None = None
    speaker: str | None = None


LONGEST_NAME = 100
"""Characters of a speaker's name; a longer one is kept with its row, but nobody can be asked about by it."""

SESSION_GAP = timedelta(hours=6)
"""A message so long after the one before it (or before it: logs may be brought together) begins a session."""


BEST_WINDOW = 0.4
"""The cosine of a text that was embedded in several windows: this share of the best window's, the rest of the
mean of all. The best alone finds too much in long texts (measured: docs/retrieval.md)."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The rows that a search gives the ranker, as columns, arrays of one length, ascending by number.

    They are the rows that match, and others as their context: the ranker judges a row by its neighbours
    and its session too. Of a small storage, and for an empty match, all rows are here; else the best matches
    by words and by vector with their neighbours, and ``more`` has the numbers of the other matches in order.

    ``position``: ordinal among the rows searched by default, -1 for others; two rows are neighbours if their
    positions differ by one. ``session``: in recall numbered from 1 (see ``SESSION_GAP``), in archival the
    document's number, 0 for none. ``at``: microseconds since 1970, UTC. ``speaker``: index into ``speakers``.
    ``own``: whether the agent said it. ``units``: lexical units of the row. ``question``: whether it ends in
    a question mark. ``lexical``: BM25 over the match's units, 0.0 without any. ``cosine``: NaN without a
    vector; see ``BEST_WINDOW``. ``matched``: whether the row matches by itself. ``may_show``: whether it
    passes the filter and has all exact text. ``whole``: the BM25 of a row of mean length that has each unit
    of the match once.
    """

    number: NDArray[np.int64]
    position: NDArray[np.int64]
    session: NDArray[np.int64]
    at: NDArray[np.int64]
    speaker: NDArray[np.int32]
    own: NDArray[np.bool_]
    units: NDArray[np.int32]
    question: NDArray[np.bool_]
    lexical: NDArray[np.float32]
    cosine: NDArray[np.float32]
    matched: NDArray[np.bool_]
    may_show: NDArray[np.bool_]
    speakers: tuple[str, ...]
    more: NDArray[np.int64]
    whole: float
