"""PostgreSQL behind pgbouncer: each transaction may get another session, and every promise holds."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import test_postgres
from conftest import Run
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.errors import StorageError, TurnHeldError
from pagefault.kernel import Kernel
from pagefault.storage import Store, Transaction
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.signals import AgentReady
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.models import ScriptedModel
from pagefault.testing.models import say as send
from pagefault.testing.postgres import Databases
from pagefault.types import AgentId, AgentRecord, Message, Role
from test_leases import new_agent
from test_postgres import CUT, NOW, ask

BINARY = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BINARY is None, reason="this machine has no pgbouncer"),
]


@dataclass(frozen=True)
class Pooler:
    """A pgbouncer that runs in a folder, before one server."""

    folder: Path

    def url(self, url: str, **parameters: str) -> str:
        """The URL of a database of the server, through the pooler."""
        given = {name: value for name, value in conninfo_to_dict(url).items() if name in ("user", "dbname")}
        through = make_conninfo("", **given, host=str(self.folder), port="6432", **parameters)
        return f"postgresql:///?{urlencode(conninfo_to_dict(through))}"


@contextmanager
def pgbouncer(url: str, **settings: str | int) -> Generator[Pooler]:
    """A pgbouncer before the server of ``url``, in transaction mode unless ``settings`` say otherwise."""
    assert BINARY
    server = conninfo_to_dict(url)
    behind = {name: value for name, value in server.items() if name in ("host", "port", "user", "password")}
    host = str(behind.get("host", ""))
    owner = Path(host).stat().st_uid if host.startswith("/") else os.getuid()  # who may reach the socket
    folder = Path(tempfile.mkdtemp(prefix="pagefault-pooler-"))
    lines = {"pool_mode": "transaction", "auth_type": "any", "listen_addr": "", "listen_port": 6432}
    lines |= {"unix_socket_dir": str(folder), **settings}
    databases = " ".join(f"{name}={value}" for name, value in behind.items() if value)
    text = [f"[databases]\n* = {databases}\n[pgbouncer]", *(f"{k} = {v}" for k, v in lines.items())]
    (folder / "pgbouncer.ini").write_text("\n".join(text) + "\n")
    if os.getuid() == 0:  # pgbouncer refuses to be run by root
        owner = owner or 65534
        for path in (folder, folder / "pgbouncer.ini"):
            os.chown(path, owner, -1)
    user = owner if os.getuid() == 0 else None
    with subprocess.Popen(
        [BINARY, "-q", folder / "pgbouncer.ini"], user=user, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            end = time.monotonic() + 60
            while not (folder / ".s.PGSQL.6432").exists():
                assert process.poll() is None, process.communicate()[0].decode()
                assert time.monotonic() < end
                time.sleep(0.02)
            yield Pooler(folder)
        finally:
            process.kill()
            shutil.rmtree(folder)


@pytest.fixture(scope="module")
def pooler(databases: Databases) -> Generator[Pooler]:
    with pgbouncer(databases.url, default_pool_size=6) as running:
        yield running


@pytest.fixture(params=["transaction", "session"])
def either(request: pytest.FixtureRequest, databases: Databases) -> Generator[Pooler]:
    with pgbouncer(databases.url, pool_mode=request.param) as running:
        yield running


class TestPooledStore(test_postgres.TestPostgresStore):
    @pytest.fixture(autouse=True)
    def through_a_pooler(self, pooler: Pooler) -> None:
        self.pooler = pooler

    def open(self, place: Path) -> Store:
        if place not in self.places:
            self.places[place] = self.databases.new()
        return PostgresStore.open(self.pooler.url(self.places[place]), connections=4)


# -- turns, and the sessions that they leave to others


def test_two_kernels_take_turns_and_leave_nothing_on_a_session(
    tmp_path: Path, databases: Databases, either: Pooler
) -> None:
    url = databases.new()
    model = ScriptedModel(lambda prompt: [send(f"heard {prompt.messages[-1].text[-1]}")], window=8192)
    parts = Parts(model, HashEmbedder())
    names = ["ana", "bo", "cy"]

    def open_one() -> Kernel:
        return open_kernel(tmp_path, parts, Installation(database=either.url(url)))

    async def work() -> None:
        async with open_one() as one, open_one() as other:
            for name in names:
                await one.create_agent(name, parse_settings({"zone": "UTC"}))

            async def talk(kernel: Kernel, name: str) -> None:
                for number in range(5):
                    outputs = [output async for output in kernel.send(name, f"say {number}")]
                    assert f"heard {number}" in [output.text for output in outputs]

            await asyncio.gather(*(talk(kernel, name) for kernel in (one, other) for name in names))
            await one.settled()
            for name in names:
                heard = sorted(f"heard {number}" for number in [*range(5), *range(5)])
                assert sorted(await answers(one, name)) == heard

    asyncio.run(work())
    left = sessions_behind(either, url)
    assert left == {("0", "on", 0, 0)}, "lock_timeout, jit, prepared statements, advisory locks"
    databases.drop(url)


def test_an_agent_that_others_write_to_for_long_counts_as_held(databases: Databases, either: Pooler) -> None:
    """A pooler has no pipelines: the error comes from the statement that takes the lease."""
    url = databases.new()

    async def work() -> None:
        store = PostgresStore.open(either.url(url))
        try:
            ana = await new_agent(store)
            with psycopg.connect(url) as other:
                other.execute("SELECT 1 FROM agents WHERE id = %s FOR UPDATE", (ana,))
                with pytest.raises(TurnHeldError):
                    async with store.turn_lock(ana) as turn:
                        await store.write(lambda tx: tx.agent_by_id(ana), turn)
            async with store.turn_lock(ana) as turn:
                await store.write(lambda tx: tx.agent_by_id(ana), turn)
        finally:
            await store.close()

    asyncio.run(work())
    databases.drop(url)


async def answers(kernel: Kernel, name: str) -> list[str]:
    record = await kernel.record(name)
    rows = await kernel.store.read(lambda tx: tx.messages(record.id, roles=[Role.ASSISTANT]))
    return [row.text for row in rows]


def sessions_behind(pooler: Pooler, url: str) -> set[tuple[str, str, int, int]]:
    """The states of the sessions that the pooler has for a database, asked through it."""
    ask_state = """
        SELECT current_setting('lock_timeout'), current_setting('jit'),
        (SELECT count(*) FROM pg_prepared_statements),
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())"""
    with ExitStack() as held:  # each in an open transaction, so that each is given another session
        found: set[tuple[str, str, int, int]] = set()
        for _ in range(8):
            other = held.enter_context(psycopg.connect(pooler.url(url), prepare_threshold=None))
            row = other.execute(ask_state).fetchone()
            assert row
            found.add(row)
        return found


def test_rows_are_copied_and_checked_through_a_pooler(
    run: Run, databases: Databases, pooler: Pooler, tmp_path: Path
) -> None:
    assert run("agent", "create", "ana").code == 0
    assert run("archival", "insert", "The key is under the mat.", "--agent", "ana").code == 0
    url = databases.new(empty=True)
    through = pooler.url(url)
    copied = run("db", "copy", str(tmp_path / "home" / "pagefault.db"), through, "--json")
    assert (copied.code, copied.json[0]["agent"]) == (0, "ana"), copied.err
    back = run("db", "copy", through, str(tmp_path / "back.db"), "--json")
    assert back.json == copied.json
    found = run("archival", "search", "key", "--agent", "ana", "--database", through, "--json").json
    assert found["total"] == 1
    assert run("db", "check", "--database", through).code == 0
    databases.drop(url)


# -- opening


def test_several_open_a_new_database_through_one_session(databases: Databases) -> None:
    url = databases.new(empty=True)
    with pgbouncer(databases.url, default_pool_size=1) as pooler, ThreadPoolExecutor(3) as threads:
        stores = list(threads.map(PostgresStore.open, [pooler.url(url)] * 3))
        for store in stores:
            assert asyncio.run(store.read(lambda tx: tx.agents())) == []
            asyncio.run(store.close())
    databases.drop(url)


def test_a_parameter_that_the_pooler_refuses_is_named(databases: Databases, pooler: Pooler) -> None:
    with pytest.raises(StorageError, match=r"refuses a parameter of the URL \(.*options.*\); remove it"):
        PostgresStore.open(pooler.url(databases.url, options="-csearch_path=mine"))


# -- faults


def test_a_pooler_without_a_free_connection_is_one_sentence(databases: Databases) -> None:
    url = databases.new()
    with pgbouncer(databases.url, default_pool_size=1, query_wait_timeout=1) as pooler:
        store = PostgresStore.open(pooler.url(url), connections=1)
        asyncio.run(store.read(lambda tx: tx.agents()))
        with psycopg.connect(pooler.url(url)) as other:
            other.execute("SELECT 1")  # and its transaction stays open
            with pytest.raises(StorageError, match="has no connection free behind its pooler; raise the"):
                asyncio.run(store.read(lambda tx: tx.agents()))
        assert asyncio.run(store.read(lambda tx: tx.agents())) == []
        asyncio.run(store.close())
    databases.drop(url)


def test_work_goes_on_when_the_server_has_ended_the_sessions(databases: Databases, pooler: Pooler) -> None:
    url = databases.new()
    store = PostgresStore.open(pooler.url(url), connections=2)

    async def work() -> None:
        ana = (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))).id
        ran: list[bool] = []

        def cut_once(tx: Transaction) -> int:
            if not ran:
                ran.append(bool(ask(url, CUT)))
            return tx.append(ana, [Message(Role.USER, "once", NOW)])[0].seq

        assert await store.write(cut_once) == 1
        assert [row.text for row in await store.read(lambda tx: tx.messages(ana))] == ["once"]
        await store.close()

    asyncio.run(work())
    databases.drop(url)


def test_a_write_that_is_paused_for_too_long_is_given_up_and_run_again(
    databases: Databases, pooler: Pooler
) -> None:
    url = databases.new()
    store = PostgresStore.open(pooler.url(url), longest_write=0.3)
    runs: list[None] = []

    def slow(tx: Transaction) -> None:
        runs.append(None)
        tx.create_agent(AgentRecord("ana", {}, NOW))
        time.sleep(0.6 if len(runs) == 1 else 0)
        tx.agents()

    asyncio.run(store.write(slow))
    assert [agent.name for agent in asyncio.run(store.read(lambda tx: tx.agents()))] == ["ana"]
    assert len(runs) == 2
    asyncio.run(store.close())
    databases.drop(url)


# -- wake-ups


def test_signals_arrive_by_a_connection_past_the_pooler(databases: Databases, pooler: Pooler) -> None:
    url = databases.new()
    one, other = (PostgresStore.open(pooler.url(url), wake_url=url) for _ in range(2))

    async def work() -> None:
        arriving = asyncio.ensure_future(one.signals.received())
        while not one.signals.alive:  # noqa: ASYNC110  a thread sees to it
            await asyncio.sleep(0.01)
        other.signals.send(AgentReady(AgentId(7)))
        assert AgentReady(AgentId(7)) in await asyncio.wait_for(arriving, 60)
        await one.close()
        await other.close()

    asyncio.run(work())
    databases.drop(url)


def test_without_such_a_connection_one_warning_comes_and_inboxes_are_polled(
    databases: Databases, pooler: Pooler, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pagefault.storage.postgres.signals._PROBES", (0.1,))
    url = databases.new()
    store = PostgresStore.open(pooler.url(url))

    async def work() -> None:
        arriving = asyncio.ensure_future(store.signals.received())
        await asyncio.sleep(1)  # several probes
        assert not store.signals.alive
        arriving.cancel()
        await store.close()

    asyncio.run(work())
    assert [record.levelname for record in caplog.records if "set wake_url" in record.message] == ["WARNING"]
    databases.drop(url)
