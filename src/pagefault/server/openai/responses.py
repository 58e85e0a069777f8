"""``/v1/responses``: a message and the response to it, which can be asked for again and taken up in its
middle."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sse_starlette import ServerSentEvent

from pagefault.quoting import whole
from pagefault.server.auth import Caller, Calling
from pagefault.server.openai.identity import conversation_of
from pagefault.server.openai.ids import event_of_answer
from pagefault.server.openai.requests import (
    ConversationRef,
    ResponsesRequest,
    last_message,
    refuse_unsupported,
)
from pagefault.server.openai.response_events import ResponseEvents, ResponseHead, response_object
from pagefault.server.openai.shape import as_json, sent
from pagefault.server.openai.turns import ClientTurn, checked_agent, followed_turn, posted_turn
from pagefault.server.problems import Problem
from pagefault.server.sse import event_stream

__all__ = ["routes"]

routes = APIRouter()
"""The routes of responses."""

_OVER = ("done", "parked", "waiting")
StartingAfter = Annotated[
    int, Query(ge=-1, lt=1 << 53, description="The number of the last event that came.")
]


@routes.post("/responses", response_model=None)
async def create_response(body: ResponsesRequest, caller: Calling, request: Request) -> Any:
    """Send the last message of the user to the agent that ``model`` names."""
    refuse_unsupported(body)
    message, stream = last_message(body.input, "input"), bool(body.stream)
    agent, conversation = await _agent(body, caller), _conversation(body) or conversation_of(request.headers)
    await checked_agent(caller, agent)
    turn = await posted_turn(
        request, caller, agent, message, stream=stream, prefix="resp_", conversation=conversation
    )
    background = bool(body.background)
    head = ResponseHead(
        turn.id, agent, turn.created, background, body.metadata or {}, body.previous_response_id, conversation
    )
    if stream:
        return event_stream(request, _streamed(turn, ResponseEvents(head)))
    if background:
        await turn.outputs.aclose()
        return as_json(response_object(head, None))
    answer = await turn.answer()
    if problem := answer.failure():
        raise problem
    return as_json(response_object(head, answer))


@routes.get("/responses/{id}", response_model=None)
async def get_response(
    id: str, caller: Calling, request: Request, stream: bool = False, starting_after: StartingAfter = -1
) -> Any:
    """Return a response as it stands; or stream its events, from behind one."""
    agent, event = await event_of_answer(caller, id)
    turn = await followed_turn(caller, agent, event.id)
    head = ResponseHead(id, agent, turn.created)
    if stream:
        return event_stream(request, _streamed(turn, ResponseEvents(head, starting_after)))
    if turn.event.state in _OVER:
        return as_json(response_object(head, await turn.answer()))
    await turn.outputs.aclose()
    return as_json(response_object(head, None))


async def _streamed(turn: ClientTurn, events: ResponseEvents) -> AsyncGenerator[ServerSentEvent]:
    for event in events.begin():
        yield sent(event, named=True)
    async for step in turn.steps():
        for event in events.step(step):
            yield sent(event, named=True)
    for event in events.end(await turn.answer(), turn.speech.item):
        yield sent(event, named=True)


async def _agent(body: ResponsesRequest, caller: Caller) -> str:
    """The agent that a request is for."""
    if body.previous_response_id is None:
        return body.model
    agent, _ = await event_of_answer(caller, body.previous_response_id, "previous_response_id")
    if body.model not in ("", agent):
        raise Problem(
            400, "Wrong request",
            "The previous response is of another agent, which remembers it; name that as the model.",
            param="previous_response_id",
        )  # fmt: skip
    return agent


def _conversation(body: ResponsesRequest) -> str:
    given = body.conversation
    return whole(given.id if isinstance(given, ConversationRef) else given or "")
