"""Measures of one ranking against its gold. Definitions as in trec_eval; NDCG with linear gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2

__all__ = ["DEEPEST", "MEASURES", "measure"]

_CUTS = (5, 10, 20)
DEEPEST = _CUTS[-1]
"""The deepest rank measured, but for that of the first one found."""
MEASURES = ("first", *(f"recall@{cut}" for cut in _CUTS), "mrr", "ndcg@10")


def measure(ranking: Sequence[str], gold: Mapping[str, float]) -> dict[str, float]:
    """Each of ``MEASURES``, from 0 to 1. ``ranking``: ids, best first. ``gold``: gain by id, not empty.

    ``first`` is 1 if the best one is gold, whatever else is.
    """
    places = [place for place, id in enumerate(ranking, start=1) if id in gold]
    found = {f"recall@{cut}": sum(place <= cut for place in places) / len(gold) for cut in _CUTS}
    best = sorted(gold.values(), reverse=True)[:10]
    ideal = sum(gain / log2(place + 1) for place, gain in enumerate(best, start=1))
    gained = sum(gold[ranking[place - 1]] / log2(place + 1) for place in places if place <= 10)
    reciprocal = 1 / places[0] if places else 0.0
    return {"first": float(reciprocal == 1), **found, "mrr": reciprocal, "ndcg@10": gained / ideal}
