"""What is deleted is gone: from the file, its log, the lexical index; and a check proves it."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import anyio
import psycopg
import pytest

from pagefault.storage.postgres import PostgresStore
from pagefault.storage.postgres.connection import PostgresConnection, adapt
from pagefault.storage.postgres.files import flush, unseen_in_files
from pagefault.storage.postgres.opening import conninfo_of, prepare
from pagefault.storage.postgres.rewriting import rewrite
from pagefault.storage.postgres.transfer import PostgresTransfer
from pagefault.storage.sqlite import SQLiteStore
from pagefault.storage.sqlite.connection import Connection
from pagefault.storage.sqlite.purge import Purge, truncate_log
from pagefault.storage.sqlite.transaction import SQLiteTransaction
from pagefault.storage.terms import terms
from pagefault.storage.traces import count_in
from pagefault.testing.postgres import Databases
from pagefault.types import AgentId, AgentRecord, Document, Message, Page, Passage, Role

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SECRET = "Zebrasecret"
DOCUMENT = Document("letter.txt", SECRET, "text/plain", "x", NOW, 1)
FILLED = [f"note {n} of many, word{n} word{n % 7}" for n in range(400)]


async def filled(path: Path) -> SQLiteStore:
    """A store with two agents, of whom ana has a secret in each place: p401, d1 and a message of bo's."""
    store = SQLiteStore.open(path)
    ana = (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))).id
    bo = (await store.write(lambda tx: tx.create_agent(AgentRecord("bo", {}, NOW)))).id
    for start in range(0, 400, 40):
        notes = [Passage(text, NOW) for text in FILLED[start : start + 40]]
        await store.write(lambda tx, notes=notes: tx.insert_passages(ana, notes))
    secret = Passage(f"{SECRET} and {SECRET.lower()}s", NOW, (SECRET,), title=SECRET)
    await store.write(lambda tx: tx.insert_passage(ana, secret))
    pages = [Page(1, SECRET, f"page of {SECRET}")]
    await store.write(lambda tx: tx.put_document(ana, DOCUMENT, pages, [Passage(f"part of {SECRET}", NOW)]))
    said = [Message(Role.USER, f"{text} {SECRET}", NOW, speaker=SECRET) for text in FILLED[:50]]
    await store.write(lambda tx: tx.append(bo, said))
    return store


def delete_all(tx: SQLiteTransaction) -> None:
    assert tx.delete_passage(AgentId(1), 401)
    assert tx.delete_document(AgentId(1), 1)
    tx.delete_agent(AgentId(2))


def traces(folder: Path) -> dict[str, int]:
    """The files that hold the secret, or the rest of it: its first letters may be those of a neighbour."""
    found = {
        path.name: path.read_bytes().lower().count(b"brasecret")
        for path in folder.iterdir()
        if path.is_file()
    }
    return {name: count for name, count in found.items() if count}


async def close(store: SQLiteStore) -> None:
    await store.close()


def owed(path: Path) -> int:
    with closing(sqlite3.connect(path)) as file:
        return file.execute("PRAGMA user_version").fetchone()[0]


async def test_what_is_deleted_leaves_the_file_while_nothing_else_waits(tmp_path: Path) -> None:
    store = await filled(tmp_path / "a.db")
    assert traces(tmp_path)
    await store.write(delete_all)
    with anyio.fail_after(60):
        while owed(tmp_path / "a.db"):  # noqa: ASYNC110 - another thread's work, seen in the file alone
            await anyio.sleep(0.05)
    assert traces(tmp_path) == {}
    await store.close()


async def test_what_is_deleted_has_left_the_file_when_the_store_is_closed(tmp_path: Path) -> None:
    store = await filled(tmp_path / "a.db")
    await store.write(delete_all)
    await store.close()
    assert traces(tmp_path) == {}
    assert owed(tmp_path / "a.db") == 0


async def test_a_text_that_is_replaced_leaves_the_file(tmp_path: Path) -> None:
    store = await filled(tmp_path / "a.db")

    def replace(tx: SQLiteTransaction) -> None:
        delete_all(tx)
        tx.put_document(AgentId(1), DOCUMENT, [Page(1, "", SECRET)], [Passage(SECRET, NOW)])
        tx.put_document(AgentId(1), replaced, [Page(1, "", "new")], [Passage("new", NOW)])

    replaced = Document("letter.txt", "new", "text/plain", "y", NOW, 1)
    await store.write(replace)
    await store.close()
    assert traces(tmp_path) == {}


async def test_a_purge_that_a_crash_ended_is_completed_later(tmp_path: Path) -> None:
    await close(await filled(tmp_path / "a.db"))
    crashed = Connection(tmp_path / "a.db", synchronous="NORMAL", busy_timeout=1.0)
    crashed.run("BEGIN IMMEDIATE")
    delete_all(SQLiteTransaction(crashed))
    crashed.run("COMMIT")
    crashed.close()
    assert owed(tmp_path / "a.db")
    await close(SQLiteStore.open(tmp_path / "a.db"))
    assert traces(tmp_path) == {}
    assert owed(tmp_path / "a.db") == 0


