"""Scores of retrieval: the ranker beside its baselines on one set, and without each of its parts.

What is measured is the product: each pool is loaded into a store of its own, embedded by the indexer and
searched by the retriever. Leaves out reading the data and showing the scores.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pagefault.bench.retrieval.baselines import bm25, dense, fused
from pagefault.bench.retrieval.corpora import load
from pagefault.bench.retrieval.datasets import Dataset, Pool, Question
from pagefault.bench.retrieval.measures import measure
from pagefault.bench.scoring import Interval, intervals
from pagefault.build import open_store
from pagefault.config import Installation
from pagefault.embedders import Embedder, Scale
from pagefault.embedders.pair import EmbedderPair, members_of
from pagefault.errors import UsageError
from pagefault.kernel.indexer import Indexer
from pagefault.retrieval import Retriever, Weights
from pagefault.retrieval.service import EmbedderService
from pagefault.storage import Filter

__all__ = ["ABLATIONS", "MethodScores", "Scores", "SetScores", "method_of", "score_set"]

Floats = NDArray[np.float32]
Scores = Mapping[str, Interval]
"""Each of ``MEASURES``: its mean over questions and the 95 % bootstrap interval; empty if there are none."""
Progress = Callable[[int], None]

_Ranker = tuple[float, Weights | None]  # the share of documents that have vectors; weights if not the default

_BATCH = 64
_BASELINES = ("dense", "bm25", "rrf")
_WITHOUT = "without "

# The ranker without one of its parts.
ABLATIONS: Mapping[str, Mapping[str, float]] = {
    "lexical": {"lexical": 0},
    "phrases": {"phrase": 0},
    "dense": {"dense": 0},
    "neighbours": {"lexical_near": 0, "cosine_near": 0},
    "who speaks": {"speaker": 0, "subject": 0, "assistant": 0},
    "questions": {"question": 0},
    "length": {"long": 0},
    "wishes": {"wish": 0},
    "dates": {"date": 0},
    "sessions": {"session": 0},
}


@dataclass(frozen=True, slots=True)
class MethodScores:
    """Scores over some questions by method: ``pagefault`` (with the share that has vectors if not all of the
    documents have them), ``dense``, ``bm25``, ``rrf``."""

    queries: int
    methods: Mapping[str, Scores]


@dataclass(frozen=True, slots=True)
class SetScores:
    """Scores over the questions with gold, over those of each category, and of ``pagefault`` without the part
    named. ``without_gold``: questions left out. ``pools``: parts that were searched apart."""

    name: str
    total: MethodScores
    without_gold: int
    pools: int
    categories: Mapping[str, MethodScores]
    without: Mapping[str, Scores]


def method_of(embedded: float) -> str:
    """The name of the ranker's row if this share of the documents has vectors: ``pagefault@50%``."""
    return "pagefault" if embedded == 1 else f"pagefault@{embedded:.0%}"


async def score_set(
    dataset: Dataset,
    embedder: Embedder,
    *,
    ablate: bool = False,
    embedded: Sequence[float] = (1,),
    progress: Progress = lambda _: None,
) -> SetScores:
    """Score all methods on one set. ``embedded``: shares of the documents, the oldest ones, that have vectors
    when it is searched; each is a method. ``progress`` is called with the number of questions answered since.
    """
    rankers: dict[str, _Ranker] = {method_of(share): (share, None) for share in embedded}
    variants = _variants(embedded[0]) if ablate else {}
    measured = _Measured({name: [] for name in (*rankers, *_BASELINES, *variants)})
    remembering = _remembering(embedder)
    for pool in dataset.pools:
        asked = [question for question in pool.questions if question.gold]
        if asked:
            measured.add(asked, await _Rankings(pool, asked, remembering).made(rankers | variants))
        progress(len(pool.questions))
    methods = (*rankers, *_BASELINES)
    return SetScores(
        dataset.name,
        measured.scores(methods),
        sum(len(pool.questions) for pool in dataset.pools) - len(measured.asked),
        len(dataset.pools),
        {category: measured.scores(methods, category) for category in measured.categories()},
        {part.removeprefix(_WITHOUT): scores for part, scores in measured.scores(variants).methods.items()},
    )


def _variants(share: float) -> dict[str, _Ranker]:
    """The ranker without each of its parts."""
    return {_WITHOUT + part: (share, replace(Weights(), **change)) for part, change in ABLATIONS.items()}


