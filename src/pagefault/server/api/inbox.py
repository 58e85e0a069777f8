"""Inboxes with parked events, timers, calls that a person decides on, and functions allowed for good."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field, StrictBool

from pagefault.approvals import Remember
from pagefault.kernel import approvals as deciding
from pagefault.kernel.edits import CatchUp, add_timer, remove_timer
from pagefault.kernel.parked import drop_event, retry_event
from pagefault.server.api.messages import STREAMED, PostedEvent, ReplyBody, posted_event, reply_body
from pagefault.server.api.values import (
    AgentCaller,
    Cursor,
    EventNumber,
    ItemList,
    Limit,
    Name,
    RequestBody,
    page_of,
)
from pagefault.server.auth import Calling
from pagefault.server.problems import Problem
from pagefault.server.sse import begun, event_stream, output_events, wants_stream
from pagefault.views import agents, approvals, events
from pagefault.views.agents import TimerView
from pagefault.views.approvals import ApprovalView, GrantView
from pagefault.views.events import EventView

__all__ = ["routes"]

routes = APIRouter(tags=["inbox"])
"""The routes of inboxes, timers and approvals."""


class NewSchedule(RequestBody):
    """A timer: at a time (``when``) or by a cron line, one of them. ``catch_up``: what a missed time does."""

    note: str
    when: str | None = None
    cron: str | None = None
    catch_up: CatchUp = "once"


class Decision(RequestBody):
    """A decision on a call. ``arguments``: run it with these instead; ``remember``: do not ask for this
    function again in this process (``session``) or until that is revoked (``always``)."""

    approved: StrictBool
    note: str = ""
    arguments: dict[str, Any] | None = None
    remember: Remember = Field(default="once")


@routes.get("/inbox")
async def list_inboxes(
    caller: Calling, parked: bool = False, limit: Limit = 100, cursor: Cursor = None
) -> ItemList[EventView]:
    """List the events of all agents that are open or parked."""
    found = await events.events(caller.kernel, parked=parked)
    reached = await caller.reached(event.agent for event in found)
    return page_of([event for event in found if event.agent in reached], cursor, limit)


@routes.get("/agents/{name}/events")
async def list_events(
    name: Name, caller: AgentCaller, parked: bool = False, limit: Limit = 100, cursor: Cursor = None
) -> ItemList[EventView]:
    """List the events of an agent's inbox that are open or parked."""
    return page_of(await events.events(caller.kernel, name, parked=parked), cursor, limit)


@routes.post("/agents/{name}/events/{event}/retry", status_code=202)
async def retry(name: Name, event: EventNumber, caller: AgentCaller) -> PostedEvent:
    """Post a parked event again, as a new one."""
    caller.require("admin")
    return posted_event(await retry_event(caller.kernel, name, event))


@routes.delete("/agents/{name}/events/{event}", status_code=204)
async def drop(name: Name, event: EventNumber, caller: AgentCaller) -> None:
    """Give a parked event up."""
    caller.require("admin")
    await drop_event(caller.kernel, name, event)


@routes.get("/agents/{name}/schedules")
async def list_schedules(name: Name, caller: AgentCaller) -> ItemList[TimerView]:
    """List the timers of an agent, the next one first."""
    return ItemList(items=list(await agents.timers(caller.kernel, name)))


@routes.post("/agents/{name}/schedules", status_code=201)
async def add_schedule(name: Name, body: NewSchedule, caller: AgentCaller) -> TimerView:
    """Set a timer."""
    caller.require("admin")
    made = await add_timer(
        caller.kernel, name, body.note, when=body.when, cron=body.cron, catch_up=body.catch_up
    )
    return agents.timer_view(made)


@routes.delete("/agents/{name}/schedules/{id}", status_code=204)
async def remove_schedule(name: Name, id: str, caller: AgentCaller) -> None:
    """Remove a timer."""
    caller.require("admin")
    await remove_timer(caller.kernel, name, id)


@routes.get("/approvals")
async def list_all_approvals(
    caller: Calling, limit: Limit = 100, cursor: Cursor = None
) -> ItemList[ApprovalView]:
    """List the calls of all agents that wait until a person decides on them, the oldest first."""
    found = await approvals.approvals(caller.kernel)
    reached = await caller.reached(each.agent for each in found)
    return page_of([each for each in found if each.agent in reached], cursor, limit)


@routes.get("/agents/{name}/approvals")
async def list_approvals(
    name: Name, caller: AgentCaller, limit: Limit = 100, cursor: Cursor = None
) -> ItemList[ApprovalView]:
    """List the calls of an agent that wait until a person decides on them, the oldest first."""
    return page_of(await approvals.approvals(caller.kernel, name), cursor, limit)


@routes.post("/agents/{name}/approvals/{id}", response_model=ReplyBody, responses=STREAMED)
async def decide(name: Name, id: str, body: Decision, caller: AgentCaller, request: Request) -> Any:
    """Approve or refuse a call, once; answered with the reply that follows in its turn, or its stream."""
    caller.require("chat")
    if body.remember != "once":
        caller.require("admin")
    agent = (await caller.kernel.record(name)).id
    answer = deciding.answer(
        caller.kernel, name, id, body.approved,
        note=body.note, arguments=body.arguments, remember=body.remember, by=caller.key, only=agent,
    )  # fmt: skip
    first, outputs = await begun(answer)
    if first is None:
        raise Problem(503, "Stopping", "The server is stopping; the decision is stored.")
    if wants_stream(request):
        return event_stream(request, output_events(outputs))
    return await reply_body(caller, agent, first.event or 0, outputs)


@routes.get("/agents/{name}/grants")
async def list_grants(name: Name, caller: AgentCaller) -> ItemList[GrantView]:
    """List the functions that the agent may call without being asked."""
    return ItemList(items=list(await approvals.grants(caller.kernel, name)))


@routes.delete("/agents/{name}/grants/{function}", status_code=204)
async def revoke(name: Name, function: str, caller: AgentCaller) -> None:
    """Ask again before calls of a function."""
    caller.require("admin")
    await deciding.revoke(caller.kernel, name, function)
