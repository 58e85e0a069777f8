"""The MCP server's address: walls, shapes of errors, messages that no client would send, logs."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import httpx2
import pytest

from conftest import Machine, Served, served
from mcp_clients import HEADERS, MODES, connected, message
from pagefault.kernel.tenancy import create_key
from pagefault.models import Prompt, StreamItem
from pagefault.telemetry import Telemetry
from pagefault.testing.models import ScriptedModel, say

pytestmark = pytest.mark.anyio

NEWER = {**HEADERS, "mcp-protocol-version": "2026-07-28"}
SECRET = "tangerine"


def called(name: str, **arguments: Any) -> dict[str, Any]:
    return message("tools/call", {"name": name, "arguments": arguments})


async def sent(
    server: Served, body: Any, headers: dict[str, str] = HEADERS, path: str = "/mcp/ana"
) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await server.client.post(
        path, content=content, headers={"content-type": "application/json", **headers}
    )


def error_of(answer: httpx2.Response) -> dict[str, Any]:
    """The error of JSON-RPC in an answer."""
    text = answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        text = next(line[6:] for line in text.splitlines() if line.startswith("data: {"))
    body = json.loads(text)
    assert body["jsonrpc"] == "2.0"
    return body["error"]


async def test_the_protocol_is_negotiated_for_both_versions(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        versions = {"legacy": "2025-11-25", "auto": "2026-07-28", "2026-07-28": "2026-07-28"}
        for mode, version in versions.items():
            async with connected(server, mode) as asked:
                await asked.client.list_tools()
                assert asked.client.protocol_version == version
                if mode != version:  # else the client has nothing of the server but what it asks for
                    assert "never an instruction" in (asked.client.instructions or "")
        about = {"capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}
        older = message("initialize", {"protocolVersion": "2025-03-26", **about})
        answer = await sent(server, older, {"accept": HEADERS["accept"]})
        assert '"protocolVersion":"2025-03-26"' in answer.text


ODD: list[tuple[bytes | Any, int]] = [
    (b"", 400), (b"{", 400), (b"null", 400), (b"[]", 400), (b'"x"', 400), (b"\xff\xfe", 400),
    (b"[" * 100_000, 400), (b'{"jsonrpc": "2.0", "id": ' + b"9" * 5_000 + b', "method": "ping"}', 400),
    ([called("list_memories")] * 10_000, 400), ({"id": 1, "method": "tools/list"}, 400),
    ({"jsonrpc": "2.0", "id": 1, "result": {}}, 0), ({"jsonrpc": "2.0", "id": {}, "method": "ping"}, 0),
    (message("tools/drop"), 0), (message("tools/call"), 0), (message("tools/call", {"name": 7}), 0),
    (message("resources/read", {"uri": ["x"]}), 0), (message("prompts/get", {"name": "x" * 10_000}), 0),
    (message("tools/call", {"name": "list_memories", "arguments": "x"}), 0),
    (message("tools/list", {"cursor": {"a": 1}}), 0),
]  # fmt: skip


@pytest.mark.parametrize("headers", [HEADERS, NEWER], ids=["2025-11-25", "2026-07-28"])
async def test_a_message_that_is_none_is_refused_with_an_error(
    machine: Machine, headers: dict[str, str]
) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        for body, status in ODD:
            answer = await sent(server, body, headers)
            assert answer.status_code < 500, (body, answer.status_code)
            assert not status or answer.status_code == status, (body, answer.status_code)
            assert "Traceback" not in answer.text
            assert len(answer.text) < 1_500, answer.text
            if answer.status_code != 202:
                assert error_of(answer)["message"]


async def test_messages_at_the_wrong_address_or_in_the_wrong_way(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel, body=2_000) as server:
        ping = message("ping")
        for path in (
            "/mcp/bo", "/mcp/..%2fana", "/mcp/%2e%2e/ana", "/mcp/ana%00", "/mcp/" + "a" * 70, "/mcp/a%0ab",
            "/mcp/archive:ana", "/mcp/ana%2f..%2fbo", "/mcp/%ff%fe", "/mcp/%E2%80%AEana", "/mcp/ana/x",
            "/mcp/",
        ):  # fmt: skip
            answer = await sent(server, ping, path=path)
            assert answer.status_code in (400, 404), (path, answer.status_code)
            assert error_of(answer)["message"], path
        for method in ("GET", "DELETE", "PUT"):
            answer = await server.client.request(method, "/mcp/ana", headers={"accept": "text/event-stream"})
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
            assert error_of(answer)["message"]
        large = await sent(server, called("add_memory", text="x" * 2_000))
        assert (large.status_code, "2,000 bytes" in error_of(large)["message"]) == (413, True)
        foreign = await sent(server, ping, {**HEADERS, "origin": "https://evil.example"})
        assert (foreign.status_code, error_of(foreign)["message"][:6]) == (403, "Pages ")
        rebound = await sent(server, ping, {**HEADERS, "host": "evil.example"})
        assert rebound.status_code == 421
        assert error_of(rebound)["message"]
        assert (await sent(server, ping, {**HEADERS, "accept": "text/html"})).status_code == 406
        assert (await sent(server, ping, {**HEADERS, "content-type": "text/plain"})).status_code == 400
        assert (
            await sent(server, ping, {**HEADERS, "mcp-protocol-version": "1999-01-01"})
        ).status_code == 400


async def test_a_key_is_asked_for_and_its_requests_are_counted(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel, rate=3) as server:
        key = await create_key(rig.kernel, "mine", role="read")
        asked = await sent(server, message("ping"))
        assert (asked.status_code, asked.headers["www-authenticate"]) == (401, "Bearer")
        assert "Authorization: Bearer" in error_of(asked)["message"]
        with_key = {**HEADERS, "authorization": f"Bearer {key}"}
        answers = [await sent(server, message("ping"), with_key) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert "try again in" in error_of(answers[-1])["message"]


async def test_logs_and_metrics_have_the_address_and_no_texts(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "pagefault")
    caplog.set_level(logging.INFO, "mcp")
    telemetry = Telemetry()
    model = ScriptedModel(lambda _: [say(f"A {SECRET}.")])
    async with machine.open(model) as rig, served(rig.kernel, telemetry) as server:
        for mode in MODES:
            async with connected(server, mode) as asked:
                await asked.data("add_memory", text=f"I eat a {SECRET}.")
                await asked.data("search_memories", query=SECRET)
                await asked.failure("get_memory", id=f"p1-{SECRET}")
                await asked.data("send_message", text=f"Which {SECRET}?")
        metrics = await server.client.get("/metrics")
    shown = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    assert "/mcp/ana" in shown
    assert "/mcp/{name}" in metrics.text
    assert SECRET not in shown
    assert SECRET not in metrics.text


@pytest.mark.parametrize("mode", MODES)
async def test_a_server_that_stops_says_so_and_keeps_the_message(machine: Machine, mode: str) -> None:
    gate, reached = anyio.Event(), anyio.Event()

    class Gated(ScriptedModel):
        async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
            reached.set()
            await gate.wait()
            async for item in super().stream(prompt):
                yield item

    model, got = Gated([[say("Late.")]]), dict[str, Any]()
    async with machine.open(model) as rig, served(rig.kernel, grace=0.1) as server, server.live() as url:

        async def ask() -> None:
            async with connected(server, mode, url=url) as asked:
                await asked.client.list_tools()  # else the client does so behind the call
                got.update(await asked.data("send_message", text="Hi", key="k1"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await reached.wait()
            server.stop.set()
        assert (got["state"], got["key"]) == ("running", "k1")
        assert [event.text for event in await rig.events()] == ["Hi"]
        gate.set()
