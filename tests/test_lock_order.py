"""Transactions that write to several agents lock them in one order, so that none waits for another crosswise.

Run on Citus too where ``PAGEFAULT_TEST_CITUS_URL`` is a database on the coordinator of a cluster.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import permutations

import numpy as np
import psycopg
import pytest

from pagefault.errors import StorageError, TurnHeldError
from pagefault.shared import Attachment, SharedRecord
from pagefault.storage import Transaction
from pagefault.storage.postgres import PostgresStore, store
from pagefault.testing.citus import CitusDatabases, given_coordinator
from pagefault.testing.postgres import Databases
from pagefault.types import AgentId, AgentRecord, Event, Message, Passage, Role, Section
from test_postgres import WAITS, ask

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 29, tzinfo=UTC)
ROUNDS = 20
ON = ["postgres", *["citus"] * bool(given_coordinator())]

Work = Callable[[Transaction], object]


@pytest.fixture(params=ON)
def database(request: pytest.FixtureRequest, databases: Databases) -> Generator[str]:
    server = databases if request.param == "postgres" else CitusDatabases(given_coordinator() or "")
    with server.one() as url:
        yield url
    if server is not databases:
        server.close()


@pytest.fixture(autouse=True)
def without_further_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadlock is an error at once."""
    monkeypatch.setattr(store, "_PAUSES", ())


@asynccontextmanager
async def two_stores(url: str) -> AsyncGenerator[list[PostgresStore]]:
    stores = [PostgresStore.open(url) for _ in range(2)]
    yield stores
    for each in stores:
        await each.close()


async def agents(store: PostgresStore, count: int) -> list[AgentId]:
    made: list[AgentId] = []
    for number in range(count):
        record = AgentRecord(f"a{number}", {}, NOW)
        made.append((await store.write(lambda tx, record=record: tx.create_agent(record))).id)
    return made


def say(tx: Transaction, agent: AgentId) -> None:
    tx.append(agent, [Message(Role.USER, "x", NOW)])


def test_agents_whose_turns_post_to_each_other_all_get_on(database: str) -> None:
    async def turn(store: PostgresStore, own: AgentId, others: list[AgentId]) -> None:
        def commit(tx: Transaction) -> None:
            for other in others:
                tx.count_sent(other, "me", NOW)
                tx.post(other, Event("agent", "hello"))
            say(tx, own)

        async with store.turn_lock(own) as hold:
            await store.write(lambda tx: say(tx, own), hold)
            for _ in range(ROUNDS):
                await store.write(commit, hold)

    async def run() -> None:
        async with two_stores(database) as (one, two):
            ana, bo, cleo = await agents(one, 3)
            turns = [turn(one, ana, [bo, cleo]), turn(two, bo, [cleo, ana]), turn(two, cleo, [bo, ana])]
            async with asyncio.timeout(120):
                await asyncio.gather(*turns)
            for agent in (ana, bo, cleo):
                events = await one.read(lambda tx, agent=agent: tx.events(agent))
                assert [event.id for event in events] == list(range(1, 2 * ROUNDS + 1))
                rows = await one.read(lambda tx, agent=agent: tx.messages(agent))
                assert [row.seq for row in rows] == list(range(1, ROUNDS + 2))

    asyncio.run(run())


def test_transactions_that_post_to_the_same_agents_in_every_order_are_done(database: str) -> None:
    async def run() -> None:
        async with two_stores(database) as stores:
            orders = list(permutations(await agents(stores[0], 3))) * 4

            def post(order: tuple[AgentId, ...], n: int, tx: Transaction) -> None:
                for agent in order:
                    tx.post(agent, Event("message", key=f"k{n}" if n % 2 else None))

            async with asyncio.timeout(120):
                await asyncio.gather(
                    *[stores[n % 2].write(lambda tx, n=n, o=o: post(o, n, tx)) for n, o in enumerate(orders)]
                )
            for agent in orders[0]:
                events = await stores[0].read(lambda tx, agent=agent: tx.events(agent))
                assert len(events) == len(orders)

    asyncio.run(run())


