"""Blocks of rows and of vectors: a first search reads the same from them as from the rows, however many of
them are missing, and no write leaves one behind that is out of date."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagefault.storage import Filter, Found, Match
from pagefault.storage.index.blocks import ROWS, SIZE, seal_all
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.sqlite import SQLiteStore
from pagefault.storage.sqlite.connection import Connection
from pagefault.storage.sqlite.source import SQLiteSource
from pagefault.testing.store_opening import NOW, Opened, StoreOpening, said, unit
from pagefault.types import AgentId, Passage, Role, Tier

RANDOM = np.random.default_rng(11)
TEXTS = st.sampled_from(["red", "blue?", "red blue", "你好"])
VECTORS = np.stack([unit(*row) for row in RANDOM.standard_normal((64, 16))])


class Cached(StoreOpening):
    """Opens a SQLite file with a new cache, as a process that begins does."""

    def __init__(self, small: int = 50_000, block_size: int = SIZE) -> None:
        self.small, self.block_size = small, block_size

    def open(self, place: Path) -> SQLiteStore:
        return SQLiteStore.open(
            place / "a.db", cache=IndexCache(small=self.small, block_size=self.block_size)
        )


@contextmanager
def source(place: Path) -> Generator[SQLiteSource]:
    """The blocks of the file, to look at and to change."""
    connection = Connection(place / "a.db", synchronous="NORMAL", busy_timeout=10)
    try:
        yield SQLiteSource(connection)
    finally:
        connection.close()


def search(
    place: Path, agent: AgentId, tier: Tier, match: Match, small: int, block_size: int = SIZE
) -> Found:
    """What a process finds that has just begun."""
    with Cached(small, block_size).opened(place) as db:
        return db.read(lambda tx: tx.search(agent, tier, match, Filter(), "f"))


def without_blocks(place: Path) -> Path:
    """A copy of the file that has no blocks."""
    folder = place / "bare"
    folder.mkdir(exist_ok=True)
    (folder / "a.db").unlink(missing_ok=True)
    with closing(sqlite3.connect(place / "a.db")) as db:
        db.execute("VACUUM INTO ?", [str(folder / "a.db")])
    with closing(sqlite3.connect(folder / "a.db")) as db:
        db.execute("DELETE FROM index_blocks")
        db.commit()
    return folder


def alike(one: Found, other: Found) -> None:
    for column in fields(Found):
        left, right = getattr(one, column.name), getattr(other, column.name)
        np.testing.assert_array_equal(left, right, column.name)


def embed_all(db: Opened, vectors: np.ndarray) -> None:
    while items := db.read(lambda tx: tx.pending_vectors("f", 4000)):
        db.embed(
            items, *(vectors[[item.number % len(vectors), -item.number % len(vectors)]] for item in items)
        )


@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["red", "blue?", "red blue", "你好"]), st.sampled_from(Role), st.booleans()
        ),
        min_size=1,
        max_size=40,
    ),
    missing=st.sets(st.integers(0, 6)),
    turn=st.integers(0, 63),
)
def test_a_search_reads_the_same_with_and_without_blocks(
    rows: list[tuple[str, Role, bool]],
    missing: set[int],
    turn: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    place = tmp_path_factory.mktemp("blocks")
    with Cached().opened(place) as db:
        ana = db.agent("ana")
        for number, (text, role, later) in enumerate(rows):
            speaker = "Bob" if later else "Zoë \x00"
            row = said(text, role, hours=number * 7 * later)
            row = replace(row, speaker=speaker)
            db.write(lambda tx, row=row: tx.append(ana, [row]))
        embed_all(db, VECTORS)
    match = Match(("red",), vector=VECTORS[turn], floor=0.2)
    matches = (match, Match(("blue",)), Match())
    before = [search(place, ana, "recall", each, small=4, block_size=8) for each in matches]
    with source(place) as stored:
        seal_all(stored, ana, size=8, large=1)
        whole = len(rows) // 8
        assert stored.block_sizes(ana, "recall", ROWS).keys() == set(range(whole))
        for block in missing:
            stored.drop_blocks(ana, "recall", [block * SIZE])
    for one, each in zip(before, matches, strict=True):
        alike(one, search(place, ana, "recall", each, small=4, block_size=8))


@pytest.mark.slow
def test_blocks_are_made_as_rows_come_and_dropped_when_theirs_change(tmp_path: Path) -> None:
    total = 9 * SIZE - 100
    with Cached().opened(tmp_path) as db:
        ana = db.agent("ana")
        for first in range(0, total, 3000):
            batch = [Passage(f"red {n % 50}", NOW) for n in range(first, min(first + 3000, total))]
            db.write(lambda tx, batch=batch: tx.insert_passages(ana, batch))
        embed_all(db, VECTORS)

        def counts(fingerprint: str) -> dict[int, int]:
            with source(tmp_path) as stored:
                return dict(stored.block_sizes(ana, "archival", fingerprint))

        def holds() -> None:
            """Processes that have just begun find the same with these blocks and without any."""
            bare = without_blocks(tmp_path)
            match = Match(("red", "7"), vector=VECTORS[3], floor=0.2)
            one, other = (search(place, ana, "archival", match, 1000) for place in (tmp_path, bare))
            alike(one, other)

        rows, vectors = counts(ROWS), counts("f")
        assert rows == {0: SIZE - 1, **dict.fromkeys(range(1, 8), SIZE)}
        # Two at a write: those before the eighth are made up with what comes next.
        assert vectors == {0: 2 * (SIZE - 1), 1: 2 * SIZE}
        holds()
        db.write(lambda tx: tx.delete_passage(ana, SIZE + 5))
        assert counts(ROWS).keys() == rows.keys() - {1}
        assert counts("f").keys() == {0}
        holds()
        db.write(lambda tx: tx.insert_passages(ana, [Passage(f"red {n}", NOW) for n in range(200)]))
        assert counts(ROWS).keys() == set(range(9))
        embed_all(db, VECTORS)
        assert counts("f").keys() == {0, 1, 2}
        holds()
        db.write(lambda tx: tx.forget_vectors("f", 10**6))
        assert counts("f") == {}
        holds()
        db.write(lambda tx: tx.delete_agent(ana))
        assert counts(ROWS) == {}
