"""The rows of ``archive_scale``: texts and vectors by number, always the same for the same files.

A vector is one of a NumPy array of real embeddings, as long as there are any, then a mixture of two of them;
without a file of an array of random directions. A text is a piece of a real one, or words with natural
frequencies. Also the questions, and the exact answers to them by cosine and by BM25. Left out: storing rows
(``archive_load``), searching them (``archive_aims``).
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import islice
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pagefault.embedders.minilm import MiniLM
from pagefault.retrieval.query import understand
from pagefault.storage.terms import terms

DIMENSIONS = 384
CHUNK = 1000
"""Rows that are made together; the same in every run."""
PERCENT, PERMILLE = "percent", "permille"
"""Tags of every hundredth and of every thousandth row."""

_SEED = 7
_TOPICS = 400  # random directions, where no file of embeddings is given
_NOISE = 0.02
_WORDS = 60_000
_K1, _B = 1.2, 0.75
_PART = 50_000  # rows compared at once

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]


def unit(vectors: NDArray[Any]) -> Floats:
    """Return the vectors with length 1."""
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def random(*of: int) -> np.random.Generator:
    """A generator of its own for what these numbers name."""
    return np.random.default_rng((_SEED, *of))


class Rows:
    """``size`` rows, numbered from 1 as the archive numbers them."""

    def __init__(self, size: int, vectors: Path | None, texts: Path | None, words: int) -> None:
        self.size = size
        self._words = words
        self._pool = (
            unit(random(0).standard_normal((_TOPICS, DIMENSIONS), np.float32))
            if vectors is None
            else np.load(vectors, mmap_mode="r")
        )
        self._real = 0 if vectors is None else len(self._pool)
        self._texts = [] if texts is None else list(islice(_pieces(texts, words), size))

    def part(self, size: int) -> Rows:
        """The first of these rows."""
        first = copy(self)
        first.size = size
        return first

    def vectors(self, first: int, last: int) -> Floats:
        """The unit vectors of these rows, as exactly as a database keeps them."""
        chunks = range((first - 1) // CHUNK, (last - 1) // CHUNK + 1)
        made = np.concatenate([self._chunk(chunk) for chunk in chunks])
        start = first - 1 - chunks[0] * CHUNK
        return made[start : start + last - first + 1].astype(np.float16).astype(np.float32)

    def _chunk(self, chunk: int) -> Floats:
        draws = random(1, chunk)
        one, other = draws.integers(0, len(self._pool), (2, CHUNK))
        share = draws.uniform(0.5, 0.9, (CHUNK, 1)).astype(np.float32)
        mixed = share * self._of_pool(one) + (1 - share) * self._of_pool(other)
        made = unit(mixed + draws.standard_normal(mixed.shape, np.float32) * _NOISE)
        real = np.arange(chunk * CHUNK, min((chunk + 1) * CHUNK, self._real))
        made[: len(real)] = self._of_pool(real)
        return made

    def _of_pool(self, places: Numbers) -> Floats:
        return np.asarray(self._pool[places], np.float32)

    def texts(self, first: int, last: int) -> list[str]:
        if self._texts:
            return [self._texts[row % len(self._texts)] for row in range(first - 1, last)]
        return [_sentence(row, self._words) for row in range(first, last + 1)]

    def tags(self, number: int) -> tuple[str, ...]:
        found = (tag for tag, every in ((PERCENT, 100), (PERMILLE, 1000)) if number % every == 0)
        return tuple(found)


def _pieces(file: Path, words: int) -> Iterator[str]:
    """Texts of so many words, cut from those of JSON Lines (``text``); a short rest is left out."""
    with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open() as lines:
        for line in lines:
            found: list[str] = json.loads(line)["text"].split()
            for start in range(0, len(found) - words // 2, words):
                yield " ".join(found[start : start + words])


_weights = 1 / np.arange(10, _WORDS + 10) ** 1.05
_sums = np.cumsum(_weights / _weights.sum())


def _sentence(row: int, words: int) -> str:
    drawn = np.searchsorted(_sums, random(2, row).random(words)).tolist()
    return " ".join(_word(number) for number in drawn)


def _word(number: int) -> str:
    """A word of letters, the same for the same number."""
    letters = "aeioubdfgklmnprstvz"
    made = "q"
    while number:
        number, rest = divmod(number, len(letters))
        made += letters[rest]
    return made + "x"


@dataclass(frozen=True, slots=True)
class Questions:
    """Texts with their vectors."""

    texts: Sequence[str]
    vectors: Floats

    @property
    def by_text(self) -> dict[str, Floats]:
        return dict(zip(self.texts, self.vectors, strict=True))


def asked(file: Path, most: int) -> Questions:
    """The questions of a file, a line each, with the vectors of the shipped embedder."""
    lines = [line for line in file.read_text("utf-8").splitlines() if line.strip()][:most]
    return Questions(lines, asyncio.run(MiniLM().embed(lines)))


def drawn(rows: Rows, most: int, *, foreign: bool) -> Questions:
    """Questions where there is no file of them: some words of a row and a vector near its own; ``foreign``: a
    vector of its own."""
    draws = random(3, foreign)
    texts: list[str] = []
    vectors: list[Floats] = []
    for number in draws.integers(1, rows.size, most, endpoint=True).tolist():
        words = rows.texts(number, number)[0].split()
        texts.append(" ".join(draws.choice(words, min(len(words), 5), replace=False)))
        noise = draws.standard_normal(DIMENSIONS, np.float32)
        near = rows.vectors(number, number)[0] + _NOISE * noise
        vectors.append(unit(noise if foreign else near))
    return Questions(texts, np.stack(vectors))


def nearest(rows: Rows, queries: Floats, most: int, gone: Numbers | None = None) -> Numbers:
    """The numbers of the rows with the highest cosines, best first, without those that are gone."""
    best = np.full((len(queries), most), -2.0, np.float32)
    numbers = np.zeros((len(queries), most), np.int64)
    for first in range(1, rows.size + 1, _PART):
        last = min(first + _PART - 1, rows.size)
        cosines = queries @ rows.vectors(first, last).T
        if gone is not None:
            cosines[:, gone[(gone >= first) & (gone <= last)] - first] = -2.0
        every = np.concatenate((best, cosines), axis=1)
        named = np.concatenate((numbers, np.tile(np.arange(first, last + 1), (len(queries), 1))), axis=1)
        order = np.argsort(-every, axis=1, kind="stable")[:, :most]
        best, numbers = np.take_along_axis(every, order, 1), np.take_along_axis(named, order, 1)
    return numbers


def units_of(question: str) -> tuple[str, ...]:
    """The lexical units that the product looks up for a question."""
    return understand(question).terms


def exact_bm25(rows: Rows, questions: Sequence[str]) -> list[Floats]:
    """The BM25 of every row for each question, all its units counted (Robertson and Zaragoza 2009)."""
    wanted = {found for question in questions for found in units_of(question)}
    lengths = np.zeros(rows.size, np.int32)
    places: dict[str, list[int]] = {found: [] for found in wanted}
    counts: dict[str, list[int]] = {found: [] for found in wanted}
    for first in range(1, rows.size + 1, CHUNK):
        for row, text in enumerate(rows.texts(first, min(first + CHUNK - 1, rows.size)), first - 1):
            made = terms(text)
            lengths[row] = len(made)
            for found, count in Counter(found for found in made if found in wanted).items():
                places[found].append(row)
                counts[found].append(count)
    weighed = {found: _scores(rows.size, lengths, places[found], counts[found]) for found in wanted}
    return [_summed(rows.size, [weighed[found] for found in units_of(question)]) for question in questions]


def _scores(
    size: int, lengths: NDArray[np.int32], rows: list[int], counts: list[int]
) -> tuple[Numbers, Floats]:
    """The rows that have a unit, and its part of their scores."""
    index, count = np.array(rows, np.int64), np.array(counts, np.float64)
    weight = log(1 + (size - len(index) + 0.5) / (len(index) + 0.5))
    length = _K1 * (1 - _B + _B * lengths[index] / lengths.mean())
    return index, (weight * count * (_K1 + 1) / (count + length)).astype(np.float32)


def _summed(size: int, parts: Sequence[tuple[Numbers, Floats]]) -> Floats:
    scores = np.zeros(size, np.float32)
    for index, part in parts:
        scores[index] += part
    return scores


def share_of_best(scores: Floats, numbers: Sequence[int], most: int) -> float:
    """The share of the ``most`` best rows by these scores that were found; of equals any counts."""
    least = np.sort(scores)[-most] * (1 - 1e-5)
    ought = min(most, int((scores > 0).sum()))
    had = sum(scores[number - 1] >= least and scores[number - 1] > 0 for number in numbers[:most])
    return had / ought if ought else 1.0
