"""Sealed vectors on PostgreSQL: searches find the same at every step of sealing, merging and rebuilding, and
never fewer than there are."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pagefault.errors import StorageError
from pagefault.kernel.sealer import Sealer
from pagefault.storage import (
    BEST_WINDOW,
    EmbedderRecord,
    Filter,
    Found,
    Match,
    OtherVector,
    PendingVector,
    Transaction,
)
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.segments import SealStep, SegmentSizes
from pagefault.testing.postgres import Databases
from pagefault.testing.store_opening import NOW
from pagefault.types import AgentId, AgentRecord, Passage, Place
from test_postgres import WAITS
from waiting import until

pytestmark = pytest.mark.anyio

SIZES = SegmentSizes(small=50, open=20, dead=0.15)
DIMENSIONS = 16


@dataclass
class Archive:
    """An archive, and what is to be found in it: the windows of each row by embedder, none for not read."""

    store: PostgresStore
    url: str
    id: AgentId
    random: np.random.Generator
    last: int = 0
    alive: dict[int, dict[str, np.ndarray]] = field(default_factory=dict[int, dict[str, np.ndarray]])

    async def add(
        self, count: int, *, second: bool = False, near: np.ndarray | None = None, most: int = 3
    ) -> None:
        """Passages of one to ``most`` windows; with ``second`` half of them are read by another embedder."""
        numbers = range(self.last + 1, self.last + 1 + count)
        self.last += count
        texts = [numbered(n) for n in numbers]
        stored = await self.store.write(lambda tx: tx.insert_passages(self.id, texts))
        vectors: dict[str, list[np.ndarray]] = {"f": [], "g": []}
        for n, passage in enumerate(stored):
            for name, read in (("f", not second or n % 2 == 0), ("g", second and n % 2 == 1)):
                windows = int(self.random.integers(1, most + 1)) if read else 0
                vectors[name].append(self.drawn(windows, near))
            self.alive[passage.number] = {name: vectors[name][-1] for name in vectors}
        items = [PendingVector(self.id, "archival", p.number, p.text) for p in stored]
        for name in ("f", "g") if second else ("f",):
            await self.store.write(lambda tx, name=name: tx.put_vectors(name, items, vectors[name]))

    def drawn(self, count: int, near: np.ndarray | None = None) -> np.ndarray:
        drawn = self.random.standard_normal((count, DIMENSIONS)).astype(np.float32)
        if near is not None:
            drawn = near + 0.1 * drawn
        return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)

    async def delete(self, numbers: Collection[int]) -> None:
        for number in numbers:
            assert await self.store.write(lambda tx, number=number: tx.delete_passage(self.id, number))
            del self.alive[number]

    async def step(self) -> SealStep:
        return await self.store.build(lambda tx: tx.seal(self.id, SIZES))

    async def sealed(self, until: SealStep = "") -> list[SealStep]:
        """Do all steps, or those up to one of this name."""
        steps: list[SealStep] = []
        while step := await self.step():
            steps.append(step)
            if step == until:
                break
        return steps

    async def goes_on(self) -> None:
        """Do all steps, of which there are some as soon as the server sees that another process is gone."""
        await until(self.sealed)

    async def segments(self) -> list[tuple[int, int, str, int, int]]:
        """Those of vectors."""
        query = """
            SELECT first, last, state, rows, dead FROM segments
            WHERE agent = %s AND fingerprint <> '' ORDER BY first, number"""
        async with await psycopg.AsyncConnection.connect(self.url) as db:
            return await (await db.execute(query, [self.id])).fetchall()  # type: ignore[return-value]

    async def one(self, query: str) -> Any:
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as db:
            row = await (await db.execute(query.encode())).fetchone()
            return row and row[0]

    async def tables(self) -> list[str]:
        found = await self.one("SELECT array_agg(relname ORDER BY relname) FROM pg_class "
                               "WHERE relname LIKE 'segment\\_%' AND relkind = 'r'")  # fmt: skip
        return found or []

    def cosines(self, vectors: dict[str, np.ndarray], passes: Callable[[int], bool]) -> dict[int, float]:
        """What every row that passes is compared with, exactly; of the second embedder where the first has
        nothing."""
        found: dict[int, float] = {}
        for number, windows in self.alive.items():
            for name, query in vectors.items():
                if passes(number) and number not in found and len(windows[name]):
                    each = windows[name].astype(np.float16).astype(np.float32) @ query
                    found[number] = float(BEST_WINDOW * each.max() + (1 - BEST_WINDOW) * each.mean())
        return found

    async def search(self, match: Match, filter: Filter | None = None) -> Found:
        return await self.store.read(
            lambda tx: tx.search(self.id, "archival", match, filter or Filter(), "f")
        )

    async def check(self, *, second: bool = False, near: np.ndarray | None = None) -> float:
        """Search with filters of different strictness; assert that no row is lacking and that cosines are
        true; return the least recall of the best ten."""
        least = 1.0
        queries = {name: self.drawn(1, near)[0] for name in (("f", "g") if second else ("f",))}
        other = OtherVector("g", queries["g"], 1.0, 0.0) if second else None
        for filter, passes in filters(self.last):
            match = Match(vector=queries["f"], floor=-2.0, elsewhere=other)
            found = await self.search(match, filter)
            true = self.cosines(queries, passes)
            is_shown = found.may_show & ~np.isnan(found.cosine)
            shown = dict(zip(found.number[is_shown].tolist(), found.cosine[is_shown].tolist(), strict=True))
            assert len(shown) >= min(200, len(true))
            assert shown.keys() <= true.keys()
            for number, cosine in shown.items():
                assert cosine == pytest.approx(true[number], abs=1e-2)
            best = sorted(true, key=lambda number, true=true: -true[number])[:10]
            if best:
                least = min(least, sum(number in shown for number in best) / len(best))
        return least


def tags(number: int) -> tuple[str, ...]:
    return tuple(
        tag for tag, every in (("tenth", 10), ("percent", 100), ("permille", 1000)) if number % every == 0
    )


def minute(number: int) -> datetime:
    return NOW + timedelta(minutes=number)


def document(number: int) -> int:
    return 1 + number % 150


def numbered(number: int) -> Passage:
    return Passage(f"text {number}", minute(number), tags(number), place=Place(document(number), 1))


def filters(last: int) -> list[tuple[Filter, Callable[[int], bool]]]:
    """Filters of different strictness, by tags, time, document and number, each with what it lets pass."""
    middle = last // 2
    return [
        (Filter(), lambda n: n > 0),
        (Filter(tags=("tenth",)), lambda n: n % 10 == 0),
        (Filter(tags=("percent",)), lambda n: n % 100 == 0),
        (Filter(tags=("permille",)), lambda n: n % 1000 == 0),
        (Filter(session=document(middle)), lambda n: document(n) == document(middle)),
        (Filter(since=minute(middle)), lambda n: n >= middle),
        (Filter(since=minute(middle), until=minute(middle + 3)), lambda n: middle <= n < middle + 3),
        (Filter(before=middle, tags=("tenth",)), lambda n: n < middle and n % 10 == 0),
        (Filter(tags=("none",)), lambda n: n < 0),
    ]


def made(name: str) -> Callable[[Transaction], AgentId]:
    def work(tx: Transaction) -> AgentId:
        for embedder in ("g", "f"):
            tx.put_embedder(EmbedderRecord(embedder, embedder, DIMENSIONS, wanted=True, in_service=True))
        return tx.create_agent(AgentRecord(name, {}, NOW)).id

    return work


@asynccontextmanager
async def archive(url: str, exact: int = 0, small: int = 50, connections: int = 4) -> AsyncGenerator[Archive]:
    """An archive of a store that holds few vectors exactly; ``exact``: see ``IndexCache``."""
    store = PostgresStore.open(url, connections=connections, cache=IndexCache(small=small, exact=exact))
    try:
        yield Archive(store, url, await store.write(made("ana")), np.random.default_rng(5))
    finally:
        await store.close()


async def test_what_is_small_is_not_sealed(database: str) -> None:
    async with archive(database) as a:
        await a.add(50)
        assert await a.sealed() == []
        await a.add(1)
        assert (await a.sealed())[:4] == ["plan", "build", "publish", "clean"]
        assert await a.segments() == [(1, 51, "sealed", 51, 0)]
        assert await a.one("SELECT count(*) FROM vectors WHERE part >= 0") == 0
        await a.check()


@pytest.mark.parametrize("exact", [0, 20_000])
async def test_searches_find_the_same_at_every_step(database: str, exact: int) -> None:
    async with archive(database, exact) as a:
        steps: list[SealStep] = []
        for count in (40, 40, 30, 5, 60, 250):
            await a.add(count)
            assert await a.check() >= 0.9
            while step := await a.step():
                steps.append(step)
                assert await a.check() >= 0.9
            await a.delete(a.random.choice(sorted(a.alive), 3, replace=False).tolist())
            assert await a.check() >= 0.9
        assert {"plan", "build", "publish", "clean", "drop"} == set(steps)
        segments = await a.segments()
        assert len(await a.tables()) == len(segments) == 1  # they were merged
        assert segments[0][1] == 425


async def test_no_fewer_rows_than_there_are_though_a_third_is_dead(database: str) -> None:
    async with archive(database) as a:
        topic = a.drawn(1)[0]
        await a.add(1200)
        await a.add(300, near=topic)
        await a.sealed()
        await a.delete(a.random.choice(sorted(a.alive), 450, replace=False).tolist())
        dead = sum(row[4] for row in await a.segments())
        assert dead == 450
        for near in (None, topic, -topic):
            await a.check(near=near)
        assert (await a.sealed())[:3] == ["plan", "build", "publish"]
        assert (await a.segments())[0][3:] == (1050, 0)
        for near in (None, topic, -topic):
            assert await a.check(near=near) >= 0.9


@pytest.mark.parametrize("exact", [0, 20_000])
@pytest.mark.parametrize("seed", range(3))
async def test_no_row_is_lacking_in_several_segments_though_a_third_is_dead(
    database: str, seed: int, exact: int
) -> None:
    """Whatever is found by index or compared one by one: passages of several windows, zero vectors, rows of
    one topic, deletions during a build and after it, open rows above the segments."""
    async with archive(database, exact) as a:
        a.random = np.random.default_rng(seed)
        topic = a.drawn(1)[0]
        for count, near in ((1000, None), (300, topic), (60, None)):
            await a.add(count, near=near, most=5)
            await a.sealed(until="build")
            await a.delete(a.random.choice(sorted(a.alive), 8, replace=False).tolist())
            await a.sealed()
        await a.add(20, near=topic)
        assert len(await a.segments()) == 3
        for share in (0.0, 0.15, 0.2):
            gone = a.random.choice(sorted(a.alive), int(share * len(a.alive)), replace=False)
            await a.delete(gone.tolist())
            for near in (None, topic, -topic):
                recall = await a.check(near=near)
                assert recall >= (1.0 if exact else 0.9)
        assert len(a.alive) < 0.7 * a.last
        await a.sealed()
        for near in (None, topic, -topic):
            assert await a.check(near=near) >= 0.9


async def test_one_topic_and_many_windows_are_not_short(database: str) -> None:
    async with archive(database) as a:
        topic = a.drawn(1)[0]
        await a.add(400, near=topic, most=12)
        await a.add(200, near=-topic, most=1)
        await a.sealed()
        for near in (topic, -topic, None):
            assert await a.check(near=near) >= 0.9


async def test_two_embedders_are_sealed_each(database: str) -> None:
    async with archive(database) as a:
        await a.add(300, second=True)
        await a.sealed()
        await a.add(15, second=True)
        assert [row[:3] for row in await a.segments()] == [(1, 300, "sealed")] * 2
        for _ in range(5):
            assert await a.check(second=True) >= 0.9
        assert await a.one("SELECT count(*) FROM vectors WHERE part = -1") == 315


async def test_vectors_of_zeros_are_not_lost(database: str) -> None:
    async with archive(database) as a:
        await a.add(60)
        texts = [numbered(n) for n in range(61, 101)]
        stored = await a.store.write(lambda tx: tx.insert_passages(a.id, texts))
        items = [PendingVector(a.id, "archival", p.number, p.text) for p in stored]
        zeros = [np.zeros((1, DIMENSIONS), np.float32)] * 40
        await a.store.write(lambda tx: tx.put_vectors("f", items, zeros))
        a.last += 40
        for passage in stored:
            a.alive[passage.number] = {"f": zeros[0], "g": a.drawn(0)}
        await a.sealed()
        await a.check()


async def test_sealed_vectors_are_counted_known_and_forgotten(database: str) -> None:
    async with archive(database) as a:
        await a.add(100)
        for until in ("plan", "build", "publish", "clean"):
            assert (await a.sealed(until=until))[-1] == until
            counted = await a.store.read(lambda tx: tx.embedded("f"))
            assert counted == (100, 100)
            assert json.dumps(counted)  # as the command shows it: the database sums to a decimal
        items = [PendingVector(a.id, "archival", 3, "text 3")]
        await a.store.write(lambda tx: tx.put_vectors("f", items, [a.drawn(1)]))
        assert await a.one("SELECT count(*) FROM vectors WHERE part >= 0") == 0  # it has one
        assert await a.store.read(lambda tx: tx.pending_vectors("f", 9)) == []
        await a.delete([1, 2, 3])
        assert await a.store.read(lambda tx: tx.embedded("f")) == (97, 97)
        while await a.store.write(lambda tx: tx.forget_vectors("f", 10)):
            pass
        assert await a.segments() == await a.tables() == []
        await a.sealed()
        assert await a.segments() == []
        assert len(await a.store.read(lambda tx: tx.pending_vectors("f", 200))) == 97


async def test_an_agent_goes_with_its_segments(database: str) -> None:
    async with archive(database) as a:
        await a.add(100)
        await a.sealed(until="build")
        await a.store.write(lambda tx: tx.delete_agent(a.id))
        assert await a.segments() == await a.tables() == []
        assert await a.step() == ""


async def test_deletions_while_a_segment_is_built_are_kept(database: str) -> None:
    async with archive(database) as a:
        await a.add(100)
        await a.sealed(until="build")
        await a.delete(range(1, 11))
        assert await a.step() == "publish"
        assert await a.segments() == [(1, 100, "sealed", 100, 10)]
        await a.check()


async def test_two_processes_seal_at_once(database: str) -> None:
    async with archive(database) as a:
        other = PostgresStore.open(database, connections=2, cache=IndexCache(small=50))
        await a.add(300)

        async def all_steps(store: PostgresStore) -> int:
            done = idle = 0
            while idle < 5:
                step = await store.write(lambda tx: tx.seal(a.id, SIZES))
                done, idle = done + bool(step), 0 if step else idle + 1
                await asyncio.sleep(0.01)
            return done

        try:
            done = await asyncio.gather(all_steps(a.store), all_steps(other))
        finally:
            await other.close()
        assert sum(done) >= 4
        await a.sealed()
        assert [row[:3] for row in await a.segments()] == [(1, 300, "sealed")]
        await a.check()


@pytest.mark.parametrize("step", ["plan", "build", "publish", "clean", "drop"])
async def test_a_process_killed_in_any_step_loses_nothing(database: str, step: SealStep) -> None:
    """The session ends with all its connections before the step is committed."""
    async with archive(database) as a:
        await a.add(100)
        await a.sealed()
        await a.add(300)
        while (await next_step(a.url, a.id)) != step:
            assert await a.step()
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED, database, str(a.id), stdout=subprocess.PIPE
        )
        assert child.stdout
        assert await child.stdout.readline() == f"{step}\n".encode()
        assert await a.check() >= 0.9
        child.kill()
        await child.wait()
        await a.delete(range(1, 21))
        await a.goes_on()
        assert [row[:3] for row in await a.segments()] == [(1, 400, "sealed")]
        assert len(await a.tables()) == 1
        assert await a.check() >= 0.9


KILLED = """
import asyncio, sys, time
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.segments import SegmentSizes
store = PostgresStore.open(sys.argv[1], connections=1)
def work(tx):
    print(tx.seal(int(sys.argv[2]), SegmentSizes(small=50, open=20, dead=0.15)), flush=True)
    time.sleep(60)
