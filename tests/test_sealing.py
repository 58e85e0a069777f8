"""Sealed vectors on PostgreSQL: searches find the same at every step of sealing, merging and rebuilding, and
never fewer than there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg
import pytest

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
from pagefault.testing.store_opening import NOW
from pagefault.types import AgentId, AgentRecord, Passage

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
    alive: dict[int, dict[str, np.ndarray]] = field(default_factory=dict[int, dict[str, np.ndarray]])

    async def add(
        self, count: int, *, second: bool = False, near: np.ndarray | None = None, most: int = 3
    ) -> None:
        """Passages of one to ``most`` windows; with ``second`` half of them are read by another embedder."""
        numbers = range(max(self.alive, default=0) + 1, max(self.alive, default=0) + 1 + count)
        texts = [Passage(f"text {n}", NOW, tags(n)) for n in numbers]
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
        return await self.store.write(lambda tx: tx.seal(self.id, SIZES))

    async def sealed(self, until: SealStep = "") -> list[SealStep]:
        """Do all steps, or those up to one of this name."""
        steps: list[SealStep] = []
        while step := await self.step():
            steps.append(step)
            if step == until:
                break
        return steps

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
        for tag, every in (("", 1), ("tenth", 10), ("percent", 100), ("permille", 1000)):
            match = Match(vector=queries["f"], floor=-2.0, elsewhere=other)
            found = await self.search(match, Filter(tags=(tag,) if tag else ()))
            true = self.cosines(queries, lambda number, every=every: number % every == 0)
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


@asynccontextmanager
async def archive(url: str, exact: int = 0, small: int = 50) -> AsyncGenerator[Archive]:
    """An archive of a store that holds few vectors exactly; ``exact``: see ``IndexCache``."""
    store = PostgresStore.open(url, connections=4, cache=IndexCache(small=small, exact=exact))

    def made(tx: Transaction) -> AgentId:
        for name in ("g", "f"):
            tx.put_embedder(EmbedderRecord(name, name, DIMENSIONS, wanted=True, in_service=True))
        return tx.create_agent(AgentRecord("ana", {}, NOW)).id

    try:
        yield Archive(store, url, await store.write(made), np.random.default_rng(5))
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
        texts = [Passage(f"zero {n}", NOW, tags(n)) for n in range(61, 101)]
        stored = await a.store.write(lambda tx: tx.insert_passages(a.id, texts))
        items = [PendingVector(a.id, "archival", p.number, p.text) for p in stored]
        zeros = [np.zeros((1, DIMENSIONS), np.float32)] * 40
        await a.store.write(lambda tx: tx.put_vectors("f", items, zeros))
        for passage in stored:
            a.alive[passage.number] = {"f": zeros[0], "g": a.drawn(0)}
        await a.sealed()
        await a.check()


async def test_sealed_vectors_are_counted_known_and_forgotten(database: str) -> None:
    async with archive(database) as a:
        await a.add(100)
        for until in ("plan", "build", "publish", "clean"):
            assert (await a.sealed(until=until))[-1] == until
            assert await a.store.read(lambda tx: tx.embedded("f")) == (100, 100)
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
        after = before
        for _ in range(50):
            if (after := await a.one(used)) >= before + 20:
                break
            await asyncio.sleep(0.1)
        assert after >= before + 20
