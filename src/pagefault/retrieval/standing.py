"""Standing wishes: what the people who speak prefer, and what they want done every time.

"I prefer paperbacks" bears on "Which edition should I buy?" and shares no word with it, and "Always give
distances in miles" bears on many questions. Of the people's short rows that are nearest to the question,
those that state such a wish, by the lists of phrases of each language, come up to a stated place. They are
moved, not added: the rows and their count stay. Leaves out rows without a vector, because nothing would tell
which wish bears on the question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from pagefault.retrieval.asking import Kind, states
from pagefault.retrieval.query import Query
from pagefault.retrieval.ranking import Ranking
from pagefault.storage import Found

__all__ = ["Wish", "raised", "wishes"]


@dataclass(frozen=True, slots=True)
class Wish:
    """A kind of wish. ``phrases``: the list that states it. ``kinds``: the questions it bears on.
    ``longest``: units of a row; ``read``: how many of the nearest rows are read. The nearest ``count`` that
    state such a wish come up to ``place``."""

    phrases: str
    kinds: tuple[Kind, ...]
    longest: int
    read: int
    count: int
    place: int


_WISHES = (
    Wish("preference", ("advice",), longest=100, read=96, count=2, place=5),
    Wish("instruction", ("advice", "fact"), longest=40, read=32, count=1, place=10),
)


def wishes(
    query: Query, found: Found, texts: Callable[[Sequence[int]], Mapping[int, str]], floor: float
) -> list[tuple[int, list[int]]]:
    """For each kind of wish that bears on the query its place, and the rows that state one, nearest first."""
    stated: list[tuple[int, list[int]]] = []
    for wish in _WISHES:
        if query.asking.kind in wish.kinds and (numbers := _nearest(found, wish, floor)):
            read = texts(numbers)
            stating = (row for row in numbers if row in read and states(read[row], wish.phrases))
            stated.append((wish.place, list(islice(stating, wish.count))))
    return stated


def _nearest(found: Found, wish: Wish, floor: float) -> list[int]:
    """The rows of people that may state a wish, the most similar to the question first."""
    with np.errstate(invalid="ignore"):
        may = found.may_show & ~found.own & (found.cosine >= floor) & (found.units <= wish.longest)
    if wish.phrases == "instruction":
        may &= ~found.question
    rows = np.flatnonzero(may)
    return found.number[rows[np.argsort(-found.cosine[rows], kind="stable")[: wish.read]]].tolist()


def raised(ranking: Ranking, places: Sequence[tuple[int, Sequence[int]]]) -> Ranking:
    """The same rows with those named moved up to their places (from 1), in the order given; a row that stands
    higher stays. A row that moves gets the score of the one it moves before."""
    order, score = ranking.order.tolist(), ranking.score
    for place, numbers in places:
        for to, number in enumerate(numbers, start=place - 1):
            at = next((at for at, row in enumerate(order) if ranking.number[row] == number), 0)
            if at > to:
                row = order.pop(at)
                score = score.copy()
                score[row] = score[order[to]]
                order.insert(to, row)
    return replace(ranking, score=score, order=np.array(order, np.intp))
