"""BM25 over postings (Robertson and Zaragoza 2009), vectorised.

A query's most frequent units are dropped when the storage is so large that reading their postings would take
longer than everything else: they tell rows apart least.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import log

import numpy as np
from numpy.typing import NDArray

from pagefault.storage.index import Counters, Numbers

__all__ = ["POSTINGS", "affordable", "bm25", "once_each", "places"]

K1, B = 1.2, 0.75
POSTINGS = 60_000  # rows that the units of one query may occur in, taken together, rarest first


def affordable(frequencies: Mapping[str, int]) -> list[str]:
    """Return the units to look up: rarest first, while their rows together stay within ``POSTINGS``; at least
    one."""
    chosen: list[str] = []
    rows = 0
    for unit in sorted(frequencies, key=lambda unit: (frequencies[unit], unit)):
        rows += frequencies[unit]
        if chosen and rows > POSTINGS:
            break
        chosen.append(unit)
    return chosen


def places(column: Numbers, numbers: Numbers) -> Numbers:
    """The positions of these numbers in the ascending column; at its end or beyond for larger numbers."""
    if len(column) and column[-1] - column[0] == len(column) - 1:  # no number is missing, as in the log
        return numbers - column[0]
    return np.searchsorted(column, numbers)


def bm25(
    postings: Mapping[str, Numbers],
    frequencies: Mapping[str, int],
    counters: Counters,
    numbers: Numbers,
    units: NDArray[np.int32],
) -> NDArray[np.float32]:
    """The score of each row. ``numbers`` and ``units`` are the columns of all rows."""
    scores = np.zeros(len(numbers), np.float32)
    mean = counters.units / max(1, counters.rows)
    for unit, occurrences in postings.items():
        first = np.flatnonzero(np.diff(occurrences, prepend=-1))
        counts = np.diff(first, append=len(occurrences))
        index = places(numbers, occurrences[first])
        if len(index) and index[-1] >= len(numbers):  # rows newer than this view of the columns
            known = index < len(numbers)
            index, counts = index[known], counts[known]
        weight = _weight(counters.rows, frequencies[unit])
        length = K1 * (1 - B + B * units[index] / mean)
        scores[index] += weight * counts * (K1 + 1) / (counts + length)
    return scores


def once_each(units: Iterable[str], frequencies: Mapping[str, int], counters: Counters) -> float:
    """The score of a row of mean length that has each of these units once, whether or not there is one."""
    return sum(_weight(counters.rows, frequencies.get(unit, 0)) for unit in units)


def _weight(rows: int, having: int) -> float:
    return log(1 + (rows - having + 0.5) / (having + 0.5))
