"""Servers of tools at an address: the official server in both versions of the protocol, and hostile ones."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import uvicorn
from mcp.server import MCPServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from scripted_tool_server import TOOLS
from tool_servers import Desk, returned, until, use

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@asynccontextmanager
async def serving(app: Any) -> AsyncGenerator[str]:
    """An application on the loopback; gives its address."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=0))
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            await until(lambda: server.started)
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = server.force_exit = True


def official(seen: list[dict[str, str]]) -> Any:
    """The SDK's server; notes the headers of each request."""
    server = MCPServer("official")

    @server.tool()
    def add(a: int, b: int) -> int:  # pyright: ignore[reportUnusedFunction]
        """Add two numbers."""
        return a + b

    app = server.streamable_http_app()

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append({name.decode(): value.decode() for name, value in scope["headers"]})
        await app(scope, receive, send)

    return noting


async def test_an_agent_uses_the_official_server(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_TOKEN", "t0psecret-token")
    seen: list[dict[str, str]] = []
    async with serving(official(seen)) as url:
        headers = {"Authorization": "Bearer $REMOTE_TOKEN"}
        remote = {"url": f"{url}/mcp", "headers": headers, "allow": ["add"]}
        script = [use("far_add", a=20, b=22), use("far_add", a="no number", b=1), "ok"]
        async with desk.open(script, servers={"far": remote}, mcp=["far"]) as rig:
            added, wrong = returned(await rig.send("Go."))
            assert added == "42"
            assert wrong.startswith("Error: ")
            log = "".join(row.text for row in await rig.log())
    assert seen[-1]["authorization"] == "Bearer t0psecret-token"
    assert seen[-1]["mcp-protocol-version"] == "2026-07-28"
    assert "t0psecret" not in log + (desk.home / "tool_servers.json").read_text("utf-8")


async def test_tools_at_an_address_are_asked_for(desk: Desk) -> None:
    """Its word that a tool only reads is that of somebody elsewhere."""
    async with (
        hostile({}) as url,
        desk.open([use("far_add", a=1, b=1)], servers={"far": {"url": url}}, mcp=["far"]) as rig,
    ):
        assert (await rig.send("Go."))[-1].type == "waiting"


Answer = Callable[[dict[str, Any]], Awaitable[Response]]


@asynccontextmanager
async def hostile(answers: dict[str, Answer]) -> AsyncGenerator[str]:
    """A server of 2025-11-25 that answers some methods by itself."""

    async def post(request: Request) -> Response:
        message = json.loads(await request.body())
        method = message["method"]
        if answer := answers.get(method):
            return await answer(message)
        about: dict[str, Any] = {
            "serverInfo": {"name": "hostile", "version": "1"},
            "capabilities": {"tools": {}},
        }
        results: dict[str, Any] = {
            "initialize": {"protocolVersion": "2025-11-25", **about},
            "tools/list": {"tools": TOOLS},
            "tools/call": {"content": [{"type": "text", "text": "fine"}]},
        }
        if "id" not in message:
            return Response(status_code=202)
        if method not in results:
            error = {"code": -32601, "message": "Method not found"}
            return JSONResponse({"jsonrpc": "2.0", "id": message["id"], "error": error})
        return JSONResponse({"jsonrpc": "2.0", "id": message["id"], "result": results[method]})

    async with serving(Starlette(routes=[Route("/", post, methods=["POST"])])) as url:
        yield f"{url}/"


async def flood(_: dict[str, Any]) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 1_000_000

    return StreamingResponse(pieces(), media_type="application/json")


async def events(_: dict[str, Any]) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        about = {"level": "info", "data": "x"}
        notice = {"jsonrpc": "2.0", "method": "notifications/message", "params": about}
        while True:
            await anyio.lowlevel.checkpoint()  # here a client that leaves is noticed
            yield f"event: message\ndata: {json.dumps(notice)}\n\n".encode() * 100

    return StreamingResponse(pieces(), media_type="text/event-stream")


async def comments(_: dict[str, Any]) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            await anyio.lowlevel.checkpoint()
            yield b": nothing\n" * 10_000

    return StreamingResponse(pieces(), media_type="text/event-stream")


async def packed(_: dict[str, Any]) -> Response:
    return Response(b"\x1f\x8b...", headers={"content-encoding": "gzip", "content-type": "application/json"})


async def elsewhere(_: dict[str, Any]) -> Response:
    return RedirectResponse("http://169.254.169.254/latest/meta-data", 307)


async def broken(_: dict[str, Any]) -> Response:
    return Response("<html>no</html>", 500)


async def no_json(_: dict[str, Any]) -> Response:
    return Response("<html>no</html>", media_type="text/html")


async def garbled(_: dict[str, Any]) -> Response:
    return Response(b'{"jsonrpc": "2.0", "id": 3, "resu\xff', media_type="application/json")


async def no_answer(message: dict[str, Any]) -> Response:
    return JSONResponse({"jsonrpc": "2.0", "id": message["id"]})


async def garbled_event(_: dict[str, Any]) -> Response:
    return Response('event: message\ndata: {"jsonrpc": "2.0", \n\n', media_type="text/event-stream")


async def broken_off(_: dict[str, Any]) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"jsonrpc": "2.0", '
        raise ConnectionResetError

    return StreamingResponse(pieces(), media_type="application/json")


async def hang(_: dict[str, Any]) -> Response:
    await anyio.sleep(600)
    return Response()


@pytest.mark.parametrize(
    "answer",
    [
        flood,
        events,
        comments,
        packed,
        elsewhere,
        broken,
        no_json,
        hang,
        garbled,
        no_answer,
        garbled_event,
        broken_off,
    ],
)
async def test_a_hostile_address_costs_one_failed_result(desk: Desk, answer: Answer) -> None:
    calls = 0

    async def once(message: dict[str, Any]) -> Response:
        nonlocal calls
        calls += 1
        if calls == 1:
            return await answer(message)
        text = {"content": [{"type": "text", "text": "fine"}]}
        return JSONResponse({"jsonrpc": "2.0", "id": message["id"], "result": text})

    remote = {"trust_hints": True, "timeout": 2.0 if answer is hang else 600.0}
    async with hostile({"tools/call": once}) as url:
        script = [use("far_add", a=1, b=1), use("far_add", a=1, b=1), "ok"]
        async with desk.open(script, servers={"far": {"url": url, **remote}}, mcp=["far"]) as rig:
            failed, fine = returned(await rig.send("Go."))
    assert failed.startswith("Error: far ")
    assert len(failed.splitlines()) == 1
    assert len(failed) < 600
    assert "Traceback" not in failed
    assert fine == "fine"


async def test_an_address_at_which_nobody_answers_is_named_without_secrets(desk: Desk) -> None:
    servers = {"far": {"url": "http://127.0.0.1:9/s3cretpath/mcp"}}
    async with desk.open(["ok"], servers=servers, mcp=["far"]) as rig:
        (noticed,) = [o.text for o in await rig.send("Go.") if o.type == "noticed"]
        (state,) = [await rig.kernel.assembly.tool_servers.state("far")]
    assert noticed == (
        "The tools of the server far are not offered: nobody answers at its address; start it, or correct "
        "its url."
    )
    assert "s3cretpath" not in noticed + repr(state)
