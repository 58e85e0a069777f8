"""A database of any earlier version is upgraded when it is opened: nothing is lost, and a check is clean."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection as Bind
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import StaticPool

from pagefault.build import open_transfer
from pagefault.embedders.minilm import MiniLM
from pagefault.errors import NameTakenError
from pagefault.message_meta import MessageMeta, RequestUsage, SeenContext, Usage, meta_of
from pagefault.storage import Filter, Match, Transaction, migrations
from pagefault.storage.postgres import PostgresStore, postings
from pagefault.storage.postgres.connection import PostgresConnection, adapt
from pagefault.storage.sqlite import SQLiteStore, lexicon
from pagefault.storage.sqlite.connection import Connection as FileConnection
from pagefault.storage.terms import message_terms
from pagefault.storage.tidying import FactKeys
from pagefault.tenancy import ApiKey, Quota
from pagefault.testing.postgres import Databases
from pagefault.transfer import check
from pagefault.types import (
    SEARCHED_BY_DEFAULT,
    AgentId,
    AgentRecord,
    Message,
    Passage,
    Role,
    Schedule,
    Section,
)

START = datetime(2026, 11, 1, 12, 7, tzinfo=UTC)
MICROS = round(START.timestamp()) * 1_000_000
SAW = {
    "window": 8192, "instructions": 900, "working_context": 100, "queue": 50, "from": 1, "to": 1,
    "summary": None, "pinned": None, "notes": ["A quote was closed."],
}  # fmt: skip
FIRST = {
    "model": "x:a", "input": 700, "output": 9, "cached": 5, "written": 4, "thinking": 3, "counted": 770,
    "answered": "a-1",
}  # fmt: skip
SECOND = {"model": "x:b", "input": 210_000, "estimated": True, "cut": True}
LOG: list[tuple[Role, str, dict[str, Any]]] = [
    (Role.USER, "red key", {}),
    (Role.CALL, "{}", {"saw": SAW, "usage": [FIRST, SECOND]}),
    (Role.RESULT, "Error: no", {"failed": True, "invalid": True, "heartbeat": True}),
    (Role.RESULT, "red key, read again", {"sources": ["m1"]}),
    (Role.ASSISTANT, "上海", {"echo": {"a": [1.5, None, "\0"]}, "saw": {"former": 1}, "usage": [FIRST]}),
    (Role.USER, "a name", {"echo": {"usage": [{"model": "x:a"}]}}),
    (Role.ALERT, "stopped", {"stop": True}),
    (Role.CALL, "{", {"cut": True}),
    (Role.USER, "Acme™ №17 Straße, เข้าใจ", {}),
    (Role.SUMMARY, "they met", {"messages": 4, "through": 4, "warned": False, "extracted": "It was down."}),
]
META = [
    MessageMeta(),
    MessageMeta(saw=SeenContext(8192, 900, 100, 50, 1, 1), notes=("A quote was closed.",)),
    MessageMeta(failed=True, invalid=True, heartbeat=True),
    MessageMeta(sources=("m1",)),
    MessageMeta(saw=SeenContext(), echo={"a": [1.5, None, "\0"]}),
    MessageMeta(echo={"usage": [{"model": "x:a"}]}),
    MessageMeta(stop=True),
    MessageMeta(cut=True),
    MessageMeta(),
    MessageMeta(messages=4, through=4, extracted="It was down."),
]
A = RequestUsage("x:a", Usage(700, 9, 5, 4, 3), counted=770, answered="a-1")
B = RequestUsage("x:b", Usage(210_000), estimated=True, cut=True)
SHIPPED = MiniLM().fingerprint
ANA = 2  # the number of the agent; 3 was given out, too


class Quiet:
    def begin(self, what: str, total: int) -> None: ...
    def advance(self, rows: int) -> None: ...


FACTS = ("valid_from", "valid_until", "superseded", "ended", "marked", "found", "same", "about")
WITHOUT_FACTS = (
    *(f"DROP INDEX passages_{name}" for name in ("same", "about", "limited", "superseded", "unkeyed")),
    *(f"ALTER TABLE passages DROP COLUMN {name}" for name in FACTS),
)
WITHOUT_WITHDRAWN = (
    *WITHOUT_FACTS,
    "DROP INDEX messages_withdrawn",
    "DROP INDEX passages_of_event",
    *(f"DROP TABLE {name}" for name in ("recall_deletions", "tombstones")),
    "ALTER TABLE agents DROP COLUMN hold",
    *(f"ALTER TABLE messages DROP COLUMN {name}" for name in ("withdrawn", "erased")),
    *(f"ALTER TABLE passages DROP COLUMN {name}" for name in ("born", "event", "withdrawn")),
    "ALTER TABLE section_versions DROP COLUMN born",
    *(f"ALTER TABLE schedules DROP COLUMN {name}" for name in ("event", "withdrawn")),
)
"""What makes the newest database one of the version before; each below goes one version further back."""
WITHOUT_LIMITS = (
    *WITHOUT_WITHDRAWN,
    "ALTER TABLE api_keys DROP COLUMN rate",
    "ALTER TABLE api_keys DROP COLUMN body",
    "ALTER TABLE quotas DROP COLUMN media_bytes",
)
WITHOUT_TENANTS = (
    *WITHOUT_LIMITS,
    *(f"DROP TABLE {name}" for name in ("api_keys", "audit", "quotas")),
)
WITHOUT_MEDIA = (*WITHOUT_TENANTS, "DROP TABLE media", "ALTER TABLE inbox DROP COLUMN media")
WITHOUT_TRACE = (*WITHOUT_MEDIA, "ALTER TABLE inbox DROP COLUMN trace")
WITHOUT_APPROVALS = (
    *WITHOUT_TRACE,
    "DROP TABLE approvals",
    "DROP TABLE grants",
    "ALTER TABLE agents DROP COLUMN undecided",
)
WITHOUT_ARCHIVES = (
    *WITHOUT_APPROVALS,
    *(f"DROP TABLE {name}" for name in ("attachments", "outbox", "deliveries", "segments", "word_blocks")),
    "ALTER TABLE agents DROP COLUMN last_outgoing",
    "ALTER TABLE agents DROP COLUMN last_segment",
    "ALTER TABLE agents DROP COLUMN attachment_changes",
)
WITHOUT_LEASES = (
    *WITHOUT_ARCHIVES,
    "DROP INDEX agents_unembedded",
    "DROP INDEX schedules_due",
    "DROP INDEX usage_totals_start",
    "ALTER TABLE agents DROP COLUMN unembedded",
    "ALTER TABLE embedders DROP COLUMN walked",
    "DROP INDEX agents_ready",
    "ALTER TABLE agents DROP COLUMN ready",
    "ALTER TABLE agents DROP COLUMN holder",
    "ALTER TABLE agents RENAME COLUMN lease_fence TO fence",
)
"""Statements that take away what 0012 and later migrations add to both databases."""


def upgraded_to(bind: Bind, version: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = bind
    command.upgrade(config, version)


def insert(bind: Bind, table: str, **row: Any) -> None:
    """Insert a row with those of its columns that the table has already."""
    has = {column["name"] for column in inspect(bind).get_columns(table)}
    row = {name: value for name, value in row.items() if name in has}
    values = ", ".join(f":{name}" for name in row)
    bind.execute(text(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({values})"), row)


OLD_TERMS = import_module("pagefault.storage.migrations.versions.0007_units").old_terms


def units_of(shown: str, meta: Mapping[str, Any]) -> list[str]:
    """The units of a row as code before 0007 made them."""
    return OLD_TERMS(shown) if message_terms("a", meta_of(meta)) else []


def fill(bind: Bind) -> None:
    """An agent as code of the version would have left it."""
    units = [units_of(*row[1:]) for row in LOG]
    own = {
        "created": MICROS, "start": 1, "head": "", "warned": False, "ratio": 1.25,
        "settings": '{"window": 8192, "margin": 0.1}', "recall_rows": sum(map(bool, units)),
        "recall_units": sum(map(len, units)),
        "last_seq": len(LOG), "last_event": 2, "last_schedule": 1,
    }  # fmt: skip
    insert(bind, "agents", id=ANA, name="ana", **own)
    insert(bind, "agents", id=ANA + 1, name="gone", **own)
    bind.execute(text(f"DELETE FROM agents WHERE id = {ANA + 1}"))
    for number, ((role, shown, meta), of) in enumerate(zip(LOG, units, strict=True), 1):
        insert(
            bind, "messages", agent=ANA, seq=number, role=role.value, at=MICROS + number,
            event=None if number > 1 and role == Role.USER else 1, tokens=5,
            units=len(of), embed=role in SEARCHED_BY_DEFAULT, meta=json.dumps(meta), text=shown, shown=shown,
            speaker="",
        )  # fmt: skip
    for number, state, rank in ((1, "done", None), (2, "pending", 2)):
        insert(
            bind, "inbox", agent=ANA, number=number, kind="message", text="hi", key=f"k{number}", at=MICROS,
            state=state, rank=rank,
        )  # fmt: skip
    insert(bind, "sections", agent=ANA, name="human", version=1)
    insert(
        bind, "section_versions", agent=ANA, name="human", version=1, at=MICROS, description="",
        token_limit=9, text="x", read_only=False,
    )  # fmt: skip
    of = {"agent": ANA, "tier": "recall", "fingerprint": SHIPPED, "text_hash": b"x"}
    for number in (1, 5):
        if bind.dialect.name == "sqlite":
            insert(bind, "vectors", **of, number=number, part=0, vector=bytes(8))
            continue
        put = (
            "INSERT INTO vectors (agent, tier, fingerprint, number, part, text_hash, vector) "
            "VALUES (:agent, :tier, :fingerprint, :number, 0, :text_hash, '[0, 0, 0, 0]')"
        )
        bind.execute(text(put), {**of, "number": number})
    insert(bind, "schedules", agent=ANA, number=1, due=MICROS, zone="UTC", catch_up="once", note="tea")


def indexed() -> list[tuple[int, list[str]]]:
    return [(number, units_of(*row[1:])) for number, row in enumerate(LOG, 1)]


def old_file(path: Path, version: str) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as bind:
        upgraded_to(bind, version)
        fill(bind)
        bind.commit()
    engine.dispose()
    connection = FileConnection(path, synchronous="NORMAL", busy_timeout=1.0)
    lexicon.index(connection, AgentId(ANA), "recall", indexed())
    connection.close()


def old_server(url: str, version: str) -> None:
    with psycopg.connect(url) as driver:
        driver.execute("CREATE EXTENSION IF NOT EXISTS vector")
        driver.commit()
        engine = create_engine("postgresql+psycopg://", creator=lambda: driver, poolclass=StaticPool)
        with engine.connect() as bind:
            upgraded_to(bind, version)
            fill(bind)
            insert(bind, "agent_names", name="ana", agent=ANA)
            bind.execute(text(f"SELECT setval('agents_id_seq', {ANA + 1})"))
            bind.commit()
        adapt(driver)
        postings.index(PostgresConnection(driver), AgentId(ANA), "recall", indexed())
        driver.commit()


async def look(store: SQLiteStore | PostgresStore) -> None:
    """Look at everything that an upgrade may have touched, and go on."""
    ana = AgentId(ANA)

    async def read(work: Callable[[Transaction], Any]) -> Any:
        return await store.read(work)

    record = await read(lambda tx: tx.agent("ana"))
    assert (record.id, record.tenant, record.last_seq) == (ana, "", len(LOG))
    assert (record.settings, record.queue.ratio) == ({"window": 8192, "margin": 0.1}, 1.25)
    rows = await read(lambda tx: tx.messages(ana))
    assert [(row.role, row.text) for row in rows] == [(role, shown) for role, shown, _ in LOG]
    assert [row.meta for row in rows] == META
    assert {row.seq: row.usage for row in rows if row.usage} == {2: (A, B), 5: (A,)}
    assert [row.seq for row in await read(lambda tx: tx.spent(ana, model="x:b"))] == [2]
    totals = await read(lambda tx: tx.usage_totals(ana, step=timedelta(minutes=15)))
    found = [(t.model, t.answered, t.tier, t.requests, t.usage.input, t.measured) for t in totals]
    assert found == [("x:a", "a-1", 0, 2, 1400, 2), ("x:b", "", 200_000, 1, 210_000, 0)]
    events = await read(lambda tx: tx.events(ana))
    assert [(e.id, e.state, e.attempts) for e in events] == [(1, "done", 0), (2, "pending", 0)]
    assert [s.text for s in await read(lambda tx: tx.sections(ana))] == ["x"]
    with pytest.raises(NameTakenError):
        await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, START)))
    other = await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, START, tenant="firm")))
    assert other.id > ANA + 1, "a number is not given out again"
    await store.write(lambda tx: tx.delete_agent(other.id))
    for unit in ("acmetm", "no17", "strass", "ข้า"):
        found = await read(lambda tx, unit=unit: tx.search(ana, "recall", Match((unit,)), Filter(), "f"))
        assert found.number[found.matched].tolist() == [9], unit
    near = Match(vector=np.full(4, 0.5, np.float32), floor=-1)
    found = await read(lambda tx: tx.search(ana, "recall", near, Filter(), SHIPPED))
    assert found.number[found.matched].tolist() == [1], "the one in Chinese has no vector any more"
    assert 5 not in [each.number for each in await read(lambda tx: tx.pending_vectors(SHIPPED, 9))]
    await store.write(lambda tx: tx.append(ana, [replace(rows[0], event=None)]))
    await store.close()


def clean(place: Path | str) -> None:
    with closing(open_transfer(place, make=False)) as database:
        assert [finding.what for finding in check(database, Quiet())] == []


@pytest.mark.parametrize("version", ["0001", "0002", "0003"])
def test_a_file_of_an_earlier_version_is_upgraded(version: str, tmp_path: Path) -> None:
    old_file(tmp_path / "a.db", version)
    clean(tmp_path / "a.db")
    asyncio.run(look(SQLiteStore.open(tmp_path / "a.db")))
    clean(tmp_path / "a.db")


@pytest.mark.slow
@pytest.mark.parametrize("version", ["0002", "0003"])
def test_a_server_of_an_earlier_version_is_upgraded(version: str, databases: Databases) -> None:
    url = databases.new(empty=True)
    old_server(url, version)
    clean(url)
    asyncio.run(look(PostgresStore.open(url, connections=1)))
    clean(url)
    databases.drop(url)


def test_rows_whose_units_changed_are_indexed_anew(tmp_path: Path) -> None:
    assert OLD_TERMS("𝓓ays Running №") == ["Day", "run", "No"], "as they were, capital letters too"
    file = tmp_path / "a.db"

    async def make() -> None:
        store = SQLiteStore.open(file)
        ana = (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, START)))).id
        rows = [
            Message(Role.USER, f"note {n} Straße №{n}" if n % 2 else f"note {n}", START) for n in range(5000)
        ]
        await store.write(lambda tx: tx.append(ana, rows))
        await store.write(lambda tx: tx.insert_passage(ana, Passage("ﬁne", START, title="Ｆｉｎｅ ｄａｙ")))
        await store.close()

    asyncio.run(make())
    with closing(sqlite3.connect(file)) as old:  # as code of 0006 left it
        for table, key, text_of in (
            ("messages", "seq", "text"),
            ("passages", "number", "title || ' ' || text"),
        ):
            tier = {"messages": "r", "passages": "a"}[table]
            for number, text in old.execute(f"SELECT {key}, {text_of} FROM {table}").fetchall():
                units = OLD_TERMS(text)
                rowid = 1 << 33 | (tier == "a") << 32 | number
                old.execute(f"UPDATE {table} SET units = ? WHERE {key} = ?", (len(units), number))
                old.execute("DELETE FROM lexicon WHERE rowid = ?", (rowid,))
                marked = " ".join(f"{tier}1·{unit}" for unit in units)
                old.execute("INSERT INTO lexicon (rowid, units) VALUES (?, ?)", (rowid, marked))
        old.execute("DELETE FROM index_blocks")
        for table in ("inbox", "schedules"):
            old.execute(f"ALTER TABLE {table} DROP COLUMN hops")
        _ = [old.execute(statement) for statement in WITHOUT_LEASES]
        for table in ("agents", "inbox", "schedules"):
            old.execute(f"ALTER TABLE {table} DROP COLUMN parked")
        old.execute("UPDATE alembic_version SET version_num = '0006'")
        old.commit()
    clean(file)


DIGITS = [
    ("room 34", ["room", "34"]),
    ("٣٤ 34 p٣ ตัว๓", ["٣٤", "34", "p٣", "ตั", "ตัว", "ว", "๓"]),
    ("३४", ["३४"]),
]
"""Texts and their units as code of 0010 made them."""


async def look_for_digits(store: SQLiteStore | PostgresStore) -> None:
    async def rows_with(unit: str) -> list[int]:
        match = Match((unit,))
        found = await store.read(lambda tx: tx.search(AgentId(1), "recall", match, Filter(), "f"))
        return found.number[found.matched].tolist()

    assert [await rows_with(unit) for unit in ("34", "p3", "3", "٣٤")] == [[1, 2, 3], [2], [2], []]
    await store.close()


async def fill_with_digits(store: SQLiteStore | PostgresStore) -> None:
    ana = (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, START)))).id
    rows = [Message(Role.USER, shown, START) for shown, _ in DIGITS]
    await store.write(lambda tx: tx.append(ana, rows))
    await store.close()


def test_digits_of_other_scripts_become_those_of_ascii_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    asyncio.run(fill_with_digits(SQLiteStore.open(file)))
    with closing(sqlite3.connect(file)) as old:
        for number, (_, units) in enumerate(DIGITS, 1):
            marked = " ".join(f"r1·{unit}" for unit in units)
            old.execute("UPDATE lexicon SET units = ? WHERE rowid = ?", (marked, 1 << 33 | number))
        _ = [old.execute(statement) for statement in WITHOUT_LEASES]
        old.execute("UPDATE alembic_version SET version_num = '0010'")
        old.commit()
    clean(file)
    asyncio.run(look_for_digits(SQLiteStore.open(file)))


@pytest.mark.slow
def test_digits_of_other_scripts_become_those_of_ascii_on_a_server(databases: Databases) -> None:
    url = databases.new()
    asyncio.run(fill_with_digits(PostgresStore.open(url, connections=1)))
    with psycopg.connect(url) as old:
        old.execute("DELETE FROM postings")
        adapt(old)
        numbered = [(number, units) for number, (_, units) in enumerate(DIGITS, 1)]
        postings.index(PostgresConnection(old), AgentId(1), "recall", numbered)
        _ = [
            old.execute(statement.encode()) for statement in (*WITHOUT_LEASES, "DROP TABLE workers, signals")
        ]
        old.execute("UPDATE alembic_version SET version_num = '0010'")
        old.commit()
    clean(url)
    asyncio.run(look_for_digits(PostgresStore.open(url, connections=1)))
    databases.drop(url)


# leases

INBOXES: dict[str, tuple[str, int | None, bool]] = {
    "waits": ("pending", 2, True),
    "pressed": ("pending", 1, True),
    "in-turn": ("active", 0, True),
    "parked": ("pending", 2, True),
    "served": ("done", None, False),
    "gave-up": ("parked", None, False),
    "new": ("", None, False),
}
"""The event in each agent's inbox, its rank, and if the agent is ready for a turn (a parked one is, once it
is released)."""
FENCE = 7


def fill_inboxes(bind: Bind, many: int) -> None:
    """These agents, and so many more of which each has an event."""
    for number, (name, (state, rank, _)) in enumerate(INBOXES.items(), ANA + 1):
        own = {"created": MICROS, "start": 1, "head": "", "warned": False, "ratio": 1.0, "settings": "{}"}
        parked = "It is broken." if name == "parked" else None
        insert(
            bind,
            "agents",
            id=number,
            name=name,
            **own,
            last_event=int(bool(state)),
            fence=FENCE,
            parked=parked,
        )
        if state:
            kind = "memory_pressure" if rank == 1 else "message"
            insert(
                bind, "inbox", agent=number, number=1, kind=kind, text="hi", key="k", at=MICROS,
                state=state, rank=rank, parked="Why not." if state == "parked" else None,
            )  # fmt: skip
    row = f"{ANA} + 100 + n, 'm' || n, {MICROS}, 1, '', false, 1.0, '{{}}', 1"
    series = f"WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {many})"
    columns = "id, name, created, start, head, warned, ratio, settings, last_event"
    bind.execute(text(f"{series} INSERT INTO agents ({columns}) SELECT {row} FROM s"))
    chosen = f"SELECT id, 1, 'message', 'hi', {MICROS}, 'pending', 2 FROM agents WHERE name LIKE 'm%'"
    bind.execute(text(f"INSERT INTO inbox (agent, number, kind, text, at, state, rank) {chosen}"))


def ready_in(place: Path | str) -> list[str]:
    found = "SELECT name FROM agents WHERE ready IS NOT NULL AND name NOT LIKE 'm%' ORDER BY id"
    with closing(psycopg.connect(place) if isinstance(place, str) else sqlite3.connect(place)) as driver:
        return [name for (name,) in driver.execute(found).fetchall()]


async def look_who_is_ready(place: Path | str) -> None:
    """Who is ready; and a turn can be taken, behind the fence of the one before."""
    with closing(open_transfer(place)) as database:
        found = [finding.what for finding in check(database, Quiet())]
    assert found == ["It is parked: It is broken."]
    assert ready_in(place) == [name for name, of in INBOXES.items() if of[2]]
    store = PostgresStore.open(place) if isinstance(place, str) else SQLiteStore.open(place)
    waits = AgentId(ANA + 1)
    async with store.turn_lock(waits) as hold:
        event = await store.write(lambda tx: tx.next_event(waits), hold)
        assert event is not None
        assert event.state == "pending"
        fence = await store.write(lambda tx: tx.fence(waits), hold)
        assert fence == FENCE + 1
        await store.write(lambda tx: tx.finish_event(waits, 1), hold)
    await store.close()
    assert ready_in(place) == [name for name, of in INBOXES.items() if of[2] and name != "waits"]


@pytest.mark.parametrize("version", ["0008", "0011"])
def test_agents_that_wait_in_a_file_of_an_earlier_version_are_ready(version: str, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as bind:
        upgraded_to(bind, version)
        fill_inboxes(bind, 20)
        bind.commit()
    engine.dispose()
    asyncio.run(look_who_is_ready(tmp_path / "a.db"))


@pytest.mark.parametrize("version", ["0008", "0011"])
def test_agents_that_wait_on_a_server_of_an_earlier_version_are_ready(
    version: str, databases: Databases
) -> None:
    url = databases.new(empty=True)
    with psycopg.connect(url) as driver:
        driver.execute("CREATE EXTENSION IF NOT EXISTS vector")
        driver.commit()
        engine = create_engine("postgresql+psycopg://", creator=lambda: driver, poolclass=StaticPool)
        with engine.connect() as bind:
            upgraded_to(bind, version)
            fill_inboxes(bind, 20)
            bind.execute(
                text("INSERT INTO agent_names (tenant, name, agent) SELECT '', name, id FROM agents")
            )
            bind.commit()
    asyncio.run(look_who_is_ready(url))
    databases.drop(url)


def fill_tenant(bind: Bind) -> None:
    """A key and a quota as code of 0017 made them."""
    key = {"name": "ci", "digest": "d", "role": "chat", "speaks": True, "created": MICROS}
    insert(bind, "api_keys", tenant="firm", **key)
    insert(bind, "quotas", tenant="firm", agent_limit=3, row_limit=None, daily_cost=2.5)


async def look_at_tenant(store: SQLiteStore | PostgresStore) -> None:
    """They have no limits of their own, and get some."""
    key = ApiKey("ci", START, "chat", speaks_for_users=True, tenant="firm")
    assert await store.read(lambda tx: tx.key_of("d")) == key
    assert await store.read(lambda tx: tx.within("firm").quota()) == Quota(agents=3, daily_cost=2.5)
    quota, limited = Quota(media_bytes=2**40), ApiKey("slow", START, rate=1, body=2**40)
    await store.write(lambda tx: tx.within("firm").put_quota(quota))
    await store.write(lambda tx: tx.within("firm").put_key(limited, "e"))
    assert await store.read(lambda tx: tx.within("firm").quota()) == quota
    assert await store.read(lambda tx: tx.key_of("e")) == replace(limited, tenant="firm")
    await store.close()


def test_keys_and_quotas_of_a_file_without_limits_have_none(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as bind:
        upgraded_to(bind, "0017")
        fill_tenant(bind)
        bind.commit()
    engine.dispose()
    asyncio.run(look_at_tenant(SQLiteStore.open(tmp_path / "a.db")))
    clean(tmp_path / "a.db")


@pytest.mark.slow
def test_keys_and_quotas_of_a_server_without_limits_have_none(databases: Databases) -> None:
    url = databases.new()
    with psycopg.connect(url) as driver:
        _ = [driver.execute(statement.encode()) for statement in WITHOUT_LIMITS]
        driver.execute("UPDATE alembic_version SET version_num = '0017'")
        driver.commit()
        engine = create_engine("postgresql+psycopg://", creator=lambda: driver, poolclass=StaticPool)
        with engine.connect() as bind:
            fill_tenant(bind)
            bind.commit()
    asyncio.run(look_at_tenant(PostgresStore.open(url, connections=1)))
    clean(url)
    databases.drop(url)


async def undo_what_was_there(store: SQLiteStore | PostgresStore) -> None:
    """Of what was stored before, nobody knows in whose turn, and all of it counts; then some is undone."""
    ana = AgentId(1)
    rows = await store.read(lambda tx: tx.messages(ana))
    assert [(row.withdrawn, row.erased) for row in rows] == [(None, False)] * len(DIGITS)
    (passage,) = await store.read(lambda tx: tx.passages(ana, [1]))
    (timer,) = await store.read(lambda tx: tx.schedules(ana))
    assert (passage.born, passage.event, timer.event) == (None, None, None)
    ((_, section),) = await store.read(lambda tx: tx.section_history(ana, "human"))
    assert section.born is None
    assert [agent.hold for agent in await store.read(lambda tx: tx.agents())] == [""]
    await store.write(lambda tx: tx.withdraw_rows(ana, 2, len(DIGITS) + 1))
    await store.write(lambda tx: tx.withdraw_passages(ana, 1, numbers=[1]))
    await store.write(lambda tx: tx.put_section(ana, Section("human", "", 9, "y"), START))
    match = Match(("34",))
    found = await store.read(lambda tx: tx.search(ana, "recall", match, Filter(), "f"))
    assert found.number[found.matched].tolist() == [1]
    await store.write(lambda tx: tx.append(ana, [replace(rows[0], event=None)]))
    await store.close()


async def fill_without_marks(store: SQLiteStore | PostgresStore) -> None:
    ana = (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, START)))).id
    rows = [Message(Role.USER, shown, START) for shown, _ in DIGITS]
    await store.write(lambda tx: tx.append(ana, rows))
    await store.write(lambda tx: tx.insert_passage(ana, Passage("kept", START, ("t",))))
    await store.write(lambda tx: tx.put_section(ana, Section("human", "", 9, "x"), START))
    await store.write(lambda tx: tx.add_schedule(ana, Schedule("tea", START, "UTC")))
    await store.close()


def test_what_a_file_has_from_before_undoing_can_be_undone(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    asyncio.run(fill_without_marks(SQLiteStore.open(file)))
    with closing(sqlite3.connect(file)) as old:
        _ = [old.execute(statement) for statement in WITHOUT_WITHDRAWN]
        old.execute("UPDATE alembic_version SET version_num = '0018'")
        old.commit()
    clean(file)
    asyncio.run(undo_what_was_there(SQLiteStore.open(file)))
    clean(file)


@pytest.mark.slow
def test_what_a_server_has_from_before_undoing_can_be_undone(databases: Databases) -> None:
    url = databases.new()
    asyncio.run(fill_without_marks(PostgresStore.open(url, connections=1)))
    with psycopg.connect(url) as old:
        _ = [old.execute(statement.encode()) for statement in WITHOUT_WITHDRAWN]
        old.execute("UPDATE alembic_version SET version_num = '0018'")
        old.commit()
    clean(url)
    asyncio.run(undo_what_was_there(PostgresStore.open(url, connections=1)))
    clean(url)
    databases.drop(url)


# facts that hold for a time


async def keep_facts_beside(store: SQLiteStore | PostgresStore) -> None:
    """Supersede a fact from before by a new one, and limit that in time."""
    ana = AgentId(1)
    (old,) = await store.read(lambda tx: tx.stored_passages(ana))
    assert (old.text, old.valid_from, old.superseded, old.found, old.same) == ("kept", None, None, None, None)
    assert await store.write(lambda tx: tx.unkeyed_passages(ana, 9)) == [old]

    def work(tx: Transaction) -> None:
        tx.key_passages(ana, {1: FactKeys(4, 5)})
        tx.insert_passage(ana, Passage("new", START, valid_until=START + timedelta(days=1), same=6, about=5))
        assert [each.text for each in tx.alike_passages(ana, FactKeys(6, 5))] == ["new", "kept"]
        assert tx.supersede_passage(ana, 1, 2, START)
        tx.note_found(ana, [1], START)

    await store.write(work)
    spans = await store.read(lambda tx: tx.fact_spans(ana))
    assert [(span.number, span.superseded, span.ends) for span in spans] == [
        (1, 2, START),
        (2, None, START + timedelta(days=1)),
    ]
    await store.close()


def test_facts_of_a_file_from_before_can_be_superseded(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    asyncio.run(fill_without_marks(SQLiteStore.open(file)))
    with closing(sqlite3.connect(file)) as old:
        _ = [old.execute(statement) for statement in WITHOUT_FACTS]
        old.execute("UPDATE alembic_version SET version_num = '0019'")
        old.commit()
    clean(file)
    asyncio.run(keep_facts_beside(SQLiteStore.open(file)))
    clean(file)


@pytest.mark.slow
def test_facts_of_a_server_from_before_can_be_superseded(databases: Databases) -> None:
    url = databases.new()
    asyncio.run(fill_without_marks(PostgresStore.open(url, connections=1)))
    with psycopg.connect(url) as old:
        _ = [old.execute(statement.encode()) for statement in WITHOUT_FACTS]
        old.execute("UPDATE alembic_version SET version_num = '0019'")
        old.commit()
    clean(url)
    asyncio.run(keep_facts_beside(PostgresStore.open(url, connections=1)))
    clean(url)
    databases.drop(url)


LEASES = "0012"


def tables_of(bind: Bind) -> dict[str, dict[str, Any]]:
    """The columns of each table: their type, whether they may be null, their default."""
    look = inspect(bind)
    return {
        table: {column["name"]: column for column in look.get_columns(table)}
        for table in look.get_table_names()
        if not table.startswith("lexicon")  # SQLite's own
    }


def test_from_leases_on_migrations_only_add(tmp_path: Path) -> None:
    """Processes of two versions that know leases run on one database at the same time."""
    engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as bind:
        upgraded_to(bind, LEASES)
        before = tables_of(bind)
        upgraded_to(bind, "head")
        after = tables_of(bind)
    engine.dispose()
    for table, columns in before.items():
        for name, column in columns.items():
            assert str(after[table][name]["type"]) == str(column["type"]), f"{table}.{name}"
            assert after[table][name]["nullable"] >= column["nullable"], f"{table}.{name}"
        for name, column in after[table].items():
            asked = not column["nullable"] and column["default"] is None
            assert name in columns or not asked, f"{table}.{name} is asked of a process that does not know it"
