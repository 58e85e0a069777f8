"""Faults under a server: damaged agents, a database that is lost, a full disk, readers that do not read. A
client gets a sentence, nobody else waits, and what was refused can be sent again."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Generator
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import anyio.abc
import httpx2
import pytest

from conftest import Machine, Served, served
from pagefault.config import parse_settings
from pagefault.kernel.streams import MOST_BEHIND
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.models import ScriptedModel
from pagefault.testing.postgres import end_server, start_server, stop_server
from test_parking import damage
from test_postgres import CUT, ask
from test_server import API, STREAM, WAYS, Gate, HaltingModel
from waiting import PATIENCE, until

pytestmark = pytest.mark.anyio

TEXTS = [f"Number {word}, and so on it goes." for word in ("one", "two", "three", "four")]
NATIVE = parse_settings({"zone": "UTC", "style": "native"})


async def sent(server: Served, way: str, *, stream: bool = False) -> httpx2.Response:
    """The answer to a message to ana in one of the protocols."""
    method, path, body = WAYS[way]
    if stream:
        path += "/stream" if way == "letta" else ""
        body = body | ({} if way == "rest" else {"stream": True})
    with anyio.fail_after(PATIENCE):
        return await server.client.request(method, path, json=body, headers=STREAM if stream else {})


async def said(server: Served, name: str) -> str:
    with anyio.fail_after(PATIENCE):
        answer = await server.client.post(f"{API}/agents/{name}/messages", json={"text": "Hi"})
    assert answer.status_code == 200, answer.text
    return answer.json()["text"]


# damaged agents


DAMAGES = {
    "a row": "UPDATE messages SET role = 'boss' WHERE seq = 1 AND agent = 1",
    "settings": "UPDATE agents SET settings = '{' WHERE name = 'ana'",
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("statement", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("way", WAYS)
async def test_a_damaged_agent_is_a_sentence_in_each_protocol_and_the_others_are_served(
    machine: Machine, tmp_path: Path, way: str, statement: str, stream: bool
) -> None:
    file = tmp_path / "a.db"
    async with machine.open(ScriptedModel([]), store=SQLiteStore.open(file), style="native") as rig:
        await rig.kernel.create_agent("bob", NATIVE)
        await rig.send("Hi")
    damage(str(file), statement)
    async with (
        machine.open(ScriptedModel([]), store=SQLiteStore.open(file)) as rig,
        served(rig.kernel) as server,
    ):
        for tried in range(2):  # the first parks it
            answer = await sent(server, way, stream=stream)
            if tried or statement == DAMAGES["settings"]:
                assert answer.status_code == 409
            else:  # its turn fails
                assert answer.status_code == (502 if way in ("chat", "responses") and not stream else 200)
            assert "pagefault db check" in answer.text
            assert "Traceback" not in answer.text
            if way == "letta" and answer.status_code == 200:
                assert '"stop_reason":"error"' in answer.text.replace(" ", "")
        assert await said(server, "bob") == "ok"
        listed = (await server.client.get(f"{API}/agents")).json()["items"]
        assert [agent["name"] for agent in listed] == ["ana", "bob"]
        for path in ("", "/outputs", "/history", "/trace", "/context", "/sections", "/usage"):
            looked = await server.client.get(f"{API}/agents/ana{path}")
            assert looked.status_code < 500
            assert looked.status_code == 409 or statement != DAMAGES["settings"]


# a database that is lost and comes back


@pytest.fixture
def postgres() -> Generator[tuple[Path, str]]:
    """A server of one's own, to be stopped and started."""
    folder = Path(tempfile.mkdtemp(prefix="pagefault-postgres-")) / "data"
    try:
        yield folder, start_server(folder)
    finally:
        stop_server(folder)
        shutil.rmtree(folder.parent)


@pytest.mark.slow
async def test_a_database_that_is_away_is_a_problem_and_all_goes_on_when_it_is_back(
    machine: Machine, postgres: tuple[Path, str]
) -> None:
    folder, url = postgres
    gate = Gate()
    model = HaltingModel(TEXTS, Gate(), gate)
    model.gates[0].opened.set()
    store = PostgresStore.open(url, patience=2)
    async with machine.open(model, store=store, style="native") as rig, served(rig.kernel) as server:
        waiting: list[httpx2.Response] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(rig.kernel.serve)
            assert await said(server, "ana") == TEXTS[0]

            async def wait_for_answer() -> None:
                waiting.append(await sent(server, "rest"))

            tasks.start_soon(wait_for_answer)
            await until(gate.reached.is_set)
            await anyio.to_thread.run_sync(end_server, folder)
            gate.opened.set()  # the turn cannot be kept now
            for way in WAYS:
                answer = await sent(server, way)
                assert (answer.status_code, "did not do this" in answer.text) == (503, True), answer.text
            for path in ("/agents", "/agents/ana", "/agents/ana/history", "/agents/ana/outputs"):
                looked = await server.client.get(f"{API}{path}")
                assert (looked.status_code, looked.json()["title"]) == (503, "Database unavailable")
            assert (await server.client.get("/readyz")).status_code == 503
            assert (await server.client.get("/healthz")).status_code == 200
            await anyio.to_thread.run_sync(start_server, folder)

            async def is_ready() -> bool:
                return (await server.client.get("/readyz")).status_code == 200

            await until(is_ready)
            assert await said(server, "ana") in TEXTS[1:]
            await until(lambda: waiting)
            tasks.cancel_scope.cancel()
        assert waiting[0].status_code == 200
        assert [event.state for event in await rig.events()] == ["done"] * 3
        said_once = [row.text for row in await rig.log() if row.text in TEXTS]
        assert len(said_once) == len(set(said_once)) == 3


