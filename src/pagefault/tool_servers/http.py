"""A server of tools at an address, by streamable HTTP: answers are read within bounds, as those of a
process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
from httpx2 import AsyncByteStream, Request, Response

from pagefault.connections.client import http_client
from pagefault.tool_servers.gate import LARGEST_MESSAGE, MOST_PARTS, Gate, ServerFault

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

__all__ = ["http_streams"]

_LARGEST_ANSWER = 2 * LARGEST_MESSAGE  # bytes of one response: a message, and notifications before it


class _BoundedStream(AsyncByteStream):
    """The bytes of a response, no more than the bound."""

    def __init__(self, stream: Any, gate: Gate) -> None:
        self._stream, self._gate = stream, gate

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = parts = 0
        async for chunk in self._stream:
            size, parts = size + len(chunk), parts + chunk.count(b"{") + chunk.count(b"[")
            if size > _LARGEST_ANSWER or parts > MOST_PARTS:
                self._gate.close(
                    f"it sent more than {_LARGEST_ANSWER >> 20} MB, or {MOST_PARTS:,} parts, at once"
                )
                raise ServerFault(self._gate.why)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


@asynccontextmanager
async def http_streams(
    url: str, headers: Mapping[str, str], patience: float, gate: Gate
) -> AsyncGenerator[TransportStreams]:
    """Give the streams of messages from the server and to it. The server is not heard before the first."""
    from mcp.client.streamable_http import streamable_http_client

    async def plain(request: Request) -> None:
        request.headers["accept-encoding"] = "identity"  # what is packed has a size that nobody knows

    async def bounded(response: Response) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            gate.close("it packs its answers, which it was asked not to")
            raise ServerFault(gate.why)
        response.stream = _BoundedStream(response.stream, gate)

    client = http_client(headers=headers, timeout=patience)
    hooks = client.event_hooks
    client.event_hooks = {"request": [*hooks["request"], plain], "response": [*hooks["response"], bounded]}
    async with (
        client,
        streamable_http_client(url, http_client=client, max_sse_event_size=LARGEST_MESSAGE) as (read, write),
        anyio.create_task_group() as tasks,
    ):
        to_client, from_server = anyio.create_memory_object_stream[Any](0)
        to_server, from_client = anyio.create_memory_object_stream[Any](0)
        tasks.start_soon(_receive, read, to_client, gate)
        tasks.start_soon(_send, from_client, write, gate)
        try:
            yield from_server, to_server
        finally:
            gate.is_ending = True
            for stream in (to_client, from_server, to_server, from_client):
                stream.close()
            tasks.cancel_scope.cancel()


async def _receive(read: Any, to_client: Any, gate: Gate) -> None:
    """Pass on what comes, as far as it was asked for. Its size was bounded before it was read."""
    why = "the connection ended"
    try:
        async for each in read:
            if not isinstance(each, Exception):
                gate.admit(each.message, 1)
            await to_client.send(each)
    except ServerFault as fault:
        why = str(fault)
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        pass
    gate.lost(why)
    to_client.close()


async def _send(from_client: Any, write: Any, gate: Gate) -> None:
    try:
        async for each in from_client:
            gate.sent(each.message)
            await write.send(each)
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        gate.lost("the connection ended")
