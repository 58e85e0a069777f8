"""Agents on the move: whatever an agent is, a copy of it, an export and its import are the same agent, in
either database; what is not whole is refused, and a check finds what is wrong."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagefault.build import open_transfer
from pagefault.errors import NotFoundError, StorageError, UsageError
from pagefault.message_meta import MessageMeta, RequestUsage, Usage
from pagefault.storage import EmbedderRecord, Filter, Match, Store, Transaction
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.row_transfer import AGENT, DERIVED, OWNED, TransferDatabase
from pagefault.storage.schema import metadata
from pagefault.storage.sqlite import SQLiteStore
from pagefault.storage.terms import terms
from pagefault.tenancy import AgentKey
from pagefault.testing.postgres import Databases
from pagefault.testing.store_opening import NOW, WILD, said, unit
from pagefault.transfer import check, copy_agents, export_agents, import_agents, repair
from pagefault.types import (
    AgentId,
    AgentRecord,
    Event,
    EventKind,
    Passage,
    QueueState,
    Role,
    Schedule,
    Section,
    Tier,
)

TABLES = {table.name: table for table in OWNED}
TIERS: tuple[Tier, ...] = get_args(Tier)
FINGERPRINT = "f"
EVERY = Filter(roles=tuple(Role))


@dataclass
class Heard:
    """A watch that keeps what it hears, and can stop everything at a row."""

    began: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    rows: int = 0
    stop_at: int | None = None

    def begin(self, what: str, total: int) -> None:
        self.began.append((what, total))

    def advance(self, rows: int) -> None:
        self.rows += rows
        if self.stop_at is not None and self.rows >= self.stop_at:
            raise KeyboardInterrupt


# -- an agent, whatever it did

Move = Callable[[Transaction, AgentId], object]

_TEXTS = st.lists(
    st.sampled_from(["red", "blue", "key", "42", "上海", "🍕", "Ærø", "-", '"', "\n", "\x00", "\U0010ffff"]),
    max_size=6,
).map(" ".join)
_TAGS = st.lists(st.sampled_from(["a", "b", "ü\x00"]), max_size=3).map(tuple)


def _append(text: str, role: Role, hours: int, sources: bool) -> Move:
    meta = MessageMeta(sources=("m1",)) if sources else MessageMeta(echo={"n": [1.5, None, "x"]})
    row = said(text, role, hours=hours, meta=meta, usage=[RequestUsage("x:a", Usage(input=len(text)))])
    more = replace(
        row, name="f", call_id="c", speaker=text[:20], shown=text, tokens=3, event=None, completion=0
    )
    return lambda tx, agent: tx.append(agent, [row, more])


def _insert(text: str, tags: tuple[str, ...]) -> Move:
    return lambda tx, agent: tx.insert_passage(agent, Passage(text, NOW, tags, text))


def _delete(number: int) -> Move:
    return lambda tx, agent: tx.delete_passage(agent, number)


def _section(name: str, text: str, read_only: bool) -> Move:
    return lambda tx, agent: tx.put_section(agent, Section(name, text, 9, text, read_only), NOW)


def _post(kind: str, text: str, key: str | None, done: bool) -> Move:
    def work(tx: Transaction, agent: AgentId) -> None:
        event = tx.post(agent, Event(kind, text, key, text, NOW))
        if done and event.state == "pending":
            tx.set_event(agent, event.id, "done")

    return work


def _timer(note: str, cron: str | None) -> Move:
    return lambda tx, agent: tx.add_schedule(agent, Schedule(note, NOW, "UTC", cron, "skip"))


def _settle(tx: Transaction, agent: AgentId) -> None:
    """The vectors of what waits for one, two windows for every second row."""
    waiting = [item for item in tx.pending_vectors(FINGERPRINT, 999) if item.agent == agent]
    windows = [
        np.stack([unit(item.number % 4 - 1.5, 1), unit(0, -1)][: 1 + item.number % 2]) for item in waiting
    ]
    tx.put_vectors(FINGERPRINT, waiting, windows)


_MOVES = st.lists(
    st.one_of(
        st.builds(_append, _TEXTS, st.sampled_from(list(Role)), st.integers(0, 9), st.booleans()),
        st.builds(_insert, _TEXTS, _TAGS),
        st.builds(_delete, st.integers(1, 4)),
        st.builds(_section, st.sampled_from(["z", "a"]), _TEXTS, st.booleans()),
        st.builds(
            _post,
            st.sampled_from(["message", EventKind.PRESSURE]),
            _TEXTS,
            st.none() | st.sampled_from(["k", "l"]),
            st.booleans(),
        ),
        st.builds(_timer, _TEXTS, st.none() | st.just("0 9 * * 1")),
        st.just(_settle),
    ),
    max_size=14,
)


async def _live(store: Store, moves: Sequence[Move], name: str = "ana") -> AgentId:
    record = AgentRecord(name, {"style": "native", "temperature": 0.1}, NOW)
    agent = (await store.write(lambda tx: tx.create_agent(record))).id
    for move in moves:
        await store.write(lambda tx, move=move: move(tx, agent))

    def rest(tx: Transaction) -> None:
        (row,) = tx.append(agent, [said("they talked", Role.SUMMARY)])
        tx.save_queue(agent, QueueState(row.seq, row.seq, None, "head \x00", True, 1.1))

    await store.write(rest)
    return agent


def _everything(database: TransferDatabase, name: str) -> dict[str, object]:
    """All that a database has of an agent, however it is ordered; the embedders it knows."""
    with database.reading() as rows:
        agent = rows.agents()[AgentKey(name)]
        found: dict[str, object] = {"agents": rows.agent(agent)}
        for table in OWNED:
            kept = [row for batch in rows.rows(agent, table) for row in batch]
            found[table.name] = kept if table.order else sorted(kept, key=repr)
        for tier in TIERS:
            found[f"{tier} sizes"] = rows.index_sizes(agent, tier)
            found[f"{tier} index"] = sorted(rows.frequencies(agent, tier))
        seen = {row[1] for batch in rows.rows(agent, TABLES["vectors"]) for row in batch}
        found["embedders"] = [e.dimensions for e in rows.embedders() if e.fingerprint in seen]
    return found


async def _searched(store: Store, agent: AgentId) -> list[object]:
    """What is found by words and by vector, with its scores."""
    match = Match(tuple(terms("red 上海 key")), (), unit(1, 1), 0.3)
    found: list[object] = []
    for tier in TIERS:
        result = await store.read(lambda tx, tier=tier: tx.search(agent, tier, match, EVERY, FINGERPRINT))
        columns = (result.number, result.position, result.session, result.at, result.matched, result.units)
        found += [column.tolist() for column in columns]
        found += [
            np.round(result.lexical, 3).tolist(),
            np.nan_to_num(result.cosine, nan=-9).round(3).tolist(),
        ]
    return found


async def _agent_of(store: Store, name: str) -> AgentRecord:
    record = await store.read(lambda tx: tx.agent(name))
    assert record is not None
    return record


# -- databases


@contextmanager
def opened(place: Path | str) -> Generator[TransferDatabase]:
    with closing(open_transfer(place, make=True)) as database:
        yield database


def store_on(place: Path | str) -> SQLiteStore | PostgresStore:
    if isinstance(place, str):
        return PostgresStore.open(place, connections=1)
    return SQLiteStore.open(place)


def live(place: Path | str, moves: Sequence[Move], name: str = "ana") -> AgentId:
    async def work() -> AgentId:
        store = store_on(place)
        agent = await _live(store, moves, name)
        await store.close()
        return agent

    return asyncio.run(work())


def load(place: Path | str, agent: AgentId) -> None:
    """A document with two pages, as loading one would leave it."""
    at = 1_700_000_000_000_000
    with opened(place) as database, database.writing() as rows:
        document = (1, "a.pdf", "A \x00", "application/pdf", "00", at, 2, "[]")
        rows.restore(agent, TABLES["documents"], [document])
        rows.restore(agent, TABLES["document_pages"], [(1, 1, "one", "text"), (1, 2, "two", "")])
    damage(place, f"UPDATE agents SET last_document = 1 WHERE id = {agent}")


BUSY: list[Move] = [
    *(_append(text, Role.USER, 0, False) for text in ("red key", "blue 42", "上海")),
    _append("red", Role.RESULT, 1, True),
    _insert("a passage of text", ("a", "b")),
    _insert("gone", ()),
    _delete(2),
    _section("z", "one", False),
    _section("a", "two", True),
    _section("z", "three", False),
    _post("message", "hi", "k", True),
    _post("message", "again", "l", False),
    _timer("tea", None),
    _settle,
]


@pytest.fixture(params=["file", pytest.param("server", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a busy agent named ``ana`` lives, with one document."""
    where: Path | str = tmp_path / "here" / "a.db"
    if request.param == "server":
        where = request.getfixturevalue("database")
    agent = live(where, BUSY)
    load(where, agent)
    return where


