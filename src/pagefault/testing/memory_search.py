"""Search for the in-memory store: every row looked at, the rules of ``storage.Match`` written out plainly.

Independent of the SQL stores on purpose: the conformance suite holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import log

import numpy as np
from numpy.typing import NDArray

from pagefault.storage import Candidate, Match

__all__ = ["Row", "match_rows"]


@dataclass(frozen=True, slots=True)
class Row:
    """A row that passed the filter: its lexical units in order (none: not indexed) and its vector."""

    number: int
    at: datetime
    units: Sequence[str]
    vector: NDArray[np.float32] | None


def match_rows(rows: Sequence[Row], indexed: Sequence[Sequence[str]], match: Match) -> list[Candidate]:
    """The rows that match, newest first. ``indexed`` is the units of every row that BM25 counts."""
    sequences = [sequence for sequence in match.exact if sequence]
    scored = {*match.terms, *(unit for sequence in sequences for unit in sequence)}
    bodies = [frozenset(units) for units in indexed]
    weights = {unit: _weight(len(indexed), sum(unit in body for body in bodies)) for unit in scored}
    mean = sum(map(len, indexed)) / max(len(indexed), 1)
    found: list[Candidate] = []
    for row in sorted(rows, key=lambda row: row.number, reverse=True):
        cosine = None
        if match.vector is not None and row.vector is not None:
            cosine = float(row.vector @ match.vector)
        near = cosine is not None and cosine >= match.floor
        by_terms = any(unit in row.units for unit in match.terms)
        is_only_exact = not match.terms and match.vector is None
        if all(_has(row.units, sequence) for sequence in sequences) and (near or by_terms or is_only_exact):
            lexical = sum(weights[unit] * _saturation(row.units, unit, mean) for unit in scored)
            found.append(Candidate(row.number, row.at, lexical, cosine))
    return found


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
