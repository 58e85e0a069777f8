"""Standing wishes: what the people who speak prefer, and what they want done every time.

"I prefer paperbacks" and "Always give the year of an edition" bear on "Which book should I buy?" and share no
word with it. Which rows state a wish is decided by lists of phrases of each language, so the texts of the
people's short rows nearest to the question are read, some few whatever the storage holds. Leaves out what a
wish is worth (``ranking``), and rows without a vector, because nothing would tell which wish bears on what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pagefault.retrieval.asking import states
from pagefault.retrieval.query import Query
from pagefault.storage import Found

__all__ = ["wishes"]

_ROWS = 96  # read; with 32 three of the four preferences that this finds stay behind
_LONGEST = 100  # lexical units of a row that is read
_INSTRUCTION = 40  # and of an instruction


def wishes(
    query: Query, found: Found, texts: Callable[[Sequence[int]], Mapping[int, str]], floor: float
) -> set[int]:
    """The numbers of the rows that state a wish, if the query asks for advice; ``floor``: of the cosine."""
    if query.asking.kind != "advice":
        return set()
    with np.errstate(invalid="ignore"):
        near = found.may_show & ~found.own & (found.cosine >= floor) & (found.units <= _LONGEST)
    rows = np.flatnonzero(near)
    rows = rows[np.argsort(-found.cosine[rows], kind="stable")[:_ROWS]]
    numbers: list[int] = found.number[rows].tolist()
    may_instruct = ((found.units[rows] <= _INSTRUCTION) & ~found.question[rows]).tolist()
    read = texts(numbers)
    return {
        number
        for number, instructs in zip(numbers, may_instruct, strict=True)
        if states(read.get(number, ""), "preference")
        or (instructs and states(read.get(number, ""), "instruction"))
    }
