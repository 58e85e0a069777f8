"""The last searches of a process, whose further pages may be asked for, of all its agents together.

A ranking of a large archive takes megabytes, and a thousand agents may search the same one. Left out: what is
searched anew once it was forgotten (``Retriever.search``).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from pagefault.retrieval.hits import Ranking
from pagefault.text_caches import holds_texts

__all__ = ["Remembered"]

_LEAST = 4 << 10  # bytes that an empty one counts, with its key


@dataclass(slots=True, weakref_slot=True, eq=False)
class Remembered:
    """Rankings by what was asked for; the oldest go when all together take more than ``limit`` bytes. The
    last one stays whatever its size."""

    limit: int = 64 << 20
    nbytes: int = 0
    _rankings: OrderedDict[object, Ranking] = field(default_factory=OrderedDict[object, Ranking])

    def __post_init__(self) -> None:
        holds_texts(self)

    def forget_texts(self) -> None:
        """Forget all searches: what was asked for is text."""
        self._rankings.clear()
        self.nbytes = 0

    def get(self, key: object) -> Ranking | None:
        """Return the ranking of a search; None if it was never made or is forgotten."""
        return self._rankings.get(key)

    def keep(self, key: object, ranking: Ranking) -> None:
        """Remember the ranking of a search, instead of an earlier one of the same."""
        if (former := self._rankings.pop(key, None)) is not None:
            self.nbytes -= _LEAST + former.nbytes
        self._rankings[key] = ranking
        self.nbytes += _LEAST + ranking.nbytes
        while self.nbytes > self.limit and len(self._rankings) > 1:
            _, oldest = self._rankings.popitem(last=False)
            self.nbytes -= _LEAST + oldest.nbytes
