"""Scores of retrieval: the ranker beside its baselines on one set, and without each of its parts.

What is measured is the product: each pool is loaded into a store, embedded by the indexer and searched by the
retriever. Leaves out reading the data and showing the scores.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from pagefault.bench.retrieval.baselines import bm25, dense, fused
from pagefault.bench.retrieval.corpora import load
from pagefault.bench.retrieval.datasets import Dataset, Pool, Question
from pagefault.bench.retrieval.measures import MEASURES, measure
from pagefault.build import open_store
from pagefault.config import Installation
from pagefault.embedders import Embedder, Scale
from pagefault.errors import UsageError
from pagefault.kernel.indexer import Indexer
from pagefault.retrieval import Retriever, Weights
from pagefault.retrieval.service import EmbedderService
from pagefault.storage import Filter, Store

__all__ = ["ABLATIONS", "Scores", "SetScores", "score_set"]

Floats = NDArray[np.float32]
Scores = dict[str, float]  # each of MEASURES
Progress = Callable[[int], None]

_BATCH = 64
_DEEPEST = 20  # ranks that are measured, but for the first one's

# The ranker without one of its parts.
ABLATIONS: Mapping[str, Mapping[str, float]] = {
    "lexical": {"lexical": 0},
    "dense": {"dense": 0, "dense_cjk": 0},
    "neighbours": {"lexical_near": 0, "cosine_near": 0},
    "who speaks": {"speaker": 0, "subject": 0, "assistant": 0},
    "questions": {"question": 0},
    "length": {"long": 0},
    "dates": {"date": 0},
    "sessions": {"session": 0},
}


@dataclass(frozen=True, slots=True)
class SetScores:
    """Means over the questions with gold by method: ``pagefault``, ``dense``, ``bm25``, ``rrf``; and of
    ``pagefault`` without the part named. ``without_gold``: questions left out."""

    name: str
    queries: int
    without_gold: int
    methods: Mapping[str, Scores]
    without: Mapping[str, Scores]


async def score_set(
    dataset: Dataset, embedder: Embedder, *, ablate: bool = False, progress: Progress = lambda _: None
) -> SetScores:
    """Score all methods on one set. ``progress`` is called with the number of questions answered since."""
    variants = {part: replace(Weights(), **change) for part, change in ABLATIONS.items()} if ablate else {}
    methods = ("pagefault", "dense", "bm25", "rrf")
    measured: dict[str, list[Scores]] = {name: [] for name in (*methods, *variants)}
    remembering = _Remembering(embedder)
    with tempfile.TemporaryDirectory() as home:
        store = open_store(Path(home), Installation())
        for number, pool in enumerate(dataset.pools):
            asked = [question for question in pool.questions if question.gold]
            if asked:
                rankings = _Rankings(store, f"pool{number}", pool, asked, remembering, variants)
                for method, ids, question in await rankings.made():
                    measured[method].append(measure(ids, question.gold))
            progress(len(pool.questions))
        await store.close()
    means = {name: _mean(scores) for name, scores in measured.items()}
    answered = len(measured["pagefault"])
    return SetScores(
        dataset.name,
        answered,
        sum(len(pool.questions) for pool in dataset.pools) - answered,
        {method: means[method] for method in methods},
        {part: means[part] for part in variants},
    )


def _mean(scores: Sequence[Scores]) -> Scores:
    return {name: fmean(score[name] for score in scores) if scores else 0.0 for name in MEASURES}


@dataclass(frozen=True, slots=True)
class _Rankings:
    """All methods on one pool."""

    store: Store
    name: str
    pool: Pool
    asked: Sequence[Question]
    embedder: _Remembering
    variants: Mapping[str, Weights]

    async def made(self) -> list[tuple[str, Sequence[str], Question]]:
        """Method, ids of documents best first, and question."""
        found = await self._by_pagefault()
        whole = await self.embedder.embed([document.whole for document in self.pool.documents])
        full = await self.embedder.embed([question.text for question in self.asked])
        by_words = bm25(self.pool.documents, [question.text for question in self.asked])
        for row, question in enumerate(self.asked):
            by_cosine = dense(whole, full[row])
            baselines = {"dense": by_cosine, "bm25": by_words[row], "rrf": fused(by_cosine, by_words[row])}
            for method, rows in baselines.items():
                found.append((method, [self.pool.documents[place].id for place in rows], question))
        return found

    async def _by_pagefault(self) -> list[tuple[str, Sequence[str], Question]]:
        corpus = await load(self.store, self.name, self.pool.documents)
        service = EmbedderService(self.store, self.embedder, "", _no_other)
        await Indexer(self.store, service).settled()
        # The questions are asked after the last document.
        retriever = Retriever(self.store, service.serving, _At(corpus.end + timedelta(hours=12)))
        found: list[tuple[str, Sequence[str], Question]] = []
        for method, weights in {"pagefault": retriever.weights, **self.variants}.items():
            chosen = replace(retriever, weights=weights)
            for question in self.asked:
                ranking = await chosen.search(corpus.agent, corpus.tier, question.text, Filter())
                found.append((method, [corpus.ids[hit.number - 1] for hit in ranking], question))
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

    async def embed(self, texts: Sequence[str]) -> Floats:
        new = sorted(set(texts) - self.known.keys(), key=len)  # texts of like length take least padding
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            self.known.update(zip(batch, await self.embedder.embed(batch), strict=True))
        return np.stack([self.known[text] for text in texts])


def _no_other(name: str) -> Embedder:
    raise UsageError(f"There is no embedder {name!r} here.")