def exported(place: Path | str, *names: str) -> bytes:
    file = io.BytesIO()
    with opened(place) as database:
        export_agents(database, names or ["ana"], file, "0.1.0", Heard())
    return file.getvalue()


def imported(place: Path | str, content: bytes, name: str | None = None) -> list[str]:
    with opened(place) as database:
        moved = import_agents(database, io.BytesIO(content), "the file", name, Heard())
    return [agent.name for agent in moved]


def agents_of(place: Path | str) -> list[str]:
    with opened(place) as database, database.reading() as rows:
        return list(map(str, rows.agents()))


def damage(place: Path | str, *statements: str) -> None:
    """What no pagefault would do."""
    if isinstance(place, str):
        with psycopg.connect(place, autocommit=True) as server:
            for statement in statements:
                server.execute(statement.encode())
        return
    with closing(sqlite3.connect(place, isolation_level=None)) as file:
        for statement in statements:
            file.execute(statement)


def wrong(place: Path | str) -> list[tuple[str | None, str]]:
    with opened(place) as database:
        return [(finding.agent, finding.what) for finding in check(database, Heard())]


# -- the same agent


@pytest.fixture(scope="module")
def server(databases: Databases) -> Generator[str]:
    with databases.one() as url:
        yield url


@pytest.mark.slow
@settings(max_examples=25)
@given(moves=_MOVES)
def test_an_agent_stays_itself_through_export_import_and_both_databases(
    moves: list[Move], server: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("moving")
    asyncio.run(_forget(server))
    first, second, third = folder / "1.db", folder / "2.db", folder / "3.db"
    live(first, [_append("another's", Role.USER, 0, False)], "other")  # so that ids differ
    load(first, live(first, moves))
    with opened(first) as here, opened(second) as imported_to, opened(server) as there, opened(third) as back:
        file = io.BytesIO()
        (written,) = export_agents(here, ["ana"], file, "0.1.0", Heard())
        file.seek(0)
        (read,) = import_agents(imported_to, file, "the file", None, Heard())
        (sent,) = copy_agents(imported_to, there, ["ana"], Heard())
        (returned,) = copy_agents(there, back, ["ana"], Heard())
        assert written == read == sent == returned
        databases = [here, imported_to, there, back]
        for database in databases:
            assert _everything(database, "ana") == _everything(here, "ana")
            assert check(database, Heard()) == []

    async def go_on(place: Path | str) -> list[object]:
        store = store_on(place)
        record = await _agent_of(store, "ana")
        known = [event.id for event in await store.read(lambda tx: tx.events(record.id))]

        def work(tx: Transaction) -> list[object]:
            return [
                [item.number for item in tx.pending_vectors(FINGERPRINT, 999) if item.agent == record.id],
                [row.seq for row in tx.append(record.id, [said("next red")])],
                tx.insert_passage(record.id, Passage("next key", NOW)).number,
                tx.post(record.id, Event("message")).id,
                tx.add_schedule(record.id, Schedule("next", NOW + timedelta(1), "UTC")).number,
                tx.put_section(record.id, Section("z", "", 9, "next"), NOW).version,
                tx.next_event(record.id),
                tx.sections(record.id),
            ]

        before = await _searched(store, record.id)
        numbers = await store.write(work)
        after = await _searched(store, record.id)
        await store.write(lambda tx: tx.delete_agent(record.id))
        await store.close()
        return [record.last_seq, record.queue, record.settings, known, before, numbers, after]

    lives = [asyncio.run(go_on(place)) for place in (first, second, server, third)]
    assert lives[1:] == lives[:1] * 3


def test_any_text_goes_from_one_database_to_the_other_and_back(server: str, tmp_path: Path) -> None:
    first, second = tmp_path / "1.db", tmp_path / "2.db"
    asyncio.run(_forget(server))
    live(first, [_append(text, Role.USER, 0, False) for text in WILD])
    with opened(first) as here, opened(server) as there, opened(second) as back:
        copy_agents(here, there, [], Heard())
        copy_agents(there, back, ["ana"], Heard())
        assert _everything(here, "ana") == _everything(back, "ana")


async def _forget(place: str) -> None:
    store = store_on(place)
    for record in await store.read(lambda tx: tx.agents()):
        await store.write(lambda tx, record=record: tx.delete_agent(record.id))
    await store.close()


def test_every_column_is_handed_over_or_made_anew() -> None:
    """A column that is added to the schema has its place in ``storage.row_transfer``, or is derived."""
    kinds = {"TEXT": str, "BOOLEAN": bool, "FLOAT": float, "BLOB": bytes}
    carried = {table.name: table for table in (AGENT, *OWNED)}
    assert (
        carried.keys()
        | {"vector_marks", "embedders", "usage_totals", "index_blocks", "segments", "word_blocks"}
        | {"api_keys", "quotas", "audit"}  # of tenants, not of agents
        == metadata.tables.keys()
    )
    for name, table in carried.items():
        columns = {c.name: c.type for c in metadata.tables[name].columns if c.name != "agent"}
        handed = {n: kind for n, kind in table.columns.items() if (name, n) != ("deliveries", "target")}
        assert handed.keys() | DERIVED.get(name, set()) == columns.keys(), name
        for column, kind in handed.items():
            assert kinds.get(str(columns[column]), int) is kind, f"{name}.{column}"


# -- copies


def test_a_copy_is_compared_and_said(place: Path | str, tmp_path: Path) -> None:
    heard = Heard()
    with opened(place) as here, opened(tmp_path / "b.db") as there:
        (moved,) = copy_agents(here, there, [], heard)
    assert [what for what, _ in heard.began] == ["copying ana", "comparing ana"]
    assert {name: sum.rows for name, sum in moved.tables.items()} == {
        "agents": 1,
        "messages": 9,
        "speakers": 4,
        "sections": 2,
        "section_versions": 3,
        "passages": 1,
        "passage_tags": 2,
        "deletions": 1,
        "documents": 1,
        "document_pages": 2,
        "inbox": 2,
        "schedules": 1,
        "vectors": 11,
    }


def test_a_copy_that_was_broken_off_leaves_whole_agents_and_is_taken_up(
    place: Path | str, tmp_path: Path
) -> None:
    live(place, BUSY, "bob")
    target = tmp_path / "b.db"
    with opened(place) as here, opened(target) as there:
        with pytest.raises(KeyboardInterrupt):
            copy_agents(here, there, [], Heard(stop_at=120))
        with there.reading() as rows:
            assert list(rows.agents()) == [AgentKey("ana")]
        assert check(there, Heard()) == []
        moved = copy_agents(here, there, [], Heard())
    assert [(agent.name, agent.known) for agent in moved] == [("ana", True), ("bob", False)]


def test_an_agent_is_never_overwritten_and_then_nothing_is_copied(place: Path | str, tmp_path: Path) -> None:
    live(place, [], "aaa")
    live(tmp_path / "b.db", [_append("another life", Role.USER, 0, False)])
    with opened(place) as here, opened(tmp_path / "b.db") as there:
        with pytest.raises(UsageError, match=r"b\.db has another agent 'ana' already; nothing is"):
            copy_agents(here, there, [], Heard())
        with pytest.raises(NotFoundError, match="There is no agent 'nobody' in "):
            copy_agents(here, there, ["nobody"], Heard())
    assert agents_of(tmp_path / "b.db") == ["ana"]


def test_vectors_of_another_length_under_one_fingerprint_are_refused(
    place: Path | str, tmp_path: Path
) -> None:
    with opened(place) as here, opened(tmp_path / "b.db") as there:
        with there.writing() as rows:
            rows.put_embedder(EmbedderRecord(FINGERPRINT, "mine", 3, wanted=True, in_service=True))
        with pytest.raises(StorageError, match="Vectors of f have 3 dimensions here and 2 there"):
            copy_agents(here, there, [], Heard())
    assert agents_of(tmp_path / "b.db") == []


def test_which_embedder_is_wanted_stays_as_it_is(place: Path | str, tmp_path: Path) -> None:
    mine = EmbedderRecord("mine", "mine", 3, wanted=True, in_service=True)
    with opened(place) as here, opened(tmp_path / "b.db") as there:
        with there.writing() as rows:
            rows.put_embedder(mine)
        copy_agents(here, there, [], Heard())
        with there.reading() as rows:
            assert rows.embedders() == [EmbedderRecord(FINGERPRINT, "", 2), mine]


# -- exports and imports


def test_an_export_is_lines_of_json(place: Path | str) -> None:
    lines = [json.loads(line) for line in exported(place).splitlines()]
    head, own, end = lines[0], lines[1]["agents"], lines[-1]["end"]
    assert head == {"pagefault": "0.1.0", "format": 6, "agent": "ana", "number": 1, "of": 1, "rows": 40}
    assert json.loads(own["settings"]) == {"style": "native", "temperature": 0.1}
    assert next(line["messages"]["text"] for line in lines if "messages" in line) == "red key"
    assert end["tables"]["messages"][0] == 9
    assert end["embedders"] == [[FINGERPRINT, "", 2]]


def test_an_import_may_have_another_name(place: Path | str) -> None:
    content = exported(place)
    assert imported(place, content, "bob") == ["bob"]
    assert agents_of(place) == ["ana", "bob"]
    assert wrong(place) == []
    with pytest.raises(UsageError, match="The agent 'ana' is there already; give another name with --name"):
        imported(place, content)


def test_a_file_of_many_agents_is_imported_whole_or_not(place: Path | str, tmp_path: Path) -> None:
    live(place, BUSY, "bob")
    content = exported(place, "ana", "bob")
    assert imported(tmp_path / "b.db", content) == ["ana", "bob"]
    live(tmp_path / "c.db", [], "bob")
    with pytest.raises(UsageError, match="The agent 'bob' is there already"):
        imported(tmp_path / "c.db", content)
    with pytest.raises(UsageError, match="the file has 2 agents; leave out the name"):
        imported(tmp_path / "c.db", content, "cy")
    second = content.index(b'{"pagefault"', 1)
    for piece in (content[:second], content[second:], content[:second] * 2, content + content):
        with pytest.raises(UsageError, match=r"the file (is|lacks|goes on)"):
            imported(tmp_path / "d.db", piece)
    assert (agents_of(tmp_path / "c.db"), agents_of(tmp_path / "d.db")) == (["bob"], [])


@pytest.mark.slow
@settings(max_examples=60)
@given(data=st.data())
def test_a_file_that_was_cut_off_or_changed_is_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    live(folder / "a.db", BUSY)
    content = exported(folder / "a.db")
    at = data.draw(st.integers(0, len(content) - 1), "at")
    if data.draw(st.booleans(), "cut"):
        damaged = content[:at]
    else:
        other = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[at]), "byte")
        damaged = content[:at] + bytes([other]) + content[at + 1 :]
    with pytest.raises((UsageError, StorageError)):
        imported(folder / "b.db", damaged)
    assert agents_of(folder / "b.db") == []


