"""Measures of one ranking against its gold. Definitions as in trec_eval; NDCG with linear gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2

__all__ = ["MEASURES", "measure"]

_CUTS = (5, 10, 20)
MEASURES = (*(f"recall@{cut}" for cut in _CUTS), "mrr", "ndcg@10")


def measure(ranking: Sequence[str], gold: Mapping[str, float]) -> dict[str, float]:
    """Each of ``MEASURES``, from 0 to 1. ``ranking``: ids, best first. ``gold``: gain by id, not empty."""
    places = [place for place, id in enumerate(ranking, start=1) if id in gold]
    found = {f"recall@{cut}": sum(place <= cut for place in places) / len(gold) for cut in _CUTS}
    best = sorted(gold.values(), reverse=True)[:10]
    ideal = sum(gain / log2(place + 1) for place, gain in enumerate(best, start=1))
    gained = sum(gold[ranking[place - 1]] / log2(place + 1) for place in places if place <= 10)
    return {**found, "mrr": 1 / places[0] if places else 0.0, "ndcg@10": gained / ideal}
