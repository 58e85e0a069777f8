"""Agents: made, listed, changed, renamed, deleted; their main context; flushes, cancelled turns, releases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from pagefault.config import AgentSettings
from pagefault.kernel import parked
from pagefault.server.api.values import (
    AgentCaller,
    Cursor,
    Done,
    ItemList,
    Limit,
    Name,
    RequestBody,
    after_name,
)
from pagefault.server.auth import Caller, Calling, options_of, settings_by
from pagefault.server.problems import Problem
from pagefault.views import agents
from pagefault.views.agents import AgentDetail, AgentSummary, ContextView
from pagefault.views.asking import number_of
from pagefault.views.context import ContextBlocks, context_blocks
from pagefault.views.overview import agents_behind

__all__ = ["change_settings", "check_new_name", "make_agent", "routes"]

routes = APIRouter(prefix="/agents", tags=["agents"])
"""The routes of agents."""

At = Annotated[
    str | None, Query(description="A message (m12): the last step that began with it or before it.")
]


class NewAgent(RequestBody):
    """An agent to be made. ``settings``: those that are not the installation's defaults."""

    name: str
    settings: dict[str, Any] = Field(default_factory=dict[str, Any])


class AgentChange(RequestBody):
    """A change of an agent: another name, and the settings that are given."""

    name: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict[str, Any])


@routes.get("")
async def list_agents(caller: Calling, limit: Limit = 100, cursor: Cursor = None) -> ItemList[AgentSummary]:
    """List the agents by name."""
    items, more = await agents_behind(caller.kernel, caller.reaches, after_name(cursor), limit)
    return ItemList(items=items, next=more)


@routes.post("", status_code=201)
async def create_agent(body: NewAgent, caller: Calling, request: Request, response: Response) -> AgentDetail:
    """Make an agent."""
    await make_agent(caller, options_of(request).agent, body.name, body.settings)
    response.headers["location"] = str(request.url_for("get_agent", name=quote(body.name)))
    return await agents.agent(caller.kernel, body.name)


async def make_agent(caller: Caller, defaults: AgentSettings, name: str, settings: Mapping[str, Any]) -> None:
    """Make an agent as a caller wants it; ``defaults``: the installation's, which settings replace."""
    caller.require("admin")
    if not caller.may_name(name):
        raise Problem(403, "Forbidden", "This key may not make an agent of that name.")
    given = settings_by(caller, defaults.model_dump(mode="json") | dict(settings), defaults)
    await caller.kernel.create_agent(name, given)


@routes.get("/{name}")
async def get_agent(name: Name, caller: AgentCaller) -> AgentDetail:
    """Return an agent with its settings and sections."""
    return await agents.agent(caller.kernel, name)


@routes.patch("/{name}")
async def change_agent(name: Name, body: AgentChange, caller: AgentCaller, request: Request) -> AgentDetail:
    """Change settings of an agent, or its name."""
    caller.require("admin")
    if body.name is not None:
        check_new_name(caller, name, body.name)
    if body.settings:
        await change_settings(caller, options_of(request).agent, name, body.settings)
    if body.name is not None and body.name != name:
        await caller.kernel.rename(name, body.name)
    return await agents.agent(caller.kernel, body.name or name)


def check_new_name(caller: Caller, name: str, new: str) -> None:
    """Raise a ``Problem`` if the caller may not give an agent this name."""
    if new != name and not caller.may_name(new):
        raise Problem(403, "Forbidden", "This key may not reach an agent of that name.")


async def change_settings(
    caller: Caller, defaults: AgentSettings, name: str, changes: Mapping[str, Any]
) -> None:
    """Change settings of an agent as a caller wants it; ``defaults``: the installation's."""
    caller.require("admin")
    stored = dict((await caller.kernel.record(name)).settings)
    settings = settings_by(caller, stored | dict(changes), defaults, stored.get("model"))
    await caller.kernel.change_settings(name, settings)


@routes.delete("/{name}", status_code=204)
async def delete_agent(name: Name, caller: AgentCaller) -> None:
    """Delete an agent with all its memory; refused while it is in a turn."""
    caller.require("admin")
    await caller.kernel.delete(name)


@routes.get("/{name}/context")
async def get_context(name: Name, caller: AgentCaller) -> ContextView:
    """Return the main context as the next request to the model would send it."""
    return await agents.context(caller.kernel, name)


@routes.get("/{name}/context/blocks")
async def get_context_blocks(name: Name, caller: AgentCaller, at: At = None) -> ContextBlocks:
    """Return the main context as blocks with their tokens: as it stands, or as the model saw it at a step."""
    return await context_blocks(caller.kernel, name, None if at is None else number_of(at, "m"))


@routes.post("/{name}/flush")
async def flush(name: Name, caller: AgentCaller) -> Done:
    """Flush the queue now."""
    caller.require("admin")
    return Done(done=await caller.kernel.flush(name))


@routes.post("/{name}/cancel")
async def cancel(name: Name, caller: AgentCaller) -> Done:
    """End the open turn, with a consistent log."""
    caller.require("chat")
    return Done(done=await caller.kernel.cancel(name))


@routes.post("/{name}/release", status_code=204)
async def release(name: Name, caller: AgentCaller) -> None:
    """Let an agent that is parked be served again."""
    caller.require("admin")
    await parked.release(caller.kernel, name)
