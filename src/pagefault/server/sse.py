"""Outputs as server-sent events: their position is the id, so that ``Last-Event-ID`` takes a stream up again.

What is committed comes once and in order, however often a client comes back, and whichever server it asks.
Deltas are a preview that ``said`` or ``thought`` replaces; at a resumption a ``retracted`` takes them back,
and they begin again with the next completion. A client that goes away does not end the turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Annotated, Any, cast

import anyio
from fastapi import Depends, Header, Request
from pydantic_core import to_json
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from pagefault.errors import PagefaultError
from pagefault.kernel.posting import EventOutputs
from pagefault.server.auth import options_of
from pagefault.server.problems import Problem, known
from pagefault.tenancy import ApiKey
from pagefault.types import CLOSING, UNCOMMITTED, AgentId, Event, Output

__all__ = [
    "LastEventId",
    "begun",
    "event_stream",
    "held",
    "output_data",
    "output_events",
    "resumed",
    "wants_stream",
]

OutputStream = AsyncIterator[Output]
_REVOKED = "The key of this stream was revoked, or its session is over; take it up again with a valid key."


def wants_stream(request: Request) -> bool:
    """Return whether the client asks for server-sent events."""
    return "text/event-stream" in request.headers.get("accept", "")


async def _last_event_id(
    given: Annotated[
        str | None, Header(alias="Last-Event-ID", description="Of a stream: the last `id` that was seen.")
    ] = None,
) -> int | None:
    if not given:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= 15):
        raise Problem(400, "Wrong request", "Last-Event-ID is not the id of a stream's event; leave it out.")
    return int(given)


LastEventId = Annotated[int | None, Depends(_last_event_id)]
"""The position up to which a client has seen a stream; None if it begins."""


def _ping() -> ServerSentEvent:
    return ServerSentEvent(comment="", sep="\n")


def event_stream(
    request: Request, events: AsyncGenerator[ServerSentEvent], ping: Callable[[], ServerSentEvent] = _ping
) -> EventSourceResponse:
    """The response that sends these events, with comments, or what ``ping`` makes, while there are none."""
    return _KeyedStream(
        _until_failure(request, events), ping=options_of(request).heartbeat, sep="\n",
        ping_message_factory=ping,
    )  # fmt: skip


class _KeyedStream(EventSourceResponse):
    """A stream that ends with an ``error`` when the key of its request is revoked."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        if (key := getattr(request.state, "api_key", None)) is None:
            return await super().__call__(scope, receive, send)
        with anyio.CancelScope() as streaming:
            watch = asyncio.create_task(_when_revoked(request, key, streaming.cancel))
            try:
                await super().__call__(scope, receive, send)
            finally:
                watch.cancel()
        if streaming.cancelled_caught:
            last = _failure(request, Problem(401, "No valid key", _REVOKED)).encode()
            await send({"type": "http.response.body", "body": last, "more_body": False})


async def _when_revoked(request: Request, key: ApiKey, then: Callable[[], None]) -> None:
    is_over = getattr(request.state, "is_over", bool)  # of a request without session: never
    await request.app.state.watch.until_revoked(key, is_over)
    then()


def _failure(request: Request, problem: Problem) -> ServerSentEvent:
    """The last event of a stream that failed, in the shape of its protocol."""
    response = request.app.state.shapes.respond(request.scope, problem)
    return ServerSentEvent(bytes(response.body).decode(), event="error", sep="\n")


async def _until_failure(
    request: Request, events: AsyncGenerator[ServerSentEvent]
) -> AsyncGenerator[ServerSentEvent]:
    """The events; if they fail, ``error`` is the last one, with the problem in the shape of the protocol."""
    try:
        async with aclosing(events):
            async for event in events:
                yield event
    except PagefaultError as error:
        yield _failure(request, known(error))


async def held(
    context: AbstractAsyncContextManager[EventOutputs],
) -> tuple[AgentId, Event, AsyncGenerator[Output]]:
    """Enter a stream of outputs now, so that its errors are responses; it is left when the outputs end."""
    stream = _held(context)
    agent, event = cast("tuple[AgentId, Event]", await anext(stream))
    return agent, event, cast("AsyncGenerator[Output]", stream)


async def _held(
    context: AbstractAsyncContextManager[EventOutputs],
) -> AsyncGenerator[tuple[AgentId, Event] | Output]:
    """The event first: a generator that has begun is closed whatever becomes of the response."""
    async with context as (agent, event, outputs):
        yield agent, event
        async for output in outputs:
            yield output


async def begun(outputs: AsyncGenerator[Output]) -> tuple[Output | None, AsyncGenerator[Output]]:
    """Wait for the first output, so that errors before it are responses; return it and all outputs."""
    first = await anext(outputs, None)
    return first, _all(first, outputs)


async def _all(first: Output | None, rest: AsyncGenerator[Output]) -> AsyncGenerator[Output]:
    async with aclosing(rest):
        if first:
            yield first
        async for output in rest:
            yield output


async def resumed(outputs: OutputStream, event: int | None, after: int | None) -> OutputStream:
    """Leave out what a client has seen that was there up to ``after``, and take back the deltas behind it."""
    if after is not None:
        yield Output("retracted", "", event, after, data={"attempt": "", "again": True})
    async for output in outputs:
        if output.position > (after or 0) or output.type in CLOSING or output.type in UNCOMMITTED:
            yield output


def output_data(output: Output) -> dict[str, Any]:
    """An output as JSON values."""
    return {
        "type": output.type, "text": output.text, "event": output.event, "position": output.position,
        "name": output.name, "data": dict(output.data),
    }  # fmt: skip


async def output_events(outputs: OutputStream) -> AsyncGenerator[ServerSentEvent]:
    """Outputs as server-sent events; the name of each is the output's type."""
    async for output in outputs:
        data = to_json(output_data(output)).decode()
        yield ServerSentEvent(data, event=output.type, id=str(output.position), sep="\n")
