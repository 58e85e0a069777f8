"""A new embedder walks through all agents: in batches, over restarts, whatever is written meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pagefault.storage import EmbedderRecord, PendingVector, Transaction
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.store_opening import NOW, said, unit
from pagefault.types import AgentId, AgentRecord, Passage

AGENTS = 450
WITH_ROWS = (0, 3, 199, 200, 201, 205, 399, 400, 401, 449)

Store = SQLiteStore | PostgresStore


@pytest.fixture(params=["file", pytest.param("server", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    return request.getfixturevalue("database") if request.param == "server" else tmp_path / "a.db"


def opened(place: Path | str) -> Store:
    return PostgresStore.open(place, connections=1) if isinstance(place, str) else SQLiteStore.open(place)


def ask(place: Path | str, statement: str) -> Any:
    """The first value that a statement gives."""
    if isinstance(place, str):
        with psycopg.connect(place) as server:
            (found,) = server.execute(statement.encode()).fetchone() or (None,)
            return found
    with closing(sqlite3.connect(place)) as file:
        (found,) = file.execute(statement).fetchone() or (None,)
        return found


async def step(store: Store, name: str, made: list[PendingVector]) -> bool:
    """What an indexer does at once; whether more is to be done."""
    if pending := await store.read(lambda tx: tx.pending_vectors(name, 4)):
        made += pending
        vectors = [unit(1, 0)[None]] * len(pending)
        await store.write(lambda tx: tx.put_vectors(name, pending, vectors))
        return True
    return await store.write(lambda tx: tx.settle_vectors([name]))


async def filled(store: Store) -> list[AgentId]:
    def fill(tx: Transaction) -> list[AgentId]:
        agents = [tx.create_agent(AgentRecord(f"a{number}", {}, NOW)).id for number in range(AGENTS)]
        for number in WITH_ROWS:
            tx.append(agents[number], [said("one"), said("two")])
            tx.insert_passage(agents[number], Passage("three", NOW))
        return agents

    return await store.write(fill)


def wanted(name: str) -> EmbedderRecord:
    return EmbedderRecord(name, name, 2, True, False)


def test_a_new_embedder_walks_through_all_agents_whenever_the_process_ends(place: Path | str) -> None:
    """Each step is in a store that was just opened. Rows are added behind the walk and before it."""

    async def walk() -> None:
        store = opened(place)
        agents = await filled(store)
        old, new, last = list[PendingVector](), list[PendingVector](), list[PendingVector]()
        await store.write(lambda tx: tx.put_embedder(wanted("old")))
        while await step(store, "old", old):
            pass
        assert ask(place, "SELECT count(*) FROM agents WHERE unembedded IS NOT NULL") == 0
        await store.write(lambda tx: tx.put_embedder(wanted("new")))
        await store.close()
        reached, more, added = [0], True, False
        while more:
            store = opened(place)
            more = await step(store, "new", new)
            walked = ask(place, "SELECT walked FROM embedders WHERE fingerprint = 'new'")
            if walked is not None and walked > reached[-1]:
                reached.append(walked)
            if not added and len(reached) == 2:
                added = True
                for agent in (agents[0], agents[-1], agents[2]):
                    await store.write(lambda tx, id=agent: tx.append(id, [said("late")]))
                newest = await store.write(lambda tx: tx.create_agent(AgentRecord("newest", {}, NOW)))
                await store.write(lambda tx, id=newest.id: tx.append(id, [said("late")]))
            await store.close()
        assert len(reached) > 2, "it takes several batches"
        assert ask(place, "SELECT walked FROM embedders WHERE fingerprint = 'new'") is None
        store = opened(place)
        assert await store.read(lambda tx: tx.embedded("new")) == (len(old) + 4, len(old) + 4)
        keys = [(each.agent, each.tier, each.number) for each in new]
        assert len(keys) == len(set(keys)) == len(old) + 4, "each row is given its vectors once"
        assert not await step(store, "new", last)
        assert last == []
        await store.close()

    asyncio.run(walk())


def test_agents_that_are_deleted_during_the_walk_do_not_hold_it_up(place: Path | str) -> None:
    async def walk() -> None:
        store, made = opened(place), list[PendingVector]()
        agents = await filled(store)
        await store.write(lambda tx: tx.put_embedder(wanted("old")))
        while await step(store, "old", []):
            pass
        await store.write(lambda tx: tx.put_embedder(wanted("new")))
        left = list(WITH_ROWS)
        while await step(store, "new", made):
            if len(left) > 2:
                gone = agents[left.pop(len(left) // 2)]
                await store.write(lambda tx, id=gone: tx.delete_agent(id))
        done, all_rows = await store.read(lambda tx: tx.embedded("new"))
        assert done == all_rows > 0
        assert ask(place, "SELECT walked FROM embedders WHERE fingerprint = 'new'") is None
        await store.close()

    asyncio.run(walk())
