"""Leases on PostgreSQL: who renews them, who takes them over when they are not renewed, what is freed when.

Leases are short here, and what has to happen within one is waited for.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from pagefault.errors import StorageError, TurnHeldError, TurnLostError
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.signals import AgentReady, Signal
from pagefault.testing.store_opening import can_take_turn
from pagefault.types import Event
from test_postgres import ask, new_agent, run, say, turn_free

pytestmark = pytest.mark.slow

LEASE = 0.5
"""Seconds."""
EXPIRED = "UPDATE workers SET until = now() - interval '1 second'"


async def soon(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it is so."""
    end = time.monotonic() + 60
    while not await is_so():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def holders(url: str) -> list[str | None]:
    return [holder for (holder,) in ask(url, "SELECT holder FROM agents ORDER BY id")]


def workers(url: str) -> list[str]:
    return [worker for (worker,) in ask(url, "SELECT id FROM workers ORDER BY id")]


_CHILD = """
import asyncio, sys
from pagefault.storage.postgres import PostgresStore
from pagefault.types import AgentId

async def hold(store, agent, taken):
    async with store.turn_lock(AgentId(agent)) as mine:
        await store.write(lambda tx: tx.agent_by_id(AgentId(agent)), mine)
        taken.release()
        await asyncio.sleep(3600)

async def main():
    store = PostgresStore.open(sys.argv[1], lease=0.5)
    taken, agents = asyncio.Semaphore(0), range(1, int(sys.argv[2]) + 1)
    turns = [asyncio.ensure_future(hold(store, agent, taken)) for agent in agents]
    for _ in agents:
        await taken.acquire()
    print(store.workers.me, flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


@contextmanager
def child_with_turns(url: str, agents: int) -> Generator[tuple[subprocess.Popen[str], str]]:
    """Another process that has the turns of the first agents; its worker."""
    command = [sys.executable, "-c", _CHILD, url, str(agents)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield child, child.stdout.readline().strip()
        finally:
            child.kill()


def test_the_turns_of_a_killed_process_are_all_taken_over(database: str) -> None:
    async def work() -> None:
        store = PostgresStore.open(database, lease=LEASE)
        ready: list[Signal] = []
        store.signals.send = ready.append  # type: ignore[method-assign]
        agents = [await new_agent(store, f"a{n}") for n in range(5)]
        await store.write(lambda tx: tx.post(agents[1], Event("message")))
        with child_with_turns(database, 4) as (child, worker):
            assert holders(database) == [worker] * 4 + [None]
            assert f"-{child.pid}-" in worker
            store.workers.serve()
            for _ in range(3):
                await asyncio.sleep(LEASE)
                assert holders(database) == [worker] * 4 + [None], "it renews them"
            child.kill()
            for agent in agents:
                await turn_free(store, agent)
            assert workers(database) == [store.workers.me]
            assert ready == [AgentReady(agents[1])]
        await store.close()

    run(work())


def test_a_paused_process_loses_what_was_reaped_and_goes_on_under_a_new_name(database: str) -> None:
    async def work() -> None:
        store = PostgresStore.open(database, lease=LEASE)
        ana = await new_agent(store)
        with child_with_turns(database, 1) as (child, worker):
            child.send_signal(signal.SIGSTOP)
            await turn_free(store, ana)
            child.send_signal(signal.SIGCONT)

            async def is_there() -> bool:
                return any(f"-{child.pid}-" in each for each in workers(database))

            await soon(is_there)
            assert worker not in workers(database)
        await store.close()

    run(work())


def test_a_worker_that_was_reaped_cannot_write_and_takes_turns_under_a_new_name(database: str) -> None:
    async def work() -> None:
        one, two = (PostgresStore.open(database, lease=lease) for lease in (60, LEASE))
        ana, bob = await new_agent(one), await new_agent(one, "bob")
        async with one.turn_lock(ana) as mine:
            await one.write(lambda tx: say(ana, "mine", tx), mine)
            before = one.workers.me
            ask(database, EXPIRED)
            await turn_free(two, ana)
            with pytest.raises(TurnLostError):
                await one.write(lambda tx: say(ana, "too late", tx), mine)
        one._leases._good_until = 0.0  # pyright: ignore[reportPrivateUsage]  as after a pause
        async with one.turn_lock(bob) as mine:
            await one.write(lambda tx: say(bob, "mine", tx), mine)
            assert holders(database)[1] == one.workers.me != before
        await one.close()
        await two.close()
        assert workers(database) == []

    run(work())


def test_a_worker_that_was_reaped_cannot_write_though_nobody_has_taken_the_turn(database: str) -> None:
    async def work() -> None:
        one, two = (PostgresStore.open(database, lease=lease) for lease in (60, LEASE))
        ana = await new_agent(one)
        async with one.turn_lock(ana) as mine:
            await one.write(lambda tx: say(ana, "mine", tx), mine)
            ask(database, EXPIRED)
            two.workers.serve()

            async def is_free() -> bool:
                return holders(database) == [None]

            await soon(is_free)
            with pytest.raises(TurnLostError):
                await one.write(lambda tx: say(ana, "too late", tx), mine)
        await one.close()
        await two.close()

    run(work())


def test_what_was_taken_by_no_worker_is_found_and_freed(database: str) -> None:
    async def work() -> None:
        store = PostgresStore.open(database, lease=0.1)
        ana = await new_agent(store)
        ask(database, "UPDATE agents SET holder = 'nobody', lease_fence = 7")
        await turn_free(store, ana)
        assert ask(database, "SELECT lease_fence FROM agents") == [(9,)], "raised when freed and when taken"
        await store.close()

    run(work())


@pytest.mark.parametrize("until", ["infinity", "now() + interval '1 day'"])
def test_a_worker_that_has_no_lease_to_speak_of_is_reaped(until: str, database: str) -> None:
    """Its row is damaged, or the server's clock was set back."""

    async def work() -> None:
        store = PostgresStore.open(database, lease=LEASE)
        ana, bob = await new_agent(store), await new_agent(store, "bob")
        moment = until if "(" in until else f"'{until}'"
        ask(database, f"INSERT INTO workers VALUES (E'no\\nbody', {moment}, true)")
        ask(database, "UPDATE agents SET holder = E'no\\nbody'")
        ask(database, f"UPDATE agents SET lease_fence = {2**63 - 1} WHERE id = {ana}")
        await turn_free(store, ana)
        await turn_free(store, bob)
        assert workers(database) == [store.workers.me]
        assert ask(database, f"SELECT lease_fence FROM agents WHERE id = {ana}") == [(2,)]
        await store.close()

    run(work())