async def test_a_purge_waits_for_nobody(tmp_path: Path) -> None:
    await close(await filled(tmp_path / "a.db"))
    reader = Connection(tmp_path / "a.db", synchronous="NORMAL", busy_timeout=1.0, read_only=True)
    reader.run("BEGIN")
    assert reader.one("SELECT count(*) FROM agents") == (2,)
    writer = Connection(tmp_path / "a.db", synchronous="NORMAL", busy_timeout=60.0)
    writer.run("BEGIN IMMEDIATE")
    delete_all(SQLiteTransaction(writer))
    writer.run("COMMIT")
    purge = Purge(writer)
    assert not purge.finish(), "somebody reads what was there before"
    reader.run("COMMIT")
    assert purge.finish()
    assert traces(tmp_path) == {}
    assert truncate_log(writer)
    reader.close()
    writer.close()


def test_places_are_counted_across_chunks(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(
        b"-" * (2**22 - 3) + b"ZebraSecret" + b"-" * 2**22 + "ZEBRASECRET \\u00c4rger Ärger".encode()
    )
    assert count_in(file, "zebrasecret") == 2
    assert count_in(file, "zebrasecrets") == 0
    assert count_in(file, "ärger") == 2
    assert count_in(tmp_path / "missing", "ärger") == 0


@pytest.mark.slow
async def test_postgres_tells_live_rows_and_what_cannot_be_seen(databases: Databases) -> None:
    url = databases.new()
    store = PostgresStore.open(url, connections=1)
    ana = (
        await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {"of": "a\\b 100% Käse_x"}, NOW)))
    ).id
    notes = [*FILLED, f"{SECRET} one"]
    await store.write(lambda tx: tx.insert_passages(ana, [Passage(text, NOW) for text in notes]))
    with closing(PostgresTransfer.open(url)) as database:
        assert database.traces([SECRET.upper()])[0] == [
            f"1 rows of passages (ana) hold {SECRET.upper()!r}; they are not deleted."
        ]
        assert database.traces(["käse_x", "100% k", "a\\b 1"])[0] != []
        assert database.traces(["käseyx", "100 k", "other"])[0] == []
        await store.write(lambda tx: tx.delete_passage(ana, 401))
        with psycopg.connect(url, autocommit=True) as driver:
            driver.execute("VACUUM passages")
        left, _ = database.traces([SECRET])
        assert any("files of passages" in what for what in left), "VACUUM leaves the bytes"
        left, unseen = database.traces([SECRET], rewrite=True)
        assert not left
        assert any("write-ahead log" in what for what in unseen)
    await store.close()
    databases.drop(url)


PLANTED = 'Ｑuérybird "told"\\n Größe'
"""Letters in another Unicode form, quotes and a backslash, as texts and JSON have them."""


def planted(databases: Databases, *statements: str) -> tuple[str, list[str]]:
    """A new database with an agent in which these are executed: what is found of the planted word there."""
    url, plain = databases.new(), unicodedata.normalize("NFKC", PLANTED)
    prepare(conninfo_of(url, 10.0))
    with psycopg.connect(url, autocommit=True) as driver:
        adapt(driver)
        values = {"word": PLANTED, "plain": plain, "json": json.dumps([PLANTED])}
        for statement in statements:
            driver.execute(statement.encode(), values)
    with closing(PostgresTransfer.open(url)) as database:
        return url, list(database.traces([plain.upper(), plain])[0])


PLACES = {
    "agents": "INSERT INTO agents (name, created, start, head, warned, ratio, settings) "
    "VALUES ('ana', 0, 1, '', false, 1, %(json)s)",
    "messages": "INSERT INTO messages (agent, seq, role, at, tokens, units, embed, meta, text, shown) "
    "VALUES (1, 1, 'user', 0, 1, 0, false, '{}', '', %(word)s)",
    "section_versions": "INSERT INTO section_versions "
    "(agent, name, version, at, description, token_limit, text, read_only) "
    "VALUES (1, 'human', 1, 0, '', 9, %(word)s, false)",
    "document_pages": "INSERT INTO document_pages (agent, document, page, heading, text) "
    "VALUES (1, 1, 1, %(word)s, '')",
    "inbox": "INSERT INTO inbox (agent, number, kind, text, key, state) "
    "VALUES (1, 1, 'message', '', %(word)s, 'done')",
    "approvals": "INSERT INTO approvals "
    "(agent, number, event, name, arguments, asked, decision, note, person) "
    "VALUES (1, 1, 1, 'pay', %(json)s, 0, '', '', '')",
    "audit": "INSERT INTO audit (tenant, at, who, what) VALUES ('', 0, 'x', %(word)s)",
    "index_blocks": "INSERT INTO index_blocks (agent, tier, fingerprint, block, count, names, data) "
    "VALUES (1, 'recall', '', 0, 1, %(json)s, '')",
    "media": "INSERT INTO media (agent, hash, media_type, size, width, height, data) "
    "VALUES (1, 'x', 'text/plain', 1, 0, 0, '\\x00ff'::bytea || convert_to(%(plain)s, 'UTF8') || '\\x00')",
}