def _changed(content: bytes) -> list[tuple[bytes, str]]:
    """What a file may have become, and what is then said."""
    return [
        (b"notes of mine", "the file is no export of pagefault"),
        (b"", "the file is no export of pagefault"),
        (b"\x00" * 10_000_000, "the file is no export of pagefault"),
        (content[:-1], "the file is cut off within agent 'ana'"),
        (content.replace(b"red", b"rad"), "the checksum of agent 'ana' is another"),
        (content.replace(b'"format":6', b'"format":7'), "was made by a newer pagefault .0.1.0.; upgrade"),
    ]


def test_the_refusal_says_what_is_wrong(tmp_path: Path) -> None:
    live(tmp_path / "a.db", BUSY)
    for content, sentence in _changed(exported(tmp_path / "a.db")):
        with pytest.raises(UsageError, match=sentence):
            imported(tmp_path / "b.db", content)


def test_an_import_that_is_broken_off_leaves_nothing(place: Path | str) -> None:
    content = exported(place)
    with opened(place) as database, pytest.raises(KeyboardInterrupt):
        import_agents(database, io.BytesIO(content), "the file", "bob", Heard(stop_at=20))
    assert agents_of(place) == ["ana"]
    assert wrong(place) == []


# -- checks


@pytest.mark.parametrize(
    ("damages", "sentence"),
    [
        (["DELETE FROM messages WHERE seq = 2"], "The log has message 3 where 2 should stand."),
        (["UPDATE agents SET last_seq = 99"], "The log ends at message 9, but 99 were counted."),
        (["UPDATE messages SET event = 7 WHERE seq = 4"], "Messages 4 name an event or a completion"),
        (["DELETE FROM speakers"], "The speaker of message 2 is not known by name."),
        (["UPDATE agents SET start = 12"], "The queue starts at message 12, which never was."),
        (["UPDATE agents SET summary = 1"], "The queue's summary is message 1, which is no summary."),
        (["UPDATE agents SET pinned = 77"], "The queue's open event is message 77, which never was."),
        (["DELETE FROM section_versions WHERE version = 1 AND name = 'z'"], "The section z lacks some"),
        (["DELETE FROM sections WHERE name = 'z'"], "The section z has a history, but is not there."),
        (["DELETE FROM inbox WHERE number = 1"], "The inbox has 1 events, but 2 were counted."),
        (["UPDATE inbox SET rank = 1 WHERE number = 2"], "Events 2 are not in the order of service."),
        (["UPDATE inbox SET rank = 0, state = 'active'"], "Events 1, 2 are active at once."),
        (["UPDATE agents SET last_schedule = 0"], "There are timers that were not counted."),
        (["UPDATE agents SET last_passage = 0"], "There are passages behind number 0"),
        (["DELETE FROM passage_tags WHERE tag = 'a'"], "Passages 1 are not found by their tags."),
        (["UPDATE deletions SET number = 1"], "Passages 1 are said to be deleted, but are there."),
        (["UPDATE deletions SET change = 99"], "There are deletions that were not counted."),
        (["DELETE FROM document_pages WHERE page = 1"], "Documents 1 lack pages, or have too many."),
        (["UPDATE agents SET last_document = 0"], "There are documents behind number 0"),
        (
            ["UPDATE passages SET document = 4, page = 1"],
            "Passages 1 are of a page of a document that is not",
        ),
        (["UPDATE messages SET embed = false WHERE seq = 3"], "f has vectors of Rows 3 of recall"),
        (["DELETE FROM vectors WHERE part = 0 AND number = 1"], "f lacks some windows of row 1 of"),
        (["UPDATE embedders SET dimensions = 9"], "f has vectors of other lengths"),
        (["UPDATE agents SET recall_rows = 3"], "The lexical index of recall is miscounted"),
        (["UPDATE messages SET text = 'other words' WHERE seq = 3"], "The lexical index of recall is wrong"),
    ],
)
def test_what_is_wrong_is_found(damages: list[str], sentence: str, place: Path | str) -> None:
    assert wrong(place) == []
    damage(place, *damages)
    assert any(agent == "ana" and what.startswith(sentence) for agent, what in wrong(place)), wrong(place)