def test_an_agent_that_is_being_written_does_not_hold_up_the_others(database: str) -> None:
    async def work() -> None:
        store = PostgresStore.open(database, lease=LEASE)
        ana, bob = await new_agent(store), await new_agent(store, "bob")
        ask(database, "UPDATE agents SET holder = 'gone'")
        ask(database, "INSERT INTO workers VALUES ('gone', now() - interval '1 second', true)")
        with psycopg.connect(database) as other:
            other.execute(f"UPDATE agents SET warned = warned WHERE id = {ana}".encode())
            await turn_free(store, bob)
            assert not await can_take_turn(store, ana)
            assert "gone" in workers(database)
            assert "gone" not in store.workers.peers
        await turn_free(store, ana)
        await store.close()

    run(work())


def test_those_who_serve_know_one_another(database: str) -> None:
    async def work() -> None:
        stores = [PostgresStore.open(database, lease=LEASE) for _ in range(3)]
        one, two, client = stores
        ana = await new_agent(client)
        assert await can_take_turn(client, ana)
        for store in (one, two):
            store.workers.serve()

        async def all_known() -> bool:
            both = sorted(store.workers.me for store in (one, two))
            return all(sorted(store.workers.peers) == both for store in stores) and all(both)

        await soon(all_known)
        assert client.workers.me not in client.workers.peers
        left = two.workers.me
        await one.close()

        async def one_is_gone() -> bool:
            return list(client.workers.peers) == [left]

        await soon(one_is_gone)
        for store in (two, client):
            await store.close()
        assert workers(database) == []

    run(work())


