"""On a distributed database each statement of a turn goes to the one node that has the agent, and what is
asked over all agents is answered.

Run where ``PAGEFAULT_TEST_CITUS_URL`` is a database on the coordinator of a cluster, with its nodes added.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import psycopg
import pytest

from conftest import Run
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.kernel import Kernel
from pagefault.kernel.sealer import Sealer
from pagefault.models import Prompt
from pagefault.shared import Attachment, Outgoing, SharedRecord
from pagefault.storage import Filter, Match, PendingVector, Transaction
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.postgres.connection import adapt
from pagefault.storage.postgres.dialect import OWNED_TABLES
from pagefault.storage.postgres.distributing import LOCAL
from pagefault.testing.citus import CitusDatabases, given_coordinator
from pagefault.testing.models import Item, ScriptedModel, call, say
from pagefault.types import AgentId, AgentRecord, Document, Event, EventKind, Page, Passage, Place, Schedule
from test_sealing import SIZES, archive
from test_transfer import wrong

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not given_coordinator(), reason="PAGEFAULT_TEST_CITUS_URL is not set"),
]

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DISTRIBUTED = {"agents", *OWNED_TABLES} - set(LOCAL)
CALLS = [
    call("archival_insert", text="The red key is at home.", tags=["key", "home"], heartbeat=True),
    call("archival_search", query="red key", heartbeat=True),
    call("recall_search", query="hello", heartbeat=True),
    call("working_context_append", section="human", text="Likes keys.", heartbeat=True),
    call("send_to_agent", name="bo", text="Hello, Bo.", heartbeat=True),
    call("archival_insert", text="The blue key is lost.", archive="manuals", heartbeat=True),
]
LOOKS = [  # once what was sent is delivered
    call("archival_search", query="blue key", heartbeat=True),
    call("archival_search", query="blue key", archive="manuals", heartbeat=True),
    call("document_list", archive="manuals", heartbeat=True),
    call("archival_delete", id="manuals/p2", heartbeat=True),
]
ARCHIVES = ("manuals", "news")


@pytest.fixture(scope="module")
def databases() -> Generator[CitusDatabases]:
    """The databases of the cluster, in place of those of a single server."""
    databases = CitusDatabases(given_coordinator() or "")
    yield databases
    databases.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> dict[bytes, Any]:
    """Each statement that a store sends in its transactions, with values."""
    found: dict[bytes, Any] = {}
    execute = psycopg.Cursor[Any].execute

    def recorded(self: Any, statement: Any, values: Any = None, **options: Any) -> Any:
        if threading.current_thread().name.startswith("pagefault-postgres") and isinstance(statement, bytes):
            found.setdefault(statement, values)
        return execute(self, statement, values, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", recorded)
    return found


def plan_of(server: psycopg.Connection[Any], statement: bytes, values: Any) -> str:
    """How the coordinator runs a statement."""
    with server.transaction(force_rollback=True):
        lines = server.execute(b"EXPLAIN (COSTS OFF) " + statement, values).fetchall()
    return "\n".join(line for (line,) in lines)


def spread(database: str, sent: dict[bytes, Any]) -> list[str]:
    """The statements that do not go to one shard, with their plans."""
    wrong: list[str] = []
    checked = 0
    with psycopg.connect(database, autocommit=True) as server:
        adapt(server)
        for statement, values in sent.items():
            # Over all agents: whose turn is next, after a turn; who has sent something.
            is_look = b"parked IS NULL" in statement or b"DISTINCT agent FROM outbox" in statement
            if is_look or DISTRIBUTED.isdisjoint(re.findall(r"\w+", statement.decode())):
                continue
            plan = plan_of(server, statement, values)
            checked += 1
            whole = "Subplan" not in plan and "pull to coordinator" not in plan
            if not whole or re.findall(r"Task Count: (\d+)", plan) != ["1"]:
                wrong.append(f"{' '.join(statement.decode().split())}\n{plan}")
    assert checked > 20
    return wrong


def by_script(prompt: Prompt) -> Item:
    last = max((n for n, message in enumerate(prompt.messages) if message.role == "user"), default=0)
    number = sum(message.role == "assistant" for message in prompt.messages[last:])
    text = prompt.messages[last].text
    calls = CALLS if "work" in text else LOOKS if "look" in text else []
    return [calls[number]] if number < len(calls) else [say("Done.")]


async def turns(home: Path, database: str, work: Any) -> None:
    """Run ``work`` with a kernel that has the agents ana and bo."""
    parts = Parts(ScriptedModel(by_script), NullEmbedder())
    async with open_kernel(home, parts, Installation(database=database)) as kernel:
        for name in ("ana", "bo"):
            settings = {"zone": "UTC", "agents": True, "timers": True, "daily_tokens": 10**9}
            await kernel.create_agent(name, parse_settings(settings))
        ana = (await kernel.record("ana")).id
        for name in ARCHIVES:
            await kernel.store.write(lambda tx, name=name: share(tx, name, ana))
        await work(kernel)


def test_each_statement_of_a_turn_goes_to_one_shard(
    tmp_path: Path, database: str, sent: dict[bytes, Any]
) -> None:
    async def work(kernel: Kernel) -> None:
        agent = (await kernel.record("ana")).id
        sent.clear()
        for text in ("hello", "work", "look", "hello again"):
            async for output in kernel.send("ana", Event("message", text, key=text)):
                assert output.type != "alerted", output.text
            assert await kernel.deliverer.deliver()
        assert await kernel.flush("ana")
        results = [row.text for row in await kernel.store.read(lambda tx: tx.messages(agent))]
        assert sum("The blue key is lost." in text for text in results) >= 3, results
        await kernel.store.write(lambda tx: share(tx, "other", agent))
        assert await kernel.store.write(lambda tx: tx.detach(agent, "archive", "other"))
        await kernel.store.write(lambda tx: send(tx, agent))
        await kernel.store.write(lambda tx: ingest(tx, agent))
        await kernel.store.read(lambda tx: search(tx, agent))
        await kernel.store.write(lambda tx: tx.delete_document(agent, 1))
        await kernel.idle()

    anyio.run(turns, tmp_path, database, work)
    wrong = spread(database, sent)
    assert not wrong, "\n\n".join(wrong)


@pytest.fixture
def plain(databases: CitusDatabases) -> Generator[str]:
    """A database with Citus and nodes, without tables."""
    url = databases.new(empty=True)
    yield url
    databases.drop(url)


def test_what_was_sealed_is_searched_and_deleted_on_one_shard(
    plain: str, sent: dict[bytes, Any], run: Run
) -> None:
    """Sealed vectors move back, so that the coordinator keeps none; words stay sealed."""

    async def seal() -> AgentId:
        async with archive(plain, connections=1) as a:
            await a.add(90)
            await a.sealed(until="publish")
            assert await a.one("SELECT count(*) FROM vectors WHERE part = 0") == 90
            await Sealer(a.store, SIZES).settled()
            assert len(await a.tables()) == 1
            await a.add(10)
            return a.id

    async def use(agent: AgentId) -> None:
        store = PostgresStore.open(plain, connections=1)
        sent.clear()
        try:
            for number in (1, 50, 99):
                assert await store.write(lambda tx, number=number: tx.delete_passage(agent, number))
            for match in (Match(("text",)), Match(vector=np.ones(16, np.float32), floor=-2.0)):
                found = await store.read(lambda tx, m=match: tx.search(agent, "archival", m, Filter(), "f"))
                assert {*found.number.tolist()} == {*range(1, 101)} - {1, 50, 99}
            assert await store.write(lambda tx: tx.seal(agent, SIZES)) == ""
            await store.write(lambda tx: tx.insert_passages(agent, [Passage("more", NOW)]))
            await store.write(
                lambda tx: tx.put_vectors(
                    "f", [PendingVector(agent, "archival", 101, "more")], [np.ones((1, 16), np.float32)]
                )
            )
        finally:
            await store.close()

    agent = anyio.run(seal)
    look = run("db", "distribute", "--database", plain, "--dry-run", "--json").json
    done = run("db", "distribute", "--database", plain, "--json")
    assert done.code == 0, done.err
    assert look["tables"]["vectors"]["rows"] == done.json["tables"]["vectors"]["rows"] >= 100
    with psycopg.connect(plain) as server:
        kept = "SELECT count(*) FILTER (WHERE fingerprint = 'f'), count(*) FROM segments"
        assert server.execute(kept).fetchall() == [(0, 1)]
        assert server.execute("SELECT FROM pg_class WHERE relname LIKE 'segment\\_%'").fetchall() == []
    assert [what for _, what in wrong(plain) if "of a document" not in what] == []
    anyio.run(use, agent)
    assert any(b"DELETE FROM word_blocks" in statement for statement in sent)
    assert spread(plain, sent) == []
    assert [what for _, what in wrong(plain) if "of a document" not in what] == []


def share(tx: Transaction, name: str, agent: AgentId) -> None:
    """Make an archive with one passage, and attach an agent to it."""
    archive = tx.create_shared(SharedRecord("archive", name, NOW))
    tx.insert_passage(archive.id, Passage(f"All {name} are blue.", NOW))
    tx.attach(agent, Attachment("archive", name, NOW))
    tx.post(agent, Event(EventKind.EDITED, f"Archive {name} was attached.", at=NOW))


def send(tx: Transaction, agent: AgentId) -> None:
    """Send effects to an archive, of which one is applied and one parked."""
    archive = tx.shared("archive", "news")
    assert archive
    assert not tx.reaches_others
    numbers = [
        tx.put_outgoing(agent, Outgoing(archive.stored_name, "insert", "{}", NOW)).number for _ in range(2)
    ]
    assert tx.delivered(archive.id, agent) == 0
    for number in numbers[:1] * 2:
        tx.set_delivered(archive.id, agent, number)
    assert tx.remove_outgoing(agent, numbers[0])
    tx.park_outgoing(agent, numbers[1], "It is odd.")
    assert [(row.number, row.parked) for row in tx.outgoing(agent)] == [(numbers[1], "It is odd.")]


def ingest(tx: Transaction, agent: AgentId) -> None:
    """Store a document of several pages, and vectors of its chunks."""
    chunks = [Passage(f"Page {n} is about keys.", NOW, ("doc",), place=Place(0, n)) for n in (1, 2, 3)]
    pages = [Page(n, "", f"Page {n} is about keys.") for n in (1, 2, 3)]
    document = Document("a.txt", "A", "text/plain", "0" * 64, NOW, 3)
    tx.put_document(agent, document, pages, chunks)
    items = [PendingVector(agent, "archival", n, f"Page {n - 1} is about keys.") for n in (2, 3, 4)]
    tx.put_vectors("f", items, [np.ones((1, 3), np.float32)] * 3)


def search(tx: Transaction, agent: AgentId) -> None:
    match = Match(("keys",), (("keys",),), np.ones(3, np.float32))
    assert tx.search(agent, "archival", match, Filter(tags=("doc",)), "f")
    assert tx.search(agent, "recall", match, Filter(), "f")


def test_what_is_asked_over_all_agents_is_answered(tmp_path: Path, database: str) -> None:
    async def work(kernel: Kernel) -> None:
        store = kernel.store
        made = [
            await store.write(lambda tx, n=n: tx.create_agent(AgentRecord(f"a{n}", {}, NOW)))
            for n in range(9)
        ]
        for record in made:
            await store.write(lambda tx, a=record.id: tx.insert_passage(a, Passage("red", NOW)))
            await store.write(lambda tx, a=record.id: tx.add_schedule(a, Schedule("tea", NOW, "UTC")))
        pending = await store.read(lambda tx: tx.pending_vectors("f", 99))
        archives = [await store.read(lambda tx, n=n: tx.shared("archive", n)) for n in ARCHIVES]
        shared = [each.id for each in archives if each]
        assert {item.agent for item in pending} == {*(record.id for record in made), *shared}
        vectors = [np.ones((1, 3), np.float32)] * len(pending)
        await store.write(lambda tx: tx.put_vectors("f", pending, vectors))
        assert not await store.write(lambda tx: tx.settle_vectors(["f"]))
        assert await store.read(lambda tx: tx.pending_vectors("f", 99)) == []
        assert await store.read(lambda tx: tx.embedded("f")) == (11, 11)
        due = await store.read(lambda tx: tx.due_schedules(NOW + timedelta(hours=1), 4))
        assert [agent for agent, _ in due] == [record.id for record in made[:4]]
        assert await store.read(lambda tx: tx.usage_of_all(NOW)) == []
        assert await store.write(lambda tx: tx.forget_vectors("f", 99)) == 11
        ana = (await kernel.record("ana")).id
        assert await store.read(lambda tx: tx.attached_to("archive", "news")) == [ana]
        await store.write(lambda tx: send(tx, ana))
        assert await store.read(lambda tx: tx.outboxes()) == [ana]
        assert [each.name for each in await store.read(lambda tx: tx.all_shared("archive"))] == [*ARCHIVES]
        await store.write(lambda tx: tx.rename_agent(shared[1], "archive:older"))
        await store.write(lambda tx: tx.delete_agent(shared[0]))
        assert [held.name for held in await store.read(lambda tx: tx.attachments(ana))] == ["older"]
        assert [row.target for row in await store.read(lambda tx: tx.outgoing(ana))] == ["archive:older"]

    anyio.run(turns, tmp_path, database, work)
