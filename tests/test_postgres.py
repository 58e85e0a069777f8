"""PostgreSQL keeps every promise of the store protocol; and what is its own: processes that share a database,
turn locks and their fence, lost connections, refusals, migrations."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Coroutine, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.conninfo import make_conninfo
from sqlalchemy.dialects.postgresql.base import PGDialect

from conftest import Machine, Run
from pagefault.errors import StorageError, UsageError
from pagefault.kernel.timers import post_due
from pagefault.storage import Filter, Match, Store, Transaction, migrations
from pagefault.storage.postgres import PostgresStore, opening
from pagefault.storage.postgres.dialect import kind_of
from pagefault.storage.postgres.transaction import PostgresTransaction
from pagefault.storage.row_transfer import OWNED
from pagefault.storage.schema import metadata
from pagefault.storage.sqlite import opening as sqlite_opening
from pagefault.testing.models import ScriptedModel
from pagefault.testing.models import say as send
from pagefault.testing.postgres import Databases, end_server, start_server, stop_server
from pagefault.testing.store_opening import can_take_turn
from pagefault.testing.stores import StoreConformance
from pagefault.types import AgentId, AgentRecord, Event, Message, Role, Schedule
from waiting import PATIENCE, eventually, until

pytestmark = pytest.mark.slow

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class TestPostgresStore(StoreConformance):
    @pytest.fixture(autouse=True)
    def on_a_server(self, databases: Databases) -> Generator[None]:
        self.databases = databases
        self.places: dict[Path, str] = {}
        yield
        for url in self.places.values():
            databases.drop(url)

    def open(self, place: Path) -> Store:
        if place not in self.places:
            self.places[place] = self.databases.new()
        return PostgresStore.open(self.places[place], connections=4)

    frees_with_the_last_write = True

    def lose_turn(self, place: Path, agent: AgentId) -> bool:
        return take_away(self.places[place], agent)


async def new_agent(store: PostgresStore, name: str = "ana") -> AgentId:
    return (await store.write(lambda tx: tx.create_agent(AgentRecord(name, {}, NOW)))).id


async def turn_free(store: PostgresStore, agent: AgentId) -> None:
    """Wait until the agent's turn can be taken."""
    await until(lambda: can_take_turn(store, agent))


def say(agent: AgentId, text: str, tx: Transaction) -> int:
    return tx.append(agent, [Message(Role.USER, text, NOW)])[0].seq


def take_away(url: str, agent: int) -> bool:
    """Free the agent of its holder, as if the lease had run out and another process had reaped it."""
    reap = "UPDATE agents SET lease_fence = lease_fence + 1, holder = NULL WHERE holder IS NOT NULL"
    return bool(ask(url, f"{reap} AND id = {agent} RETURNING id"))


def run(doing: Coroutine[Any, Any, None]) -> None:
    asyncio.run(doing)


def ask(url: str, statement: str) -> list[Any]:
    """What a statement returns, run by somebody else."""
    with psycopg.connect(url, autocommit=True) as other:
        cursor = other.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
CUT = f"SELECT pg_terminate_backend(pid) {OTHERS}"
WAITS = f"SELECT pid {OTHERS} AND wait_event_type = 'Lock'"  # in this database: other tests share the server

# -- refusals: one sentence with the mend, and never the password


