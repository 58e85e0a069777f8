"""The scale of embedders: measured, or found by calibration."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pagefault.embedders import Vectors
from pagefault.embedders.cached import CachedEmbedder
from pagefault.embedders.calibration import scale_of, sentences
from pagefault.embedders.minilm import MiniLM
from pagefault.retrieval.service import scale_in_use
from pagefault.testing.embedders import HashEmbedder


def told_apart(far: float, near: float) -> Vectors:
    """Vectors of the sentences: the two of a pair have this cosine ``near``, all others ``far``."""
    count = len(sentences())
    common, pairs, own = np.ones((count, 1)), np.repeat(np.eye(count // 2), 2, axis=0), np.eye(count)
    parts = (far**0.5 * common, (near - far) ** 0.5 * pairs, (1 - near) ** 0.5 * own)
    return np.concatenate(parts, axis=1).astype(np.float32)


@pytest.mark.parametrize(("far", "near"), [(0.1, 0.7), (0.77, 0.9)])
def test_the_scale_follows_the_cosines(far: float, near: float) -> None:
    scale = scale_of(told_apart(far, near))
    assert scale.floor == pytest.approx(far, abs=1e-5)
    assert scale.strong == pytest.approx(far + 0.7 * (near - far), abs=1e-5)
    assert scale.spread == pytest.approx(0.5 * (near - far), abs=1e-5)


def test_an_embedder_that_tells_nothing_apart_is_no_evidence() -> None:
    scale = scale_of(told_apart(0.8, 0.8))
    assert (round(scale.floor, 5), scale.strong) == (0.8, 1)


def test_the_procedure_gives_about_what_was_tuned_for_the_shipped_embedder() -> None:
    """In English, which is all that it knows."""
    found = scale_of(asyncio.run(MiniLM().embed(sentences("en"))), "en")
    tuned = MiniLM.scale
    assert [found.floor, found.strong, found.spread] == pytest.approx(
        [tuned.floor, tuned.strong, tuned.spread], abs=0.03
    )


class Foreign:
    """A plug-in's embedder, without ``scale``."""

    fingerprint = "foreign"
    dimensions = 64

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return await HashEmbedder(64).embed(texts)


def test_an_embedder_without_a_scale_is_calibrated_once(tmp_path: Path) -> None:
    foreign = Foreign()
    cached = CachedEmbedder(foreign, tmp_path / "cache.db")  # pyright: ignore[reportArgumentType]
    one, two = (asyncio.run(scale_in_use(cached)) for _ in range(2))
    assert one == two
    assert 0 < one.floor < one.strong < 1
    assert foreign.asked == sentences()
