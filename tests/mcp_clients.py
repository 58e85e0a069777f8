"""The official client of MCP over a served application, without a network, in each protocol version."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent, TextResourceContents

from conftest import Machine, Served, served
from pagefault.models import Model
from pagefault.models.tokens import HeuristicCounter

MODES = ["legacy", "2026-07-28"]
"""The handshake of 2025-11-25, and the newer version without one."""

ADDRESS = "http://127.0.0.1:8283"


@dataclass
class Asked:
    """A client that is connected, and what it is connected to."""

    client: Client
    server: Served

    async def call(self, name: str, **arguments: Any) -> CallToolResult:
        return await self.client.call_tool(name, arguments)

    async def data(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The structured content of a call that must not fail."""
        result = await self.call(name, **arguments)
        assert not result.is_error, text_of(result)
        return result.structured_content

    async def failure(self, name: str, **arguments: Any) -> str:
        """The sentence of a call that must fail."""
        result = await self.call(name, **arguments)
        assert result.is_error, text_of(result)
        return text_of(result)

    async def resource(self, uri: str) -> str:
        (contents,) = (await self.client.read_resource(uri)).contents
        assert isinstance(contents, TextResourceContents)
        return contents.text


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def tokens_of(result: CallToolResult) -> int:
    """What a result takes in the context of a client that reads both of its forms."""
    count = HeuristicCounter().count
    return count(text_of(result)) + count(json.dumps(result.structured_content or {}, ensure_ascii=False))


@asynccontextmanager
async def connected(
    server: Served, mode: str = MODES[1], agent: str = "ana", key: str = "", url: str = ""
) -> AsyncGenerator[Asked]:
    """A client of the application, without a network, or of a real server at ``url``."""
    transport = None if url else httpx2.ASGITransport(app=server.app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with httpx2.AsyncClient(transport=transport, headers=headers) as http:
        streams = streamable_http_client(f"{url or ADDRESS}/mcp/{agent}", http_client=http)
        async with Client(streams, mode=mode, cache=None) as client:
            yield Asked(client, server)


@asynccontextmanager
async def memory_of(
    machine: Machine, model: Model, mode: str = MODES[1], **options: Any
) -> AsyncGenerator[Asked]:
    """A client of a server over a new agent `ana`; ``options``: of the server."""
    async with (
        machine.open(model) as rig,
        served(rig.kernel, **options) as server,
        connected(server, mode) as asked,
    ):
        yield asked


async def refusal(server: Served, mode: str, agent: str = "ana", key: str = "") -> str:
    """The sentence with which a client is refused, when it connects or when it asks."""
    try:
        async with connected(server, mode, agent, key) as asked:
            await asked.client.list_tools()
    except (MCPError, ExceptionGroup) as error:
        return str(first_of(error))
    return ""


def first_of(error: BaseException) -> BaseException:
    """The error itself, or the first one in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def message(method: str, params: dict[str, Any] | None = None, id: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}


HEADERS = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}
"""The headers of a message that a test sends by itself."""