@pytest.mark.parametrize("url", ["postgresql://ana:hush@[::1/x", "host=localhost secret=hush", "nonsense"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="write postgresql://USER:PASSWORD@HOST:PORT/NAME") as refusal:
        PostgresStore.open(url)
    assert "hush" not in str(refusal.value)


def test_a_server_that_is_not_there_is_refused() -> None:
    with pytest.raises(StorageError, match=r"127\.0\.0\.1/mind cannot be reached .*; start it") as refusal:
        PostgresStore.open("postgresql://ana:hush@127.0.0.1:1/mind", patience=2)
    assert "hush" not in f"{refusal.value} {refusal.value.__cause__}"


def test_a_database_that_is_not_there_is_refused(databases: Databases) -> None:
    with pytest.raises(StorageError, match=r"nowhere.*does not exist"):
        PostgresStore.open(urlsplit(databases.url)._replace(path="/nowhere").geturl())


def test_a_newer_database_is_refused(database: str) -> None:
    ask(database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError, match=r"written by a newer pagefault \(9999\); upgrade pagefault"):
        PostgresStore.open(database)


def test_tables_of_another_program_are_refused_and_left_alone(databases: Databases) -> None:
    url = databases.new(empty=True)
    ask(url, "CREATE TABLE agents (title text)")
    with pytest.raises(StorageError, match=r"tables of another program .* choose another database or schema"):
        PostgresStore.open(url)
    assert ask(url, "SELECT count(*) FROM pg_class WHERE relname = 'messages'") == [(0,)]
    databases.drop(url)


def test_a_user_who_may_not_add_pgvector_is_told_who_may(databases: Databases) -> None:
    url = databases.new(empty=True)
    name = f"{databases.prefix}_nobody"
    databases.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'hush'")
    try:
        poor = make_conninfo(url, user=name, password="hush")
        with pytest.raises(StorageError, match="have an administrator run CREATE EXTENSION vector") as told:
            PostgresStore.open(poor)
        assert "hush" not in str(told.value)
    finally:
        databases.drop(url)
        databases.execute(f"DROP ROLE {name}")


def test_a_database_that_cannot_hold_every_text_is_refused(databases: Databases) -> None:
    name = f"{databases.prefix}_ascii"
    databases.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    url = urlsplit(databases.url)._replace(path=f"/{name}").geturl()
    try:
        with pytest.raises(StorageError, match="is in SQL_ASCII; create one with ENCODING 'UTF8'"):
            PostgresStore.open(url)
    finally:
        databases.drop(url)


def test_a_read_cannot_write(database: str) -> None:
    store = PostgresStore.open(database)

    async def work() -> None:
        ana = await new_agent(store)
        with pytest.raises(StorageError, match="asked to write while reading"):
            await store.read(lambda tx: say(ana, "x", tx))
        await store.close()

    run(work())


def test_a_closed_store_refuses_work_and_closes_again(database: str) -> None:
    store = PostgresStore.open(database)

    async def work() -> None:
        task = asyncio.ensure_future(new_agent(store))
        await asyncio.sleep(0)
        await store.close()
        assert await task  # what was queued is done
        with pytest.raises(StorageError, match="is closed; open it again"):
            await store.write(lambda tx: tx.agents())
        await store.close()

    run(work())


# -- transactions of several threads and processes


def test_a_slow_search_does_not_hold_up_a_write_and_sees_one_snapshot(database: str) -> None:
    store = PostgresStore.open(database)
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


def test_work_that_was_cancelled_before_it_began_is_dropped(database: str) -> None:
    store = PostgresStore.open(database, connections=1)
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


def test_two_stores_number_one_log_and_keep_one_event_of_a_key(database: str) -> None:
    stores = [PostgresStore.open(database) for _ in range(2)]

    async def work() -> None:
        ana = await new_agent(stores[0])
        jobs = [stores[n % 2].write(lambda tx, n=n: say(ana, f"row {n}", tx)) for n in range(40)]
        assert sorted(await asyncio.gather(*jobs)) == list(range(1, 41))
        posts = [
            stores[n % 2].write(lambda tx, n=n: tx.post(ana, Event("message", key=f"k{n // 4}")))
            for n in range(40)
        ]
        assert sorted({event.id for event in await asyncio.gather(*posts)}) == list(range(1, 11))
        for store in stores:
            await store.close()

    run(work())


def test_two_that_wait_for_each_other_are_both_done(database: str) -> None:
    store = PostgresStore.open(database)
    both = threading.Barrier(2)

    async def work() -> None:
        ana, bob = await new_agent(store, "ana"), await new_agent(store, "bob")

        def crosswise(first: AgentId, second: AgentId, tx: Transaction) -> None:
            say(first, "one", tx)
            if not both.broken:
                with suppress(threading.BrokenBarrierError):
                    both.wait(2)
            both.abort()
            say(second, "two", tx)

        await asyncio.gather(
            store.write(lambda tx: crosswise(ana, bob, tx)), store.write(lambda tx: crosswise(bob, ana, tx))
        )
        for agent in (ana, bob):
            rows = await store.read(lambda tx, agent=agent: tx.messages(agent))
            assert sorted(row.text for row in rows) == ["one", "two"]
        await store.close()

    run(work())


# -- lost connections


def test_a_connection_that_was_lost_in_the_meantime_is_made_again(database: str) -> None:
    store = PostgresStore.open(database)

    async def work() -> None:
        ana = await new_agent(store)
        await asyncio.gather(*[store.read(lambda tx: tx.agents()) for _ in range(8)])
        ask(database, CUT)
        assert await store.write(lambda tx: say(ana, "after", tx)) == 1
        await store.close()

    run(work())


def test_work_whose_connection_is_lost_before_its_commit_is_run_again(database: str) -> None:
    store = PostgresStore.open(database)

    async def work() -> None:
        ana = await new_agent(store)
        cuts = iter([True, False])

        def cut_once(tx: Transaction) -> int:
            seq = say(ana, "once", tx)
            if next(cuts):
                ask(database, CUT)
            return len(tx.messages(ana)) and seq

        assert await store.write(cut_once) == 1
        assert len(await store.read(lambda tx: tx.messages(ana))) == 1
        await store.close()

    run(work())


def test_a_server_that_is_away_is_said_and_when_it_is_back_all_goes_on() -> None:
    folder = Path(tempfile.mkdtemp(prefix="pagefault-postgres-")) / "data"
    try:
        store = PostgresStore.open(start_server(folder, "fsync = on\n"), patience=2)

        async def work() -> None:
            ana = await new_agent(store)
            async with store.turn_lock(ana):
                await store.write(lambda tx: say(ana, "before", tx))
                end_server(folder)
                with pytest.raises(StorageError, match="cannot be reached"):
                    await store.write(lambda tx: say(ana, "in vain", tx))
                with pytest.raises(StorageError, match="cannot be reached"):
                    await can_take_turn(store, AgentId(ana + 1))
                start_server(folder)
                assert await store.write(lambda tx: say(ana, "after", tx)) == 2
            assert await can_take_turn(store, ana)
            await store.close()

        run(work())
    finally:
        stop_server(folder)
        shutil.rmtree(folder.parent)


def test_a_kernel_outlives_the_absence_of_its_server(tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="pagefault-postgres-")) / "data"

    async def work(store: PostgresStore) -> None:
        model = ScriptedModel([[send("one")], [send("two")]])
        async with Machine(tmp_path).open(model, store=store) as rig:
            assert await rig.said("first") == "one"
            served = asyncio.ensure_future(rig.kernel.serve())
            scheduler = rig.kernel.scheduler
            ana = await scheduler.find("", "ana")
            end_server(folder)
            scheduler.wake(ana)
            with pytest.raises(StorageError, match="cannot be reached"):
                await rig.kernel.post("ana", Event("message", "in vain"))
            start_server(folder)
            assert await rig.said("second") == "two"
            served.cancel()

    try:
        run(work(PostgresStore.open(start_server(folder), patience=2)))
    finally:
        stop_server(folder)
        shutil.rmtree(folder.parent)


