"""A database that is distributed by Citus keeps every promise of the store protocol; and how it gets there.

Run where ``PAGEFAULT_TEST_CITUS_URL`` is a database on the coordinator of a cluster, with its nodes added.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import psycopg
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Text, create_engine

import test_postgres
import test_shared_transfer as shared
import test_tenant_transfer as tenants
from conftest import Run
from pagefault.storage import Transaction
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.postgres.connection import Driver
from pagefault.storage.postgres.dialect import OWNED_TABLES
from pagefault.storage.postgres.distributing import LOCAL, Distribution
from pagefault.storage.postgres.opening import conninfo_of, prepare
from pagefault.testing.citus import CitusDatabases, given_coordinator
from pagefault.types import AgentRecord, Event, Message, Passage, Role, Schedule, Section
from test_upgrade import WITHOUT_ARCHIVES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not given_coordinator(), reason="PAGEFAULT_TEST_CITUS_URL is not set"),
]

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TABLES = sorted({"agents", *OWNED_TABLES} - set(LOCAL))
COLUMNS = """
    SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"""
CONTENTS = "SELECT count(*), sum(hashtextextended(ROW({columns})::text, 0)) FROM {table}"


@pytest.fixture(scope="module")
def databases() -> Generator[CitusDatabases]:
    """The databases of the cluster, in place of those of a single server."""
    databases = CitusDatabases(given_coordinator() or "")
    yield databases
    databases.close()


@pytest.fixture
def plain(databases: CitusDatabases) -> Generator[str]:
    """A database with Citus and nodes, not distributed, with tables and no partitions."""
    url = databases.new(empty=True)
    prepare(conninfo_of(url, 10))
    yield url
    databases.drop(url)


@pytest.fixture
def partitioned(plain: str) -> str:
    """The same with partitions by hash, as it was made before Citus was there, and with agents that remember
    something."""
    with psycopg.connect(plain) as server:
        for table in TABLES:
            definitions = _indexes(server, table)
            key = "id" if table == "agents" else "agent"
            server.execute(f"ALTER TABLE {table} RENAME TO {table}_plain".encode())
            like = f"CREATE TABLE {table} (LIKE {table}_plain INCLUDING ALL EXCLUDING INDEXES)"
            server.execute(f"{like} PARTITION BY HASH ({key})".encode())
            for n in range(2):
                part = f"FOR VALUES WITH (MODULUS 2, REMAINDER {n})"
                server.execute(f"CREATE TABLE {table}_{n} PARTITION OF {table} {part}".encode())
            if table in ("agents", "sections"):
                server.execute(f"ALTER SEQUENCE {table}_id_seq OWNED BY {table}.id".encode())
            server.execute(f"DROP TABLE {table}_plain".encode())
            for definition in definitions:
                server.execute(definition.encode())
    asyncio.run(_fill(plain))
    return plain


def _indexes(server: psycopg.Connection[Any], table: str) -> list[str]:
    """The statements that make a table's keys and indexes."""
    keys = """
        SELECT format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname,
        pg_get_constraintdef(oid)) FROM pg_constraint
        WHERE conrelid = %s::regclass AND contype IN ('p', 'u')"""
    others = """
        SELECT pg_get_indexdef(indexrelid) FROM pg_index i WHERE indrelid = %s::regclass
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)"""
    found = [server.execute(sql.encode(), (table,)).fetchall() for sql in (keys, others)]
    return [statement for rows in found for (statement,) in rows]


async def _fill(url: str, agents: int = 12) -> None:
    store = PostgresStore.open(url)
    for number in range(agents):

        def work(tx: Transaction, number: int = number) -> None:
            ana = tx.create_agent(AgentRecord(f"a{number}", {}, NOW)).id
            tx.append(ana, [Message(Role.USER, f"hello \x00 {n} 你好", NOW) for n in range(number)])
            tx.insert_passage(ana, Passage("The key is under the mat.", NOW, ("keys",)))
            tx.post(ana, Event("message", "say", key="k"))
            tx.add_schedule(ana, Schedule("wake", NOW + timedelta(days=9999), "UTC"))
            tx.put_section(ana, Section("human", "", 10, "kept"), NOW)

        await store.write(work)
    await store.close()


def contents(url: str) -> dict[str, Any]:
    """Each table's number of rows and a sum over them; where each sequence stands."""
    with psycopg.connect(url) as server:
        found: dict[str, Any] = {}
        for table in [*TABLES, *LOCAL, "embedders"]:
            (columns,) = one(server, COLUMNS.format(table=table))
            found[table] = one(server, CONTENTS.format(columns=columns, table=table))
        sequences = (
            "SELECT array_agg((sequencename, last_value)::text ORDER BY sequencename) FROM pg_sequences"
        )
        found["sequences"] = one(server, f"{sequences} WHERE schemaname = 'public'")
        return found


