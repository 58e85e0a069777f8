"""Looking: the log page by page, one turn step by step, search, tokens and money."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from pagefault.server.api.values import (
    AgentCaller,
    Cursor,
    ItemList,
    Limit,
    Name,
    page_number,
    page_of,
)
from pagefault.server.auth import Calling
from pagefault.types import Role, Tier
from pagefault.views import memory, trace, usage
from pagefault.views.asking import roles_of
from pagefault.views.history import READABLE, LogRow, history
from pagefault.views.memory import MessageHit, PassageHit
from pagefault.views.trace import Trace
from pagefault.views.turns import TurnSummary, turns
from pagefault.views.usage import Part, UsageRow

__all__ = ["HistoryItem", "Roles", "history_item", "routes"]

routes = APIRouter(tags=["looking"])
"""The routes of history, trace, search and usage."""

Roles = Annotated[
    list[str] | None, Query(description="user, assistant, event, alert, call ...; may be repeated.")
]
Since = Annotated[str | None, Query(description="From this time on: ISO 8601, or as people write it.")]
Until = Annotated[str | None, Query(description="Before this time; a date without a time is included.")]


Withdrawn = Annotated[bool, Query(description="Also what was undone.")]


class HistoryItem(BaseModel):
    """A row of the log. ``position``: its number; ``event``: that of the event in whose turn it was
    written."""

    position: int
    role: Role
    text: str
    at: datetime
    event: int | None
    name: str | None
    speaker: str
    completion: int | None
    failed: bool
    cut: bool
    extracted: str
    decision: str
    decided_by: str
    prefetch: str
    withdrawn: bool


class SearchList(ItemList[MessageHit | PassageHit]):
    """A page of what was found. ``total``: of all pages; ``as_of``: the newest message that was looked
    at, or the time that was asked for."""

    total: int
    as_of: str


@routes.get("/agents/{name}/history")
async def get_history(
    name: Name,
    caller: AgentCaller,
    limit: Limit = 50,
    cursor: Cursor = None,
    role: Roles = None,
    withdrawn: Withdrawn = False,
) -> ItemList[HistoryItem]:
    """List the rows of the log, a page oldest first, beginning with the newest page."""
    roles = roles_of(role or ()) or READABLE
    found = await history(caller.kernel, name, before=cursor, limit=limit, roles=roles, withdrawn=withdrawn)
    return ItemList(items=[history_item(row) for row in found], next=found.before)


def history_item(row: LogRow) -> HistoryItem:
    """A row of the log, as answers have it."""
    known = {field.name: getattr(row, field.name) for field in fields(row) if field.name != "id"}
    return HistoryItem(position=int(row.id[1:]), **known)


@routes.get("/agents/{name}/trace")
async def get_trace(
    name: Name,
    caller: AgentCaller,
    event: Annotated[
        str | None, Query(description="The number of an event, or a message in its turn (m12).")
    ] = None,
) -> Trace:
    """Return one turn step by step; that of the last user message if no event is named."""
    return await trace.trace(caller.kernel, name, event)


@routes.get("/agents/{name}/turns")
async def get_turns(
    name: Name, caller: AgentCaller, limit: Limit = 20, cursor: Cursor = None
) -> ItemList[TurnSummary]:
    """List the turns, newest event first, with what each led to and what it cost."""
    before = None if cursor is None else page_number(cursor)
    found = await turns(caller.kernel, name, before=before, limit=min(limit, 100))
    return ItemList(items=list(found.turns), next=None if found.before is None else str(found.before))


@routes.get("/agents/{name}/search")
async def search(
    name: Name,
    caller: AgentCaller,
    q: Annotated[str, Query(description="Words or a question; empty: all that passes the filters.")] = "",
    tier: Annotated[Tier | None, Query(description="recall or archival; both if it is left out.")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Results of a page.")] = 10,
    cursor: Cursor = None,
    since: Since = None,
    until: Until = None,
    role: Roles = None,
    tag: Annotated[list[str] | None, Query(description="A tag of passages; may be repeated.")] = None,
    session: Annotated[
        int | None, Query(ge=0, lt=2**31, description="A sitting, as results number them.")
    ] = None,
    as_of: Annotated[
        str | None, Query(description="The newest message to look at (m12), or a time: what held then.")
    ] = None,
    archive: Annotated[str | None, Query(description="An attached archive, to search it alone.")] = None,
    speaker: Annotated[str, Query(description="Who said it, to search those messages alone.")] = "",
    document: Annotated[str, Query(description="A document, to search it alone (d1, manuals/d1).")] = "",
) -> SearchList:
    """Search messages and passages as the agent does, best first, each with the parts of its score."""
    page = page_number(cursor)
    found = await memory.search(
        caller.kernel, name, q, tier=tier, page=page, size=limit, since=since, until=until, role=role or (),
        tags=tag or (), session=session, as_of=as_of, archive=archive, speaker=speaker, document=document,
    )  # fmt: skip
    more = str(page + 1) if page < found.pages else None
    return SearchList(items=list(found.results), next=more, total=found.total, as_of=found.as_of)


@routes.get("/agents/{name}/usage")
async def get_usage(
    name: Name,
    caller: AgentCaller,
    by: Part = "agent",
    since: Since = None,
    until: Until = None,
    withdrawn: Withdrawn = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> ItemList[UsageRow]:
    """List tokens and money of an agent, added up by turn, day or model, or all together."""
    found = await usage.usage(caller.kernel, name, by=by, since=since, until=until, withdrawn=withdrawn)
    return page_of(found, cursor, limit)


@routes.get("/usage")
async def get_all_usage(
    caller: Calling,
    by: Literal["agent", "day", "model"] = "agent",
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> ItemList[UsageRow]:
    """List tokens and money of all agents."""
    found = await usage.usage(caller.kernel, by=by, since=since, until=until)
    reached = await caller.reached(row.agent for row in found)
    return page_of([row for row in found if row.agent in reached], cursor, limit)
