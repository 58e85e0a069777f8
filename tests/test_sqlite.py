"""What is SQLite's own: durability, files, locks, refusals, migrations. The protocol is in test_storage."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from pagefault.errors import StorageError
from pagefault.storage import Filter, Match, Transaction
from pagefault.storage.schema import metadata
from pagefault.storage.sqlite import SQLiteStore
from pagefault.storage.sqlite.connection import Connection
from pagefault.storage.sqlite.transaction import SQLiteTransaction
from pagefault.storage.sqlite.worker import Worker
from pagefault.testing.store_opening import can_take_turn
from pagefault.types import AgentId, AgentRecord, Event, Message, QueueState, Role, Tier

NOW = datetime(2026, 3, 1, tzinfo=UTC)


async def new_agent(store: SQLiteStore, name: str = "ana") -> AgentId:
    return (await store.write(lambda tx: tx.create_agent(AgentRecord(name, {}, NOW)))).id


def say(agent: AgentId, text: str, tx: Transaction) -> int:
    return tx.append(agent, [Message(Role.USER, text, NOW)])[0].seq


def run(doing: Coroutine[Any, Any, None]) -> None:
    asyncio.run(doing)


# -- files


def test_file_and_folders_are_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "pagefault.db"
    store = SQLiteStore.open(path)

    async def work() -> None:
        async with store.turn_lock(await new_agent(store)):
            names = {entry.name for entry in path.parent.iterdir()}
            assert names == {"locks", "pagefault.db", "pagefault.db-shm", "pagefault.db-wal"}
            for entry in path.parent.iterdir():
                assert stat.S_IMODE(entry.stat().st_mode) == (0o700 if entry.is_dir() else 0o600), entry
        await store.close()

    run(work())
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {entry.name for entry in path.parent.iterdir()} == {"locks", "pagefault.db"}


def test_opening_a_current_file_loads_neither_alembic_nor_sqlalchemy(tmp_path: Path) -> None:
    run(SQLiteStore.open(tmp_path / "a.db").close())
    program = f"""
import sys
from pagefault.storage.sqlite import SQLiteStore
SQLiteStore.open({str(tmp_path / "a.db")!r})
sys.exit(len(sys.modules.keys() & {{"alembic", "sqlalchemy"}}))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# -- refusals: one sentence, with the file and the mend


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"some notes of mine, and more of them" * 100)
    with pytest.raises(StorageError, match=r"a\.db is not a pagefault database; move the file"):
        SQLiteStore.open(tmp_path / "a.db")


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "a.db")
    other.execute("CREATE TABLE songs (title)")
    other.close()
    before = (tmp_path / "a.db").read_bytes()
    with pytest.raises(StorageError, match="is another program's database; choose another place"):
        SQLiteStore.open(tmp_path / "a.db")
    assert (tmp_path / "a.db").read_bytes() == before


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    run(SQLiteStore.open(tmp_path / "a.db").close())
    newer = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    newer.execute("UPDATE alembic_version SET version_num = '9999'")
    newer.close()
    with pytest.raises(StorageError, match=r"written by a newer pagefault \(9999\); upgrade pagefault"):
        SQLiteStore.open(tmp_path / "a.db")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match=r"cannot be opened, because .*file"):
        SQLiteStore.open(tmp_path / "file" / "a.db")


def test_a_database_locked_for_too_long_is_refused(tmp_path: Path) -> None:
    store = SQLiteStore.open(tmp_path / "a.db", busy_timeout=0.05)
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)

    async def work() -> None:
        ana = await new_agent(store)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match=r"is locked by process [0-9]+; let it finish, end it"):
            await store.write(lambda tx: say(ana, "in vain", tx))
        assert await store.read(lambda tx: tx.messages(ana)) == []
        other.execute("ROLLBACK")
        assert await store.write(lambda tx: say(ana, "now", tx)) == 1
        await store.close()

    run(work())
    other.close()


def test_a_full_disk_is_refused_and_what_was_kept_is_kept(tmp_path: Path) -> None:
    run(SQLiteStore.open(tmp_path / "a.db").close())
    connection = Connection(tmp_path / "a.db", synchronous="NORMAL", busy_timeout=1.0)
    connection.run("PRAGMA max_page_count = 1")  # no page more than it has stands for a full disk
    worker = Worker(connection, begin="BEGIN IMMEDIATE", together=8, name="test")
    record = AgentRecord("ana", {}, NOW)
    ana = worker.submit(lambda tx: tx.create_agent(record)).result(60).id
    assert worker.submit(lambda tx: say(ana, "kept", tx)).result(60) == 1
    with pytest.raises(StorageError, match="cannot grow because the disk is full; free some space"):
        worker.submit(lambda tx: say(ana, "too much " * 10_000, tx)).result(60)
    assert worker.submit(lambda tx: say(ana, "again", tx)).result(60) == 2
    worker.close().result(60)


