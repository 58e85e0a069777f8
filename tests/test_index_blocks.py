"""Blocks of rows and of vectors: a first search reads the same from them as from the rows, however many of
them are missing, and no write leaves one behind that is out of date."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, LiteralString, cast

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagefault.storage import Filter, Found, Match, Store
from pagefault.storage.index.blocks import ROWS, SIZE, seal_all
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.postgres.transfer import PostgresTransfer
from pagefault.storage.sqlite import SQLiteStore
from pagefault.storage.sqlite.connection import Connection
from pagefault.storage.sqlite.source import SQLiteSource
from pagefault.storage.sqlite.transfer import SQLiteTransfer
from pagefault.testing.store_opening import NOW, Opened, StoreOpening, said, unit
from pagefault.transfer import check, repair
from pagefault.types import AgentId, Passage, Role, Tier
from test_upgrade import WITHOUT_ARCHIVES

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


def alike(one: Found, other: Found) -> None:
    for column in fields(Found):
        left, right = getattr(one, column.name), getattr(other, column.name)
        np.testing.assert_array_equal(left, right, column.name)


def embed_all(db: Opened, vectors: np.ndarray, *, but: int = 0) -> None:
    """Give all rows their vectors, ``but`` one."""
    while items := [i for i in db.read(lambda tx: tx.pending_vectors("f", 4000)) if i.number != but]:
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


class Silent:
    """Hears how far a check is."""

    def begin(self, what: str, total: int) -> None: ...
    def advance(self, rows: int) -> None: ...


class Files(StoreOpening):
    """The same, with the blocks of the file open to statements of SQL."""

    def __init__(self, place: Path) -> None:
        self.place, self.url = place, ""

    def open(self, place: Path) -> Store:
        return SQLiteStore.open(place / "a.db", cache=IndexCache(small=1000))

    def rows(self, statement: str) -> list[Any]:
        with closing(sqlite3.connect(self.place / "a.db")) as db:
            rows = db.execute(statement).fetchall()
            db.commit()
        return rows


class Servers(StoreOpening):
    """The same on PostgreSQL."""

    def __init__(self, url: str) -> None:
        self.url = url

    def open(self, place: Path) -> Store:  # noqa: ARG002
        return PostgresStore.open(self.url, cache=IndexCache(small=1000))

    def rows(self, statement: str) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as db:
            done = db.execute(cast(LiteralString, statement))
            return done.fetchall() if done.description else []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_blocks_are_made_as_rows_come_and_dropped_when_theirs_change(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    stores = Files(tmp_path) if kind == "sqlite" else Servers(request.getfixturevalue("database"))
    total = 9 * SIZE - 100

    def counts(fingerprint: str) -> dict[int, int]:
        chosen = f"WHERE tier = 'archival' AND fingerprint = '{fingerprint}'"
        return dict(stores.rows(f"SELECT block, count FROM index_blocks {chosen}"))

    def found() -> Found:
        with stores.opened(tmp_path) as db:
            match = Match(("red", "7"), vector=VECTORS[3], floor=0.2)
            return db.read(lambda tx: tx.search(ana, "archival", match, Filter(), "f"))

    def holds() -> None:
        """Processes that have just begun find the same with these blocks and without any."""
        with_blocks = found()
        stores.rows("CREATE TABLE saved AS SELECT * FROM index_blocks")
        stores.rows("DELETE FROM index_blocks")
        alike(with_blocks, found())
        stores.rows("INSERT INTO index_blocks SELECT * FROM saved")
        stores.rows("DROP TABLE saved")

    with stores.opened(tmp_path) as db:
        ana = db.agent("ana")
        for first in range(0, total, 3000):
            batch = [Passage(f"red {n % 50}", NOW) for n in range(first, min(first + 3000, total))]
            db.write(lambda tx, batch=batch: tx.insert_passages(ana, batch))
        embed_all(db, VECTORS, but=7)
        rows, vectors = counts(ROWS), counts("f")
        assert rows == {0: SIZE - 1, **dict.fromkeys(range(1, 8), SIZE)}
        # Two at a write: the others are made up with what comes later.
        assert vectors == {0: 2 * (SIZE - 2), 1: 2 * SIZE}
        holds()
        db.write(lambda tx: tx.delete_passage(ana, SIZE + 5))
        assert counts(ROWS).keys() == rows.keys() - {1}
        assert counts("f").keys() == {0}
        holds()
        db.write(lambda tx: tx.insert_passages(ana, [Passage(f"red {n}", NOW) for n in range(200)]))
        assert counts(ROWS).keys() == set(range(9))
        embed_all(db, VECTORS, but=7)
        assert counts("f").keys() == {0, 1, 2}
        holds()
        embed_all(db, VECTORS)
        assert counts("f").keys() == {1, 2}
        holds()
        db.write(lambda tx: tx.forget_vectors("f", 10**6))
        assert counts("f") == {}
        holds()
        db.write(lambda tx: tx.delete_agent(ana))
        assert counts(ROWS) == {}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_database_from_before_the_blocks_is_given_them(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    stores = Files(tmp_path) if kind == "sqlite" else Servers(request.getfixturevalue("database"))
    with stores.opened(tmp_path) as db:
        ana, bob = db.agent("ana"), db.agent("bob")
        for _ in range(3):
            db.write(lambda tx: tx.append(ana, [said("red")] * SIZE))
        db.write(lambda tx: tx.append(bob, [said("red")] * 10))
    for statement in (*WITHOUT_ARCHIVES, "DROP TABLE index_blocks"):
        stores.rows(statement)
    for index in ("agents_ready", "agents_unembedded", "schedules_due", "usage_totals_start"):
        stores.rows(f"DROP INDEX {index}")
    later = [("agents", "ready"), ("agents", "holder"), ("agents", "unembedded"), ("embedders", "walked")]
    later += [("agents", "parked"), ("inbox", "parked"), ("schedules", "parked")]  # columns of newer versions
    later += [("inbox", "hops"), ("schedules", "hops")]
    for table, column in later + [("agents", "lease_fence")] * (kind == "sqlite"):
        stores.rows(f"ALTER TABLE {table} DROP COLUMN {column}")
    if kind == "postgres":
        stores.rows("DROP TABLE workers, signals")
        stores.rows("ALTER TABLE agents RENAME COLUMN lease_fence TO fence")
    stores.rows("UPDATE alembic_version SET version_num = '0004'")
    with stores.opened(tmp_path) as db:
        assert sorted(stores.rows("SELECT agent, block, count FROM index_blocks")) == [
            (ana, 0, SIZE - 1),
            (ana, 1, SIZE),
            (ana, 2, SIZE),
        ]
        assert db.found(ana, "recall", "red")[:1] == [3 * SIZE]
    raw = SQLiteTransfer.open(tmp_path / "a.db") if kind == "sqlite" else PostgresTransfer.open(stores.url)
    try:
        stores.rows(f"UPDATE messages SET at = at + 1 WHERE seq = {SIZE + 7}")
        (finding,) = check(raw, Silent())
        assert finding.what == "Blocks 1 of recall, which searches read, differ from their rows."
        repair(raw, [finding])
        assert check(raw, Silent()) == []
    finally:
        raw.close()