# -- turn locks

_CHILD = """
import asyncio, sys, time
from datetime import UTC, datetime
from pagefault.errors import StorageError
from pagefault.storage.postgres import PostgresStore
from pagefault.types import AgentId, Message, Role

async def main():
    store = PostgresStore.open(sys.argv[1], longest_write=3, lease=0.5)
    async with store.turn_lock(AgentId(1)) as mine:
        print("locked", flush=True)
        for number in range(1, 5_000):
            row = Message(Role.USER, "child", datetime.now(UTC))
            def write(tx):
                tx.append(AgentId(1), [row])
                if number == int(sys.argv[2]):
                    print("writing", flush=True)
                    time.sleep(0.5)
            try:
                await store.write(write, mine)
            except StorageError as error:
                print(error, flush=True)
                break
            print(number, flush=True)
    await store.close()

asyncio.run(main())
"""


@contextmanager
def child_with_the_turn(url: str, rests_at: int = 0) -> Generator[subprocess.Popen[str]]:
    """Another process that has the turn of agent 1 and appends row after row, and rests within one write."""
    command = [sys.executable, "-c", _CHILD, url, str(rests_at)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "locked\n"
            for _ in range(20):
                child.stdout.readline()
            yield child
        finally:
            child.kill()


def test_a_commit_survives_kill_and_the_lease_of_the_turn_ends(database: str) -> None:
    store = PostgresStore.open(database, lease=0.5)

    async def work() -> None:
        ana = await new_agent(store)
        with child_with_the_turn(database) as child:
            assert child.stdout is not None
            assert not await can_take_turn(store, ana)
            child.kill()
            await turn_free(store, ana)
            acknowledged = 20 + child.stdout.read().count("\n")
        rows = await store.read(lambda tx: tx.messages(ana))
        assert acknowledged <= len(rows) <= acknowledged + 1
        found = await store.read(lambda tx: tx.search(ana, "recall", Match(("child",)), Filter(), ""))
        assert len(found.number) == len(rows)
        await store.close()

    run(work())


@pytest.mark.parametrize("within", [False, True])
def test_a_paused_process_that_lost_its_turn_cannot_write_when_it_wakes(within: bool, database: str) -> None:
    store = PostgresStore.open(database, lease=0.5)

    async def work() -> None:
        ana = await new_agent(store)
        with child_with_the_turn(database, rests_at=30 if within else 0) as child:
            assert child.stdout is not None
            while within and child.stdout.readline() != "writing\n":
                pass
            child.send_signal(signal.SIGSTOP)
            await turn_free(store, ana)
            async with store.turn_lock(ana) as mine:
                await store.write(lambda tx: tx.agent_by_id(ana), mine)
                before = len(await store.read(lambda tx: tx.messages(ana)))
                child.send_signal(signal.SIGCONT)
                last = child.stdout.read().splitlines()[-1]
                assert re.search("taken over by another process|was lost", last)
                assert len(await store.read(lambda tx: tx.messages(ana))) == before
                await store.write(lambda tx: say(ana, "mine", tx))
        await store.close()

    run(work())


HELD = "SELECT count(*) FROM agents WHERE holder IS NOT NULL"


def test_a_turn_is_taken_once_its_agent_is_not_being_written(database: str) -> None:
    store = PostgresStore.open(database)

    async def work() -> None:
        ana = await new_agent(store)
        with psycopg.connect(database) as other:
            other.execute("UPDATE agents SET warned = warned")
            assert not await can_take_turn(store, ana)
            taking = asyncio.ensure_future(can_take_turn(store, ana))
            while not taking.done() and not ask(database, WAITS):  # noqa: ASYNC110  in the server
                await asyncio.sleep(0)
            other.commit()  # who waits for the row goes on with the one that is there now
            await taking
        assert await can_take_turn(store, ana)
        assert ask(database, HELD) == [(0,)]
        assert await can_take_turn(store, AgentId(99)), "of an agent that is gone"
        await store.close()

    run(work())


def test_a_turn_that_was_wanted_by_one_who_has_gone_is_free(database: str) -> None:
    store = PostgresStore.open(database)

    async def work() -> None:
        ana = await new_agent(store)
        for _ in range(20):
            wanting = asyncio.ensure_future(can_take_turn(store, ana))
            await asyncio.sleep(0)
            wanting.cancel()
            await asyncio.wait([wanting])
        await asyncio.sleep(0.1)
        assert await can_take_turn(store, ana)
        await store.close()

    run(work())


def test_timers_fire_though_one_agent_is_held_and_another_is_gone(database: str) -> None:
    store = PostgresStore.open(database)

    async def work() -> None:
        ana, bo, cleo = [await new_agent(store, name) for name in ("ana", "bo", "cleo")]
        for agent in (bo, cleo, ana):
            await store.write(lambda tx, a=agent: tx.add_schedule(a, Schedule("tea", NOW, "UTC")))
        ask(database, f"DELETE FROM agents WHERE id = {cleo}")
        with psycopg.connect(database) as other:
            other.execute(f"SELECT FROM agents WHERE id = {bo} FOR UPDATE".encode())
            firing = asyncio.ensure_future(post_due(store, NOW))
            while not await store.read(lambda tx: tx.events(ana)):
                assert not firing.done()
                await asyncio.sleep(0.01)
        assert await firing
        assert [len(await store.read(lambda tx, a=a: tx.events(a))) for a in (ana, bo, cleo)] == [1, 1, 0]
        await store.close()

    run(work())


# -- tables


def test_the_migrations_make_the_schema(database: str) -> None:
    own = {  # what PostgreSQL has besides, or in another way: see ``migrations.postgres_base``
        ("vectors", "vector", "halfvec"),
    }
    kinds = {"BIGINT": "bigint", "INTEGER": "integer", "FLOAT": "double precision", "BLOB": "bytea"}
    wanted = {
        (table.name, column.name, kind.lower(), column.nullable)
        for table in metadata.sorted_tables
        for column in table.columns
        for kind in [str(column.type.dialect_impl(PGDialect()))]
        for kind in [kinds.get(kind, kind)]
    }
    listed = """
        SELECT table_name, column_name, CASE data_type WHEN 'USER-DEFINED' THEN udt_name ELSE data_type END,
        is_nullable = 'YES' FROM information_schema.columns JOIN pg_class ON relname = table_name
        WHERE table_schema = 'public' AND NOT relispartition"""
    made = {row for row in ask(database, listed) if row[0] in metadata.tables}
    assert {row[:3] for row in made - wanted} == own
    assert {row[:2] for row in wanted - made} == {
        ("vectors", "vector"),
        ("messages", "id"),  # on SQLite the row ids
        ("passages", "id"),
    }


def test_rows_are_inserted_by_the_types_of_their_columns(database: str) -> None:
    names = {"int8": "bigint", "int4": "integer", "bool": "boolean", "float8": "double precision"}
    kinds = "SELECT table_name, column_name, udt_name FROM information_schema.columns"
    made = {(table, column): names.get(kind, kind) for table, column, kind in ask(database, kinds)}
    for table in OWNED:
        for column in table.columns:
            if (table.name, column) == ("deliveries", "target"):  # stored as the sender's id
                continue
            assert kind_of(table.name, column) == made[table.name, column], f"{table.name}.{column}"


def test_every_table_is_partitioned_by_agent_and_its_keys_begin_with_the_agent(database: str) -> None:
    tables = "FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND NOT relispartition"
    whole = ask(database, f"SELECT relname {tables} AND relkind = 'r'")
    assert {name for (name,) in whole} == {
        "agent_names",
        "embedders",
        "workers",
        "signals",
        "alembic_version",
        "api_keys",
        "audit",
        "quotas",
    }
    keys = ask(
        database,
        f"""SELECT DISTINCT a.attname {
            tables.replace(
                "WHERE",
                '''
        JOIN pg_index i ON i.indrelid = c.oid AND indisunique
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] WHERE''',
            )
        }
        AND relkind = 'p' AND relname <> 'agents'""",
    )
    assert keys == [("agent",)]


def test_both_databases_stand_at_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    newest = ScriptDirectory.from_config(config).get_current_head()
    assert newest == opening.HEAD == sqlite_opening.HEAD


def test_processes_that_open_a_new_database_at_once_all_find_it_made(databases: Databases) -> None:
    url = databases.new(empty=True)
    program = "import sys; from pagefault.storage.postgres import *; PostgresStore.open(sys.argv[1])"
    children = [subprocess.Popen([sys.executable, "-c", program, url]) for _ in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    run(PostgresStore.open(url).close())
    databases.drop(url)


def test_opening_a_current_database_loads_neither_alembic_nor_sqlalchemy(database: str) -> None:
    program = f"""
import asyncio, sys
from pagefault.storage.postgres import PostgresStore
asyncio.run(PostgresStore.open({database!r}).close())
sys.exit(len(sys.modules.keys() & {{"alembic", "sqlalchemy"}}))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_without_the_extra_the_mend_is_said(database: str, tmp_path: Path) -> None:
    program = f"""
import sys
sys.modules["psycopg"] = None
from pagefault.cli import main
main(["--database", {database!r}, "--home", {str(tmp_path)!r}, "agent", "list"])
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    mend = "run: pip install 'pagefault[postgres]'"
    assert done.stderr == f"pagefault: PostgreSQL needs more packages; {mend}.\n"


@pytest.mark.parametrize("last", [False, True])
def test_the_command_line_takes_a_database(last: bool, database: str, tmp_path: Path) -> None:
    def words(*command: str) -> list[str]:
        chosen = ["--database", database, "--home", str(tmp_path)]
        return [*command, *chosen] if last else [*chosen, *command]

    for command in (("agent", "create", "ana"), ("agent", "list", "--json")):
        line = [sys.executable, "-m", "pagefault", *words(*command)]
        done = subprocess.run(line, check=True, capture_output=True, text=True)
    assert [agent["name"] for agent in json.loads(done.stdout)] == ["ana"]
    assert ask(database, "SELECT name FROM agents") == [("ana",)]
    assert not (tmp_path / "pagefault.db").exists()


def test_a_lost_connection_is_reported_by_sentences_of_ours(database: str, tmp_path: Path) -> None:
    listens = f"SELECT pid {OTHERS} AND (query LIKE 'LISTEN%' OR query LIKE '%pg_notify%')"  # it probes then
    line = [sys.executable, "-m", "pagefault", "run", "--database", database, "--home", str(tmp_path)]
    log = tmp_path / "log"
    with log.open("w") as stderr, subprocess.Popen(line, stderr=stderr) as process:
        eventually(lambda: ask(database, listens))
        ask(database, CUT)
        eventually(lambda: "no signals on" in log.read_text())
        eventually(lambda: ask(database, listens))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    assert "psycopg" not in log.read_text()


@pytest.mark.parametrize("option", [(), ("--dry-run",)])
def test_without_citus_nothing_is_distributed(database: str, option: tuple[str, ...], run: Run) -> None:
    refused = run("db", "distribute", "--database", database, *option)
    assert refused.code == 1
    assert "has no Citus; install it on each node" in refused.err
    assert refused.err.count("\n") == 1
    assert ask(database, "SELECT FROM pg_class WHERE relname LIKE '%_before'") == []


@pytest.mark.parametrize("code", ["08006", "57P01", "57P03", "40001", "40P01"])
def test_a_statement_that_a_node_did_not_answer_is_sent_again(code: str, database: str) -> None:
    """A node of Citus that is away is an error of its coordinator, to which the connection stays."""
    store = PostgresStore.open(database)
    tries: list[str] = []

    def work(tx: PostgresTransaction) -> str:
        tries.append(tx.create_agent(AgentRecord("ana", {}, NOW)).name)
        if len(tries) < 3:
            raise psycopg.errors.lookup(code)("connection to the remote node failed")
        return tries[-1]

    assert asyncio.run(store.write(work)) == "ana"
    assert len(tries) == 3
    assert [agent.name for agent in asyncio.run(store.read(lambda tx: tx.agents()))] == ["ana"]
    asyncio.run(store.close())


def test_a_commit_that_a_node_did_not_confirm_is_uncertain(database: str) -> None:
    said = "could not commit transaction for shard 102 on at least one active node"
    function = "CREATE FUNCTION unconfirmed() RETURNS trigger LANGUAGE plpgsql AS"
    ask(database, f"{function} $$ BEGIN RAISE EXCEPTION '{said}'; END $$")
    deferred = "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON agent_names DEFERRABLE INITIALLY DEFERRED"
    ask(database, f"{deferred} FOR EACH ROW EXECUTE FUNCTION unconfirmed()")
    store = PostgresStore.open(database)
    with pytest.raises(StorageError, match="look whether it was kept before making it again"):
        asyncio.run(store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW))))
    asyncio.run(store.close())