def shape(url: str) -> list[Any]:
    """Columns, defaults, keys and indexes of all tables, without partitions."""
    with psycopg.connect(url) as server:
        ours = "relnamespace = 'public'::regnamespace AND NOT relispartition AND relkind IN ('r', 'p')"
        columns = f"""
            SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, attstorage,
            pg_get_expr(adbin, adrelid) FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid
            LEFT JOIN pg_attrdef d ON adrelid = c.oid AND adnum = attnum
            WHERE {ours} AND attnum > 0 ORDER BY relname, attnum"""
        keys = f"""
            SELECT relname, conname, pg_get_constraintdef(k.oid) FROM pg_class c
            JOIN pg_constraint k ON conrelid = c.oid WHERE {ours} ORDER BY 1, 2"""
        indexes = f"""
            SELECT replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') FROM pg_index
            JOIN pg_class c ON c.oid = indrelid WHERE {ours} ORDER BY 1"""
        return [server.execute(sql.encode()).fetchall() for sql in (columns, keys, indexes)]


def one(server: psycopg.Connection[Any], statement: str) -> Any:
    return server.execute(statement.encode()).fetchall()[0]


def ask(url: str, statement: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as server:
        cursor = server.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def distributed(url: str) -> list[str]:
    """The tables on the nodes, all with one place for one agent."""
    rows = ask(url, "SELECT logicalrelid::text, colocationid FROM pg_dist_partition ORDER BY 1")
    assert len({place for _, place in rows}) <= 1
    return [table for table, _ in rows]


class TestCitusStore(test_postgres.TestPostgresStore):
    """The store conformance suite, on distributed databases."""


# pagefault db distribute


def test_every_table_of_agents_moves_whole_and_once(partitioned: str, run: Run) -> None:
    before, made = contents(partitioned), shape(partitioned)
    look = run("db", "distribute", "--database", partitioned, "--dry-run", "--json").json
    assert (look["dry_run"], sorted(look["tables"])) == (True, TABLES)
    assert {name: size["rows"] for name, size in look["tables"].items()} == {
        table: before[table][0] for table in TABLES
    }
    assert (distributed(partitioned), contents(partitioned)) == ([], before)
    done = run("db", "distribute", "--database", partitioned)
    assert done.code == 0, done.err
    assert f"{sum(before[table][0] for table in TABLES):,} rows (" in done.out.splitlines()[-1]
    assert distributed(partitioned) == TABLES
    assert (contents(partitioned), shape(partitioned)) == (before, made)
    assert ask(partitioned, "SELECT FROM pg_class WHERE relname LIKE '%_before' OR relispartition") == []
    again = run("db", "distribute", "--database", partitioned)
    assert again.out.endswith("there is nothing to move.\n"), again.err
    assert contents(partitioned) == before
    check = run("db", "check", "--database", partitioned)
    assert check.out == "No error was found.\n", check.err


def test_a_killed_move_leaves_what_was_there(partitioned: str) -> None:
    before, ended = contents(partitioned), 0
    command = [sys.executable, "-m", "pagefault", "db", "distribute", "--database", partitioned]
    locks = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'"
    for moment in range(20):
        moving = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while moving.poll() is None and ask(partitioned, locks)[0][0] <= 20 + moment * 200:
            time.sleep(0.01)
        moving.send_signal(signal.SIGKILL)
        if moving.wait() == 0:
            break
        ended += 1
        while ask(partitioned, "SELECT FROM pg_stat_activity WHERE application_name LIKE 'pagefault%'"):
            time.sleep(0.05)
        if tables := distributed(partitioned):  # killed after its commit
            assert tables == TABLES
            break
        assert contents(partitioned) == before
    assert ended >= 3
    assert distributed(partitioned) == TABLES
    assert contents(partitioned) == before


def test_a_move_waits_for_nobody_who_uses_the_database(partitioned: str, run: Run) -> None:
    before = contents(partitioned)
    store = PostgresStore.open(partitioned)
    try:
        asyncio.run(store.read(lambda tx: tx.agents()))
        refused = run("db", "distribute", "--database", partitioned)
    finally:
        asyncio.run(store.close())
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "Processes of pagefault use" in refused.err
    ask(partitioned, "INSERT INTO workers VALUES ('w', now() + interval '6 s', true)")
    refused = run("db", "distribute", "--database", partitioned)
    assert "1 that serve agents" in refused.err
    assert (distributed(partitioned), contents(partitioned)) == ([], before)


def test_what_stands_in_the_way_is_named(databases: CitusDatabases, plain: str, run: Run) -> None:
    def refusal(url: str, *options: str) -> str:
        refused = run("db", "distribute", "--database", url, *options)
        assert (refused.code, refused.err.count("\n"), distributed(plain)) == (1, 1, [])
        return refused.err

    host, port, *_ = databases.nodes[-1]
    worker = urlsplit(plain)._replace(netloc=f"{urlsplit(plain).username}@{host}:{port}").geturl()
    assert "is a worker node of Citus; give the URL of its coordinator" in refusal(worker)
    ask(plain, "DROP ROLE IF EXISTS pagefault_other")
    ask(plain, "CREATE ROLE pagefault_other LOGIN")
    try:
        other = urlsplit(plain)
        other = other._replace(netloc=f"pagefault_other@{other.hostname}:{other.port}").geturl()
        assert "permit" in refusal(other) or "owner" in refusal(other)
    finally:
        ask(plain, "DROP ROLE pagefault_other")
    with psycopg.connect(plain, autocommit=True) as coordinator:
        coordinator.execute("UPDATE pg_dist_node SET nodeport = 1 WHERE nodeport = %s", (port,))
        said = refusal(plain)
        assert f"The node {host}:1 of" in said
        assert "cannot be reached (" in said
        coordinator.execute("SELECT citus_remove_node(%s, 1)", (host,))
        coordinator.execute("UPDATE pg_dist_node SET shouldhaveshards = false")
    assert "No worker nodes are added to" in refusal(plain, "--dry-run")


def test_migrations_run_on_a_distributed_database(database: str) -> None:
    asyncio.run(_fill(database, agents=3))
    engine = create_engine(database.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL citus.multi_shard_modify_mode = 'sequential'")
        op = Operations(MigrationContext.configure(connection))
        op.add_column("inbox", Column("mood", Text(), server_default="calm", nullable=False))
        op.create_index("inbox_mood", "inbox", ["agent", "mood"])
        op.execute("UPDATE inbox SET mood = 'glad' WHERE agent = 2")
        op.drop_table("deletions")
        op.execute("CREATE TABLE deletions (agent bigint, change bigint, number bigint)")
        op.execute("INSERT INTO deletions VALUES (1, 1, 1)")
        Distribution(cast("Driver", connection.connection.driver_connection)).move()
    engine.dispose()
    assert ask(database, "SELECT agent, mood FROM inbox ORDER BY 1") == [
        (1, "calm"),
        (2, "glad"),
        (3, "calm"),
    ]
    assert ask(database, "SELECT * FROM deletions") == [(1, 1, 1)]
    assert distributed(database) == TABLES


def test_a_distributed_database_from_before_archives_is_upgraded(database: str, run: Run) -> None:
    """Its new tables are distributed in the transaction of the upgrade."""
    asyncio.run(_fill(database, agents=3))
    before, made = contents(database), shape(database)
    for statement in (*WITHOUT_ARCHIVES, "UPDATE alembic_version SET version_num = '0012'"):
        ask(database, statement)
    assert set(TABLES) - set(distributed(database)) == {
        "attachments", "outbox", "deliveries", "segments", "word_blocks",
    }  # fmt: skip
    upgraded = run("db", "migrate", "--database", database)
    assert upgraded.code == 0, upgraded.err
    assert distributed(database) == TABLES
    after = contents(database)
    assert {table: after[table][0] for table in TABLES} == {table: before[table][0] for table in TABLES}
    assert [sorted(part) for part in shape(database)[1:]] == [sorted(part) for part in made[1:]]
    check = run("db", "check", "--database", database)
    assert check.out == "No error was found.\n", check.err


def test_what_is_shared_moves_to_a_distributed_database_and_back(database: str, tmp_path: Path) -> None:
    shared.run(there := tmp_path / "a.db", shared.fill)
    shared.share_section(there, 3, 2)
    shared.send(there, *["archive:news"] * 3, applied=2)
    shared.copy(there, database)
    assert (shared.sent(database), shared.given(database)) == ([(3, "archive:news")], 2)
    assert shared.wrong(database) == []
    shared.copy(database, back := tmp_path / "b.db")
    assert shared.export(back) == shared.export(database)
    assert shared.wrong(back) == []


def test_tenants_move_to_a_distributed_database_and_back(database: str, tmp_path: Path) -> None:
    tenants.with_kernel(there := tmp_path / "here" / "a.db", tenants.furnish)
    tenants.copy(there, database)
    assert tenants.agents_of(database) == tenants.ALL
    assert shared.wrong(database) == []
    assert tenants.with_kernel(database) == tenants.with_kernel(there)
    tenants.copy(database, firm := tmp_path / "b.db", tenant="firm")
    assert tenants.export(firm) == tenants.export(database, tenant="firm")
    assert shared.wrong(firm) == []