def test_a_read_cannot_write(tmp_path: Path) -> None:
    store = SQLiteStore.open(tmp_path / "a.db")

    async def work() -> None:
        ana = await new_agent(store)
        with pytest.raises(StorageError):
            await store.read(lambda tx: say(ana, "x", tx))
        await store.close()

    run(work())


def test_a_closed_store_refuses_work_and_closes_again(tmp_path: Path) -> None:
    store = SQLiteStore.open(tmp_path / "a.db")

    async def work() -> None:
        last = store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))
        task = asyncio.ensure_future(last)
        await asyncio.sleep(0)
        await store.close()
        assert (await task).name == "ana"  # what was queued is done
        with pytest.raises(StorageError, match="is closed; open it again"):
            await store.write(lambda tx: tx.agents())
        await store.close()

    run(work())


def test_a_close_that_is_given_up_still_ends_the_store(tmp_path: Path) -> None:
    store, begun, free = SQLiteStore.open(tmp_path / "a.db"), threading.Event(), threading.Event()

    def held(_: Transaction) -> None:
        begun.set()
        assert free.wait(60)

    async def work() -> None:
        last = asyncio.ensure_future(store.write(held))
        await asyncio.to_thread(begun.wait, 10)
        closing = asyncio.ensure_future(store.close())
        await asyncio.sleep(0.05)  # it waits for what is queued
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        free.set()
        await last
        await store.close()

    run(work())


# -- threads and processes


def test_a_slow_search_does_not_hold_up_a_write_and_sees_one_snapshot(tmp_path: Path) -> None:
    store = SQLiteStore.open(tmp_path / "a.db")
    reading, written = threading.Event(), threading.Event()

    async def work() -> None:
        ana = await new_agent(store)

        def slow(tx: Transaction) -> tuple[int, int]:
            before = len(tx.messages(ana))
            reading.set()
            assert written.wait(60)
            return before, len(tx.messages(ana))

        search = asyncio.ensure_future(store.read(slow))
        await asyncio.to_thread(reading.wait, 10)
        await store.write(lambda tx: say(ana, "meanwhile", tx))
        written.set()
        assert await search == (0, 0)
        assert len(await store.read(lambda tx: tx.messages(ana))) == 1
        await store.close()

    run(work())


def test_work_that_was_cancelled_before_it_began_is_dropped(tmp_path: Path) -> None:
    store = SQLiteStore.open(tmp_path / "a.db")
    begun, go = threading.Event(), threading.Event()

    async def work() -> None:
        ana = await new_agent(store)

        def hold(tx: Transaction) -> None:
            begun.set()
            assert go.wait(60)
            say(ana, "first", tx)

        first = asyncio.ensure_future(store.write(hold))
        await asyncio.to_thread(begun.wait, 10)
        second = asyncio.ensure_future(store.write(lambda tx: say(ana, "second", tx)))
        await asyncio.sleep(0)
        first.cancel()  # has begun: it is committed all the same
        second.cancel()
        await asyncio.wait([first, second])
        go.set()
        assert await store.write(lambda tx: say(ana, "third", tx)) == 2
        assert [row.text for row in await store.read(lambda tx: tx.messages(ana))] == ["first", "third"]
        await store.close()

    run(work())


def test_two_stores_on_one_file_number_one_log(tmp_path: Path) -> None:
    stores = [SQLiteStore.open(tmp_path / "a.db") for _ in range(2)]

    async def work() -> None:
        ana = await new_agent(stores[0])
        jobs = [stores[n % 2].write(lambda tx, n=n: say(ana, f"row {n}", tx)) for n in range(40)]
        assert sorted(await asyncio.gather(*jobs)) == list(range(1, 41))
        for store in stores:
            await store.close()

    run(work())


_CHILD = """
import asyncio, sys
from datetime import UTC, datetime
from pagefault.storage.sqlite import SQLiteStore
from pagefault.types import AgentId, Message, Role

async def main():
    store = SQLiteStore.open(sys.argv[1])
    async with store.turn_lock(AgentId(1)) as mine:
        print("locked", flush=True)
        for number in range(1, 1_000_000):
            row = Message(Role.USER, "word", datetime.now(UTC))
            await store.write(lambda tx: tx.append(AgentId(1), [row]))
            print(number, flush=True)

asyncio.run(main())
"""