@dataclass(slots=True)
class _Measured:
    """The measures of each question asked, by method."""

    by_method: dict[str, list[Mapping[str, float]]]
    asked: list[Question] = field(default_factory=list[Question])

    def add(self, asked: Sequence[Question], rankings: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self.asked += asked
        for method, of_method in rankings.items():
            pairs = zip(of_method, asked, strict=True)
            self.by_method[method] += [measure(ids, question.gold) for ids, question in pairs]

    def categories(self) -> list[str]:
        return sorted({question.category for question in self.asked} - {""})

    def scores(self, methods: Iterable[str], category: str | None = None) -> MethodScores:
        """The scores over the questions of one category, or over all."""
        rows = [n for n, question in enumerate(self.asked) if category in (None, question.category)]
        return MethodScores(
            len(rows), {name: intervals([self.by_method[name][row] for row in rows]) for name in methods}
        )


@dataclass(frozen=True, slots=True)
class _Rankings:
    """All methods on one pool: for each question the ids of documents, best first."""

    pool: Pool
    asked: Sequence[Question]
    embedder: Embedder

    async def made(self, rankers: Mapping[str, _Ranker]) -> dict[str, list[list[str]]]:
        """Rankings by method."""
        found: dict[str, list[list[str]]] = {}
        for share in dict.fromkeys(share for share, _ in rankers.values()):
            of_share = {name: weights for name, (one, weights) in rankers.items() if one == share}
            found |= await self._by_pagefault(share, of_share)
        whole = await self.embedder.embed([document.whole for document in self.pool.documents])
        full = await self.embedder.embed([question.text for question in self.asked])
        by_cosine = [dense(whole, vector) for vector in full]
        by_words = bm25(self.pool.documents, [question.text for question in self.asked])
        both = [fused(*pair) for pair in zip(by_cosine, by_words, strict=True)]
        for method, rows in zip(_BASELINES, (by_cosine, by_words, both), strict=True):
            found[method] = [[self.pool.documents[place].id for place in ranking] for ranking in rows]
        return found

    async def _by_pagefault(
        self, embedded: float, rankers: Mapping[str, Weights | None]
    ) -> dict[str, list[list[str]]]:
        with tempfile.TemporaryDirectory() as home:
            store = open_store(Path(home), Installation())
            service = EmbedderService(store, self.embedder, "", _no_other)
            corpus = await load(store, self.pool.documents, Indexer(store, service).settled, embedded)
            # The questions are asked after the last document.
            retriever = Retriever(store, service.serving, _At(corpus.end + timedelta(hours=12)))
            found: dict[str, list[list[str]]] = {}
            for name, weights in rankers.items():
                chosen = replace(retriever, weights=weights) if weights else retriever
                rankings = [
                    await chosen.search(corpus.agent, corpus.tier, question.text, Filter())
                    for question in self.asked
                ]
                found[name] = [[corpus.ids[hit.number - 1] for hit in ranking] for ranking in rankings]
            await store.close()
        return found


@dataclass(frozen=True, slots=True)
class _At:
    """A clock that stands."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@dataclass(slots=True)
class _Remembering:
    """An embedder that embeds no text twice: methods share their vectors."""

    embedder: Embedder
    known: dict[str, Floats] = field(default_factory=dict[str, Floats])

    @property
    def fingerprint(self) -> str:
        return self.embedder.fingerprint

    @property
    def dimensions(self) -> int | None:
        return self.embedder.dimensions

    @property
    def scale(self) -> Scale | None:
        return self.embedder.scale

    def reads(self, text: str) -> bool:
        return self.embedder.reads(text)

    async def embed(self, texts: Sequence[str]) -> Floats:
        new = sorted(set(texts) - self.known.keys(), key=len)  # texts of like length take least padding
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            self.known.update(zip(batch, await self.embedder.embed(batch), strict=True))
        none = np.empty((0, self.dimensions or 0), np.float32)
        return np.stack([self.known[text] for text in texts]) if texts else none


def _remembering(embedder: Embedder) -> Embedder:
    made = [_Remembering(member) for member in members_of(embedder)]
    return EmbedderPair(*made) if len(made) > 1 else made[0]


def _no_other(name: str) -> Embedder:
    raise UsageError(f"There is no embedder {name!r} here.")