def test_two_stores_of_one_process_are_two_workers(database: str) -> None:
    async def work() -> None:
        one, two = (PostgresStore.open(database, lease=LEASE) for _ in range(2))
        ana = await new_agent(one)
        async with one.turn_lock(ana) as mine:
            await one.write(lambda tx: say(ana, "mine", tx), mine)
            with pytest.raises(TurnHeldError):
                async with two.turn_lock(ana) as theirs:
                    await two.write(lambda tx: say(ana, "theirs", tx), theirs)
            await one.write(lambda tx: tx.agent_by_id(ana), mine)
            await two.close()
            assert holders(database) == [one.workers.me]
        await one.close()

    run(work())


def test_a_caller_that_is_cancelled_in_the_first_write_leaves_no_lease(database: str) -> None:
    async def work() -> None:
        store = PostgresStore.open(database, connections=2)
        ana = await new_agent(store)
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def slow(tx: Any) -> None:
            loop.call_soon_threadsafe(begun.set)
            time.sleep(0.2)
            say(ana, "kept", tx)

        async def turn() -> None:
            async with store.turn_lock(ana) as mine:
                await store.write(slow, mine)

        doing = asyncio.ensure_future(turn())
        await begun.wait()
        doing.cancel()
        await asyncio.wait([doing])

        async def is_free() -> bool:
            return holders(database) == [None] and await can_take_turn(store, ana)

        await soon(is_free)
        assert len(await store.read(lambda tx: tx.messages(ana))) == 1
        await store.close()

    run(work())


def test_a_lease_that_cannot_be_freed_is_freed_later(database: str) -> None:
    async def work() -> None:
        store = PostgresStore.open(database, lease=LEASE)
        ana = await new_agent(store)
        async with store.turn_lock(ana) as mine:
            await store.write(lambda tx: say(ana, "mine", tx), mine)
            ask(database, "ALTER TABLE agents RENAME COLUMN lease_fence TO away")
        assert holders(database) == [store.workers.me]
        ask(database, "ALTER TABLE agents RENAME COLUMN away TO lease_fence")

        async def is_free() -> bool:
            return holders(database) == [None]

        await soon(is_free)
        await store.close()

    run(work())


def test_a_lease_of_an_agent_that_is_being_written_holds_up_no_renewal(database: str) -> None:
    async def work() -> None:
        store = PostgresStore.open(database, lease=LEASE)
        ana = await new_agent(store)
        with psycopg.connect(database) as other:
            async with store.turn_lock(ana) as mine:
                await store.write(lambda tx: say(ana, "mine", tx), mine)
                other.execute("UPDATE agents SET warned = warned")
            until = ask(database, "SELECT until FROM workers")

            async def is_renewed() -> bool:
                return ask(database, "SELECT until FROM workers") > until

            await soon(is_renewed)
            assert holders(database) == [store.workers.me]

        async def is_free() -> bool:
            return holders(database) == [None]

        await soon(is_free)
        await store.close()

    run(work())


_FORKS = """
import asyncio, os, sys
from datetime import UTC, datetime
from pagefault.errors import StorageError
from pagefault.storage.postgres import PostgresStore
from pagefault.types import AgentId, Message, Role

ana = AgentId(1)

def say(tx):
    tx.append(ana, [Message(Role.USER, "mine", datetime.now(UTC))])

async def main():
    store = PostgresStore.open(sys.argv[1], lease=0.5)
    async with store.turn_lock(ana) as mine:
        await store.write(say, mine)
        if not (child := os.fork()):
            try:
                await store.write(say, mine)
            except StorageError as error:
                print(error, flush=True)
            await store.close()
            os._exit(0)
        os.waitpid(child, 0)
        await store.write(say, mine)
        print(store.workers.me, flush=True)
        sys.stdin.readline()
    await store.close()

asyncio.run(main())
"""