@pytest.mark.slow
async def test_connections_that_are_cut_under_requests_are_made_again(
    machine: Machine, database: str
) -> None:
    gate = Gate()
    model = HaltingModel(TEXTS[:1] * 4, gate)
    store = PostgresStore.open(database)
    async with machine.open(model, store=store, style="native") as rig, served(rig.kernel) as server:
        answers: list[httpx2.Response] = []

        async def send(key: str) -> None:
            """Send until it is known: a commit that was cut may be stored or not, and is a sentence."""
            method, path, body = WAYS["rest"]
            with anyio.fail_after(PATIENCE):
                while True:
                    answer = await server.client.request(
                        method, path, json=body, headers={"Idempotency-Key": key}
                    )
                    if answer.status_code != 503:
                        break
                    assert "look before whether a change was kept" in answer.text
            answers.append(answer)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, "first")
            await until(gate.reached.is_set)
            for number in range(3):
                tasks.start_soon(send, f"cut {number}")
                await anyio.to_thread.run_sync(ask, database, CUT)
                assert (await server.client.get(f"{API}/agents/ana")).status_code == 200
            gate.opened.set()
        assert [answer.status_code for answer in answers] == [200] * 4
        assert [answer.json()["text"] for answer in answers] == [TEXTS[0]] * 4
        assert [event.state for event in await rig.events()] == ["done"] * 4


# a full disk


async def test_a_full_disk_is_a_problem_and_all_goes_on_when_there_is_space(
    machine: Machine, tmp_path: Path
) -> None:
    store = SQLiteStore.open(tmp_path / "a.db")

    async def limit(pages: int) -> None:
        """No page more than these, or than there are, stands for a full disk."""
        await store.write(lambda tx: tx._db.one(f"PRAGMA max_page_count = {pages}"))

    async with (
        machine.open(ScriptedModel([]), store=store, style="native") as rig,
        served(rig.kernel) as server,
    ):
        assert await said(server, "ana") == "ok"
        await limit(1)
        long = {"text": "too much " * 20_000}
        for _ in range(2):
            answer = await server.client.post(f"{API}/agents/ana/messages", json=long)
            assert (answer.status_code, answer.json()["title"]) == (503, "Database unavailable")
            assert answer.json()["detail"].startswith("The database did not do this; try again")
        passage = await server.client.post(f"{API}/agents/ana/passages", json=long)
        assert passage.status_code == 503
        assert (await server.client.get(f"{API}/agents/ana/history")).status_code == 200
        await limit(2**30)
        assert await said(server, "ana") == "ok"
        assert [event.state for event in await rig.events()] == ["done"] * 2


# readers that do not read


@pytest.mark.slow
async def test_of_200_readers_those_that_do_not_read_hold_nobody_up(machine: Machine) -> None:
    """What is kept for each is bounded; ``test_a_listener_that_takes_nothing_is_left_behind`` has the end."""
    turns, text = 12, "word " * 16_000
    model = ScriptedModel([text] * turns, 2_000_000, piece=16_000)
    async with (
        machine.open(model, style="native", window=2_000_000) as rig,
        served(rig.kernel) as server,
        server.live() as url,
        AsyncExitStack() as streams,
        anyio.create_task_group() as tasks,
    ):
        address = httpx2.URL(url)
        accepts = f"host: {address.netloc.decode()}\r\naccept: text/event-stream"
        request = f"GET {API}/agents/ana/outputs HTTP/1.1\r\n{accepts}\r\n\r\n"
        heard = [0] * 100

        async def read(n: int, stream: anyio.abc.SocketStream) -> None:
            rest = b""
            async for piece in stream:
                *lines, rest = (rest + piece).split(b"\n")
                heard[n] += sum(line.strip() == b"event: done" for line in lines)

        agent = await rig.kernel.find("ana")
        for n in range(len(heard)):
            stream = await streams.enter_async_context(
                await anyio.connect_tcp(address.host, address.port or 80)
            )
            await stream.send(request.encode())
            tasks.start_soon(read, n, stream)
            deaf = streams.enter_context(socket.socket())
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # the network keeps little for it
            deaf.connect((address.host, address.port))
            deaf.sendall(request.encode())
        await until(lambda: len(agent.listeners) == 200)
        for _ in range(turns):
            assert await said(server, "ana") == text.strip()
        await until(lambda: heard == [turns] * 100)
        kept = [listener.statistics() for listener in agent.listeners]
        assert [each.max_buffer_size for each in kept] == [MOST_BEHIND] * 200
        tasks.cancel_scope.cancel()
