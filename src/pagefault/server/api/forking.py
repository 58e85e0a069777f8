"""Forks of agents, what memory differs, and what an agent knew at a message."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from pagefault.kernel.forking import fork
from pagefault.server.api.agents import check_new_name
from pagefault.server.api.history import HistoryItem, Roles, history_item
from pagefault.server.api.values import (
    AgentCaller,
    Cursor,
    ItemList,
    Limit,
    Name,
    RequestBody,
    page_number,
)
from pagefault.views import agents
from pagefault.views.agents import AgentDetail
from pagefault.views.asking import roles_of
from pagefault.views.comparing import MemoryDifference, compare
from pagefault.views.history import READABLE
from pagefault.views.hits import PassageView
from pagefault.views.memory import SectionView
from pagefault.views.past import past_history, past_passages, past_sections

__all__ = ["routes"]

routes = APIRouter(prefix="/agents/{name}", tags=["forks"])
"""The routes of forks and of the past."""

Position = Annotated[str, Query(description="The message (m12) at which the log ended.")]
At = Annotated[str | None, Query(description="A message (m12): the agent as it was then.")]


class NewFork(RequestBody):
    """A fork to be made."""

    name: str = Field(description="The name of the new agent.")
    at: str | None = Field(default=None, description="The message (m12) at which its log is to end.")


@routes.post("/fork", status_code=201)
async def fork_agent(
    name: Name, body: NewFork, caller: AgentCaller, request: Request, response: Response
) -> AgentDetail:
    """Copy an agent to a new one, as it is or as it was at a message."""
    caller.require("admin")
    check_new_name(caller, name, body.name)
    await fork(caller.kernel, name, body.name, at=body.at)
    response.headers["location"] = str(request.url_for("get_agent", name=body.name))
    return await agents.agent(caller.kernel, body.name)


@routes.get("/diff")
async def get_difference(
    name: Name,
    caller: AgentCaller,
    other: Annotated[str | None, Query(description="Another agent; by default the same.")] = None,
    at: At = None,
    other_at: At = None,
) -> MemoryDifference:
    """Return what memory differs between two agents, or between one at two messages."""
    if other is not None:
        await caller.check(other)
    return await compare(caller.kernel, name, other or name, at=at, other_at=other_at)


@routes.get("/past/sections")
async def get_past_sections(name: Name, caller: AgentCaller, at: Position) -> ItemList[SectionView]:
    """List the sections of the working context as they were."""
    return ItemList(items=list(await past_sections(caller.kernel, name, at)))


@routes.get("/past/history")
async def get_past_history(
    name: Name,
    caller: AgentCaller,
    at: Position,
    limit: Limit = 50,
    cursor: Cursor = None,
    role: Roles = None,
) -> ItemList[HistoryItem]:
    """List the rows of the log up to a message, with those that were undone since."""
    roles = roles_of(role or ()) or READABLE
    found = await past_history(caller.kernel, name, at, before=cursor, limit=limit, roles=roles)
    return ItemList(items=[history_item(row) for row in found], next=found.before)


@routes.get("/past/passages")
async def get_past_passages(
    name: Name, caller: AgentCaller, at: Position, limit: Limit = 50, cursor: Cursor = None
) -> ItemList[PassageView]:
    """List the passages of then, newest first."""
    page = page_number(cursor)
    found = await past_passages(caller.kernel, name, at, page=page, size=limit)
    return ItemList(items=list(found), next=str(page + 1) if page < found.pages else None)
