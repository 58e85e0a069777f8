"""The vectors of one tier in memory: exact while they are few, one bit per dimension when they are many.

Some tens of thousands are held as 32-bit floats and all compared. Of more, only the signs of the mean-centred
vectors are held (48 bytes for 384 dimensions): the nearest by Hamming distance are found by scanning them,
and compared exactly with the vectors read from the database (cf. Charikar 2002; the "binary quantization with
rescoring" of vector databases).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pagefault.storage import BEST_WINDOW
from pagefault.storage.index import Numbers
from pagefault.storage.index.growing import Growing

__all__ = ["ExactVectors", "SignCodes", "Signs", "of_windows"]

_BLOCK = 32_768  # codes scanned at a time: what is in work stays in the processor's cache
_WORD = 64
_BYTES = 1_200_000  # vectors: half a gigabyte

Floats = NDArray[np.float32]


def of_windows(owners: Numbers, cosines: Floats) -> tuple[Numbers, Floats]:
    """One cosine per row from those of its windows (``storage.BEST_WINDOW``). ``owners`` ascending, shape
    (n,), as ``cosines``."""
    first = np.flatnonzero(np.diff(owners, prepend=-1))
    if len(first) == len(owners):
        return owners, cosines
    mean = np.add.reduceat(cosines, first) / np.diff(first, append=len(owners))
    best = np.maximum.reduceat(cosines, first)
    return owners[first], (BEST_WINDOW * best + (1 - BEST_WINDOW) * mean).astype(np.float32)


class ExactVectors:
    """All vectors as 32-bit floats. ``owners`` are row indices, ascending."""

    def __init__(self, dimensions: int) -> None:
        self._owners: Growing[np.int64] = Growing(np.int64)
        self._vectors: Growing[np.float32] = Growing(np.float32, dimensions)

    def extend(self, owners: Numbers, vectors: NDArray[np.floating]) -> None:
        self._owners.extend(owners)
        self._vectors.extend(vectors)

    def coded(self) -> SignCodes:
        """The same vectors as signs, centred on their mean."""
        signs = SignCodes(self._vectors.view.mean(axis=0))
        signs.extend(self._owners.view, self._vectors.view)
        return signs

    def view(self) -> Callable[[Floats], tuple[Numbers, Floats]]:
        """The search as of now: query of shape (dimensions,) to row indices and their cosines."""
        owners, vectors = self._owners.view, self._vectors.view
        return lambda query: of_windows(owners, vectors @ query)

    def __len__(self) -> int:
        return len(self._owners)

    @property
    def nbytes(self) -> int:
        return self._owners.nbytes + self._vectors.nbytes


class SignCodes:
    """One bit per dimension, set where the vector is above ``mean``, shape (dimensions,); up to ``_BYTES``
    vectors also one byte per dimension, so that the nearest need not be read from the database."""

    def __init__(self, mean: Floats) -> None:
        self._mean = mean
        self._words = -(-len(mean) // _WORD)
        self._owners: Growing[np.int64] = Growing(np.int64)
        # One array per word, so that a scan reads memory in order and works on whole vectors of numbers.
        self._codes: list[Growing[np.uint64]] = [Growing(np.uint64) for _ in range(self._words)]
        self._bytes: Growing[np.int8] | None = Growing(np.int8, len(mean))
        self._scales: Growing[np.float32] = Growing(np.float32)

    def extend(self, owners: Numbers, vectors: NDArray[np.floating]) -> None:
        self._owners.extend(owners)
        if len(self._owners) > _BYTES:
            self._bytes, self._scales = None, Growing(np.float32)
        for start in range(0, len(owners), _BLOCK):
            block = vectors[start : start + _BLOCK]
            for codes, word in zip(self._codes, encode(block, self._mean).T, strict=True):
                codes.extend(word)
            if self._bytes is not None:
                scales = np.maximum(np.abs(block).max(axis=1), 1e-6).astype(np.float32) / 127
                self._bytes.extend(np.rint(block / scales[:, np.newaxis]))
                self._scales.extend(scales)

    def view(self) -> Signs:
        held = None if self._bytes is None else self._bytes.view
        return Signs(
            self._mean, self._owners.view, [word.view for word in self._codes], held, self._scales.view
        )

    def __len__(self) -> int:
        return len(self._owners)

    @property
    def nbytes(self) -> int:
        held = 0 if self._bytes is None else self._bytes.nbytes
        return self._owners.nbytes + held + sum(codes.nbytes for codes in self._codes)


@dataclass(frozen=True, slots=True, eq=False)
class Signs:
    """The codes as of one state. ``owners``: row indices, ascending; ``words``: one array each of shape
    (n,); ``rough``: the vectors in bytes, shape (n, dimensions), to be multiplied by ``scales``, or None."""

    mean: Floats
    owners: Numbers
    words: list[NDArray[np.uint64]]
    rough: NDArray[np.int8] | None
    scales: Floats

    def nearest(self, query: Floats, count: int, allowed: NDArray[np.bool_]) -> Numbers:
        """Row indices of about ``count`` nearest vectors, ascending, each named once, of the allowed rows."""
        distances = _scan(self.words, encode(query[np.newaxis], self.mean)[0])
        if not allowed.all():
            distances[~allowed[self.owners]] = 255
        return np.unique(self.owners[_smallest(distances, count)])

    def cosines(self, query: Floats, rows: Numbers) -> tuple[Numbers, Floats] | None:
        """The rows, of those given in ascending order, that have a vector, and their cosines to three
        digits; None if that must be asked of the database."""
        if self.rough is None:
            return None
        first = np.searchsorted(self.owners, rows)
        windows = np.searchsorted(self.owners, rows, side="right") - first
        before = np.cumsum(windows) - windows
        index: Numbers = np.arange(int(windows.sum())) + np.repeat(first - before, windows)
        rough = self.rough[index].astype(np.float32) @ query * self.scales[index]
        return of_windows(self.owners[index], rough)


def encode(vectors: NDArray[np.floating], mean: Floats) -> NDArray[np.uint64]:
    """The signs of (n, dimensions) vectors against their mean, shape (n, words of 64 bits)."""
    bits = np.zeros((len(vectors), -(-len(mean) // _WORD) * _WORD), np.bool_)
    np.greater(vectors, mean.astype(vectors.dtype), out=bits[:, : len(mean)])
    return np.packbits(bits, axis=1).view(np.uint64)


def _scan(codes: list[NDArray[np.uint64]], query: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Hamming distances, shape (n,), modulo 256: the distance of a code to its near ones is far below that,
    and the few opposite ones that come around are sorted out by the exact comparison."""
    total = len(codes[0])
    distances = np.empty(total, np.uint8)

    def part(first: int, last: int) -> None:
        differing, counts = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint8)
        for start in range(first, last, _BLOCK):
            stop = min(start + _BLOCK, last)
            into, differ, count = distances[start:stop], differing[: stop - start], counts[: stop - start]
            np.bitwise_count(np.bitwise_xor(codes[0][start:stop], query[0], out=differ), out=into)
            for word, wanted in zip(codes[1:], query[1:], strict=True):
                np.bitwise_count(np.bitwise_xor(word[start:stop], wanted, out=differ), out=count)
                np.add(into, count, out=into)

    pool = _pool()
    workers = min(pool._max_workers, -(-total // (4 * _BLOCK)))  # pyright: ignore[reportPrivateUsage]
    share = -(-total // max(1, workers))
    for done in [pool.submit(part, first, min(first + share, total)) for first in range(0, total, share)]:
        done.result()
    return distances


def _smallest(distances: NDArray[np.uint8], count: int) -> NDArray[np.intp]:
    """Indices of about ``count`` smallest, all of the last distance that is needed."""
    low, high = 0, 254  # 255: not allowed
    while low < high:
        middle = (low + high) // 2
        if np.count_nonzero(distances <= middle) < count:
            low = middle + 1
        else:
            high = middle
    return np.flatnonzero(distances <= low)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="pagefault-scan")