def test_a_commit_survives_kill_and_the_turn_lock_does_not(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = SQLiteStore.open(path)

    async def prepare() -> None:
        await new_agent(store)

    async def work(acknowledged: int) -> None:
        rows = await store.read(lambda tx: tx.messages(AgentId(1)))
        assert acknowledged <= len(rows) <= acknowledged + 1
        found = await store.read(lambda tx: tx.search(AgentId(1), "recall", Match(("word",)), Filter(), ""))
        assert len(found.number) == len(rows)
        await store.close()

    run(prepare())
    command = [sys.executable, "-c", _CHILD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "locked\n"
        for _ in range(20):
            child.stdout.readline()
        assert not asyncio.run(can_take_turn(store, AgentId(1)))
        child.kill()
        acknowledged = 20 + child.stdout.read().count("\n")
    assert asyncio.run(can_take_turn(store, AgentId(1)))
    run(work(acknowledged))


@pytest.mark.slow
def test_processes_that_open_a_new_file_at_once_all_find_it_made(tmp_path: Path) -> None:
    program = "import sys; from pagefault.storage.sqlite import SQLiteStore; SQLiteStore.open(sys.argv[1])"
    children = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "a.db")]) for _ in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    run(SQLiteStore.open(tmp_path / "a.db").close())


# -- schema and cost


def test_the_migrations_make_the_schema(tmp_path: Path) -> None:
    run(SQLiteStore.open(tmp_path / "a.db").close())
    engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}")

    def ours(_object: Any, name: str | None, kind: str, _reflected: bool, _with: Any) -> bool:
        return not (kind == "table" and str(name).startswith(("lexicon", "sqlite_")))

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours})
        assert compare_metadata(context, metadata) == []
        made = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").all()
    engine.dispose()
    fresh = create_engine("sqlite://")
    metadata.create_all(fresh)
    with fresh.connect() as connection:
        wanted = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").all()
    fresh.dispose()
    # Word for word, because comparing leaves out what is SQLite's own (AUTOINCREMENT, WITHOUT ROWID).
    assert {name: _words(sql) for name, sql in wanted}.items() <= {n: _words(sql) for n, sql in made}.items()


def _words(sql: str) -> list[str]:
    return sorted(sql.replace(",", " ").replace('"', "").split())


def test_opening_is_quick(tmp_path: Path) -> None:
    run(SQLiteStore.open(tmp_path / "a.db").close())
    times: list[float] = []
    for _ in range(5):
        begin = time.process_time()
        store = SQLiteStore.open(tmp_path / "a.db")
        times.append(time.process_time() - begin)
        run(store.close())
    assert min(times) < 0.03


def test_what_is_asked_for_all_the_time_is_indexed(tmp_path: Path) -> None:
    run(SQLiteStore.open(tmp_path / "a.db").close())
    connection = Connection(tmp_path / "a.db", synchronous="NORMAL", busy_timeout=1.0)
    tx = SQLiteTransaction(connection)
    ana = tx.create_agent(AgentRecord("ana", {}, NOW)).id
    statements: list[str] = []
    connection.driver.set_trace_callback(statements.append)
    say(ana, "words", tx)
    tx.save_queue(ana, QueueState())
    event = tx.post(ana, Event("message", key="k"))
    tx.set_event(ana, event.id, "active")
    tx.messages(ana, first=1, event=event.id)
    tx.messages(ana, roles=[Role.SUMMARY], newest=1)
    reads: list[object] = [tx.agent("ana"), tx.sections(ana), tx.message(ana, 1), tx.passages(ana, [1])]
    reads += [tx.next_event(ana), tx.events(ana, state="pending"), tx.waiting(9), tx.waiting(9, "a", [ana])]
    reads += [tx.due_schedules(NOW, 9)]
    tx.put_vectors("f", tx.pending_vectors("f", 8), [np.ones((1, 2), np.float32)])
    tiers: tuple[Tier, ...] = ("recall", "archival")
    for tier in tiers:
        tx.search(ana, tier, Match(("word",), (("word",),), np.ones(2, np.float32)), Filter(tags=("t",)), "f")
    connection.driver.set_trace_callback(None)
    assert len(statements) > len(reads) + 10
    for statement in statements:
        if statement.startswith("--"):  # what the full-text index does inside
            continue
        plan = [step[-1] for step in connection.rows(f"EXPLAIN QUERY PLAN {statement}")]
        whole = [
            step
            for step in plan
            if re.fullmatch(r"SCAN (agents|messages|passages|inbox|schedules|r|v)", step)
        ]
        assert not whole, (statement, plan)
    connection.close()
