"""The index in memory: it keeps up with the database, and finds the same in a large storage as in a small.

"Large" begins at a few rows here (``IndexCache.small``), so that the other way of searching is tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.embedders import Scale
from pagefault.retrieval import Weights
from pagefault.retrieval.phrases import adjacent
from pagefault.retrieval.query import understand
from pagefault.retrieval.ranking import rank
from pagefault.storage import Filter, Match, PendingVector, Transaction
from pagefault.storage.index.arrays import AppendArray
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.index.codes import ExactVectors, SignCodes, of_windows, quantized
from pagefault.storage.sqlite import SQLiteStore
from pagefault.storage.sqlite.connection import Connection
from pagefault.storage.sqlite.transaction import SQLiteTransaction
from pagefault.testing.store_opening import NOW, Opened, StoreOpening, said, unit
from pagefault.types import AgentId, Passage

RANDOM = np.random.default_rng(5)


def directions(count: int, dimensions: int = 64) -> np.ndarray:
    return np.stack([unit(*row) for row in RANDOM.standard_normal((count, dimensions))])


VECTORS = directions(100)


class Files(StoreOpening):
    """Opens SQLite files with a cache of a given kind."""

    def __init__(self, cache: IndexCache) -> None:
        self.cache = cache

    def open(self, place: Path) -> SQLiteStore:
        return SQLiteStore.open(place / "a.db", cache=self.cache)


def give_vectors(db: Opened, agent: AgentId, vectors: Sequence[np.ndarray]) -> None:
    waiting = db.read(lambda tx: tx.pending_vectors("f", len(vectors)))
    assert [item.agent for item in waiting] == [agent] * len(vectors)
    db.embed(waiting, *vectors)


def test_what_is_appended_deleted_and_embedded_later_is_seen_at_the_next_search(tmp_path: Path) -> None:
    with Files(IndexCache()).opened(tmp_path) as db:
        ana = db.agent("ana")
        assert db.found(ana, "archival", "red") == []
        for text in ("red one", "red two", "red three"):
            db.write(lambda tx, text=text: tx.insert_passage(ana, Passage(text, NOW)))
        assert db.found(ana, "archival", "red") == [3, 2, 1]
        db.write(lambda tx: tx.delete_passage(ana, 2))
        assert db.found(ana, "archival", "red") == [3, 1]
        assert db.found(ana, "archival") == [3, 1]
        db.write(lambda tx: tx.insert_passage(ana, Passage("red four", NOW)))
        assert db.found(ana, "archival", "red") == [4, 3, 1]
        near = Match(vector=unit(1, 0), floor=0.5)
        assert db.search(ana, "archival", near).numbers == []
        give_vectors(db, ana, [unit(1, 0), unit(0, 1), unit(1, 0)])
        assert db.search(ana, "archival", near).numbers == [4, 1]


def test_a_vector_that_comes_late_is_not_missed(tmp_path: Path) -> None:
    with Files(IndexCache()).opened(tmp_path) as db:
        ana = db.agent("ana")
        db.write(lambda tx: tx.append(ana, [said("a"), said("b")]))
        first, second = db.read(lambda tx: tx.pending_vectors("f", 2))
        near = Match(vector=unit(1, 0), floor=0.5)
        db.embed([second], unit(1, 0))
        assert db.search(ana, "recall", near).numbers == [2]
        db.embed([first], unit(1, 0))
        assert db.search(ana, "recall", near).numbers == [2, 1]


def test_another_connection_keeps_up_too(tmp_path: Path) -> None:
    with Files(IndexCache()).opened(tmp_path) as db, Files(IndexCache()).opened(tmp_path) as other:
        ana = db.agent("ana")
        for number in (1, 2, 3):
            db.write(lambda tx: tx.append(ana, [said("red")]))
            assert other.found(ana, "recall", "red") == list(range(number, 0, -1))


def test_the_least_recently_searched_go_when_memory_is_short(tmp_path: Path) -> None:
    cache = IndexCache(limit=20_000)
    with Files(cache).opened(tmp_path) as db:
        agents = [db.agent(f"agent{number}") for number in range(8)]
        for agent in agents:
            db.write(lambda tx, agent=agent: tx.append(agent, [said("red")] * 20))
            give_vectors(db, agent, list(directions(20)))
        for _ in range(2):
            for agent in agents:
                assert len(db.found(agent, "recall", "red")) == 20
                assert cache.nbytes <= 20_000


@pytest.mark.slow
@given(
    texts=st.lists(
        st.sampled_from(["red", "blue", "red blue", "green", "red red green", "你好 red"]), min_size=6
    ),
    query=st.lists(st.sampled_from(["red", "blue", "green", "你"]), min_size=1, max_size=2, unique=True),
    before=st.none() | st.integers(1, 12),
    turn=st.integers(0, 99),
)
def test_a_large_storage_finds_what_a_small_one_does(
    texts: list[str],
    query: list[str],
    before: int | None,
    turn: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    place = tmp_path_factory.mktemp("large")
    vectors = VECTORS
    match = Match(tuple(query), vector=vectors[turn], floor=0.9)
    chosen = Filter(before=before)
    with (
        Files(IndexCache()).opened(place) as small,
        Files(IndexCache(small=5)).opened(place) as large,
    ):
        ana = small.agent("ana")
        small.write(lambda tx: tx.append(ana, [said(text) for text in texts]))
        give_vectors(small, ana, list(vectors[: len(texts)]))
        one, other = (db.search(ana, "recall", match, chosen) for db in (small, large))
        assert one.numbers == other.numbers
        of_one, of_other = (dict(zip(s.numbers, s.cosine, strict=True)) for s in (one, other))
        assert of_one == pytest.approx(of_other, abs=4e-3)


def test_what_does_not_fit_among_the_candidates_is_still_counted(tmp_path: Path) -> None:
    with Files(IndexCache(small=100)).opened(tmp_path) as db:
        ana = db.agent("ana")
        rows = [said(f"red {number}", hours=number) for number in range(3000)]
        db.write(lambda tx: tx.append(ana, rows))
        found = db.read(lambda tx: tx.search(ana, "recall", Match(("red",)), Filter(), "f"))
        assert len(found.number) < 1000
        assert sorted([*found.number[found.matched].tolist(), *found.more.tolist()]) == list(range(1, 3001))
        some = Filter(since=NOW + timedelta(hours=10), until=NOW + timedelta(hours=2000))
        assert len(db.search(ana, "recall", Match(("red",)), some).numbers) == 1990


@pytest.mark.parametrize("small", [50, 10_000])
@pytest.mark.parametrize("embedded", [0, 3, 500, 999])
def test_a_phrase_in_the_newest_row_is_first_however_many_others_have_vectors(
    tmp_path: Path, small: int, embedded: int
) -> None:
    with Files(IndexCache(small=small)).opened(tmp_path) as db:
        ana = db.agent("ana")
        passages = [Passage(f"Wren {number}: a song of the old gate.", NOW) for number in range(999)]
        db.write(
            lambda tx: tx.insert_passages(ana, [*passages, Passage("A wren sings at the old gate.", NOW)])
        )
        give_vectors(db, ana, [unit(1, number / 999) for number in range(embedded)])
        query = understand("sings at the old gate")
        match = Match(query.terms, vector=unit(1, 0.5), floor=0.2)

        def first(tx: Transaction) -> int:
            found = tx.search(ana, "archival", match, Filter(), "f")
            near = adjacent(query, found, lambda numbers: tx.texts(ana, "archival", numbers))
            return rank("archival", found, query, Weights(), Scale(0.2, 0.6, 0.3), near).owned(ana)[0].number

        assert db.read(first) == 1000


def test_an_exact_key_is_found_once_in_a_large_storage(tmp_path: Path) -> None:
    with Files(IndexCache(small=100)).opened(tmp_path) as db:
        ana = db.agent("ana")
        db.write(lambda tx: tx.append(ana, [said(f"key number{number} same") for number in range(500)]))
        match = Match(("same",), (("number77",),), vector=unit(1, 0))
        assert db.search(ana, "recall", match).numbers == [78]


def test_sessions_are_cut_where_nobody_spoke_for_long(tmp_path: Path) -> None:
    with Files(IndexCache()).opened(tmp_path) as db:
        ana = db.agent("ana")
        for hours in (0, 1, 6, 13, 14, 40):
            db.write(lambda tx, hours=hours: tx.append(ana, [said("red", hours=hours)]))
        found = db.read(lambda tx: tx.search(ana, "recall", Match(("red",)), Filter(), "f"))
        assert found.session.tolist() == [1, 1, 1, 2, 2, 3]
        assert db.found(ana, "recall", "red", filter=Filter(session=2)) == [5, 4]
        assert db.found(ana, "recall", filter=Filter(session=3)) == [6]


def test_only_what_somebody_said_is_found(tmp_path: Path) -> None:
    for small in (0, 1000):
        (folder := tmp_path / str(small)).mkdir()
        with Files(IndexCache(small=small)).opened(folder) as db:
            ana = db.agent("ana")
            rows = [replace(said("red"), speaker=speaker) for speaker in ("Ana", "Bo", "Ana", "", "bo")]
            db.write(lambda tx, ana=ana, rows=rows: tx.append(ana, rows))
            assert db.found(ana, "recall", "red", filter=Filter(speaker="Ana")) == [3, 1]
            assert db.found(ana, "recall", filter=Filter(speaker="Bo")) == [2]
            assert db.found(ana, "recall", "red", filter=Filter(speaker="Cleo")) == []
            assert len(db.found(ana, "recall", "red", filter=Filter())) == 5


def test_signs_find_the_nearest_of_many() -> None:
    centres = directions(40, 384)
    vectors = centres[RANDOM.integers(0, 40, 20_000)] + RANDOM.standard_normal((20_000, 384)) * 0.03
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    exact = ExactVectors(384)
    exact.extend(np.arange(20_000), vectors)
    signs = exact.coded(20_000).view()
    every, hits = np.ones(20_000, np.bool_), 0
    for query in vectors[:50] + RANDOM.standard_normal((50, 384)).astype(np.float32) * 0.02:
        nearest = np.argsort(-(vectors @ query))[:10]
        hits += int(np.isin(nearest, signs.nearest(query.astype(np.float32), 600, every)).sum())
    assert hits >= 0.97 * 500


def test_signs_of_rows_that_may_not_be_shown_are_passed_over() -> None:
    signs = SignCodes(np.zeros(64, np.float32))
    vectors = directions(500).astype(np.float32)
    signs.extend(np.arange(500), *quantized(vectors))
    allowed = np.zeros(500, np.bool_)
    allowed[[3, 7]] = True
    assert signs.view().nearest(vectors[0], 10, allowed).tolist() == [3, 7]
    assert signs.view().nearest(vectors[0], 10, np.zeros(500, np.bool_)).tolist() == []


def test_a_row_of_several_windows_has_one_cosine() -> None:
    owners, cosines = of_windows(
        np.array([2, 2, 5, 7, 7, 7]), np.array([0.1, 0.5, 0.9, 0, 0, 0.3], np.float32)
    )
    assert owners.tolist() == [2, 5, 7]
    assert cosines.tolist() == pytest.approx([0.4 * 0.5 + 0.6 * 0.3, 0.9, 0.4 * 0.3 + 0.6 * 0.1])


def test_a_view_stays_as_it_was() -> None:
    array: AppendArray[np.int64] = AppendArray(np.int64)
    array.extend([1, 2, 3])
    before = array.view
    array.extend(range(1000))
    array.put(np.array([0]), 9)
    assert before.tolist() == [1, 2, 3]
    assert array.view[:4].tolist() == [9, 2, 3, 0]
    assert len(array) == 1003


def test_vectors_are_kept_apart_by_embedder_and_by_agent(tmp_path: Path) -> None:
    with Files(IndexCache()).opened(tmp_path) as db:
        ana, bob = db.agent("ana"), db.agent("bob")
        db.write(lambda tx: tx.append(ana, [said("a")]))
        db.write(lambda tx: tx.append(bob, [said("b")]))
        for item in db.read(lambda tx: tx.pending_vectors("f", 2)):
            db.embed([item], unit(1, 0) if item.agent == ana else unit(0, 1))
        near = Match(vector=unit(1, 0), floor=0.5)
        assert db.search(ana, "recall", near).numbers == [1]
        assert db.search(bob, "recall", near).numbers == []
        assert db.search(ana, "recall", near, fingerprint="g").numbers == []
        gone = PendingVector(ana, "recall", 1, "a")
        db.embed([replace(gone, text="another")], unit(0, 1))
        assert db.search(ana, "recall", near).numbers == [1]


def test_browsing_reads_no_vectors(tmp_path: Path) -> None:
    cache = IndexCache()
    with Files(cache).opened(tmp_path) as db:
        ana = db.agent("ana")
        db.write(lambda tx: tx.append(ana, [said("red")] * 50))
        give_vectors(db, ana, list(VECTORS[:50]))
        assert len(db.found(ana, "recall")) == 50
        assert len(db.found(ana, "recall", "red")) == 50
        without = cache.nbytes
        assert db.search(ana, "recall", Match(vector=VECTORS[7], floor=0.99)).numbers == [8]
        assert cache.nbytes >= without + VECTORS[:50].nbytes
        db.write(lambda tx: tx.append(ana, [said("red")]))
        assert len(db.found(ana, "recall")) == 51


def test_a_transaction_that_began_before_another_s_search_finds_its_own_vectors(tmp_path: Path) -> None:
    cache = IndexCache()
    with Files(IndexCache()).opened(tmp_path) as db:
        ana = db.agent("ana")
        db.write(lambda tx: tx.append(ana, [said("red")]))
        give_vectors(db, ana, [unit(1, 0)])
        older, newer = (
            Connection(tmp_path / "a.db", synchronous="NORMAL", busy_timeout=10, read_only=True)
            for _ in range(2)
        )
        older.run("BEGIN")
        older.one("SELECT 1 FROM agents")  # from here on its snapshot stands
        db.write(lambda tx: tx.append(ana, [said("blue")]))
        every = SQLiteTransaction(newer, cache).search(ana, "recall", Match(), Filter(), "f")
        assert every.number.tolist() == [1, 2]
        near = Match(vector=unit(1, 0), floor=0.5)
        found = SQLiteTransaction(older, cache).search(ana, "recall", near, Filter(), "f")
        assert found.number[found.matched].tolist() == [1]
        older.close()
        newer.close()
