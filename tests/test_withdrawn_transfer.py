"""What was undone or forgotten, on the move and under checks: it arrives as it is, comes into no index there,
and the bytes of a file have nothing of what was forgotten."""

from __future__ import annotations

import asyncio
import io
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from pagefault.build import open_transfer
from pagefault.storage import Filter, Match, Transaction
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.storage.withdrawing import Tombstone
from pagefault.testing.store_opening import NOW, said
from pagefault.transfer import check, copy_agents, export_agents, import_agents, repair
from pagefault.types import AgentId, AgentRecord, Event, Passage, Role, Schedule, Section
from test_word_segments import Silent

SECRET = "zanzibar"
ON = ["file", pytest.param("server", marks=pytest.mark.slow)]


def store_of(place: Path | str) -> SQLiteStore | PostgresStore:
    return PostgresStore.open(place, connections=1) if isinstance(place, str) else SQLiteStore.open(place)


async def fill(place: Path | str) -> None:
    """Rows 1 to 6, of which 2 is forgotten and 3 to 5 are undone by 6; a passage and a timer of each kind."""
    store = store_of(place)
    ana = (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))).id
    rows = [replace(said(text), speaker="Ana") for text in ("red", f"{SECRET} red", "oak", "oak", "elm")]
    rows += [replace(said("undone", Role.ALERT), name="withdrawn")]

    def work(tx: Transaction) -> None:
        tx.append(ana, rows)
        tx.insert_passages(ana, [Passage("red kept", NOW, ("t",)), Passage("oak kept", NOW, ("t",), event=2)])
        tx.insert_passage(ana, Passage(f"{SECRET} kept", NOW))
        tx.add_schedule(ana, Schedule("tea", NOW, "UTC", event=2))
        tx.post(ana, Event("message", SECRET, SECRET, SECRET, NOW))
        for text in (SECRET, "clean"):
            tx.put_section(ana, Section("human", "", 10, text), NOW)
        tx.withdraw_rows(ana, 3, 6)
        tx.withdraw_passages(ana, 6, events=[2])
        tx.withdraw_schedules(ana, [2], 6)
        tx.erase_rows(ana, [2])
        tx.erase_passages(ana, [3])
        tx.erase_events(ana, [1])
        tx.erase_versions(ana, "human", [1])
        tx.put_tombstone(ana, Tombstone(NOW, "admin", {"rows": 1}))
        tx.hold(ana, "case 7")

    await store.write(work)
    await store.close()


@pytest.fixture(params=ON)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    where: Path | str = tmp_path / "a.db"
    if request.param == "server":
        where = request.getfixturevalue("database")
    asyncio.run(fill(where))
    return where


def wrong(place: Path | str) -> list[str]:
    with closing(open_transfer(place, make=False)) as database:
        return [finding.what for finding in check(database, Silent())]


async def look(place: Path | str) -> None:
    store = store_of(place)
    (record,) = await store.read(lambda tx: tx.agents())
    ana, every = record.id, Filter(roles=tuple(Role))
    assert record.hold == "case 7"
    rows = await store.read(lambda tx: tx.messages(ana, withdrawn=True))
    assert [row.withdrawn for row in rows] == [None, None, 6, 6, 6, None]
    assert [row.erased for row in rows] == [False, True, False, False, False, False]
    assert list(await store.read(lambda tx: tx.tombstones(ana))) == [Tombstone(NOW, "admin", {"rows": 1}, 1)]
    for word, found in (("red", [1]), ("oak", []), ("elm", []), (SECRET, [])):
        shown = await store.read(lambda tx, w=word: tx.search(ana, "recall", Match((w,)), every, "f"))
        assert shown.number[shown.matched].tolist() == found, word
    passages = await store.read(lambda tx: tx.stored_passages(ana))
    assert [(p.number, p.born, p.event, p.withdrawn) for p in passages] == [(1, 6, None, None), (2, 6, 2, 6)]
    kept = await store.read(lambda tx: tx.search(ana, "archival", Match(("kept",)), every, "f"))
    assert kept.number[kept.matched].tolist() == [1]
    timers = await store.read(lambda tx: tx.schedules(ana, withdrawn=True))
    assert [(timer.event, timer.withdrawn) for timer in timers] == [(2, 6)]
    history = await store.read(lambda tx: tx.section_history(ana, "human"))
    assert [(section.born, section.text) for _, section in history] == [(6, ""), (6, "clean")]
    await store.write(lambda tx: tx.append(ana, [said("red again")]))
    await store.close()


def test_it_is_exported_and_imported_as_it_is(place: Path | str, tmp_path: Path) -> None:
    assert wrong(place) == []
    file = io.BytesIO()
    with closing(open_transfer(place, make=False)) as database:
        export_agents(database, ["ana"], file, "0.1.0", Silent())
    assert SECRET.encode() not in file.getvalue()
    with closing(open_transfer(tmp_path / "b.db", make=True)) as database:
        import_agents(database, io.BytesIO(file.getvalue()), "the file", None, Silent(), trust=True)
    assert wrong(tmp_path / "b.db") == []
    asyncio.run(look(tmp_path / "b.db"))
    assert wrong(tmp_path / "b.db") == []


def test_it_is_copied_and_indexed_anew_as_it_is(place: Path | str, tmp_path: Path) -> None:
    with (
        closing(open_transfer(place, make=False)) as here,
        closing(open_transfer(tmp_path / "b.db", make=True)) as there,
    ):
        copy_agents(here, there, ["ana"], Silent())
    assert wrong(tmp_path / "b.db") == []
    with closing(open_transfer(place, make=False)) as database, database.writing() as rows:
        rows.reindex(AgentId(1))
    for each in (place, tmp_path / "b.db"):
        asyncio.run(look(each))
        assert wrong(each) == []


def test_an_index_that_has_what_was_undone_is_wrong_until_it_is_repaired(place: Path | str) -> None:
    mark = "UPDATE messages SET withdrawn = 6 WHERE seq = 1"
    with closing(psycopg.connect(place) if isinstance(place, str) else sqlite3.connect(place)) as driver:
        driver.execute(mark)
        driver.commit()
    assert any("The lexical index of recall" in what for what in wrong(place))
    with closing(open_transfer(place, make=False)) as database:
        repair(database, check(database, Silent()))
    assert wrong(place) == []


def test_what_was_forgotten_is_in_no_byte_of_a_file(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "a.db"))
    with closing(open_transfer(tmp_path / "a.db", make=False)) as database:
        assert not any(database.traces([SECRET], rewrite=False))
    assert all(SECRET.encode() not in file.read_bytes() for file in tmp_path.glob("a.db*"))
