"""Tools: those of the program that serves, listed, chosen for agents, and set under approval.

Source code that a client sends is not run: a tool is a function of the program.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from pagefault.config import parse_settings, settings_of
from pagefault.functions import Function
from pagefault.server.auth import Caller, Calling
from pagefault.server.letta.agents import shown
from pagefault.server.letta.bodies import ToolApprovalBody
from pagefault.server.letta.ids import letta_id, no_such, section_number
from pagefault.server.letta.paging import OldestFirst
from pagefault.server.letta.records import LettaAgent
from pagefault.server.letta.states import tool_state
from pagefault.server.problems import Problem
from pagefault.types import AgentRecord
from pagefault.views.offered import program_tools

__all__ = ["routes"]

routes = APIRouter(prefix="/v1", tags=["letta"])
"""The routes of tools."""

JsonObject = dict[str, Any]


@routes.get("/tools/")
async def list_tools(
    caller: Calling,
    page: OldestFirst,
    name: str | None = None,
    names: Annotated[list[str] | None, Query()] = None,
    search: str | None = None,
) -> list[JsonObject]:
    """List the program's tools."""
    found = [
        tool
        for tool in _tools(caller)
        if (name is None or tool.name == name)
        and (not names or tool.name in names)
        and (not search or search.lower() in tool.name.lower())
    ]
    return [] if page.after or page.before else [tool_state(tool) for tool in found]


@routes.get("/tools/count")
async def count_tools(caller: Calling) -> int:
    """Count the program's tools."""
    return len(_tools(caller))


@routes.post("/tools/")
@routes.put("/tools/")
@routes.patch("/tools/{tool_id}")
@routes.delete("/tools/{tool_id}")
async def change_tool(caller: Calling) -> JsonObject:
    """Refuse: tools are functions of the program."""
    caller.require("admin")
    raise Problem(
        501, "Not here",
        "Tools are functions of the program that serves, and code that is sent is not run; give them to "
        "pagefault.open(tools=[...]).",
    )  # fmt: skip


@routes.get("/tools/{tool_id}")
async def retrieve_tool(tool_id: str, caller: Calling) -> JsonObject:
    """Return a tool."""
    return tool_state(_tool(caller, tool_id))


@routes.get("/agents/{agent_id}/tools")
async def tools_of_agent(agent: LettaAgent, caller: Calling, page: OldestFirst) -> list[JsonObject]:
    """List the tools that an agent is offered, beside its memory functions."""
    settings = settings_of(agent)
    offered = program_tools(caller.kernel, settings.tools)
    return [] if page.after or page.before else [tool_state(tool, settings.approval) for tool in offered]


@routes.patch("/agents/{agent_id}/tools/attach/{tool_id}")
async def attach(agent: LettaAgent, tool_id: str, caller: Calling) -> JsonObject:
    """Offer a tool to an agent."""
    tool, offered = _tool(caller, tool_id), _offered(caller, agent)
    return await _changed(caller, agent, tools=[*offered, *({tool.name} - set(offered))])


@routes.patch("/agents/{agent_id}/tools/detach/{tool_id}")
async def detach(agent: LettaAgent, tool_id: str, caller: Calling) -> JsonObject:
    """Offer a tool to an agent no longer."""
    tool = _tool(caller, tool_id)
    return await _changed(
        caller, agent, tools=[each for each in _offered(caller, agent) if each != tool.name]
    )


@routes.patch("/agents/{agent_id}/tools/approval/{tool_name}")
async def update_approval(
    agent: LettaAgent, tool_name: str, body: ToolApprovalBody, caller: Calling
) -> JsonObject:
    """Let a person decide on each call of a function, or not any more."""
    names = [each for each in settings_of(agent).approval if each != tool_name]
    names += [tool_name] if body.requires_approval else []
    return await _changed(caller, agent, approval=names)


async def _changed(caller: Caller, agent: AgentRecord, **changes: list[str]) -> JsonObject:
    caller.require("admin")
    values = settings_of(agent).model_dump(mode="json") | changes
    await caller.kernel.change_settings(agent.name, parse_settings(values))
    return await shown(caller, agent)


def _tools(caller: Caller) -> tuple[Function, ...]:
    return program_tools(caller.kernel)


def _offered(caller: Caller, agent: AgentRecord) -> list[str]:
    return [tool.name for tool in program_tools(caller.kernel, settings_of(agent).tools)]


def _tool(caller: Caller, id: str) -> Function:
    for tool in _tools(caller):
        if letta_id("tool", 0, section_number(tool.name)) == id:
            return tool
    raise no_such("tool", id)
