"""Scans over many vectors: dot products, Hamming distances, and the smallest of them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["dot", "hamming", "smallest"]

_CODES = 32_768  # codes scanned at a time: they stay in the processor's cache
_NUMBERS = 1 << 17  # of vectors multiplied at a time: so few that BLAS starts no threads

Floats = NDArray[np.float32]


def dot(vectors: NDArray[np.number], query: Floats) -> Floats:
    """The dot product of each vector, shape (n, dimensions), with the query.

    In parts: BLAS would share a longer product among threads that wait for each other by spinning, which
    took 60 times the processor time on a busy machine.
    """
    products = np.empty(len(vectors), np.float32)
    rows = max(1, _NUMBERS // len(query))
    for start in range(0, len(vectors), rows):
        part = vectors[start : start + rows].astype(np.float32, copy=False)
        np.dot(part, query, out=products[start : start + rows])
    return products


def hamming(codes: list[NDArray[np.uint64]], query: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Hamming distances, shape (n,), modulo 256: the distance of a code to its near ones is far below that,
    and the few opposite ones that come around are sorted out by the exact comparison."""
    total = len(codes[0])
    distances = np.empty(total, np.uint8)

    def part(first: int, last: int) -> None:
        differing, counts = np.empty(_CODES, np.uint64), np.empty(_CODES, np.uint8)
        for start in range(first, last, _CODES):
            stop = min(start + _CODES, last)
            into, differ, count = distances[start:stop], differing[: stop - start], counts[: stop - start]
            np.bitwise_count(np.bitwise_xor(codes[0][start:stop], query[0], out=differ), out=into)
            for word, wanted in zip(codes[1:], query[1:], strict=True):
                np.bitwise_count(np.bitwise_xor(word[start:stop], wanted, out=differ), out=count)
                np.add(into, count, out=into)

    workers = min(_processors(), -(-total // (4 * _CODES)))
    share = -(-total // max(1, workers))
    parts = [(first, min(first + share, total)) for first in range(0, total, share)]
    if len(parts) == 1:
        part(0, total)
    else:
        for done in [_pool().submit(part, *ends) for ends in parts]:
            done.result()
    return distances


def smallest(distances: NDArray[np.uint8], count: int) -> NDArray[np.intp]:
    """Indices of about ``count`` smallest, all of the last distance that is needed."""
    low, high = 0, 254  # 255: not allowed
    while low < high:
        middle = (low + high) // 2
        if np.count_nonzero(distances <= middle) < count:
            low = middle + 1
        else:
            high = middle
    return np.flatnonzero(distances <= low)


def _processors() -> int:
    return min(4, os.cpu_count() or 1)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_processors(), thread_name_prefix="pagefault-scan")
