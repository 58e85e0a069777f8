"""BM25 over postings (Robertson and Zaragoza 2009), vectorised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import log

import numpy as np
from numpy.typing import NDArray

from pagefault.storage.index import Counters, Numbers, Postings

__all__ = ["bm25", "once_each", "places"]

K1, B = 1.2, 0.75


def places(column: Numbers, numbers: Numbers) -> tuple[Numbers, slice | NDArray[np.bool_]]:
    """The positions in the ascending column of those of the ascending numbers that it has, and which of them
    it has; it may be newer or older than they are."""
    if not len(column) or not len(numbers):
        return np.empty(0, np.int64), slice(0)
    if column[-1] - column[0] == len(column) - 1:  # no number is missing, as in the log
        index = numbers - column[0]
        if index[0] >= 0 and index[-1] < len(column):
            return index, slice(None)
        known = (index >= 0) & (index < len(column))
    else:
        index = np.searchsorted(column, numbers)
        known = column[np.minimum(index, len(column) - 1)] == numbers
    return index[known], known


def bm25(
    postings: Mapping[str, Postings], counters: Counters, numbers: Numbers, units: NDArray[np.int32]
) -> NDArray[np.float32]:
    """The score of each row. ``numbers`` and ``units`` are the columns of all rows."""
    scores = np.zeros(len(numbers), np.float32)
    mean = counters.units / max(1, counters.rows)
    for found in postings.values():
        index, known = places(numbers, found.numbers)
        counts = found.counts[known]
        weight = _weight(counters.rows, len(found.numbers))
        length = K1 * (1 - B + B * units[index] / mean)
        scores[index] += weight * counts * (K1 + 1) / (counts + length)
    return scores


def once_each(units: Iterable[str], postings: Mapping[str, Postings], counters: Counters) -> float:
    """The score of a row of mean length that has each of these units once, whether or not there is one."""
    having = (len(postings[unit].numbers) if unit in postings else 0 for unit in units)
    return sum(_weight(counters.rows, rows) for rows in having)


def _weight(rows: int, having: int) -> float:
    return log(1 + (rows - having + 0.5) / (having + 0.5))
