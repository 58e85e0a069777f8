"""Search for the in-memory store: every row looked at, the rules of ``storage.Found`` written out plainly.

Independent of the SQL stores on purpose: the conformance suite holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import log, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pagefault.storage import BEST_WINDOW, SESSION_GAP, Filter, Found, Match
from pagefault.types import Message, Passage

__all__ = ["Row", "document_of", "find_rows", "passes", "session_numbers", "title_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of one tier. ``units``: its lexical units in order (none: not indexed); ``windows``: its
    vectors, shape (windows, dimensions); ``default``: whether it is searched by default."""

    number: int
    at: datetime
    text: str
    units: Sequence[str]
    windows: NDArray[np.float32] | None
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


def find_rows(rows: Sequence[Row], match: Match) -> Found:
    """All rows that may be shown and their context; ``rows`` are those of the whole tier, ascending."""
    sequences = [sequence for sequence in match.exact if sequence]
    scored = {*match.terms, *(unit for sequence in sequences for unit in sequence)}
    bodies = [frozenset(row.units) for row in rows if row.units]
    weights = {unit: _weight(len(bodies), sum(unit in body for body in bodies)) for unit in scored}
    mean = sum(len(row.units) for row in rows) / max(len(bodies), 1)
    speakers = list(dict.fromkeys(row.speaker for row in rows))
    chosen: list[tuple[object, ...]] = []
    position = -1
    for row in rows:
        position += row.default
        may_show = row.passes and all(_has(row.units, sequence) for sequence in sequences)
        lexical = sum(weights[unit] * _saturation(row.units, unit, mean) for unit in scored)
        cosine = nan
        if match.vector is not None and row.windows is not None:
            windows = row.windows @ match.vector
            cosine = float(BEST_WINDOW * windows.max() + (1 - BEST_WINDOW) * windows.mean())
        matched = may_show if match.is_empty or sequences else lexical > 0
        at = (row.at - _EPOCH) // timedelta(microseconds=1)
        question = row.text.rstrip(" \t\n\r").endswith(("?", "？"))
        if may_show or (row.default and not match.is_empty):
            where = (
                row.number,
                position if row.default else -1,
                row.session,
                at,
                speakers.index(row.speaker),
            )
            chosen.append((*where, row.own, len(row.units), question, lexical, cosine, matched, may_show))
    columns = list(zip(*chosen, strict=True)) or [()] * 12
    kinds = (*["int64"] * 4, "int32", "bool", "int32", "bool", "float32", "float32", "bool", "bool")
    arrays: list[Any] = [np.array(values, kind) for values, kind in zip(columns, kinds, strict=True)]
    with np.errstate(invalid="ignore"):
        arrays[10] |= arrays[9] >= match.floor
    return Found(*arrays, speakers=tuple(speakers), more=np.empty(0, np.int64))


def _has(units: Sequence[str], sequence: Sequence[str]) -> bool:
    """Whether ``sequence`` is in ``units``, in order and adjacent."""
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


def title_of(item: Message | Passage) -> str:
    return item.title if isinstance(item, Passage) else ""


def passes(item: Message | Passage, number: int, session: int, filter: Filter) -> bool:
    kind = item.role in filter.roles if isinstance(item, Message) else set(filter.tags) <= set(item.tags)
    return (
        kind
        and (filter.since is None or item.at >= filter.since)
        and (filter.until is None or item.at < filter.until)
        and (filter.before is None or number < filter.before)
        and (filter.session is None or session == filter.session)
    )
