"""The order of what was found: scores from columns, by pure functions. No store, no text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from pagefault.storage import Found
from pagefault.types import Tier

__all__ = ["NOTHING", "Hit", "Ranking", "Weights", "rank"]

_TIERS: tuple[Tier, ...] = ("recall", "archival")
PARTS = ("lexical", "cosine")


@dataclass(frozen=True, slots=True)
class Weights:
    """The ranker's constants. ``floor``: the cosine from which a row counts as found at all; ``strong``:
    from which a hit counts as evidence even without the query's words."""

    lexical: float = 1.0
    dense: float = 1.0
    floor: float = 0.35
    strong: float = 0.60
    coverage: float = 0.60  # share of the query's terms a strong lexical hit has


@dataclass(frozen=True, slots=True)
class Hit:
    """A found row: its number in its tier, its score and the score's parts."""

    tier: Tier
    number: int
    score: float
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking(Sequence[Hit]):
    """All rows found, best first, as columns; a hit is made when it is looked at. ``tier``: 0 recall,
    1 archival. ``parts``: shape (rows, len(PARTS))."""

    tier: NDArray[np.uint8]
    number: NDArray[np.int64]
    score: NDArray[np.float32]
    parts: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.number)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Ranking: ...
    def __getitem__(self, index: int | slice) -> Hit | Ranking:
        if isinstance(index, slice):
            return self._of(np.arange(*index.indices(len(self))))
        known = zip(PARTS, self.parts[index].tolist(), strict=True)
        parts = {name: round(value, 4) for name, value in known if not np.isnan(value)}
        score = round(float(self.score[index]), 4)
        return Hit(_TIERS[self.tier[index]], int(self.number[index]), score, parts)

    def __iter__(self) -> Iterator[Hit]:
        return (self[index] for index in range(len(self)))

    def merged(self, other: Ranking) -> Ranking:
        """Both together, best first; of equals this one's first."""
        order = np.argsort(-np.concatenate((self.score, other.score)), kind="stable")
        both = Ranking(
            np.concatenate((self.tier, other.tier)),
            np.concatenate((self.number, other.number)),
            np.concatenate((self.score, other.score)),
            np.concatenate((self.parts, other.parts)),
        )
        return both._of(order)

    def _of(self, rows: NDArray[np.intp]) -> Ranking:
        return Ranking(self.tier[rows], self.number[rows], self.score[rows], self.parts[rows])


NOTHING = Ranking(
    np.empty(0, np.uint8),
    np.empty(0, np.int64),
    np.empty(0, np.float32),
    np.empty((0, len(PARTS)), np.float32),
)


def rank(tier: Tier, found: Found, weights: Weights) -> Ranking:
    """Order what matches by the scaled sum of its score parts; of equals the newer first."""
    rows = np.flatnonzero(found.matched & found.may_show)[::-1]
    lexical, cosine = found.lexical[rows], found.cosine[rows]
    dense = np.nan_to_num(np.maximum(cosine, 0.0))
    score = weights.lexical * lexical / (lexical.max(initial=0.0) or 1.0)
    score = score + weights.dense * dense / (dense.max(initial=0.0) or 1.0)
    order = np.argsort(-score, kind="stable")
    number = np.concatenate((found.number[rows[order]], found.more))
    rest = len(found.more)
    return Ranking(
        np.full(len(number), _TIERS.index(tier), np.uint8),
        number,
        np.concatenate((score[order], np.zeros(rest))).astype(np.float32),
        np.concatenate((np.stack((lexical, cosine), axis=1)[order], np.full((rest, 2), np.nan, np.float32))),
    )
