"""Several servers on one database: any may be asked about any agent, and takes up the streams of another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import httpx2
import pytest

from conftest import Machine, served
from pagefault.storage import Store
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.models import ScriptedModel
from test_server import API, STREAM, Gate, HaltingModel, Sent, sent_events

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Open = Callable[[], Store]


@pytest.fixture(params=["sqlite", "postgres"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "sqlite":
        return lambda: SQLiteStore.open(tmp_path / "pagefault.db")
    url: str = request.getfixturevalue("database")
    return lambda: PostgresStore.open(url, connections=3)


async def test_a_stream_is_taken_up_at_another_server(machine: Machine, open_store: Open) -> None:
    gate = Gate()
    first, second = HaltingModel(["Hello Ann, how are you?"], gate), ScriptedModel(["From the other."])
    async with (
        machine.open(first, store=open_store(), style="native") as one,
        machine.open(second, store=open_store()) as two,
        served(one.kernel) as a,
        served(two.kernel) as b,
        a.live() as url_a,
        b.live() as url_b,
        httpx2.AsyncClient(timeout=30) as client,
    ):
        body, headers = {"text": "Hi"}, {**STREAM, "idempotency-key": "one"}
        seen: list[Sent] = []
        async with client.stream(
            "POST", f"{url_a}{API}/agents/ana/messages", json=body, headers=headers
        ) as answer:
            async for each in sent_events(answer):
                seen.append(each)
                break
        await gate.reached.wait()
        event, last = seen[0].data["event"], str(seen[0].id)
        streams: list[list[Sent]] = [[], []]

        async def take_up(stream: list[Sent], method: str, path: str) -> None:
            given, content = headers | {"last-event-id": last}, body if method == "POST" else None
            url = f"{url_b}{API}/agents/ana/{path}"
            async with client.stream(method, url, headers=given, json=content) as answer:
                async for each in sent_events(answer):
                    stream.append(each)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take_up, streams[0], "GET", f"events/{event}/outputs")
            tasks.start_soon(take_up, streams[1], "POST", "messages")
            while not all(streams):  # noqa: ASYNC110
                await anyio.sleep(0.02)
            gate.opened.set()
        for stream in streams:
            assert [each.type for each in stream] == ["retracted", "said", "done"]
            assert stream[1].data["text"] == "Hello Ann, how are you?"
        assert not second.prompts
        reply = await client.post(f"{url_b}{API}/agents/ana/messages", json={"text": "And you?"})
        assert reply.json()["text"] == "From the other."
