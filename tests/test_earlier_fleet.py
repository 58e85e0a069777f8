"""Processes from before leases: a database is not upgraded while one has it open, and one that was not seen
fails at its next turn, or at its next event. Their statements stand here as they were."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from conftest import Ran, Run
from pagefault.build import open_transfer
from pagefault.errors import StorageError
from pagefault.storage.head import HEAD
from pagefault.testing.postgres import Databases
from test_upgrade import ANA, clean, old_file, old_server

EARLIER = "0006"
POST = f"UPDATE agents SET last_event = last_event + 1 WHERE id = {ANA} RETURNING last_event, fence"
APPEND = f"UPDATE agents SET last_seq = last_seq + 1 WHERE id = {ANA} RETURNING last_seq - 1, fence"
FENCE = f"SELECT fence FROM agents WHERE id = {ANA}"
TAKE_IN_FILE = f"UPDATE agents SET fence = fence + 1 WHERE id = {ANA} RETURNING fence"
OPEN = """
import sqlite3, sys
old = sqlite3.connect(sys.argv[1], isolation_level=None)
old.execute(sys.argv[2]).fetchall()
print("open", flush=True)
sys.stdin.readline()
"""


@contextmanager
def opener(file: Path, statement: str) -> Generator[int]:
    """A process that has run a statement on the file and keeps it open; its number."""
    command = [sys.executable, "-c", OPEN, str(file), statement]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        try:
            yield child.pid
        finally:
            child.kill()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The database of the home, as an earlier version left it."""
    (home := tmp_path / "home").mkdir()
    old_file(home / "pagefault.db", EARLIER)
    with closing(sqlite3.connect(home / "pagefault.db")) as old:
        old.execute("PRAGMA journal_mode = WAL")  # as every version does
    return home / "pagefault.db"


def is_refused(ran: Ran, who: str) -> None:
    """One sentence, on stderr alone."""
    assert (ran.code, ran.out) == (1, "")
    sentence = rf"pagefault: The database [^ ]+ cannot be upgraded while {who}.*nothing was changed\)\.\n\n?"
    assert re.fullmatch(sentence, ran.err), ran.err


LOOK = "SELECT version_num FROM alembic_version"
HOME = ("db migrate", "db migrate --check", "agent list", "run")


@pytest.mark.parametrize(("statement", "commands"), [(LOOK, HOME), ("BEGIN IMMEDIATE", HOME[:1])])
def test_a_file_is_not_upgraded_while_an_earlier_process_has_it_open(
    statement: str, commands: Sequence[str], file: Path, run: Run, tmp_path: Path
) -> None:
    """Idle or in a transaction."""
    with opener(file, statement) as pid:
        before = file.read_bytes()
        who = f"process {pid} has it open" if Path("/proc/locks").exists() else "another process"
        for command in (*commands, f"db copy {file} {tmp_path / 'b.db'}", f"db backup {tmp_path / 'c.db'}"):
            is_refused(run(*command.split()), who)
        assert file.read_bytes() == before
        assert not (tmp_path / "c.db").exists()
    assert run("db", "migrate").out == f"The database was at {EARLIER} and is now at {HEAD}.\n"
    clean(file)


def test_an_upgrade_waits_for_a_process_that_only_looks(file: Path, run: Run) -> None:
    with opener(file, LOOK) as pid:
        threading.Timer(0.3, os.kill, (pid, 9)).start()
        assert run("db", "migrate").code == 0


def test_a_refused_upgrade_disturbs_nobody_who_reads(file: Path) -> None:
    stop, read = threading.Event(), 0

    def upgrade() -> None:
        with pytest.raises(StorageError, match="cannot be upgraded"):
            open_transfer(file)
        stop.set()

    with closing(sqlite3.connect(file, timeout=5)) as reader, ThreadPoolExecutor(1) as thread:
        reader.execute("SELECT * FROM agents").fetchall()
        upgrading = thread.submit(upgrade)
        while not stop.wait(0.01):
            reader.execute("SELECT * FROM agents").fetchall()
            read += 1
        upgrading.result()
    assert read > 10


def at_once(home: Path, database: str, count: int = 5) -> None:
    """Open a database in several processes at once; all succeed."""
    command = [sys.executable, "-m", "pagefault", "--home", str(home)]
    command += ["--database", database] * bool(database) + ["agent", "list"]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         env=os.environ | {"PAGEFAULT_EMBEDDER": "null"})
        for _ in range(count)
    ]  # fmt: skip
    said = [child.communicate()[0] for child in children]
    assert ["ana" in each for each in said] == [True] * count, said


def test_processes_that_open_an_earlier_file_at_once_wait_for_the_one_that_upgrades_it(file: Path) -> None:
    at_once(file.parent, "")
    clean(file)


def test_an_earlier_process_that_was_not_seen_writes_nothing_to_an_upgraded_file(
    file: Path, tmp_path: Path
) -> None:
    """Its locks were lost, say; this one opened the file under another name, and so has none on it."""
    shutil.copy(file, copy := tmp_path / "copy.db")
    with closing(sqlite3.connect(copy, isolation_level=None)) as old:
        old.execute(FENCE)
        old.execute("PRAGMA journal_mode = DELETE")  # it has no lock while it is idle
        open_transfer(copy).close()
        before = list(old.iterdump())
        for statement in (POST, APPEND, FENCE, TAKE_IN_FILE):
            with pytest.raises(sqlite3.OperationalError, match="no such column: fence"):
                old.execute(statement)
        assert list(old.iterdump()) == before
    clean(copy)


