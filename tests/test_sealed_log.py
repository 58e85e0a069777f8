"""A log on PostgreSQL whose words and vectors are sealed while its rows are undone and forgotten.

At every step searches find what a store finds that has no segments, and no segment has one of those rows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any, TypeVar

import psycopg
import pytest

from pagefault.storage import Filter, Match, Transaction
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.postgres.transfer import PostgresTransfer
from pagefault.storage.segments import SegmentSizes
from pagefault.testing.memory import MemoryStore
from pagefault.testing.store_opening import NOW, said, unit
from pagefault.transfer import check, repair
from pagefault.types import AgentId, AgentRecord, Role
from test_word_segments import Silent

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SIZES = SegmentSizes(small=40, open=15)
VOCABULARY = ["red", "red red", "blue", "green", "oak", "elm", "gate"]
EVERY = Filter(roles=tuple(Role))
T = TypeVar("T")


class Twins:
    """The same log in PostgreSQL and in memory."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sealing = PostgresStore.open(url, connections=2, cache=IndexCache(small=3))
        self.plain = MemoryStore()
        self.random = random.Random(7)
        self.ids: tuple[AgentId, AgentId] = (AgentId(0), AgentId(0))

    async def begin(self) -> None:
        made = [
            (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))).id
            for store in (self.sealing, self.plain)
        ]
        self.ids = (made[0], made[1])

    async def both(self, work: Callable[[Transaction, AgentId], T]) -> T:
        """Do the same in each store; they say the same of it."""
        one = await self.sealing.write(lambda tx: work(tx, self.ids[0]))
        other = await self.plain.write(lambda tx: work(tx, self.ids[1]))
        assert one == other
        return one

    async def say(self, count: int) -> None:
        texts = [" ".join(self.random.choices(VOCABULARY, k=self.random.randint(1, 6))) for _ in range(count)]
        roles = [Role.USER, Role.ASSISTANT] * count
        rows = [said(text, role) for text, role in zip(texts, roles, strict=False)]
        await self.both(lambda tx, id: len(tx.append(id, rows)))
        await self.both(self._embed)

    def _embed(self, tx: Transaction, id: AgentId) -> int:
        waiting = [replace(item, agent=id) for item in tx.pending_vectors("f", 500)]
        tx.put_vectors("f", waiting, [unit(item.number % 11 - 5, 1)[None] for item in waiting])
        return len(waiting)

    async def undo(self, rows: int) -> None:
        def work(tx: Transaction, id: AgentId) -> int:
            (marker,) = tx.append(id, [replace(said("undone", Role.ALERT), name="withdrawn")])
            return tx.withdraw_rows(id, max(1, marker.seq - rows), marker.seq)

        await self.both(work)

    async def forget(self) -> None:
        rows = await self.plain.read(lambda tx: tx.messages(self.ids[1], withdrawn=True))
        chosen = [row.seq for row in self.random.sample(rows, 4)]
        await self.both(lambda tx, id: tx.erase_rows(id, chosen))

    async def step(self) -> str:
        return await self.sealing.write(lambda tx: tx.seal(self.ids[0], SIZES))

    async def alike(self) -> None:
        """Searches by words and by vector find the rows that they find in memory; no segment has another."""
        alive = await self.plain.read(lambda tx: tx.search(self.ids[1], "recall", Match(), EVERY, "f"))
        one, other = self.ids
        for match in (Match(("red", "oak")), Match((), (("gate",),)), Match()):
            wanted = await self.plain.read(lambda tx, m=match: tx.search(other, "recall", m, EVERY, "f"))
            found = await self.sealing.read(lambda tx, m=match: tx.search(one, "recall", m, EVERY, "f"))
            assert numbers(found) == numbers(wanted)
            assert found.whole == pytest.approx(wanted.whole)
        near = Match(vector=unit(1, 1), floor=-1.0)
        found = await self.sealing.read(lambda tx: tx.search(self.ids[0], "recall", near, EVERY, "f"))
        assert numbers(found) <= set(alive.number.tolist())
        stored, sealed = self.stored()
        embedded = {row.seq for row in await self.embedded()}
        assert stored == embedded
        assert sealed <= embedded

    async def embedded(self) -> list[Any]:
        rows = await self.plain.read(lambda tx: tx.messages(self.ids[1]))
        return [row for row in rows if row.role in (Role.USER, Role.ASSISTANT) and not row.erased]

    def stored(self) -> tuple[set[int], set[int]]:
        """The rows that have vectors, and those of them that are sealed and published."""
        with psycopg.connect(self.url) as driver:
            segments = driver.execute(
                "SELECT number FROM segments WHERE fingerprint <> '' AND state = 'sealed' AND tier = 'recall'"
            ).fetchall()
            tables = [f"SELECT number FROM segment_{self.ids[0]}_{number}" for (number,) in segments]
            sealed = {n for each in tables for (n,) in driver.execute(each.encode())}
            opened = {n for (n,) in driver.execute("SELECT number FROM vectors WHERE tier = 'recall'")}
        return sealed | opened, sealed


def numbers(found: Any) -> set[int]:
    return {*found.number[found.matched & found.may_show].tolist(), *found.more.tolist()}


def findings(url: str) -> list[str]:
    with closing(PostgresTransfer.open(url)) as database:
        return [finding.what for finding in check(database, Silent())]


async def test_rows_are_undone_and_forgotten_in_any_step_of_sealing(database: str) -> None:
    twins = Twins(database)
    try:
        await twins.begin()
        await twins.say(60)
        steps: set[str] = set()
        for turn in range(24):
            steps.add(await twins.step())
            await (twins.undo(5) if turn % 2 else twins.forget())
            await twins.alike()
            await twins.say(12)
        assert steps >= {"plan", "build", "publish"}
        assert findings(database) == []
        while await twins.step():
            await twins.alike()
        assert findings(database) == []
        with closing(PostgresTransfer.open(database)) as raw:
            repair(raw, check(raw, Silent()))
            with raw.writing() as rows:
                rows.reindex(twins.ids[0])
        await twins.alike()
        assert findings(database) == []
        await twins.undo(10_000)
        await twins.alike()
    finally:
        await twins.sealing.close()
