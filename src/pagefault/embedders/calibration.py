"""Calibration: the scale of an embedder for which none has been measured, from pairs of sentences.

Each language has topics, each of which is said twice. Two sentences on one topic say the same; two on
different topics are unrelated. Quantiles of both kinds' cosines, each the mean over the languages, make the
scale. Leaves out measuring how well an embedder retrieves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from pagefault.embedders import Scale, Vectors

__all__ = ["scale_of", "sentences"]

_UNRELATED = 0.95  # quantile of unrelated pairs: the floor
_SAME = 0.25  # quantile of pairs that say the same
# Of the way from the one to the other, which is _LEAST at least: as tuned for the shipped embedder.
_STRONG, _SPREAD, _LEAST = 0.7, 0.5, 0.02


@cache
def _pairs() -> Mapping[str, Sequence[tuple[str, str]]]:
    """Sentences that say the same, by language."""
    found = defaultdict[str, list[tuple[str, str]]](list)
    for line in Path(__file__).with_suffix(".tsv").read_text("utf-8").splitlines():
        found[line.split("\t")[0]].append((line.split("\t")[1], line.split("\t")[2]))
    return found


def sentences(*languages: str) -> list[str]:
    """The sentences to embed, those of a pair beside each other, of these languages, or of all."""
    return [text for language in languages or _pairs() for pair in _pairs()[language] for text in pair]


def scale_of(vectors: Vectors, *languages: str) -> Scale:
    """The scale of an embedder that gave these vectors for the sentences."""
    import numpy as np

    start, quantiles = 0, list[tuple[float, float]]()
    for language in languages or _pairs():
        stop = start + 2 * len(_pairs()[language])
        cosines = vectors[start:stop] @ vectors[start:stop].T
        topic = np.arange(stop - start) // 2
        same = (topic[:, np.newaxis] == topic) & ~np.eye(stop - start, dtype=np.bool_)
        unrelated = cosines[topic[:, np.newaxis] != topic]
        quantiles.append(
            (float(np.quantile(unrelated, _UNRELATED)), float(np.quantile(cosines[same], _SAME)))
        )
        start = stop
    floor, near = np.mean(quantiles, axis=0).tolist()
    way = max(near - floor, _LEAST)
    strong = floor + _STRONG * way if near - floor > _LEAST else 1.0
    return Scale(floor, strong, _SPREAD * way)
