"""Search for the in-memory store: it looks at every row, with the rules of ``storage.Found`` written plainly.

Independent of the SQL stores on purpose: the conformance suite holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import log, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pagefault.storage import BEST_WINDOW, SESSION_GAP, Filter, Found, Match
from pagefault.types import Message, Passage

__all__ = ["SearchRow", "document_of", "find_rows", "is_indexed", "passes", "session_numbers", "title_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SearchRow:
    """A row of one tier. ``units``: its lexical units in order (none: not indexed); ``windows``: its
    vectors, shape (windows, dimensions), ``others`` those for ``Match.elsewhere``; ``default``: whether it
    is searched by default."""

    number: int
    at: datetime
    text: str
    units: Sequence[str]
    windows: NDArray[np.float32] | None
    others: NDArray[np.float32] | None
    speaker: str
    own: bool
    session: int
    default: bool
    passes: bool


def session_numbers(times: Sequence[tuple[datetime, bool]]) -> list[int]:
    """The session of each row of recall, given its time and whether it is searched by default."""
    numbers: list[int] = []
    number, before = 0, None
    for at, default in times:
        if default:
            number += before is None or abs(at - before) > SESSION_GAP
            before = at
        numbers.append(number)
    return numbers


@dataclass(frozen=True, slots=True)
class _Judged:
    """A row with what a match says of it."""

    row: SearchRow
    position: int
    lexical: float
    cosine: float
    matched: bool
    may_show: bool


def find_rows(rows: Sequence[SearchRow], match: Match) -> Found:
    """All rows that may be shown and their context; ``rows`` are those of the whole tier, ascending."""
    weights = _weights(rows, match)
    lexical = _scores(rows, weights)
    judged: list[_Judged] = []
    position = -1
    for row, score in zip(rows, lexical, strict=True):
        position += row.default
        may_show = row.passes and all(_has(row.units, sequence) for sequence in match.exact)
        if may_show or row.default or match.is_empty:
            always = match.is_empty or any(match.exact)
            cosine = _cosine(row, match)
            matched = (may_show if always else score > 0) or cosine >= match.floor
            judged.append(_Judged(row, position if row.default else -1, score, cosine, matched, may_show))
    return _columns(judged, tuple(dict.fromkeys(row.speaker for row in rows)), sum(weights.values()))


def _columns(judged: Sequence[_Judged], speakers: tuple[str, ...], whole: float) -> Found:
    columns: list[Any] = list(zip(*(_facts(each, speakers) for each in judged), strict=True))
    kinds = (*["i8"] * 4, "i4", "?", "i4", "?", "f4", "f4", "?", "?")
    arrays: list[Any] = [np.array(v, kind) for v, kind in zip(columns or [()] * 12, kinds, strict=True)]
    return Found(*arrays, speakers=speakers, more=np.empty(0, np.int64), whole=whole)


def _facts(judged: _Judged, speakers: tuple[str, ...]) -> tuple[object, ...]:
    """The values of a row for the columns of ``Found``, in their order."""
    row = judged.row
    at = (row.at - _EPOCH) // timedelta(microseconds=1)
    question = row.text.rstrip(" \t\n\r").endswith(("?", "？"))
    about = (speakers.index(row.speaker), row.own, len(row.units), question)
    found = (judged.lexical, judged.cosine, judged.matched, judged.may_show)
    return (row.number, judged.position, row.session, at, *about, *found)


def _weights(rows: Sequence[SearchRow], match: Match) -> dict[str, float]:
    """BM25's weight of each unit of the match."""
    scored = {*match.terms, *(unit for sequence in match.exact for unit in sequence)}
    bodies = [frozenset(row.units) for row in rows if row.units]
    return {unit: _weight(len(bodies), sum(unit in body for body in bodies)) for unit in scored}


def _scores(rows: Sequence[SearchRow], weights: Mapping[str, float]) -> list[float]:
    """The BM25 of each row over weighted units."""
    mean = sum(len(row.units) for row in rows) / max(sum(bool(row.units) for row in rows), 1)
    return [
        sum(weight * _saturation(row.units, unit, mean) for unit, weight in weights.items()) for row in rows
    ]


def _cosine(row: SearchRow, match: Match) -> float:
    if match.vector is not None and row.windows is not None and len(row.windows):
        return _of_windows(row.windows @ match.vector)
    if match.elsewhere is not None and row.others is not None and len(row.others):
        return (
            match.elsewhere.gain * _of_windows(row.others @ match.elsewhere.vector) + match.elsewhere.offset
        )
    return nan


def _of_windows(cosines: NDArray[np.float32]) -> float:
    return float(BEST_WINDOW * cosines.max() + (1 - BEST_WINDOW) * cosines.mean())


def _has(units: Sequence[str], sequence: Sequence[str]) -> bool:
    """Look for ``sequence`` in ``units``, in order and adjacent; an empty one is in everything."""
    length = len(sequence)
    return any(
        tuple(units[start : start + length]) == tuple(sequence) for start in range(len(units) - length + 1)
    )


def _weight(total: int, documents: int) -> float:
    return log(1 + (total - documents + 0.5) / (documents + 0.5))


def _saturation(units: Sequence[str], unit: str, mean: float) -> float:
    """BM25's term frequency part with k1 = 1.2, b = 0.75 (Robertson and Zaragoza 2009)."""
    count = units.count(unit)
    return count * 2.2 / (count + 1.2 * (0.25 + 0.75 * len(units) / mean)) if count else 0.0


def document_of(item: Message | Passage) -> int:
    return item.place.document if isinstance(item, Passage) and item.place else 0


def is_indexed(item: Message | Passage) -> bool:
    """Return whether the row is in the indexes: neither undone nor forgotten."""
    return item.withdrawn is None and not (isinstance(item, Message) and item.erased)


def title_of(item: Message | Passage) -> str:
    return item.title if isinstance(item, Passage) else ""


def passes(item: Message | Passage, number: int, session: int, filter: Filter) -> bool:
    if isinstance(item, Message):
        kind = item.role in filter.roles and filter.speaker in (None, item.speaker)
    else:
        kind = set(filter.tags) <= set(item.tags)
    return (
        kind
        and (filter.since is None or item.at >= filter.since)
        and (filter.until is None or item.at < filter.until)
        and (filter.before is None or number < filter.before)
        and (filter.session is None or session == filter.session)
    )
