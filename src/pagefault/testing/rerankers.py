"""For rerankers: turns of a ``ProviderServer`` that scores texts, a fake without a model, the test suite.

    with ProviderServer(Reranks([refuse(429, "slow down")])) as server:
        RemoteReranker(f"{server.url}#m", {})

The first requests get the faults, in order; the rest are answered with the share of the query's words that a
text has. The suite has the form of pytest classes but imports no pytest. Left out: meaning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import isfinite

from pagefault.rerankers import Reranker
from pagefault.storage.terms import terms
from pagefault.testing.embedders import TEXTS
from pagefault.testing.providers import Body, ProviderRequest, RawReply, Refused, refuse

__all__ = ["RerankerConformance", "Reranks", "WordReranker", "shared_words"]


def shared_words(query: str, text: str) -> float:
    """Return the share of the query's words that the text has."""
    wanted = set(terms(query))
    return len(wanted & set(terms(text))) / len(wanted) if wanted else 0.0


class WordReranker:
    """Scores by ``shared_words``; ``asked`` are the queries, with their texts."""

    name = "words"

    def __init__(self) -> None:
        self.asked: list[tuple[str, Sequence[str]]] = []

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        self.asked.append((query, list(texts)))
        return [shared_words(query, text) for text in texts]


@dataclass(slots=True)
class Reranks:
    """The turns of a ``ProviderServer``; a fault that is a function changes the answer's body."""

    faults: Sequence[RawReply | Refused | Callable[[Body], Body]] = ()
    _numbers: Iterator[int] = field(default_factory=count, init=False)

    def __call__(self, request: ProviderRequest) -> RawReply | Refused:
        number = next(self._numbers)
        fault = self.faults[number] if number < len(self.faults) else None
        if isinstance(fault, RawReply | Refused):
            return fault
        body = request.body
        texts: list[str] = body["documents"]
        if not all(text.strip() for text in [body["query"], *texts]):
            return refuse(422, "query and documents cannot be empty")
        scored = [(shared_words(body["query"], text), place) for place, text in enumerate(texts)]
        results = [
            {"index": place, "relevance_score": score} for score, place in sorted(scored, reverse=True)
        ][: body["top_n"]]
        answer: Body = {"model": body["model"], "results": results, "usage": {"total_tokens": 1}}
        return RawReply(body=fault(answer) if fault else answer)


class RerankerConformance:
    """Subclass it as ``class TestMine(RerankerConformance)`` and override ``reranker``."""

    def reranker(self) -> Reranker:
        """Return the reranker under test."""
        raise NotImplementedError("return your reranker from reranker()")

    def scores(self, query: str, *texts: str) -> Sequence[float]:
        """Call ``scores`` once, in an event loop of its own."""
        return asyncio.run(self._scores(query, texts))

    async def _scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        return await self.reranker().scores(query, texts)

    def test_it_has_a_name(self) -> None:
        assert self.reranker().name

    def test_there_is_one_finite_score_a_text(self) -> None:
        for query in TEXTS:
            scores = self.scores(query, *TEXTS)
            assert len(scores) == len(TEXTS)
            assert all(map(isfinite, scores))

    def test_no_texts_have_no_scores(self) -> None:
        assert list(self.scores("a query")) == []

    def test_the_text_that_answers_has_the_best_score(self) -> None:
        texts = ("The train was late.", "My sister Clara is allergic to peanuts.", "We planted tomatoes.")
        scores = self.scores("Is my sister allergic to peanuts?", *texts)
        assert max(range(3), key=scores.__getitem__) == 1

    def test_scores_are_in_the_order_of_the_texts(self) -> None:
        texts = ("peanuts", "tomatoes", "my peanuts and trains")
        there, back = self.scores("my peanuts", *texts), self.scores("my peanuts", *reversed(texts))
        assert [round(score, 4) for score in there] == [round(score, 4) for score in reversed(back)]
