"""Messages and other events, and what comes of them: a reply when the turn is over, or a stream of outputs.

A stream is asked for with ``Accept: text/event-stream``. A client that lost it repeats the request with the
same ``Idempotency-Key``, or asks for the event's outputs, with ``Last-Event-ID``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from pagefault.kernel.posting import EventOutputs
from pagefault.kernel.streams import following, outputs_after, outputs_page
from pagefault.server.api.values import (
    LARGEST,
    AgentCaller,
    Cursor,
    EventNumber,
    IdempotencyKey,
    ItemList,
    Limit,
    Name,
    RequestBody,
    page_number,
)
from pagefault.server.auth import Caller
from pagefault.server.posting import checked_event, posted, posted_outputs, sent_images
from pagefault.server.problems import Problem
from pagefault.server.sse import (
    LastEventId,
    event_stream,
    held,
    output_data,
    output_events,
    resumed,
    wants_stream,
)
from pagefault.types import CLOSING, AgentId, Event, EventKind, Output
from pagefault.views.approvals import ApprovalView
from pagefault.views.reply import ReplySource, reply_of
from pagefault.views.usage import Spending

__all__ = [
    "STREAMED",
    "PostedEvent",
    "ReplyBody",
    "answer",
    "posted_event",
    "reply_body",
    "routes",
]

routes = APIRouter(prefix="/agents/{name}", tags=["messages"])
"""The routes of messages, events and outputs."""

STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "description": "A reply or a stream",
    }
}
"""The responses of a route that answers with a reply or a stream."""


class OutputItem(BaseModel):
    """An output of an agent: what it said, thought, called; ``position`` is its place in the log."""

    type: str
    text: str
    event: int | None
    position: int
    name: str | None
    data: dict[str, Any]


class ReplyBody(BaseModel):
    """The reply to one event. ``text``: what the agent said, empty if nothing; ``waiting``: calls that a
    person has to decide on before the turn goes on."""

    event: int
    text: str
    alerts: list[str]
    waiting: list[ApprovalView]
    sources: list[ReplySource]
    usage: Spending
    outputs: list[OutputItem]


class NewMessage(RequestBody):
    """A message of a user. ``sender``: who says it, of several people; ``images``: ``data:`` and ``https:``
    addresses."""

    text: str
    sender: str | None = None
    images: tuple[str, ...] = ()


class NewEvent(RequestBody):
    """An event: ``message``, ``overheard`` (the model is not asked), ``login``, or a lower-case word of your
    own."""

    kind: str
    text: str = ""
    sender: str | None = None


class PostedEvent(BaseModel):
    """An event as it is stored."""

    id: int
    kind: str
    text: str
    sender: str | None
    key: str | None
    state: str = Field(description="pending, active, waiting, done or parked")


@routes.post("/messages", response_model=ReplyBody, responses=STREAMED)
async def post_message(
    name: Name,
    body: NewMessage,
    caller: AgentCaller,
    request: Request,
    key: IdempotencyKey,
    after: LastEventId,
) -> Any:
    """Send a message, and return the reply when the turn is over or waits for a decision; or stream its
    outputs."""
    event = checked_event(caller, Event(EventKind.MESSAGE, body.text, key, body.sender))
    event = replace(event, contents=await sent_images(caller, body.images))
    return await answer(request, caller, posted_outputs(caller, name, event), after)


@routes.post("/events", status_code=202)
async def post_event(name: Name, body: NewEvent, caller: AgentCaller, key: IdempotencyKey) -> PostedEvent:
    """Store an event in the agent's inbox; its turn runs in the background."""
    event = checked_event(caller, Event(body.kind, body.text, key, body.sender))
    return posted_event(await posted(caller, name, event))


@routes.get("/events/{event}/outputs", response_model=ReplyBody, responses=STREAMED)
async def get_reply(
    name: Name, event: EventNumber, caller: AgentCaller, request: Request, after: LastEventId
) -> Any:
    """Return the reply to an event when its turn is over or waits; or stream its outputs, from where it was
    left."""
    position = 0 if after is None or not wants_stream(request) else after
    return await answer(request, caller, following(caller.kernel, name, event, position), after)


@routes.get("/outputs", response_model=ItemList[OutputItem], responses=STREAMED)
async def list_outputs(
    name: Name,
    caller: AgentCaller,
    request: Request,
    last: LastEventId,
    limit: Limit = 100,
    cursor: Cursor = None,
    after: Annotated[
        int, Query(ge=0, lt=LARGEST, description="A position; outputs behind it are shown.")
    ] = 0,
) -> Any:
    """List the committed outputs of an agent, oldest first; or stream them, with all that come."""
    if wants_stream(request):
        outputs = outputs_after(caller.kernel, name, after if last is None else last)
        return event_stream(request, output_events(resumed(outputs, None, last)))
    start = page_number(cursor) if cursor else after
    found = await outputs_page(caller.kernel, name, start, limit + 1)
    items = [OutputItem(**output_data(output)) for output in found[:limit]]
    return ItemList(items=items, next=str(items[-1].position) if len(found) > limit else None)


def posted_event(event: Event) -> PostedEvent:
    """A stored event as it is answered."""
    return PostedEvent(
        id=event.id, kind=event.kind, text=event.text, sender=event.sender, key=event.key, state=event.state
    )


async def answer(
    request: Request,
    caller: Caller,
    context: AbstractAsyncContextManager[EventOutputs],
    after: int | None,
) -> Response | ReplyBody:
    """Answer with the outputs of an event: as a stream if the client asks for one, else as a reply."""
    agent, event, outputs = await held(context)
    if wants_stream(request):
        return event_stream(request, output_events(resumed(outputs, event.id, after)))
    return await reply_body(caller, agent, event.id, outputs)


async def reply_body(
    caller: Caller, agent: AgentId, event: int, outputs: AsyncGenerator[Output]
) -> ReplyBody:
    """The reply of a turn, when it is over or waits."""
    collected = [output async for output in outputs]
    if not collected or collected[-1].type not in CLOSING:
        raise Problem(
            503, "Stopping",
            f"The server is stopping; event {event} is stored, repeat the request with its Idempotency-Key.",
            {"retry-after": "1"}, event=event,
        )  # fmt: skip
    reply = await reply_of(caller.kernel, agent, collected)
    return ReplyBody(
        event=event,
        text=reply.text,
        alerts=list(reply.alerts),
        waiting=list(reply.waiting),
        sources=list(reply.sources),
        usage=reply.usage,
        outputs=[OutputItem(**output_data(output)) for output in reply.outputs],
    )