def test_marks_of_vectors_are_settled_in_the_order_in_which_they_are_put(database: str) -> None:
    """The agents whose vectors are settled are found by how long they wait; they are locked by their ids."""

    async def run() -> None:
        async with two_stores(database) as (one, two):
            ana, bo = await agents(one, 2)
            for agent in (bo, ana):
                await one.write(lambda tx, agent=agent: say(tx, agent))
            ask(database, f"UPDATE agents SET unembedded = 1 WHERE id = {bo}")
            pending = await one.read(lambda tx: tx.pending_vectors("f", 8))
            vectors = [np.ones((1, 2), np.float32)] * len(pending)
            await one.write(lambda tx: tx.put_vectors("f", pending, vectors))
            waiting, locked = threading.Barrier(2), threading.Event()

            def settle(tx: Transaction) -> None:
                waiting.wait(60)
                locked.wait(60)
                tx.settle_vectors(["f"])

            def crosswise(tx: Transaction) -> None:
                tx.post(ana, Event("message"))
                tx.agent_by_id(ana)
                waiting.wait(60)
                locked.set()
                for _ in range(100):
                    if ask(database, WAITS):
                        break
                    time.sleep(0.02)
                tx.post(bo, Event("message"))

            async with asyncio.timeout(120):
                await asyncio.gather(one.write(settle), two.write(crosswise))

    asyncio.run(run())


def test_transactions_that_change_several_agents_otherwise_than_by_posting_are_done(database: str) -> None:
    """Sections, events that are set and what was delivered lock their agents in the same order."""
    ways: list[Callable[[Transaction, AgentId], object]] = [
        lambda tx, agent: tx.put_section(agent, Section("human", "", 10), NOW),
        lambda tx, agent: tx.set_event(agent, 1, "done"),
        lambda tx, agent: tx.delivered(agent, agent),
    ]

    async def run() -> None:
        async with two_stores(database) as stores:
            made = await agents(stores[0], 3)
            for agent in made:
                await stores[0].write(lambda tx, agent=agent: tx.post(agent, Event("message")))

            def change(order: tuple[AgentId, ...], way: int, tx: Transaction) -> None:
                for n, agent in enumerate(order):
                    ways[(way + n) % len(ways)](tx, agent)
                    tx.agent_by_id(agent)  # it is locked by now

            async with asyncio.timeout(120):
                await asyncio.gather(
                    *(
                        stores[n % 2].write(lambda tx, order=order, n=n: change(order, n, tx))
                        for n, order in enumerate(list(permutations(made)) * 8)
                    )
                )

    asyncio.run(run())


def test_a_turn_of_an_agent_that_is_being_written_to_is_not_waited_for(database: str) -> None:
    """Its writer may be paused. On Citus the limit must hold on the agent's node."""

    async def run() -> None:
        async with two_stores(database) as (one, two):
            (ana,) = await agents(one, 1)
            reached, may_go = threading.Event(), threading.Event()

            def paused(tx: Transaction) -> None:
                tx.post(ana, Event("message"))
                reached.set()
                assert may_go.wait(60)

            writing = asyncio.create_task(one.write(paused))
            await asyncio.to_thread(reached.wait, 60)
            async with two.turn_lock(ana) as hold:
                with pytest.raises(TurnHeldError):
                    await two.write(lambda tx: say(tx, ana), hold)
                may_go.set()
                await writing
                await two.write(lambda tx: say(tx, ana), hold)

    asyncio.run(run())


def test_a_change_that_others_are_in_the_way_of_ends_in_one_sentence(databases: Databases) -> None:
    async def run(url: str, error: type[psycopg.Error]) -> None:
        def work(_: Transaction) -> None:
            raise error("canceling the transaction")

        async with two_stores(url) as (one, _):
            with pytest.raises(StorageError, match=r"gave a change up .* try again\.$"):
                await one.write(work)

    with databases.one() as url:
        for error in (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
            asyncio.run(run(url, error))


def test_a_transaction_writes_to_the_agents_that_it_makes_in_any_order(database: str) -> None:
    """Each try makes them under new ids, so that no order of the tries before would help."""

    def make(tx: Transaction) -> list[str]:
        older = tx.create_shared(SharedRecord("archive", "older", NOW))
        made = [tx.create_agent(AgentRecord(name, {}, NOW)).id for name in ("ana", "bo")]
        younger = tx.create_shared(SharedRecord("archive", "younger", NOW))
        for agent in reversed(made):
            for archive in (younger, older):
                tx.attach(agent, Attachment("archive", archive.name, NOW))
                tx.insert_passage(archive.id, Passage("note", NOW))
        return [attachment.name for agent in made for attachment in tx.attachments(agent)]

    async def run() -> list[str]:
        async with two_stores(database) as (store, _):
            return await store.write(make)

    assert asyncio.run(run()) == ["older", "younger"] * 2
