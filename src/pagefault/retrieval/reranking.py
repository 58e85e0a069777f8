"""The best rows of a ranking in the order of a reranker, within a bound of time.

A reranker that is late, fails or answers nonsense changes nothing: the ranking stays, one warning says so,
and it is left alone for a while. Leaves out the rows behind the best, which keep their order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from time import monotonic

from pagefault.containment import contained
from pagefault.errors import PagefaultError
from pagefault.redaction import logger_of
from pagefault.rerankers import Reranker
from pagefault.retrieval.hits import Hit, Ranking

__all__ = ["Reranking"]

logger = logger_of(__name__)


@dataclass(slots=True)
class Reranking:
    """``best``: rows that are put in order; ``seconds``: for one ranking; ``rest``: seconds after a failure
    in which the reranker is not asked."""

    reranker: Reranker
    best: int = 30
    seconds: float = 3.0
    rest: float = 60.0
    _rests_until: float = 0.0
    _warned: bool = False

    async def reordered(
        self, query: str, ranking: Ranking, texts_of: Callable[[Sequence[Hit]], Awaitable[list[str]]]
    ) -> Ranking:
        """The ranking with its best rows in the reranker's order; of equals the first stays first. The scores
        stay with the places, so that rankings can still be merged."""
        if len(ranking) < 2 or monotonic() < self._rests_until:
            return ranking
        texts = await texts_of(ranking[: self.best])
        try:
            scores = await contained(self.reranker.name, self._scores(query, texts), self.seconds)
        except TimeoutError:
            self._fails(f"no answer within {self.seconds:g} s")
        except PagefaultError as error:
            self._fails(str(error))
        else:
            self._warned = False
            return _in_order(ranking, scores)
        return ranking

    async def _scores(self, query: str, texts: Sequence[str]) -> list[float]:
        scores = [float(score) for score in await self.reranker.scores(query, texts)]
        if len(scores) != len(texts) or not all(map(isfinite, scores)):
            raise ValueError(f"not one finite score for each of {len(texts)} texts")
        return scores

    def _fails(self, why: str) -> None:
        self._rests_until = monotonic() + self.rest
        if not self._warned:
            logger.warning("search goes on without the reranker %s: %s", self.reranker.name, why)
        self._warned = True


def _in_order(ranking: Ranking, scores: Sequence[float]) -> Ranking:
    import numpy as np

    best = ranking.order[: len(scores)]
    order, score = ranking.order.copy(), ranking.score.copy()
    order[: len(scores)] = best[np.argsort(-np.array(scores), kind="stable")]
    score[order[: len(scores)]] = ranking.score[best]
    return replace(ranking, order=order, score=score)