def test_a_forked_process_neither_renews_nor_frees_the_leases_of_its_parent(database: str) -> None:
    async def prepare() -> None:
        store = PostgresStore.open(database)
        await new_agent(store)
        await store.close()

    run(prepare())
    command, pipe = [sys.executable, "-c", _FORKS, database], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        refused, worker = parent.stdout.readline(), parent.stdout.readline().strip()
        assert "was opened before the process forked; open it anew in the child." in refused
        assert f"-{parent.pid}-" in worker
        assert holders(database) == [worker]
        parent.stdin.write("\n")
        parent.stdin.flush()
        assert parent.wait(60) == 0
    assert holders(database) == [None]
    assert workers(database) == []


def test_a_worker_that_is_renewed_before_it_is_reaped_keeps_its_leases(database: str) -> None:
    """Another one has found it late, and is about to reap it."""

    async def work() -> None:
        one, two = (PostgresStore.open(database, lease=60) for _ in range(2))
        ana = await new_agent(one)
        async with one.turn_lock(ana) as mine:
            await one.write(lambda tx: say(ana, "mine", tx), mine)
            two._leases._reap(one.workers.me)  # pyright: ignore[reportPrivateUsage]
            assert (holders(database), workers(database)) == ([one.workers.me], [one.workers.me])
            await one.write(lambda tx: say(ana, "still mine", tx), mine)
        await one.close()
        await two.close()

    run(work())


@pytest.mark.parametrize("kept", [True, False])
def test_a_lease_whose_first_commit_was_not_confirmed_is_not_kept(
    kept: bool, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``kept``: the connection is lost after the commit, not before. Nobody else ends the lease."""
    execute = psycopg.Connection[Any].execute
    lost: list[str] = []

    def executed(driver: psycopg.Connection[Any], statement: Any, *values: Any, **more: Any) -> Any:
        if statement not in ("COMMIT", b"COMMIT") or lost:
            return execute(driver, statement, *values, **more)
        lost.append("COMMIT")
        if kept:
            execute(driver, statement)
            execute(driver, "SELECT 1").fetchone()
        with socket.socket(fileno=os.dup(driver.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)
        return execute(driver, "SELECT 1").fetchone()

    async def work() -> None:
        one, two = (PostgresStore.open(database, lease=600) for _ in range(2))
        ana = await new_agent(one)
        async with one.turn_lock(ana) as mine:
            monkeypatch.setattr(psycopg.Connection, "execute", executed)
            with pytest.raises(StorageError, match="look whether it was kept before making it again"):
                await one.write(lambda tx: say(ana, "first", tx), mine)
            assert lost
            assert len(await two.read(lambda tx: tx.messages(ana))) == kept
            assert holders(database) == [None]
            async with two.turn_lock(ana) as theirs:
                await two.write(lambda tx: say(ana, "theirs", tx), theirs)
                with pytest.raises(TurnHeldError):
                    await one.write(lambda tx: say(ana, "mine", tx), mine)
            await one.write(lambda tx: say(ana, "mine", tx), mine)
            assert holders(database) == [one.workers.me]
        assert holders(database) == [None]
        await one.close()
        await two.close()

    run(work())


def test_threads_that_begin_at_once_start_one_renewal(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    class Slow(threading.Thread):
        def __init__(self, *arguments: Any, name: str | None = None, **more: Any) -> None:
            if name == "pagefault-leases":
                time.sleep(0.05)  # others may look meanwhile whether there is one
                started.append(name)
            super().__init__(*arguments, name=name, **more)

    async def work() -> None:
        store = PostgresStore.open(database, lease=60)
        agents = [await new_agent(store, f"a{n}") for n in range(8)]
        monkeypatch.setattr("threading.Thread", Slow)
        assert all(await asyncio.gather(*(can_take_turn(store, agent) for agent in agents)))
        await store.close()
        assert len(started) == 1

    run(work())