@pytest.mark.slow
@pytest.mark.parametrize("table", PLACES)
def test_postgres_looks_into_every_table(databases: Databases, table: str) -> None:
    url, found = planted(databases, PLACES[table])
    assert any(what.startswith(f"1 rows of {table}") for what in found), found
    databases.drop(url)


@pytest.mark.slow
def test_postgres_finds_what_is_left_of_rows_that_are_gone(databases: Databases) -> None:
    """Of a row that was blanked, the units; of one that is gone, the vector; what ANALYZE sampled."""
    units = ", ".join(f"(1, 'recall', '{unit}', 1, 1)" for unit in dict.fromkeys(terms(PLANTED)))
    url, found = planted(
        databases,
        PLACES["messages"].replace("%(word)s", "''"),
        f"INSERT INTO postings (agent, tier, unit, number, count) VALUES {units}",
        "INSERT INTO vectors (agent, tier, fingerprint, number, part, text_hash, vector) "
        "VALUES (1, 'archival', 'f', 7, 0, '', '[1,2]')",
        "INSERT INTO speakers (agent, name) SELECT n, %(word)s FROM generate_series(1, 50) n",
        "ANALYZE speakers",
        "DELETE FROM speakers",
        "VACUUM speakers",
    )
    word = unicodedata.normalize("NFKC", PLANTED).upper()
    assert f"The lexical index has {word!r} for 1 rows that are not there." in found
    assert "1 vectors in vectors are of rows that are not there." in found
    assert any(what.startswith("The statistics of speakers.name hold") for what in found), found
    databases.drop(url)


@pytest.mark.slow
def test_postgres_forgets_what_was_sampled_of_tables_that_are_empty_by_now(databases: Databases) -> None:
    """ANALYZE leaves what it sampled before: of a table, and of a partition beside others with rows."""
    of_many = "FROM generate_series(1, 50) n"
    url, found = planted(
        databases,
        f"INSERT INTO speakers (agent, name) SELECT n, %(word)s {of_many}",
        f"INSERT INTO audit (tenant, at, who, what) SELECT '', 0, 'x', %(word)s {of_many}",
        f"INSERT INTO grants (agent, name, at, person) SELECT n, 'x', 0, %(word)s {of_many}",
        "ANALYZE speakers, audit, grants",
        "DELETE FROM speakers",
        "DELETE FROM audit",
        "DELETE FROM grants WHERE agent > 1",
        "UPDATE grants SET person = ''",
    )
    sampled = {what.split()[3] for what in found if what.startswith("The statistics of")}
    assert {"speakers.name", "speakers_0.name", "audit.what", "grants.person"} <= sampled, found
    word = unicodedata.normalize("NFKC", PLANTED)
    with closing(PostgresTransfer.open(url)) as database:
        assert database.traces([word], rewrite=True)[0] == []
    databases.drop(url)


@pytest.mark.slow
def test_postgres_waits_for_transactions_that_see_removed_rows_still(databases: Databases) -> None:
    """VACUUM FULL would keep these: for an ANALYZE of autovacuum, a backup, or whoever forgot a COMMIT."""
    url, _ = planted(databases, PLACES["messages"].replace("%(word)s", f"'{SECRET}'"))
    looking = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    with (
        psycopg.connect(url) as older,
        psycopg.connect(url, autocommit=True) as other,
        closing(PostgresTransfer.open(url)) as database,
        ThreadPoolExecutor(1) as threads,
    ):
        older.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        older.execute("SELECT FROM agents")
        other.execute("DELETE FROM messages")
        (sentence,) = rewrite(PostgresConnection(other), ["messages"], patience=0)
        assert f"(process {older.info.backend_pid})" in sentence
        left, _ = database.traces([SECRET])
        assert any("files of messages" in what for what in left), left
        looked = threads.submit(database.traces, [SECRET], rewrite=True)
        while not (looked.done() or other.execute(looking).fetchall()):
            time.sleep(0.01)
        older.commit()
        assert looked.result()[0] == []
    databases.drop(url)


@pytest.mark.slow
def test_postgres_says_what_a_plain_user_cannot_look_at(databases: Databases) -> None:
    """Nothing is guessed: the files are not read, and the answer says so."""
    url = databases.new()
    prepare(conninfo_of(url, 10.0))
    role = f"plain_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as driver:
        driver.execute(f"CREATE ROLE {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}".encode())
        adapt(driver)
        driver.execute(f"SET ROLE {role}".encode())
        assert not flush(PostgresConnection(driver))
        unseen = list(unseen_in_files(PostgresConnection(driver), False))
        driver.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}".encode())
    assert unseen[0].startswith("The space of removed rows in the tables' files")
    databases.drop(url)
