"""BM25 as a textbook has it, to compare searches by words with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import log

import pytest

from pagefault.storage import Filter, Match, Transaction
from pagefault.storage.terms import terms
from pagefault.types import AgentId

QUERIES = (["red"], ["red", "oak"], ["blue", "gate", "elm"], ["你", "green"], ["maroon"])


def exact(texts: Mapping[int, str], query: Sequence[str]) -> dict[int, float]:
    """The scores of these rows."""
    units = {number: terms(text) for number, text in texts.items()}
    mean = sum(map(len, units.values())) / max(1, len(units))
    having = {unit: sum(unit in of for of in units.values()) for unit in query}
    scores = defaultdict[int, float](float)
    for number, of in units.items():
        for unit in query:
            if count := of.count(unit):
                weight = log(1 + (len(units) - having[unit] + 0.5) / (having[unit] + 0.5))
                scores[number] += weight * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * len(of) / mean))
    return scores


def assert_exact(tx: Transaction, agent: AgentId, texts: Mapping[int, str]) -> None:
    for query in QUERIES:
        expected = exact(texts, query)
        found = tx.search(agent, "archival", Match(tuple(query)), Filter(), "f")
        matched = found.matched & found.may_show
        scores = dict(zip(found.number[matched].tolist(), found.lexical[matched].tolist(), strict=True))
        best = sorted(scores.values(), reverse=True)[:10]
        assert best == pytest.approx(sorted(expected.values(), reverse=True)[:10], rel=1e-5)
        assert scores == pytest.approx({number: expected[number] for number in scores}, rel=1e-5)
        assert {*scores, *found.more.tolist()} == set(expected)
