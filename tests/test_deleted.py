"""What is deleted is gone: from the file, its log, the lexical index; and a check proves it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from pagefault.storage.postgres import PostgresStore
from pagefault.storage.postgres.transfer import PostgresTransfer
from pagefault.storage.sqlite import SQLiteStore
from pagefault.storage.sqlite.connection import Connection
from pagefault.storage.sqlite.purge import Purge, truncate_log
from pagefault.storage.sqlite.transaction import SQLiteTransaction
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
    await store.write(lambda tx: tx.insert_passage(ana, Passage(f"{SECRET} one", NOW)))
    with closing(PostgresTransfer.open(url)) as database:
        assert database.traces([SECRET.upper()]) == [
            f"1 rows of passages hold {SECRET.upper()!r}; they are not deleted."
        ]
        assert database.traces(["käse_x", "100% k"]) != []
        assert database.traces(["käseyx", "100 k", "other"]) == []
        await store.write(lambda tx: tx.delete_passage(ana, 1))
        assert database.traces([SECRET]) == []
        assert database.traces([SECRET], rewrite=True) == []
    await store.close()
    databases.drop(url)
