"""Searching one agent's storage from memory: what every SQL back end shares.

The database is the only truth. Of an agent that is searched, its rows' columns and vectors are held in
memory (``columns``, ``codes``, ``tier_index``), kept up by change counters and bounded in bytes (``cache``);
the words stay in the database and come as postings (``lexical``), those of sealed segments from blocks
(``words``). A back end's transaction is an
``IndexSource``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pagefault.types import AgentId, Tier

__all__ = [
    "NO_AGENT",
    "Counters",
    "IndexBlock",
    "IndexSource",
    "Numbers",
    "Postings",
    "RowColumns",
    "RowFacts",
    "SealedScores",
    "SealedVectors",
    "StoredVectors",
]

Numbers: TypeAlias = NDArray[np.int64]

RowFacts: TypeAlias = "tuple[int, int, str, str, int, int, bool]"
"""Number, time in microseconds, role (archival: empty), speaker, document (recall and none: 0), lexical
units, whether the text ends in a question mark."""


NO_AGENT = -1
"""The ``changes`` where a transaction sees no agent of that number."""


@dataclass(frozen=True, slots=True)
class Counters:
    """``changes`` grows with every change of the tier, ``rebuilds`` with those after which reading what is
    new does not suffice; ``rows`` and ``units`` are the indexed rows and their lexical units; ``last`` is the
    last number given out. ``segments``: how many segments were ever planned, of all indexes."""

    changes: int
    rebuilds: int
    rows: int
    units: int
    last: int
    segments: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """The rows that a unit occurs in, ascending by number, and how often it is in each."""

    numbers: Numbers
    counts: Numbers


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """Vectors in order of (number, part): ``numbers`` of shape (n,), ``halves`` (n, dimensions), 16-bit."""

    numbers: Numbers
    halves: NDArray[np.float16]


@dataclass(frozen=True, slots=True, eq=False)
class RowColumns:
    """Rows as arrays of one length, ascending by ``number``. ``role``: a code of ``columns.ROLES``;
    ``speaker``: an index into ``speakers``."""

    number: Numbers
    at: Numbers
    role: NDArray[np.uint8]
    speaker: NDArray[np.int32]
    document: Numbers
    units: NDArray[np.int32]
    question: NDArray[np.bool_]
    speakers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IndexBlock:
    """A block (``blocks``) by its number: ``count`` rows or vectors in ``data``, and their names."""

    number: int
    count: int
    names: str
    data: bytes


@dataclass(frozen=True, slots=True)
class SealedScores:
    """Vectors' cosines with a query, in order of (number, part), both of shape (n,)."""

    numbers: Numbers
    cosines: NDArray[np.float32]


class SealedVectors(Protocol):
    """The vectors of one embedder in sealed segments, as of a transaction."""

    @property
    def through(self) -> int:
        """The last sealed number."""
        ...

    @property
    def sizes(self) -> Sequence[int]:
        """The rows of each segment."""
        ...

    def unread(self) -> Numbers:
        """The rows up to ``through`` that the embedder does not read, ascending."""
        ...

    def nearest(
        self, query: NDArray[np.float32], limits: Sequence[int], effort: int
    ) -> Sequence[SealedScores]:
        """Of each segment all vectors of the rows of about so many nearest vectors, by its index; ``effort``:
        how many the index compares at least. Of a limit of 0, none."""
        ...

    def scores(self, query: NDArray[np.float32], numbers: Numbers | None) -> Sequence[SealedScores]:
        """Of each segment all vectors of these rows, ascending, or of all rows."""
        ...


class IndexSource(Protocol):
    """The reads of a transaction for the index. ``vectors_*`` give complete rows: all parts of a number."""

    def counters(self, agent: AgentId, tier: Tier) -> Counters: ...

    def block_sizes(self, agent: AgentId, tier: Tier, fingerprint: str) -> Mapping[int, int]:
        """The count of each block."""
        ...

    def blocks_from(
        self, agent: AgentId, tier: Tier, fingerprint: str, block: int, limit: int
    ) -> Sequence[IndexBlock]:
        """The first ``limit`` blocks from this one on, ascending."""
        ...

    def rows_after(
        self, agent: AgentId, tier: Tier, number: int, limit: int, stop: int
    ) -> Sequence[RowFacts]:
        """The first ``limit`` rows with a larger number below ``stop``, ascending."""
        ...

    def vectors_after(
        self, agent: AgentId, tier: Tier, fingerprint: str, number: int, limit: int, stop: int
    ) -> StoredVectors:
        """The vectors of the first rows with a larger number below ``stop``, about ``limit`` vectors."""
        ...

    def vectors_of(
        self, agent: AgentId, tier: Tier, fingerprint: str, numbers: Sequence[int]
    ) -> StoredVectors: ...

    def sealed(self, agent: AgentId, tier: Tier, fingerprint: str) -> SealedVectors | None:
        """The vectors in sealed segments, None if there are none. The other reads of vectors are of those
        behind them."""
        ...

    def deleted_since(self, agent: AgentId, change: int) -> Sequence[int]:
        """Passages deleted after ``archival_changes`` was ``change``."""
        ...

    def postings(self, agent: AgentId, tier: Tier, units: Iterable[str]) -> Mapping[str, Postings]:
        """The rows each unit occurs in; units that are in none are left out."""
        ...

    def containing(
        self, agent: AgentId, tier: Tier, phrases: Sequence[Sequence[str]], rows: Numbers
    ) -> Numbers:
        """The rows that contain every phrase: its units in order and adjacent. ``rows``: those with all the
        units."""
        ...

    def texts(self, agent: AgentId, tier: Tier, numbers: Sequence[int]) -> dict[int, str]:
        """The texts of these rows, titles before them."""
        ...

    def tagged(self, agent: AgentId, tags: Sequence[str]) -> Numbers:
        """The passages that have all the tags."""
        ...
