"""Damaged segments, word blocks and vectors: a check names each, and a repair brings all back from the rows
and from the vectors that are still there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import psycopg
import pytest

from pagefault.storage import EmbedderRecord, Match, PendingVector, Transaction
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.store_opening import NOW
from pagefault.transfer import check, copy_agents, repair
from pagefault.types import AgentRecord, Passage
from test_sealing import Archive, archive
from test_transfer import Heard, damage, opened, wrong
from test_upgrade import WITHOUT_ARCHIVES

pytestmark = pytest.mark.anyio
VECTORS = "fingerprint = 'f' AND state = 'sealed'"
WORDS = "fingerprint = '' AND tier = 'archival' AND state = 'sealed'"


ANOTHER = """
    INSERT INTO segments SELECT agent, number + 50, tier, fingerprint, {first}, 88, state, 0, 0
    FROM segments WHERE fingerprint = 'f' AND state = 'sealed'"""
SEGMENT = "Segment {number} of f in archival "
SEALED = "Vectors of f in archival are sealed "
BLOCKS = "UPDATE word_blocks SET "
DAMAGED = "word blocks of archival are damaged."
FAULTS = [
    ("DROP TABLE {table}", SEGMENT + "has no table {table}."),
    ("DROP INDEX {table}_vector_idx", SEGMENT + "has no HNSW index on its table {table}."),
    (f"UPDATE segments SET dead = 7 WHERE {VECTORS}", SEGMENT + "has 80 rows, but 73 were counted."),
    ("DELETE FROM {table} WHERE number = 7", "f lacks vectors of 1 rows of archival that count as"),
    (f"UPDATE segments SET first = 3 WHERE {VECTORS}", SEALED + "from number 3 on instead of 1."),
    (f"UPDATE segments SET last = 99 WHERE {VECTORS}", SEALED + "up to number 99, but 90 were counted."),
    (
        ANOTHER.replace("{first}", "85"),
        SEALED + "in segments that have a gap: one ends at 80, one begins at 85.",
    ),
    (
        ANOTHER.replace("{first}", "70"),
        SEALED + "in segments that overlap: one ends at 80, one begins at 70.",
    ),
    (f"DELETE FROM segments WHERE {VECTORS}", "f lacks vectors of 80 rows of archival that count as"),
    (f"DELETE FROM segments WHERE {WORDS}", "The lexical index of archival is wrong about"),
    (f"UPDATE segments SET last = 40 WHERE {WORDS}", DAMAGED),
    (BLOCKS + "segment = 77", "word blocks belong to no segment."),
    (BLOCKS + "data = substr(data, 1, length(data) - 1)", DAMAGED),
    (BLOCKS + "count = count + 1", DAMAGED),
    (BLOCKS + "data = '\\x'", DAMAGED),
    (BLOCKS + "block = block + 500", DAMAGED),
    ("DELETE FROM word_blocks WHERE unit = 'text'", "The lexical index of archival is wrong about 1 units."),
    ("CREATE TABLE segment_1_99 (number bigint)", "No segment has the table segment_1_99."),
]


@pytest.mark.parametrize(("statement", "sentence"), FAULTS)
async def test_damage_is_named_and_repaired_without_loss(
    statement: str, sentence: str, database: str
) -> None:
    async with archive(database) as a:
        await a.add(80)
        await a.sealed()
        await a.add(10)
        assert faults(database) == []
        found = await matches(a)
        (table,) = await a.tables()
        of = {"table": table, "number": table.rpartition("_")[2]}
        damage(database, statement.format(**of))
        assert any(sentence.format(**of) in what for what in faults(database)), faults(database)
        fix(database)
        assert faults(database) == []
        await a.store.close()
        a.store = PostgresStore.open(database)
        await embed_again(a)
        assert faults(database) == []
        assert await a.check() == 1.0
        assert await matches(a) == found
        await a.sealed()
        assert faults(database) == []
        assert await a.check() >= 0.9
        assert await matches(a) == found


async def matches(a: Archive) -> list[int]:
    found = await a.search(Match(("text",)))
    return found.number[found.matched].tolist()


def faults(place: Path | str) -> list[str]:
    """Without one that the archive has from the start: its chunks are of documents that are not there."""
    return [what for _, what in wrong(place) if "of a document" not in what]


def fix(place: Path | str) -> None:
    with opened(place) as database:
        findings = check(database, Heard())
        assert all(finding.derived for finding in findings if "of a document" not in finding.what)
        repair(database, findings)


async def embed_again(a: Archive) -> None:
    """As the indexer does, from the texts."""
    while rows := await a.store.read(lambda tx: tx.pending_vectors("f", 50)):
        vectors = [a.alive[row.number]["f"] for row in rows]
        await a.store.write(lambda tx, rows=rows, vectors=vectors: tx.put_vectors("f", rows, vectors))


async def test_vectors_in_both_places_are_right(database: str) -> None:
    """They are until they are cleaned; a repair of something else leaves them."""
    async with archive(database) as a:
        await a.add(80)
        await a.sealed(until="publish")
        assert await a.one("SELECT count(*) FROM vectors WHERE part = 0") == 80
        assert faults(database) == []


def test_vectors_that_are_lost_are_made_again_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def pending(make: bool) -> list[int]:
        store = SQLiteStore.open(path)
        if make:
            await store.write(fill)
        found = await store.read(lambda tx: tx.pending_vectors("f", 9))
        await store.close()
        return [row.number for row in found]

    assert asyncio.run(pending(make=True)) == []
    assert wrong(path) == []
    damage(path, "DELETE FROM vectors WHERE number = 2")
    assert wrong(path) == [("ana", "f lacks vectors of 1 rows of archival that count as embedded.")]
    fix(path)
    assert wrong(path) == []
    assert asyncio.run(pending(make=False)) == [2]
    damage(path, "INSERT INTO segments VALUES (1, 1, 'archival', 'f', 1, 3, 'sealed', 3, 0)")
    assert wrong(path) == [("ana", "There are segments, which this database does not have.")]
    fix(path)
    assert wrong(path) == []


def fill(tx: Transaction) -> None:
    ana = tx.create_agent(AgentRecord("ana", {}, NOW)).id
    tx.put_embedder(EmbedderRecord("f", "f", 4, wanted=True, in_service=True))
    rows = tx.insert_passages(ana, [Passage(f"text {n}", NOW) for n in range(3)])
    items = [PendingVector(ana, "archival", row.number, row.text) for row in rows]
    tx.put_vectors("f", items, [np.ones((1, 4), np.float32)] * 3)
    while tx.settle_vectors(["f"]):
        pass


async def test_an_agent_whose_table_is_gone_can_still_be_deleted(database: str) -> None:
    async with archive(database) as a:
        await a.add(80)
        await a.sealed()
        (table,) = await a.tables()
        with psycopg.connect(database, autocommit=True) as server:
            server.execute(f"DROP TABLE {table}".encode())
        await a.store.write(lambda tx: tx.delete_agent(a.id))
        assert faults(database) == []


async def test_what_is_deleted_has_left_the_tables_of_segments(database: str) -> None:
    """Dead vectors too, which nothing vacuums; and searches go on as before."""
    async with archive(database) as a:
        await a.add(80)
        await a.sealed()
        (table,) = await a.tables()
        await a.delete(range(1, 6))
        await a.store.close()
        pages = f"SELECT count(*) FROM {table}", f"SELECT pg_relation_filenode('{table}')"
        before = [await a.one(query) for query in pages]
        with opened(database) as place:
            assert place.traces(["nowhere"], rewrite=True)[0] == []
        after = [await a.one(query) for query in pages]
        assert (after[0], after[1] != before[1]) == (before[0], True)
        a.store = PostgresStore.open(database)
        assert faults(database) == []
        assert await a.check() >= 0.9
        await a.store.write(lambda tx: tx.delete_agent(a.id))
        assert await a.tables() == []
        for left in ("segments", "word_blocks", "vectors", "postings", "index_blocks", "outbox"):
            assert await a.one(f"SELECT count(*) FROM {left}") == 0


async def test_a_database_from_before_segments_is_sealed_after_its_upgrade(database: str) -> None:
    """What is found stays the same from step to step."""
    async with archive(database) as a:
        await a.add(80)
        found = await matches(a)
        await a.store.close()
        damage(database, *WITHOUT_ARCHIVES, "UPDATE alembic_version SET version_num = '0012'")
        cache = IndexCache(small=50, exact=0)
        a.store = PostgresStore.open(database, connections=4, cache=cache)
        assert await a.check() >= 0.9
        while await a.step():
            assert await a.check() >= 0.9
            assert await matches(a) == found
        assert [row[:3] for row in await a.segments()] == [(1, 80, "sealed")]
        assert faults(database) == []


async def test_sealed_vectors_go_to_a_file_and_back_whole(database: str, tmp_path: Path) -> None:
    async with archive(database) as a:
        await a.add(80)
        await a.sealed()
        await a.add(10)
        found = await matches(a)
        with opened(database) as server, opened(tmp_path / "a.db") as file:
            copy_agents(server, file, ["ana"], Heard())
            await a.store.write(lambda tx: tx.delete_agent(a.id))
            copy_agents(file, server, ["ana"], Heard())
        record = await a.store.read(lambda tx: tx.agent("ana"))
        assert record
        assert record.id != a.id
        a.id = record.id
        assert await matches(a) == found
        assert await a.check() >= 0.9
        await a.sealed()
        assert await matches(a) == found
        assert await a.check() >= 0.9
        assert faults(database) == []
