"""Words on PostgreSQL while they are sealed, merged and cleaned up: searches score what plain BM25 does at
every step, whoever writes, deletes, seals too or is killed; what is deleted is in no block; damage is
named."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from forked_processes import forking
from pagefault.errors import StorageError
from pagefault.storage import Filter, Match
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.index.words import WordBlocks, decoded
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.postgres.connection import PostgresConnection, adapt
from pagefault.storage.postgres.transaction import PostgresTransaction
from pagefault.storage.postgres.transfer import PostgresTransfer
from pagefault.storage.postgres.word_segments import WordSegments
from pagefault.storage.segments import SegmentKind, SegmentSizes
from pagefault.testing.store_opening import NOW
from pagefault.transfer import check, repair
from pagefault.types import AgentId, AgentRecord, Passage
from plain_bm25 import assert_exact
from test_word_segments import Between, Silent

pytestmark = pytest.mark.anyio

SIZES = SegmentSizes(small=40, open=15)
DONE, NOTHING = 0, 3  # how a process ends that was not killed
VOCABULARY = ["red", "red red", "blue", "green", "oak", "elm", "你好", "gate"]


def small_steps(tx: PostgresTransaction) -> list[SegmentKind]:
    return [WordSegments(tx._db, 90)]  # pyright: ignore[reportPrivateUsage]


@pytest.fixture(autouse=True)
def steps_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PostgresTransaction, "_segment_kinds", small_steps)


@dataclass
class Archive:
    store: PostgresStore
    url: str
    id: AgentId
    random: random.Random = field(default_factory=lambda: random.Random(3))
    texts: dict[int, str] = field(default_factory=dict[int, str])

    async def add(self, count: int) -> None:
        texts = [" ".join(self.random.choices(VOCABULARY, k=self.random.randint(1, 9))) for _ in range(count)]
        passages = [Passage(text, NOW) for text in texts]
        stored = await self.store.write(lambda tx: tx.insert_passages(self.id, passages))
        self.texts |= {passage.number: passage.text for passage in stored}

    async def delete(self, *numbers: int) -> None:
        for number in numbers or self.random.sample(sorted(self.texts), 3):
            assert await self.store.write(lambda tx, number=number: tx.delete_passage(self.id, number))
            del self.texts[number]

    async def step(self) -> str:
        return await self.store.write(lambda tx: tx.seal(self.id, SIZES))

    async def sealed(self) -> list[str]:
        steps: list[str] = []
        while step := await self.step():
            steps.append(step)
        return steps

    async def check(self) -> None:
        await self.store.read(lambda tx: assert_exact(tx, self.id, self.texts))
        with self.connected() as driver:
            blocks = WordBlocks.of(driver.execute("SELECT block, count, data FROM word_blocks").fetchall())
            assert blocks.count.all()
            assert self.texts.keys() >= {*blocks.block.tolist(), *decoded(blocks).numbers.tolist()}

    def connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.url, autocommit=True)

    def count(self, query: str) -> int:
        with self.connected() as driver:
            row = driver.execute(query.encode()).fetchone()
            assert row
            return row[0]


@asynccontextmanager
async def archive(url: str, rows: int) -> AsyncGenerator[Archive]:
    store = PostgresStore.open(url, connections=4, cache=IndexCache(small=3))
    try:
        id = (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))).id
        made = Archive(store, url, id)
        await made.add(rows)
        yield made
    finally:
        await store.close()


async def test_words_are_exact_at_every_step_while_rows_come_and_go(database: str) -> None:
    async with archive(database, 60) as a:
        steps: set[str] = set()
        for _ in range(4):
            while step := await a.step():
                steps.add(step)
                await a.check()
                await a.add(1)
                await a.delete()
                await a.check()
            await a.add(30)
        assert steps == {"plan", "build", "publish", "clean", "drop"}
        await a.delete(*a.texts)
        await a.check()
        assert a.count("SELECT count(*) FROM word_blocks") == a.count("SELECT count(*) FROM postings") == 0


async def test_what_is_deleted_leaves_segments_in_any_state(database: str) -> None:
    async with archive(database, 60) as a:
        await a.sealed()
        await a.add(60)
        states: set[str] = set()
        for _ in range(30):
            await a.step()
            with a.connected() as driver:
                states |= {state for (state,) in driver.execute("SELECT state FROM segments").fetchall()}
            await a.delete(min(a.texts), max(a.texts))  # the first of a block names it
            await a.check()
        assert states == {"building", "built", "sealed", "replaced"}


class DyingCursor(psycopg.Cursor[Any]):
    def execute(self, *given: Any, **options: Any) -> Any:
        count_down(self.connection)
        return super().execute(*given, **options)


def count_down(driver: Any) -> None:
    """Kill this process, as ``kill -9`` does, at the statement that is to be its last."""
    driver.left -= 1
    if not driver.left:
        os.kill(os.getpid(), signal.SIGKILL)


def seal_until(url: str, agent: AgentId, statements: int) -> None:
    """Take a step of sealing; be killed at one of its statements, or before or after its commit."""
    PostgresTransaction._segment_kinds = lambda tx: [WordSegments(tx._db, 300)]  # type: ignore[method-assign] # pyright: ignore[reportPrivateUsage]
    with psycopg.connect(url) as driver:
        adapt(driver)
        driver.commit()
        driver.cursor_factory = DyingCursor
        driver.left = statements  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
        step = PostgresTransaction(PostgresConnection(driver), IndexCache()).seal(agent, SIZES)
        count_down(driver)
        driver.commit()
        count_down(driver)
    sys.exit(DONE if step else NOTHING)


@pytest.mark.slow
async def test_a_process_killed_anywhere_loses_nothing_and_is_gone_on_with(database: str) -> None:
    processes = forking()
    async with archive(database, 60) as a:
        await a.sealed()
        await a.add(60)
        kills = statements = ended = 0
        while ended != NOTHING:
            statements += 1
            process = processes.Process(target=seal_until, args=(database, a.id, statements))
            process.start()
            await asyncio.to_thread(process.join)
            ended = process.exitcode
            assert ended in (DONE, NOTHING, -signal.SIGKILL)
            if ended == -signal.SIGKILL:
                kills += 1
            else:  # the next step
                statements = 0
            await a.check()
        assert kills > 30
        assert a.count("SELECT count(*) FROM segments") == 1
        assert a.count("SELECT count(*) FROM postings") == 0


async def test_two_processes_seal_at_once_while_rows_come_and_go(database: str) -> None:
    async with archive(database, 60) as a:
        other = PostgresStore.open(database, connections=2)

        async def all_steps(store: PostgresStore) -> int:
            done = idle = 0
            while idle < 20:
                step = await store.write(lambda tx: tx.seal(a.id, SIZES))
                done, idle = done + bool(step), 0 if step else idle + 1
                await asyncio.sleep(0.005)
            return done

        async def changes() -> int:
            for _ in range(15):
                await a.add(6)
                await a.delete()
                await a.check()
            return 1

        try:
            done = await asyncio.gather(all_steps(a.store), all_steps(other), changes())
        finally:
            await other.close()
        assert all(done)
        await a.sealed()
        await a.check()
        assert a.count("SELECT count(*) FROM segments WHERE state <> 'sealed'") == 0


async def test_an_agent_deleted_at_any_step_leaves_no_words(database: str) -> None:
    steps = 1
    while True:
        async with archive(database, 60) as a:
            done = [await a.step() for _ in range(steps)]
            await a.store.write(lambda tx, id=a.id: tx.delete_agent(id))
            assert await a.step() == ""
            for table in ("word_blocks", "postings", "segments"):
                assert a.count(f"SELECT count(*) FROM {table}") == 0
        if not done[-1]:
            return
        steps += 1


async def test_an_agent_deleted_while_its_words_are_read_is_not_written_to(database: str) -> None:
    async with archive(database, 60) as a:
        assert await a.step() == "plan"
        with psycopg.connect(database) as driver:
            adapt(driver)
            connection = Between(driver, lambda: delete_agent(a))
            tx = PostgresTransaction(connection, IndexCache())
            assert tx.seal(a.id, SIZES) == "build"
            assert connection.ran
            driver.commit()
        assert a.count("SELECT count(*) FROM word_blocks") == a.count("SELECT count(*) FROM segments") == 0


def delete_agent(archive: Archive) -> None:
    with psycopg.connect(archive.url) as driver:
        adapt(driver)
        PostgresTransaction(PostgresConnection(driver), IndexCache()).delete_agent(archive.id)


DAMAGE = {
    "cut short": "data = substr(data, 1, length(data) - 1)",
    "empty": r"data = '\x'",
    "a huge number": r"data = '\xfeffffffffffffff7f'::bytea || substr(data, 2)",
    "too long": r"data = '\xffffffffffffffffffffff7f'",
    "fewer rows than said": "count = count + 1",
    "more rows than said": "count = count - 1",
    "many rows": "count = 2147483647",
    "no rows": "count = 0",
    "fewer than no rows": "count = -1",
    "of another segment": "block = block + 1000000",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_damage_is_one_sentence_until_it_is_repaired(database: str, damage: str) -> None:
    async with archive(database, 60) as a:
        await a.sealed()
        await a.add(90)
        sealed = a.count("SELECT max(last) FROM segments")
        with a.connected() as driver:
            driver.execute(f"UPDATE word_blocks SET {damage} WHERE unit = 'red'".encode())
        number = next(n for n, text in a.texts.items() if n <= sealed and "red" in text)
        with pytest.raises(StorageError, match=r"lexical index is damaged \(.*db check --repair"):
            await a.store.read(lambda tx: tx.search(a.id, "archival", Match(("red", "oak")), Filter(), "f"))
        if not damage.startswith("block"):  # else nothing tells which rows it has
            with pytest.raises(StorageError, match="lexical index is damaged"):
                await a.store.write(lambda tx: tx.delete_passage(a.id, number))
            with pytest.raises(StorageError, match="lexical index is damaged"):
                await a.sealed()
        await a.add(1)
        with closing(PostgresTransfer.open(database)) as opened:
            findings = check(opened, Silent())
            assert any("is wrong about" in finding.what for finding in findings)
            repair(opened, findings)
        await a.check()
        assert "publish" in await a.sealed()
        await a.delete(number)
        await a.check()