def test_rows_of_nobody_are_found(place: Path | str) -> None:
    damage(place, "DELETE FROM agents")
    assert {agent for agent, _ in wrong(place)} == {None}
    assert any("of messages belong" in what for _, what in wrong(place))


def test_the_lexical_index_is_made_anew(place: Path | str) -> None:
    async def found_again() -> list[Any]:
        store = store_on(place)
        record = await _agent_of(store, "ana")
        result = await _searched(store, record.id)
        await store.close()
        return result

    searched = asyncio.run(found_again())
    with opened(place) as database:
        before = _everything(database, "ana")
    lost = "DELETE FROM postings" if isinstance(place, str) else "DELETE FROM lexicon"
    damage(
        place, lost, "UPDATE agents SET recall_units = 1, archival_rows = 7", "UPDATE messages SET units = 0"
    )
    with opened(place) as database:
        found = check(database, Heard())
        assert {finding.derived for finding in found} == {True}
        repair(database, found)
        assert check(database, Heard()) == []
        after = _everything(database, "ana")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"agents"}  # its counters of changes: what others have in memory is read again

    assert asyncio.run(found_again()) == searched


@pytest.mark.parametrize("waits", [True, False])
def test_an_agent_that_is_not_as_ready_as_its_inbox_says_is_repaired(waits: bool, place: Path | str) -> None:
    async def waiting() -> list[str]:
        store = store_on(place)
        found = await store.read(lambda tx: tx.waiting(9))
        await store.close()
        return [record.name for record in found]

    if waits:
        damage(place, "UPDATE agents SET ready = NULL")
    else:
        damage(place, "UPDATE inbox SET state = 'done', rank = NULL", "UPDATE agents SET ready = 7")
    assert asyncio.run(waiting()) == ([] if waits else ["ana"])
    with opened(place) as database:
        (finding,) = check(database, Heard())
        assert (finding.agent, finding.derived) == ("ana", True)
        assert finding.what == "It is not ready for a turn as its inbox is."
        repair(database, [finding])
        assert check(database, Heard()) == []
    assert asyncio.run(waiting()) == (["ana"] if waits else [])