asyncio.run(store.write(work))
"""


async def next_step(url: str, agent: AgentId) -> str:
    """The step that would be done now; it is undone."""

    class Undone(Exception):
        pass

    found: list[str] = []

    def work(tx: Transaction) -> None:
        found.append(tx.seal(agent, SIZES))
        raise Undone

    store = PostgresStore.open(url, connections=1)
    with suppress(Undone):
        await store.write(work)
    await store.close()
    return found[-1]


async def test_rows_are_written_and_deleted_while_segments_are_built(database: str) -> None:
    async with archive(database) as a:
        await a.add(60)
        ended = asyncio.Event()

        async def steps() -> None:
            while not ended.is_set():
                await a.sealed()
                await asyncio.sleep(0.01)

        sealing = asyncio.create_task(steps())
        for _ in range(15):
            await a.add(25)
            await a.delete(a.random.choice(sorted(a.alive), 8, replace=False).tolist())
            assert await a.check() >= 0.9
        ended.set()
        await sealing
        await a.sealed()
        assert await a.check() >= 0.9
        assert sum(row[3] - row[4] for row in await a.segments()) >= len(a.alive) - SIZES.open


@asynccontextmanager
async def held_up(a: Archive) -> AsyncGenerator[asyncio.Task[SealStep]]:
    """The next step, which waits for a lock that is held meanwhile."""
    async with await psycopg.AsyncConnection.connect(a.url) as other:
        await other.execute("LOCK TABLE vectors IN ACCESS EXCLUSIVE MODE")
        step = asyncio.create_task(a.step())
        await until(lambda: a.one(WAITS))
        yield step


async def test_a_store_that_is_closed_gives_up_what_it_builds(database: str) -> None:
    async with archive(database) as a:
        await a.add(200)
        assert await a.step() == "plan"
        async with held_up(a) as building:
            async with asyncio.timeout(60):
                await a.store.close()
            with pytest.raises(StorageError):
                await building
        assert await a.tables() == []


async def test_the_only_connection_is_free_while_a_segment_is_built(database: str) -> None:
    async with archive(database, connections=1) as a:
        await a.add(200)
        assert await a.step() == "plan"
        async with held_up(a) as building:
            stored = await a.store.write(lambda tx: tx.insert_passages(a.id, [Passage("more", NOW, ())]))
            assert await a.store.read(lambda tx: tx.passage(a.id, stored[0].number))
            assert not building.done()
        assert await building == "build"


async def test_vectors_stay_where_an_earlier_pagefault_reads_them(database: str) -> None:
    async with archive(database) as a:
        await a.add(100)
        async with await psycopg.AsyncConnection.connect(database, application_name="pagefault/leases: x"):
            assert "clean" not in (await a.sealed())[:4]
            assert await a.one("SELECT count(DISTINCT number) FROM vectors") == 100
            await a.check()
        await a.goes_on()
        assert await a.one("SELECT count(*) FROM vectors") == 0


async def test_a_table_is_dropped_when_no_reader_has_it(database: str) -> None:
    async with archive(database) as a:
        await a.add(100)
        await a.sealed()
        (table,) = await a.tables()
        await a.add(100)
        async with await psycopg.AsyncConnection.connect(database) as reader:
            await reader.execute(f"SELECT 1 FROM {table}".encode())
            await a.sealed()
            assert len(await a.tables()) == 2
        await a.goes_on()
        assert len(await a.tables()) == 1


async def test_the_kernel_seals_in_the_background(database: str) -> None:
    async with archive(database) as a:
        await a.add(100)
        await Sealer(a.store, SIZES).settled()
        assert [row[:3] for row in await a.segments()] == [(1, 100, "sealed")]
        assert await a.one("SELECT count(*) FROM postings") == 0
        assert await a.one("SELECT count(*) FROM word_blocks") > 0
        await a.check()


async def test_an_archive_that_cannot_be_sealed_holds_up_no_other(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with archive(database) as bad:
        good = Archive(bad.store, database, await bad.store.write(made("ben")), bad.random)
        for each in (bad, good):
            await each.add(100)
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as other:
            await other.execute(f"CREATE VIEW segment_{bad.id}_1 AS SELECT 1".encode())
            sealer = Sealer(bad.store, SIZES)
            for _ in range(3):
                await sealer.settled()
            said = [each.getMessage() for each in caplog.records if each.name.startswith("pagefault")]
            assert len(said) == 1
            assert f"agent or archive {bad.id}: The database" in said[0]
            assert [row[:3] for row in await good.segments()] == [(1, 100, "sealed")]
            await bad.check()
            await other.execute(f"DROP VIEW segment_{bad.id}_1".encode())
        await Sealer(bad.store, SIZES).settled()
        assert [row[:3] for row in await bad.segments()] == [(1, 100, "sealed")]
        await bad.check()


async def test_without_the_right_to_create_tables_vectors_stay_open(
    database: str, databases: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    role = f"modest_{uuid4().hex}"
    databases.execute(f"CREATE ROLE {role} LOGIN")
    async with archive(database) as a:
        await a.add(100)
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as owner:
            await owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}".encode())
            await owner.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        other = PostgresStore.open(make_conninfo(database, user=role), connections=1)
        try:
            await Sealer(other, SIZES).settled()
        finally:
            await other.close()
        assert await a.segments() == []
        assert not caplog.records
        assert await a.one("SELECT count(*) FROM word_blocks") > 0
        await a.check()


async def test_sealed_segments_are_read_by_their_index(database: str) -> None:
    async with archive(database) as a:
        await a.add(3000, most=1)
        await a.sealed()
        table = (await a.tables())[0]
        used = f"SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = '{table}_vector_idx'"
        await a.one("SELECT pg_stat_force_next_flush()")
        before = await a.one(used)
        for _ in range(20):
            await a.search(Match(vector=a.drawn(1)[0], floor=-2.0))
        await a.store.close()

        async def is_used() -> bool:
            return await a.one(used) >= before + 20

        await until(is_used)