# PostgreSQL


@dataclass
class Server:
    """A database as an earlier version left it."""

    url: str

    def version(self) -> str:
        with psycopg.connect(self.url) as driver:
            row = driver.execute("SELECT version_num FROM alembic_version").fetchone()
        return row[0] if row else ""

    @contextmanager
    def session(self, name: str, *statements: str) -> Generator[psycopg.Connection]:
        with psycopg.connect(self.url, application_name=name, autocommit=True) as driver:
            for statement in statements:
                driver.execute(statement.encode())
            pid = driver.info.backend_pid
            yield driver
        end = time.monotonic() + 30
        with psycopg.connect(self.url, autocommit=True) as look:  # the server ends a session in its own time
            there = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
            while look.execute(there, (pid,)).fetchone() and time.monotonic() < end:
                time.sleep(0.01)


@pytest.fixture
def earlier(databases: Databases) -> Generator[Server]:
    url = databases.new(empty=True)
    old_server(url, EARLIER)
    yield Server(url)
    databases.drop(url)


TURN = f"SELECT pg_try_advisory_lock({(0x7066 << 48) + ANA})"
FAR = f"SELECT pg_try_advisory_lock({(0x7066 << 48) + (1 << 40)})"
SEEN: list[tuple[str, str, list[str]]] = [
    ("pagefault", "", []),
    ("pagefault", "", ["BEGIN", "SELECT 1"]),
    ("pagefault", "ours", []),
    ("ours", "ours", []),
    ("ours", "", [TURN]),
    ("", "", [FAR]),
]
"""The name of an earlier process's session, the name in the URL of the new one, statements of the former."""


@pytest.mark.parametrize(("name", "own", "statements"), SEEN)
def test_a_server_is_not_upgraded_while_an_earlier_process_is_connected(
    name: str, own: str, statements: list[str], earlier: Server, run: Run, tmp_path: Path
) -> None:
    url = f"{earlier.url}&application_name={own}" if own else earlier.url
    with earlier.session(name, *statements) as old:
        who = f"an earlier pagefault.*session {old.info.backend_pid} of user {old.info.user}\\)"
        for command in ("db migrate", "db migrate --check", "db check", "agent list", "run"):
            is_refused(run("--database", url, *command.split()), who)
        is_refused(run("db", "copy", url, str(tmp_path / "b.db")), who)
        assert earlier.version() == EARLIER
    assert run("--database", url, "db", "migrate").code == 0
    clean(url)


NOT_EARLIER: list[tuple[str, list[str]]] = [
    ("psql", []),
    ("pagefault/leases", ["SELECT pg_advisory_lock_shared(5)"]),
    ("pagefault/segments", ["SELECT pg_advisory_lock_shared(5)"]),
    ("other", ["SELECT pg_try_advisory_lock(1)", f"SELECT pg_try_advisory_lock({0x7066}, 1)"]),
    ("other", [f"SELECT pg_try_advisory_lock({0x7067 << 48})"]),
    ("other", [f"SELECT pg_try_advisory_lock({(0x7066 << 48) - 1})"]),
]


@pytest.mark.parametrize(("name", "statements"), NOT_EARLIER)
def test_a_session_of_another_program_is_none_of_an_earlier_pagefault(
    name: str, statements: list[str], earlier: Server
) -> None:
    with earlier.session(name, *statements):
        clean(earlier.url)


def test_an_earlier_process_in_another_database_is_none_in_this_one(
    earlier: Server, databases: Databases
) -> None:
    with databases.one() as url, Server(url).session("pagefault", TURN):
        clean(earlier.url)


def test_a_user_without_rights_over_others_sees_their_sessions(
    earlier: Server, databases: Databases, run: Run
) -> None:
    role = f"{databases.prefix}_plain"
    databases.execute(f"CREATE ROLE {role} LOGIN")
    try:
        with earlier.session("pagefault") as old, psycopg.connect(earlier.url, autocommit=True) as owner:
            owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}".encode())
            url = re.sub(r"//[^@]*@", f"//{quote(role)}@", earlier.url)
            is_refused(run("--database", url, "db", "migrate"), f".*session {old.info.backend_pid} of user")
    finally:
        with psycopg.connect(earlier.url, autocommit=True) as owner:
            owner.execute(f"DROP OWNED BY {role}".encode())
        databases.execute(f"DROP ROLE {role}")


def test_processes_that_open_an_earlier_server_at_once_wait_for_the_one_that_upgrades_it(
    earlier: Server, tmp_path: Path
) -> None:
    at_once(tmp_path, earlier.url)
    clean(earlier.url)


def test_an_earlier_process_that_was_not_connected_writes_nothing_to_an_upgraded_server(
    earlier: Server,
) -> None:
    clean(earlier.url)
    take = f"""
        WITH taken AS MATERIALIZED ({TURN} AS mine),
        raised AS (UPDATE agents SET fence = fence + 1 FROM taken WHERE id = {ANA} AND mine RETURNING fence)
        SELECT mine, (SELECT fence FROM raised) FROM taken"""
    for statement in (POST, APPEND, f"{FENCE} FOR UPDATE", take):
        with earlier.session("pagefault") as old, pytest.raises(psycopg.errors.UndefinedColumn):
            old.execute(statement.encode())
    clean(earlier.url)
