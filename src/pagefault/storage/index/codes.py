"""The vectors of one tier in memory: exact while they are few, one byte and one bit per dimension when many.

Some tens of thousands are held as 32-bit floats and all compared. Of more, the signs of the mean-centred
vectors are held (48 bytes for 384 dimensions) and, up to a million or so, one byte per dimension: the nearest
by Hamming distance are found by scanning the signs, and compared by their bytes or by the vectors in the
database (cf. Charikar 2002; the "binary quantization with rescoring" of vector databases). Leaves out the
scan itself (``scan``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pagefault.storage import BEST_WINDOW
from pagefault.storage.index import Numbers
from pagefault.storage.index.arrays import AppendArray
from pagefault.storage.index.scan import dot, hamming, smallest

__all__ = ["ExactVectors", "SignCodes", "Signs", "of_windows", "quantized"]

_BLOCK = 2_048  # vectors worked on at a time: they stay in the processor's cache
_WORD = 64
_BYTES = 1_200_000  # vectors: half a gigabyte

Floats = NDArray[np.float32]
Bytes = NDArray[np.int8]


def of_windows(owners: Numbers, cosines: Floats) -> tuple[Numbers, Floats]:
    """One cosine per row from those of its windows (``storage.BEST_WINDOW``). ``owners`` ascending, shape
    (n,), as ``cosines``."""
    first = np.flatnonzero(np.diff(owners, prepend=-1))
    if len(first) == len(owners):
        return owners, cosines
    mean = np.add.reduceat(cosines, first) / np.diff(first, append=len(owners))
    best = np.maximum.reduceat(cosines, first)
    return owners[first], (BEST_WINDOW * best + (1 - BEST_WINDOW) * mean).astype(np.float32)


def quantized(vectors: NDArray[np.floating]) -> tuple[Bytes, Floats]:
    """Vectors of shape (n, dimensions) as bytes of the same shape and the scale of each, shape (n,)."""
    codes = np.empty(vectors.shape, np.int8)
    scales = np.empty(len(vectors), np.float32)
    for part in _parts(len(vectors)):
        floats = vectors[part].astype(np.float32, copy=False)
        scales[part] = np.maximum(np.abs(floats).max(axis=1), 1e-6) / 127
        codes[part] = np.rint(floats / scales[part, np.newaxis])
    return codes, scales


class ExactVectors:
    """All vectors as 32-bit floats. ``owners`` are row indices, ascending; ``expected``: how many vectors to
    make room for."""

    def __init__(self, dimensions: int, expected: int = 0) -> None:
        self._owners: AppendArray[np.int64] = AppendArray(np.int64, capacity=expected)
        self._vectors: AppendArray[np.float32] = AppendArray(np.float32, dimensions, expected)

    def extend(self, owners: Numbers, vectors: NDArray[np.floating]) -> None:
        self._owners.extend(owners)
        self._vectors.extend(vectors)

    def coded(self, small: int, expected: int = 0) -> SignCodes:
        """The same vectors as codes, centred on the mean of the first ``small``."""
        codes, scales = quantized(self._vectors.view)
        signs = SignCodes.centred(codes[:small], scales[:small], expected)
        signs.extend(self._owners.view, codes, scales)
        return signs

    def view(self) -> Callable[[Floats], tuple[Numbers, Floats]]:
        """The search as of now: query of shape (dimensions,) to row indices and their cosines."""
        owners, vectors = self._owners.view, self._vectors.view
        return lambda query: of_windows(owners, dot(vectors, query))

    def __len__(self) -> int:
        return len(self._owners)

    @property
    def nbytes(self) -> int:
        return self._owners.nbytes + self._vectors.nbytes


class SignCodes:
    """One bit per dimension, set where the quantized vector is above ``mean``, shape (dimensions,); up to
    ``_BYTES`` vectors also its bytes, so that the nearest need not be read from the database. ``expected``:
    how many vectors to make room for."""

    def __init__(self, mean: Floats, expected: int = 0) -> None:
        self._mean = mean
        self._owners: AppendArray[np.int64] = AppendArray(np.int64, capacity=expected)
        # One array per word, so that a scan reads memory in order and works on whole vectors of numbers.
        self._words: list[AppendArray[np.uint64]] = [
            AppendArray(np.uint64, capacity=expected) for _ in range(-(-len(mean) // _WORD))
        ]
        held = expected if expected <= _BYTES else 0
        self._bytes: AppendArray[np.int8] | None = AppendArray(np.int8, len(mean), held)
        self._scales: AppendArray[np.float32] = AppendArray(np.float32, capacity=held)

    @classmethod
    def centred(cls, codes: Bytes, scales: Floats, expected: int = 0) -> SignCodes:
        """Return codes without vectors, centred on the mean of these."""
        total = np.zeros(codes.shape[1], np.float64)
        for part in _parts(len(codes)):
            total += (codes[part] * scales[part, np.newaxis]).sum(axis=0)
        return cls((total / max(1, len(codes))).astype(np.float32), expected)

    def extend(self, owners: Numbers, codes: Bytes, scales: Floats) -> None:
        """Append vectors as ``quantized`` makes them."""
        self._owners.extend(owners)
        if len(self._owners) > _BYTES:
            self._bytes, self._scales = None, AppendArray(np.float32)
        for part in _parts(len(owners)):
            floats = codes[part] * scales[part, np.newaxis]
            for words, word in zip(self._words, encode(floats, self._mean).T, strict=True):
                words.extend(word)
        if self._bytes is not None:
            self._bytes.extend(codes)
            self._scales.extend(scales)

    def view(self) -> Signs:
        held = None if self._bytes is None else self._bytes.view
        return Signs(
            self._mean, self._owners.view, [word.view for word in self._words], held, self._scales.view
        )

    def __len__(self) -> int:
        return len(self._owners)

    @property
    def nbytes(self) -> int:
        held = 0 if self._bytes is None else self._bytes.nbytes
        return self._owners.nbytes + held + sum(words.nbytes for words in self._words)


@dataclass(frozen=True, slots=True, eq=False)
class Signs:
    """The codes as of one state. ``owners``: row indices, ascending; ``words``: one array each of shape
    (n,); ``rough``: the vectors in bytes, shape (n, dimensions), to be multiplied by ``scales``, or None."""

    mean: Floats
    owners: Numbers
    words: list[NDArray[np.uint64]]
    rough: Bytes | None
    scales: Floats

    def nearest(self, query: Floats, count: int, allowed: NDArray[np.bool_]) -> Numbers:
        """Row indices of about ``count`` nearest vectors, ascending, each named once, of the allowed rows."""
        distances = hamming(self.words, encode(query[np.newaxis], self.mean)[0])
        if not allowed.all():
            distances[~allowed[self.owners]] = 255
        owners = self.owners[smallest(distances, count)]
        return owners[np.diff(owners, prepend=-1) > 0]

    def cosines(self, query: Floats, rows: Numbers) -> tuple[Numbers, Floats] | None:
        """The rows, of those given in ascending order, that have a vector, and their cosines to three
        digits; None if they must be read from the database."""
        if self.rough is None:
            return None
        first = np.searchsorted(self.owners, rows)
        windows = np.searchsorted(self.owners, rows, side="right") - first
        before = np.cumsum(windows) - windows
        index: Numbers = np.arange(int(windows.sum())) + np.repeat(first - before, windows)
        return of_windows(self.owners[index], dot(self.rough[index], query) * self.scales[index])


def encode(vectors: NDArray[np.floating], mean: Floats) -> NDArray[np.uint64]:
    """The signs of (n, dimensions) vectors against their mean, shape (n, words of 64 bits)."""
    bits = np.zeros((len(vectors), -(-len(mean) // _WORD) * _WORD), np.bool_)
    np.greater(vectors, mean.astype(vectors.dtype), out=bits[:, : len(mean)])
    return np.packbits(bits, axis=1).view(np.uint64)


def _parts(length: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, length, _BLOCK))
