"""``/v1/chat/completions``: the last message of the user enters the agent, and its speech comes back."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from fastapi import APIRouter, Request
from sse_starlette import ServerSentEvent

from pagefault.server.auth import Calling
from pagefault.server.openai.chunks import ChatChunks, completion
from pagefault.server.openai.requests import ChatRequest, last_message, refuse_unsupported
from pagefault.server.openai.shape import DONE, as_json, error_of, sent
from pagefault.server.openai.turns import ClientTurn, checked_agent, posted_turn
from pagefault.server.sse import event_stream

__all__ = ["routes"]

routes = APIRouter()
"""The route of Chat Completions."""


@routes.post("/chat/completions", response_model=None)
async def create_chat_completion(body: ChatRequest, caller: Calling, request: Request) -> Any:
    """Send the last message of the user to the agent that ``model`` names."""
    refuse_unsupported(body)
    message, stream = last_message(body.messages, "messages"), bool(body.stream)
    await checked_agent(caller, body.model)
    turn = await posted_turn(request, caller, body.model, message, stream=stream, prefix="chatcmpl-")
    if stream:
        usage = bool(body.stream_options and body.stream_options.include_usage)
        return event_stream(request, _streamed(turn, usage))
    answer = await turn.answer()
    if problem := answer.failure():
        raise problem
    return as_json(completion(turn.id, turn.agent, turn.created, answer))


async def _streamed(turn: ClientTurn, with_usage: bool) -> AsyncGenerator[ServerSentEvent]:
    chunks = ChatChunks(turn.id, turn.agent, turn.created, with_usage)
    yield sent(chunks.first())
    async for step in turn.steps():
        if chunk := chunks.step(step):
            yield sent(chunk)
    answer = await turn.answer()
    if problem := answer.failure():
        yield sent({"error": error_of(problem)})
        return
    for chunk in chunks.last(answer):
        yield sent(chunk)
    yield DONE
