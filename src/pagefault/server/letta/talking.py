"""Messages to agents, answered at once or as a stream; the messages of the log; cancelled turns; runs.

A run is an event with its turn.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_json
from sse_starlette import EventSourceResponse, ServerSentEvent

from pagefault.kernel.streams import following
from pagefault.server.api.values import IdempotencyKey
from pagefault.server.auth import Caller, Calling
from pagefault.server.letta.bodies import LettaBody, TurnBody
from pagefault.server.letta.ids import LettaId, letta_id, no_such, read_id
from pagefault.server.letta.inputs import inputs_of
from pagefault.server.letta.messages import (
    LettaMessage,
    approval_request,
    message_fields,
    messages_of,
    run_usage,
    stop_reason,
)
from pagefault.server.letta.paging import ListPage, NewestFirst
from pagefault.server.letta.records import LettaAgent, agent_of, memory_of
from pagefault.server.letta.states import settings_shown
from pagefault.server.letta.turns import LettaTurn, events_of_inputs, outputs_of_inputs
from pagefault.server.posting import posted
from pagefault.server.problems import Problem
from pagefault.server.sse import begun, event_stream
from pagefault.types import AgentRecord, Message, Output
from pagefault.views.offered import program_tools
from pagefault.views.stored import event_by_number, events_of, rows_between, rows_of_event

__all__ = ["routes"]

routes = APIRouter(prefix="/v1", tags=["letta"])
"""The routes of messages and runs."""

JsonObject = dict[str, Any]

_CHUNK = 200  # rows of the log that are read at once


@routes.post("/agents/{agent_id}/messages", response_model=None)
async def create_messages(
    agent: LettaAgent, body: TurnBody, caller: Calling, request: Request, key: IdempotencyKey
) -> Any:
    """Send messages, and return those of the agent when its turn is over; or stream them."""
    return await _answer(agent, body, caller, request, key, streams=bool(body.streaming))


@routes.post("/agents/{agent_id}/messages/stream", response_model=None)
async def stream_messages(
    agent: LettaAgent, body: TurnBody, caller: Calling, request: Request, key: IdempotencyKey
) -> Any:
    """Send messages, and stream those of the agent."""
    return await _answer(agent, body, caller, request, key, streams=body.streaming is not False)


@routes.post("/agents/{agent_id}/messages/async")
async def create_async(agent: LettaAgent, body: TurnBody, caller: Calling, key: IdempotencyKey) -> JsonObject:
    """Send messages, and return a run without waiting for the turn."""
    inputs = inputs_of(body, key)
    events = await events_of_inputs(caller, inputs)
    if len(events) != len(inputs):
        raise Problem(
            501, "Not there yet", "Decide on calls by messages or messages/stream, not in the background."
        )
    stored = [await posted(caller, agent.name, event, agent.id) for event in events]
    return await _run(caller, agent, stored[-1].id)


@routes.post("/agents/{agent_id}/messages/cancel")
async def cancel(agent: LettaAgent, caller: Calling) -> JsonObject:
    """End the open turn of an agent."""
    caller.require("chat")
    active = await events_of(caller.kernel, agent.id, "active", "waiting")
    if not await caller.kernel.cancel(agent.name):
        raise Problem(409, "Nothing to cancel", f"Agent {agent.name} is in no turn.")
    return {letta_id("run", agent.id, event.id): "cancelled" for event in active}


@routes.get("/agents/{agent_id}/messages")
async def list_messages(
    agent: LettaAgent,
    caller: Calling,
    page: NewestFirst,
    include_return_message_types: Annotated[list[str] | None, Query()] = None,
) -> list[JsonObject]:
    """List the messages of the log, the newest first."""
    return await _listed(caller, agent, page, include_return_message_types)


@routes.get("/runs/{run_id}")
async def retrieve_run(run_id: str, caller: Calling) -> JsonObject:
    """Return a run."""
    agent, event = await _run_of(caller, run_id)
    return await _run(caller, agent, event)


@routes.get("/runs/")
async def list_runs(caller: Calling, page: NewestFirst, agent_id: str) -> list[JsonObject]:
    """List the runs of an agent, the newest first."""
    agent = await agent_of(caller, agent_id)
    events = await events_of(caller.kernel, agent.id)
    chosen = page.of(events, "run", lambda event: LettaId(agent.id, event.id))
    return [await _run(caller, agent, event.id) for event in chosen]


@routes.get("/runs/{run_id}/messages")
async def messages_of_run(run_id: str, caller: Calling, page: NewestFirst) -> list[JsonObject]:
    """List the messages of a run."""
    agent, event = await _run_of(caller, run_id)
    rows = await rows_of_event(caller.kernel, agent.id, event)
    found = [(_id(each), each) for each in await _shown(caller, agent, rows)]
    return [message for _, message in page.of(found, "message", lambda each: each[0])]


@routes.get("/runs/{run_id}/usage")
async def usage_of_run(run_id: str, caller: Calling) -> JsonObject:
    """Return the usage of a run."""
    agent, event = await _run_of(caller, run_id)
    rows = await rows_of_event(caller.kernel, agent.id, event)
    return run_usage(agent.id, rows, [event])


class StreamBody(LettaBody):
    """From where a stream is taken up: behind the message of this ``seq_id``."""

    starting_after: int = 0
    include_pings: bool | None = None


@routes.post("/runs/{run_id}/stream", response_model=None)
async def stream_run(run_id: str, caller: Calling, request: Request, body: StreamBody | None = None) -> Any:
    """Stream the messages of a run, from the beginning or from where a stream was left."""
    agent, event = await _run_of(caller, run_id)
    body = body or StreamBody()
    after = min(max(body.starting_after, 0), 2**53)

    async def outputs() -> AsyncGenerator[Output]:
        async with following(caller.kernel, agent.name, event, after) as (_, _, found):
            async for output in found:
                yield output

    return _stream(request, _turn(caller, agent), outputs(), pings=bool(body.include_pings))


async def _answer(
    agent: AgentRecord, body: TurnBody, caller: Caller, request: Request, key: str | None, *, streams: bool
) -> Response | JsonObject:
    outputs = outputs_of_inputs(caller, agent, inputs_of(body, key))
    types = body.include_return_message_types
    turn = _turn(caller, agent, pieces=streams and bool(body.stream_tokens), types=types)
    if streams:
        _, outputs = await begun(outputs)
        return _stream(request, turn, outputs, pings=bool(body.include_pings))
    messages = [message async for message in turn.messages(outputs)]
    if not turn.is_over:
        raise Problem(
            503, "Stopping", "The server is stopping; the message is stored, list the messages later."
        )
    return {"messages": messages, "stop_reason": turn.stop_reason, "usage": turn.usage}


def _turn(
    caller: Caller, agent: AgentRecord, *, pieces: bool = False, types: Sequence[str] | None = None
) -> LettaTurn:
    tools = program_tools(caller.kernel)
    asked = {tool.name for tool in tools if tool.approval is not False} | set(settings_shown(agent).approval)
    return LettaTurn(
        caller.kernel, agent, frozenset(asked), pieces, None if types is None else frozenset(types)
    )


def _stream(
    request: Request, turn: LettaTurn, outputs: AsyncIterator[Output], *, pings: bool
) -> EventSourceResponse:
    """The messages as server-sent events, then the reason why the turn ended, its usage and ``[DONE]``."""

    def ping() -> ServerSentEvent:
        if not pings:
            return ServerSentEvent(comment="", sep="\n")
        fields = message_fields("ping", turn.kernel.clock.now(), run=None)
        return _event(fields | {"message_type": "ping"})

    async def events() -> AsyncGenerator[ServerSentEvent]:
        async for message in turn.messages(outputs):
            yield _event(message)
        yield _event(turn.stop_reason)
        yield _event(turn.usage)
        yield ServerSentEvent("[DONE]", sep="\n")

    return event_stream(request, events(), ping)


def _event(message: LettaMessage) -> ServerSentEvent:
    return ServerSentEvent(to_json(message).decode(), sep="\n")


async def _listed(
    caller: Caller, agent: AgentRecord, page: ListPage, types: Sequence[str] | None
) -> list[LettaMessage]:
    """The messages of a page; the log is read in pieces, from the end at which the page is."""
    low, high = page.range("message")
    first, last = low.number if low else 1, min(high.number if high else agent.last_seq, agent.last_seq)
    found = list[tuple[LettaId, LettaMessage]]()
    while first <= last and len(found) <= page.limit:
        start, stop = (max(first, last - _CHUNK + 1), last) if page.from_end else (first, first + _CHUNK - 1)
        rows = await rows_between(caller.kernel, agent.id, start, min(stop, last))
        messages = await _shown(caller, agent, rows)
        fitting = [each for each in messages if types is None or each["message_type"] in types]
        found += page.within("message", ((_id(each), each) for each in fitting))
        first, last = (first, start - 1) if page.from_end else (stop + 1, last)
    return [message for _, message in page.of(found, "message", lambda each: each[0])]


async def _shown(caller: Caller, agent: AgentRecord, rows: Sequence[Message]) -> list[LettaMessage]:
    """The messages of these rows; calls that wait for a decision are one question."""
    waiting = (await memory_of(caller.kernel, agent)).waiting
    numbers = {row.seq for row in waiting}
    made = list[LettaMessage]()
    for row in rows:
        made += messages_of(agent.id, row, numbers)
        if waiting and row.seq == waiting[0].seq:
            made.append(approval_request(agent.id, waiting))
    return made


def _id(message: LettaMessage) -> LettaId:
    return read_id("message", message["id"])


async def _run_of(caller: Caller, id: str) -> tuple[AgentRecord, int]:
    found = read_id("run", id)
    agent = await agent_of(caller, letta_id("agent", found.owner))
    if await event_by_number(caller.kernel, agent.id, found.number) is None:
        raise no_such("run", id)
    return agent, found.number


async def _run(caller: Caller, agent: AgentRecord, number: int) -> JsonObject:
    event = await event_by_number(caller.kernel, agent.id, number)
    rows = await rows_of_event(caller.kernel, agent.id, number)
    state = event.state if event else "done"
    is_over = state in ("done", "waiting")
    reason = stop_reason(rows, waits=state == "waiting") if is_over else None
    failed = "failed" if reason in ("error", "llm_api_error", "max_steps") else "completed"
    status = "cancelled" if reason == "cancelled" else failed
    at = event.at.isoformat() if event and event.at else None
    return {
        "id": letta_id("run", agent.id, number),
        "agent_id": letta_id("agent", agent.id),
        "status": status if is_over else {"pending": "created", "parked": "failed"}.get(state, "running"),
        "stop_reason": reason,
        "created_at": at,
        "completed_at": rows[-1].at.isoformat() if is_over and rows else None,
        "background": True,
        "metadata": None,
    }
