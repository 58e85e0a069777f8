"""The disk cache before an embedder: a text is embedded once, and nothing that befalls the file does harm."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pagefault.embedders import Embedder, Vectors
from pagefault.embedders.cached import CachedEmbedder
from pagefault.testing.embedders import TEXTS, EmbedderConformance, HashEmbedder


class Counting:
    """An embedder that says what it was asked. ``dimensions`` is None before the first text."""

    def __init__(self, dimensions: int = 64, name: str = "counting") -> None:
        self.fingerprint = name
        self.dimensions: int | None = None
        self.scale = HashEmbedder.scale
        self.asked: list[str] = []
        self._inner = HashEmbedder(dimensions)

    def reads(self, text: str) -> bool:
        return "Щ" not in text

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        self.dimensions = self._inner.dimensions
        return await self._inner.embed(texts)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "embeddings.db"


def embed(embedder: Embedder, *texts: str) -> Vectors:
    return asyncio.run(embedder.embed(texts))


class TestCachedEmbedder(EmbedderConformance):
    @pytest.fixture(autouse=True)
    def cached(self, file: Path) -> None:
        self.one = CachedEmbedder(Counting(), file)

    def embedder(self) -> Embedder:
        return self.one


def test_a_text_is_embedded_once_and_its_vector_stays_the_same(file: Path) -> None:
    inner = Counting()
    first = embed(CachedEmbedder(inner, file), "one", "two", "one")
    again = embed(CachedEmbedder(inner, file), "two", "three", "one")
    assert inner.asked == ["one", "two", "three"]
    assert np.array_equal(first[[1, 0]], again[[0, 2]])


def test_dimensions_are_known_from_the_cache_too(file: Path) -> None:
    embed(CachedEmbedder(Counting(), file), "one")
    cached = CachedEmbedder(Counting(), file)
    assert cached.dimensions is None
    embed(cached, "one")
    assert cached.dimensions == 64
    assert embed(cached).shape == (0, 64)


def test_fingerprints_share_nothing(file: Path) -> None:
    other = Counting(name="other")
    embed(CachedEmbedder(Counting(), file), "one")
    embed(CachedEmbedder(other, file), "one")
    assert other.asked == ["one"]


def test_another_model_behind_the_same_name_is_noticed_by_its_dimensions(file: Path) -> None:
    embed(CachedEmbedder(Counting(64), file), "one", "two")
    inner = Counting(32)
    assert embed(CachedEmbedder(inner, file), "one", "two", "three").shape == (3, 32)
    assert inner.asked == ["three", "one", "two", "three"]
    assert embed(CachedEmbedder(inner, file), "one", "two").shape == (2, 32)
    assert len(inner.asked) == 4


def test_the_file_is_bounded_and_the_oldest_go_first(file: Path) -> None:
    inner = Counting(1024)
    cached = CachedEmbedder(inner, file, limit=400_000)
    for start in range(0, 400, 20):
        embed(cached, *map(str, range(start, start + 20)))
        assert file.stat().st_size <= 600_000
    inner.asked.clear()
    embed(cached, "0", "399")
    assert inner.asked == ["0"]


def test_a_limit_below_one_vector_keeps_nothing(file: Path) -> None:
    inner = Counting()
    cached = CachedEmbedder(inner, file, limit=1)
    assert embed(cached, "one").shape == embed(cached, "one").shape == (1, 64)
    assert inner.asked == ["one", "one"]


@pytest.mark.parametrize("damage", [b"", b"not a database " * 100])
def test_a_damaged_file_is_replaced(file: Path, damage: bytes) -> None:
    inner = Counting()
    embed(CachedEmbedder(inner, file), "one")
    file.write_bytes(damage)
    for _ in range(3):
        assert embed(CachedEmbedder(inner, file), "one").shape == (1, 64)
    assert 2 <= len(inner.asked) <= 3


def test_pages_that_are_overwritten_do_no_harm(file: Path) -> None:
    texts = [str(number) for number in range(500)]
    right = embed(CachedEmbedder(Counting(), file), *texts)
    data = bytearray(file.read_bytes())
    for start in range(100, len(data), 2_500):
        data[start : start + 200] = os.urandom(200)
    file.write_bytes(data)
    for _ in range(3):
        assert np.array_equal(embed(CachedEmbedder(Counting(), file), *texts), right)


def test_a_bit_that_has_turned_is_not_believed(file: Path) -> None:
    inner = Counting()
    right = embed(CachedEmbedder(inner, file), "one")
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE vectors SET vector = X'0000803F' || substr(vector, 5)")
    assert np.array_equal(embed(CachedEmbedder(inner, file), "one"), right)
    assert inner.asked == ["one", "one"]


def test_a_folder_that_cannot_be_made_means_no_cache(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file stands where the folder should be")
    cached = CachedEmbedder(Counting(), tmp_path / "cache" / "embeddings.db")
    assert embed(cached, *TEXTS).shape == (len(TEXTS), 64)


def test_a_file_that_another_process_locks_means_no_cache_for_now(file: Path) -> None:
    inner = Counting()
    embed(CachedEmbedder(inner, file), "one")
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert embed(CachedEmbedder(inner, file), "one", "two").shape == (2, 64)
    embed(CachedEmbedder(inner, file), "one", "two")
    assert inner.asked == ["one", "two", "two"]


def _embed_many(path: str, start: int) -> None:
    cached = CachedEmbedder(Counting(), Path(path), limit=100_000)
    for number in range(start, start + 40):
        texts = [str(number), str(number + 1), "shared"]
        vectors = embed(cached, *texts)
        assert np.array_equal(vectors, embed(HashEmbedder(64), *texts))


@pytest.mark.slow
def test_several_processes_share_a_file(file: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_embed_many, args=(str(file), 20 * i)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    inner = Counting()
    embed(CachedEmbedder(inner, file), "shared")
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
