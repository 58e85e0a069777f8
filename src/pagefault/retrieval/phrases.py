"""The query's words next to each other in a row: what a quoted phrase and a named thing have and a mere
collection of the same words lacks.

Postings do not say where a word stands, so the texts of the rows that are best by words are read, some few
whatever the storage holds. Leaves out what that is worth (``ranking``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from pagefault.retrieval.query import Query
from pagefault.storage import Found
from pagefault.storage.terms import terms

__all__ = ["adjacent"]

_ROWS = 20  # read; 10 find 4 points fewer of verbatim phrases of five words first, 40 find 2 more
_UNITS = 20_000  # lexical units read together, so that a few very long rows cost no more than many short ones


def adjacent(
    query: Query, found: Found, texts: Callable[[Sequence[int]], Mapping[int, str]]
) -> dict[int, float]:
    """The share of the query's pairs of adjacent units, stop words included, that stand so in a row: by the
    number of the row, of the rows best by words."""
    units = terms(query.text)
    pairs = set(pairwise(units))
    rows = np.flatnonzero(found.may_show & (found.lexical > 0)) if pairs else np.empty(0, np.intp)
    if len(rows) > _ROWS:
        rows = rows[np.argpartition(-found.lexical[rows], _ROWS)[:_ROWS]]
    best = rows[np.lexsort((rows, -found.lexical[rows]))]
    numbers, room = list[int](), _UNITS
    for row in best:
        if found.units[row] <= room:
            room -= int(found.units[row])
            numbers.append(int(found.number[row]))
    return {number: _share(pairs, terms(text)) for number, text in texts(numbers).items()} if numbers else {}


def _share(pairs: set[tuple[str, str]], units: list[str]) -> float:
    return len(pairs.intersection(pairwise(units))) / len(pairs)
