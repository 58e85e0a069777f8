"""Hits and rankings: the rows found, best first, with the reasons for their places. Values only.

Left out: the order of the rows of one storage (``ranking``), and equal rows (``folding``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import overload

import numpy as np
from numpy.typing import NDArray

from pagefault.types import AgentId, Tier

__all__ = ["NOTHING", "PARTS", "TIERS", "Floats", "Hit", "Ranking", "together"]

Floats = NDArray[np.float32]

TIERS: tuple[Tier, ...] = ("recall", "archival")
"""The storages, in the order of ``Ranking.tier``."""

PARTS = ("lexical", "phrase", "dense", "prior", "wish", "date", "session", "bm25", "cosine")
"""The reasons for a hit's place: the share of its score from each part, then its plain BM25 and cosine."""

_LEXICAL = PARTS.index("lexical")


@dataclass(frozen=True, slots=True)
class Hit:
    """A found row: its number in its tier, its session (see ``storage.Found``), its score and its parts.
    ``owner``: the agent or the archive whose row it is."""

    tier: Tier
    number: int
    session: int
    score: float
    parts: Mapping[str, float]
    owner: AgentId

    @property
    def key(self) -> tuple[AgentId, Tier, int]:
        """Identifies the row among those of all owners."""
        return self.owner, self.tier, self.number


@dataclass(frozen=True, slots=True, eq=False)
class Ranking(Sequence[Hit]):
    """All rows found, best first. ``order`` holds indices into the columns, which are never copied: a slice
    is another order of the same columns, and a hit is made when it is looked at.

    ``tier``: 0 recall, 1 archival. ``session``: 0 where it is not known. ``parts``: shape
    (rows, len(PARTS)). ``evidence``: nearness of the first rows to the query; NaN without vectors.
    ``words``: the share of the query's words, by their weight, that the best row by words has. ``owner``:
    whose rows they are, see ``Hit``.
    """

    tier: NDArray[np.uint8]
    number: NDArray[np.int64]
    session: NDArray[np.int64]
    score: NDArray[np.float32]
    parts: NDArray[np.float32]
    order: NDArray[np.intp]
    evidence: float = np.nan
    words: float = 0.0
    owner: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Ranking: ...
    def __getitem__(self, index: int | slice) -> Hit | Ranking:
        if isinstance(index, slice):
            return replace(self, order=self.order[index])
        row = self.order[index]
        known = zip(PARTS, self.parts[row].tolist(), strict=True)
        parts = {name: round(value, 4) for name, value in known if not np.isnan(value)}
        score = round(float(self.score[row]), 4)
        tier = TIERS[int(self.tier[row])]
        return Hit(
            tier, int(self.number[row]), int(self.session[row]), score, parts, AgentId(int(self.owner[row]))
        )

    def __iter__(self) -> Iterator[Hit]:
        return (self[index] for index in range(len(self)))

    @property
    def nbytes(self) -> int:
        columns = (self.tier, self.number, self.session, self.score, self.parts, self.order, self.owner)
        return sum(column.nbytes for column in columns)

    def without(self, places: Sequence[int]) -> Ranking:
        """The ranking without the hits at these places."""
        return replace(self, order=np.delete(self.order, places)) if places else self

    def owned(self, owner: AgentId) -> Ranking:
        """The ranking as one of rows of this agent or archive."""
        return replace(self, owner=np.broadcast_to(np.int64(owner), len(self.number)))

    def merged(self, other: Ranking) -> Ranking:
        """Both together, best first; of equals this one's first. Scores are relative to each one's best rows:
        those of the one with more evidence gain the difference."""
        order = np.concatenate((self.order, other.order + len(self.number)))
        apart = np.float32(np.nan_to_num(self.evidence - other.evidence))
        score = np.concatenate((self.score + max(apart, 0), other.score + max(-apart, 0)))
        return Ranking(
            np.concatenate((self.tier, other.tier)),
            np.concatenate((self.number, other.number)),
            np.concatenate((self.session, other.session)),
            score,
            np.concatenate((self.parts, other.parts)),
            order[np.argsort(-score[order], kind="stable")],
            float(np.fmin(self.evidence, other.evidence)),
            max(self.words, other.words),
            np.concatenate((self.owner, other.owner)),
        )

    def scaled(self, words: float) -> Ranking:
        """The ranking with its lexical parts in units of a best row that has this share of the words."""
        lexical = self.parts[:, _LEXICAL] * np.float32(self.words / words)
        parts, score = self.parts.copy(), self.score - np.nan_to_num(self.parts[:, _LEXICAL] - lexical)
        parts[:, _LEXICAL] = lexical
        score[np.isnan(lexical)] = score[~np.isnan(lexical)].min(initial=0.0)  # they were not judged
        order = self.order[np.argsort(-score[self.order], kind="stable")]
        return replace(self, parts=parts, score=score, order=order)


def together(rankings: Sequence[Ranking], storage: float) -> Ranking:
    """Rankings of one query over the same tier of several owners as one, best first.

    The best row by words has a lexical part of 1 in each, however few of the words it has and however rare
    they are there; here it is 1 for the one with the largest share of the words. A storage without vectors
    beside some that have them is taken to be as near to the query as its words say, ``storage`` for all.
    """
    if len(rankings) == 1:
        return rankings[0]
    rankings = [ranking for ranking in rankings if len(ranking)] or rankings[:1]
    if best := max(ranking.words for ranking in rankings):
        rankings = [ranking.scaled(best) for ranking in rankings]
    if not all(np.isnan(ranking.evidence) for ranking in rankings):
        expected = ((r, storage * r.words if np.isnan(r.evidence) else r.evidence) for r in rankings)
        rankings = [replace(ranking, evidence=evidence) for ranking, evidence in expected]
    return reduce(Ranking.merged, rankings)


NOTHING = Ranking(
    np.empty(0, np.uint8),
    np.empty(0, np.int64),
    np.empty(0, np.int64),
    np.empty(0, np.float32),
    np.empty((0, len(PARTS)), np.float32),
    np.empty(0, np.intp),
)
