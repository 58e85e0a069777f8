"""Two connections that change one agent at the same moment, on PostgreSQL: one is paused between two
statements until the other waits for it, or has been refused.

Whatever the order: an event that waits makes its agent ready, a turn has one holder, and who lost it writes
nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from pagefault.errors import NotFoundError, TurnHeldError, TurnLostError
from pagefault.storage import Transaction, TurnHold
from pagefault.storage.postgres import PostgresStore
from pagefault.types import AgentId, AgentRecord, Event, Message, Role
from test_postgres import WAITS
from waiting import PATIENCE, until

ANA = AgentId(1)
NOW = datetime(2026, 11, 29, tzinfo=UTC)
ROW = [Message(Role.USER, "x", NOW)]

Work = Callable[[Transaction], object]


@dataclass
class Pause:
    """A transaction that stops before its commit, until it may go on."""

    reached: threading.Event = field(default_factory=threading.Event)
    may_go: threading.Event = field(default_factory=threading.Event)

    def after(self, work: Work) -> Work:
        def paused(tx: Transaction) -> object:
            done = work(tx)
            tx.agent_by_id(ANA)  # so that all before it was carried out
            self.reached.set()
            assert self.may_go.wait(PATIENCE)
            return done

        return paused


@dataclass
class Pair:
    """Two processes, as far as the server can tell."""

    url: str
    one: PostgresStore
    two: PostgresStore

    def ask(self, statement: str) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as driver:
            cursor = driver.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    async def blocked(self) -> None:
        """Until a statement waits for another transaction."""
        await until(lambda: self.ask(WAITS))

    async def until(self, condition: str) -> None:
        await until(lambda: self.ask(f"SELECT 1 WHERE {condition}"))

    def expire(self) -> None:
        """End the lease of the first process, as if it had been paused until now."""
        self.ask(f"UPDATE workers SET until = '-infinity' WHERE id = '{self.one.workers.me}'")

    async def take(self, store: PostgresStore) -> None:
        """Take the turn as soon as that can be, and end it."""
        async with asyncio.timeout(PATIENCE), store.turn_lock(ANA) as hold:
            while True:
                try:
                    return await store.write(touch, hold)
                except TurnHeldError:
                    await asyncio.sleep(0.01)

    def is_sound(self) -> bool:
        """Whether an agent is ready if, and only if, something waits; one must be there."""
        waits = "SELECT FROM inbox WHERE agent = agents.id AND rank IS NOT NULL"
        return set(self.ask(f"SELECT (ready IS NOT NULL) = EXISTS ({waits}) FROM agents")) == {(True,)}

    def holder(self) -> str | None:
        return self.ask("SELECT holder FROM agents")[0][0]


@asynccontextmanager
async def pair(url: str, *, reaping: bool = False) -> AsyncGenerator[Pair]:
    """``reaping``: the second process looks for those whose leases have run out; the first one does nothing
    by itself."""
    leases = (600.0, 0.6 if reaping else 600.0)
    stores = [PostgresStore.open(url, connections=2, lease=lease) for lease in leases]
    await stores[0].write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))
    try:
        yield Pair(url, *stores)
    finally:
        for store in stores:
            await store.close()


def post(tx: Transaction) -> object:
    return tx.post(ANA, Event("message"))


def touch(tx: Transaction) -> None:
    tx.append(ANA, ROW)


def finish(tx: Transaction) -> object:
    """The last write of a turn."""
    tx.append(ANA, ROW)
    return tx.finish_event(ANA, 1)


def settle(tx: Transaction) -> object:
    """As a turn that finds nothing in the inbox."""
    return tx.next_event(ANA) or tx.settle(ANA)


def drop(tx: Transaction) -> None:
    tx.set_event(ANA, 1, "done")


def park_event(tx: Transaction) -> None:
    tx.set_event(ANA, 1, "parked", parked="Why not.")


def park(tx: Transaction) -> None:
    tx.park_agent(ANA, "It is broken.")


def delete(tx: Transaction) -> None:
    tx.delete_agent(ANA)


def retry(tx: Transaction) -> None:
    drop(tx)
    post(tx)


async def overlapped(two: Pair, first: Work, then: Work, hold: TurnHold | None, *, other: bool) -> None:
    """The first write is paused before its commit until the second, of the ``other`` process, waits."""
    pause = Pause()
    begun = asyncio.create_task(two.two.write(pause.after(first), None if other else hold))
    await asyncio.to_thread(pause.reached.wait, PATIENCE)
    later = asyncio.create_task(two.one.write(then, hold if other else None))
    await two.blocked()
    pause.may_go.set()
    await begun
    await later


@pytest.mark.parametrize("ending", [finish, settle, drop, park_event, retry])
@pytest.mark.parametrize("posted_first", [True, False])
def test_an_event_that_is_posted_while_the_inbox_is_emptied_makes_the_agent_ready(
    ending: Work, posted_first: bool, database: str
) -> None:
    async def run() -> None:
        async with pair(database) as both:
            stores = (both.one, both.two)
            turn = stores[not posted_first]
            await turn.write(post)
            async with turn.turn_lock(ANA) as hold:
                await turn.write(touch, hold)
                if ending is settle:
                    await turn.write(drop)  # by a command, while the turn was about to begin
                first, then = (post, ending) if posted_first else (ending, post)
                await overlapped(both, first, then, hold, other=posted_first)
                assert both.is_sound()
            assert both.is_sound()
            assert both.holder() is None

    asyncio.run(run())


def test_of_two_that_take_a_turn_at_once_one_has_it(database: str) -> None:
    async def run() -> None:
        async with pair(database) as both:
            pause = Pause()
            async with both.one.turn_lock(ANA) as mine, both.two.turn_lock(ANA) as theirs:
                taking = asyncio.create_task(both.one.write(pause.after(post), mine))
                await asyncio.to_thread(pause.reached.wait, PATIENCE)
                with pytest.raises(TurnHeldError):
                    await both.two.write(post, theirs)
                pause.may_go.set()
                await taking
                with pytest.raises(TurnHeldError):
                    await both.two.write(post, theirs)
                await both.one.write(finish, mine)
                await both.two.write(post, theirs)
                with pytest.raises(TurnLostError):
                    await both.one.write(post, mine)
            assert len(both.ask("SELECT 1 FROM inbox")) == 2

    asyncio.run(run())


@pytest.mark.parametrize("kept", [True, False])
def test_a_turn_that_is_taken_while_another_ends_begins_when_that_has_ended(
    kept: bool, database: str
) -> None:
    """``kept``: something else waits, so the lease goes with the context."""

    async def run() -> None:
        async with pair(database) as both:
            await both.one.write(post)
            if kept:
                await both.one.write(post)
            pause = Pause()
            async with both.two.turn_lock(ANA) as theirs:
                async with both.one.turn_lock(ANA) as mine:
                    ending = asyncio.create_task(both.one.write(pause.after(finish), mine))
                    await asyncio.to_thread(pause.reached.wait, PATIENCE)
                    taking = asyncio.create_task(both.two.write(post, theirs))
                    await both.blocked()
                    pause.may_go.set()
                    await ending
                    if kept:
                        with pytest.raises(TurnHeldError):
                            await taking
                    else:
                        await taking
                if kept:
                    await both.two.write(post, theirs)
            assert both.is_sound()
            assert both.holder() is None

    asyncio.run(run())


def test_an_agent_that_is_parked_while_an_event_is_posted_is_ready_once_it_is_released(database: str) -> None:
    async def run() -> None:
        async with pair(database) as both:
            for first, then in ((post, park), (park, post)):
                await overlapped(both, first, then, None, other=True)
                await both.one.write(lambda tx: tx.park_agent(ANA, ""))
                assert both.is_sound()

    asyncio.run(run())


@pytest.mark.parametrize("ending", [finish, settle, post])
def test_a_turn_of_an_agent_that_is_deleted_meanwhile_leaves_nothing(ending: Work, database: str) -> None:
    async def run() -> None:
        async with pair(database) as both:
            await both.one.write(post)
            async with both.one.turn_lock(ANA) as hold:
                await both.one.write(touch, hold)
                if ending is settle:
                    await overlapped(both, delete, ending, hold, other=True)
                else:
                    with pytest.raises(NotFoundError):
                        await overlapped(both, delete, ending, hold, other=True)
            for table in ("agents", "inbox", "messages"):
                assert both.ask(f"SELECT 1 FROM {table}") == [], table

    asyncio.run(run())


# The lease of the first process runs out.


def test_a_process_that_was_paused_past_its_lease_writes_no_more(database: str) -> None:
    async def run() -> None:
        async with pair(database, reaping=True) as both:
            await both.one.write(post)
            async with both.one.turn_lock(ANA) as mine:
                await both.one.write(touch, mine)
                async with both.two.turn_lock(ANA) as theirs:
                    with pytest.raises(TurnHeldError):
                        await both.two.write(touch, theirs)
                both.expire()
                await both.take(both.two)
                with pytest.raises(TurnLostError):
                    await both.one.write(finish, mine)
            assert both.is_sound()
            assert len(both.ask("SELECT 1 FROM messages")) == 2

    asyncio.run(run())


def test_a_write_that_waits_for_the_reaper_is_refused(database: str) -> None:
    reap = "UPDATE agents SET lease_fence = lease_fence + 1, holder = NULL"

    async def run() -> None:
        async with pair(database) as both:
            async with both.one.turn_lock(ANA) as mine:
                await both.one.write(touch, mine)
                with psycopg.connect(database) as reaper:
                    reaper.execute(reap)
                    writing = asyncio.create_task(both.one.write(touch, mine))
                    await both.blocked()
                with pytest.raises(TurnLostError):
                    await writing
            assert len(both.ask("SELECT 1 FROM messages")) == 1

    asyncio.run(run())


def test_an_agent_that_is_written_to_is_not_waited_for_when_its_holder_is_reaped(database: str) -> None:
    """It is freed when its row is not locked any more, and the other agents of the holder at once."""

    async def run() -> None:
        async with pair(database, reaping=True) as both:
            await both.one.write(lambda tx: tx.create_agent(AgentRecord("bob", {}, NOW)))
            bob, pause = AgentId(2), Pause()
            async with both.one.turn_lock(ANA) as mine, both.one.turn_lock(bob) as another:
                await both.one.write(touch, mine)
                await both.one.write(lambda tx: tx.append(bob, ROW), another)
                writing = asyncio.create_task(both.one.write(pause.after(touch), mine))
                await asyncio.to_thread(pause.reached.wait, PATIENCE)
                both.expire()
                async with both.two.turn_lock(ANA) as theirs:
                    with pytest.raises(TurnHeldError):
                        await both.two.write(touch, theirs)
                await both.until("(SELECT holder FROM agents WHERE id = 2) IS NULL")
                assert both.ask("SELECT holder FROM agents WHERE id = 1") == [(both.one.workers.me,)]
                pause.may_go.set()
                await writing  # nobody has had the turn in between
                await both.take(both.two)
                with pytest.raises(TurnLostError):
                    await both.one.write(touch, mine)
            assert both.ask("SELECT id FROM workers WHERE until < now()") == []

    asyncio.run(run())


def test_a_lease_that_was_taken_by_a_worker_that_is_gone_is_freed(database: str) -> None:
    """The process was paused between the look at its clock and the statement that takes the lease."""

    async def run() -> None:
        async with pair(database, reaping=True) as both:
            await both.take(both.one)
            await both.take(both.two)
            both.expire()
            await both.until("(SELECT count(*) FROM workers) = 1")
            async with both.one.turn_lock(ANA) as mine:
                await both.one.write(touch, mine)
                await both.take(both.two)
                with pytest.raises(TurnLostError):
                    await both.one.write(touch, mine)
            await both.until("(SELECT count(*) FROM workers WHERE until < now()) = 0")

    asyncio.run(run())


def test_a_reaper_that_is_held_up_gives_up(database: str) -> None:
    """What it has locked meanwhile, other processes want to write to."""

    async def run() -> None:
        async with pair(database, reaping=True) as both:
            async with both.one.turn_lock(ANA) as mine:
                await both.one.write(touch, mine)
                await both.two.write(lambda tx: tx.create_agent(AgentRecord("bob", {}, NOW)))
                async with both.two.turn_lock(AgentId(2)) as theirs:
                    await both.two.write(lambda tx: tx.append(AgentId(2), ROW), theirs)
                with psycopg.connect(database) as other:
                    other.execute("SELECT 1 FROM workers FOR KEY SHARE")
                    both.expire()
                    await both.blocked()  # the reaper, with the agent's row locked
                    async with asyncio.timeout(PATIENCE):
                        await both.one.write(post)
                await both.take(both.two)
                with pytest.raises(TurnLostError):
                    await both.one.write(touch, mine)
            assert both.is_sound()

    asyncio.run(run())
