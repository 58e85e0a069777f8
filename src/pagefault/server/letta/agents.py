"""Agents as Letta's clients make, list, change and delete them; their main context flushed and shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from pagefault.config import AgentSettings, parse_settings, settings_of
from pagefault.errors import InTurnError, NameTakenError, PagefaultError
from pagefault.importers.letta.names import agent_name, free_name, handle_of, model_name
from pagefault.kernel import Kernel, archives, shared_sections
from pagefault.models.tokens import HeuristicCounter, family_of
from pagefault.server.auth import Caller, Calling, options_of, settings_by
from pagefault.server.letta.bodies import AgentBody
from pagefault.server.letta.ids import LettaId
from pagefault.server.letta.paging import NewestFirst
from pagefault.server.letta.records import LettaAgent, memory_of, shared_of
from pagefault.server.letta.settings import Wishes, declared, setting_values
from pagefault.server.letta.states import agent_state, settings_shown
from pagefault.server.problems import Problem
from pagefault.types import AgentRecord
from pagefault.views import agents as views
from pagefault.views.offered import can_use_model, program_tools
from pagefault.views.stored import AgentMemory, memories

__all__ = ["check_reach", "routes", "settings_with_model", "shown", "wishes_of"]

routes = APIRouter(prefix="/v1/agents", tags=["letta"])
"""The routes of agents."""

JsonObject = dict[str, Any]

_TRIES = 3  # a name may be taken while the agent is made


@routes.post("/")
async def create_agent(body: AgentBody, caller: Calling, request: Request) -> JsonObject:
    """Make an agent. A name that is taken gets a number."""
    caller.require("admin")
    kernel, wishes = caller.kernel, wishes_of(caller)
    defaults = options_of(request).agent
    values = defaults.model_dump(mode="json") | setting_values(body, {}, wishes)
    settings = await settings_with_model(caller, values, body.model, defaults, wishes)
    window, _ = await kernel.window(settings)
    count = HeuristicCounter(family_of(settings.model)).count
    sections = declared(body.memory_blocks or [], window, count, wishes)
    settings = parse_settings(settings.model_dump(mode="json") | {"sections": sections})
    record = await _made(caller, body.name or "agent", settings)
    try:
        await _attach(caller, record.name, body)
    except BaseException:
        await kernel.delete(record.name)
        raise
    return await shown(caller, record, wishes.notices)


@routes.get("/")
async def list_agents(
    caller: Calling,
    page: NewestFirst,
    name: str | None = None,
    query_text: str | None = None,
    tags: Annotated[list[str] | None, Query()] = None,
    match_all_tags: bool = False,
) -> list[JsonObject]:
    """List agents, the newest first."""

    def fits(record: AgentRecord) -> bool:
        own = settings_shown(record).tags if tags else ()
        found = [tag in own for tag in tags or ()]
        return (
            caller.reaches(record)
            and (name is None or record.name in (name, agent_name(name)))
            and (not query_text or query_text.lower() in record.name.lower())
            and (not found or (all(found) if match_all_tags else any(found)))
        )

    records = [each for each in await caller.kernel.agents() if fits(each)]
    chosen = page.of(records, "agent", lambda record: LettaId(record.id))
    return [await _state(caller, each) for each in await memories(caller.kernel, chosen)]


@routes.get("/count")
async def count_agents(caller: Calling) -> int:
    """Count the agents."""
    return sum(caller.reaches(each) for each in await caller.kernel.agents())


@routes.get("/{agent_id}")
async def retrieve_agent(agent: LettaAgent, caller: Calling) -> JsonObject:
    """Return an agent."""
    return await shown(caller, agent)


@routes.patch("/{agent_id}")
async def update_agent(agent: LettaAgent, body: AgentBody, caller: Calling, request: Request) -> JsonObject:
    """Change what is given of an agent."""
    caller.require("admin")
    kernel, wishes, stored = caller.kernel, wishes_of(caller), settings_of(agent)
    name = agent.name
    wanted = name if body.name is None else agent_name(body.name)
    if wanted != name:
        check_reach(caller, wanted)
    values = setting_values(body, dict(agent.settings), wishes)
    if values or body.model is not None:
        whole = stored.model_dump(mode="json") | values
        settings = await settings_with_model(caller, whole, body.model, options_of(request).agent, wishes)
        await kernel.change_settings(agent.name, settings)
    if wanted != name:
        await kernel.rename(name, wanted)
    await _attach(caller, wanted, body)
    return await shown(caller, await kernel.record(wanted), wishes.notices)


@routes.delete("/{agent_id}")
async def delete_agent(agent: LettaAgent, caller: Calling) -> JsonObject:
    """Delete an agent with all its memory."""
    caller.require("admin")
    await caller.kernel.delete(agent.name)
    return {"message": f"Agent {agent.name} is deleted."}


@routes.patch("/{agent_id}/reset-messages")
async def reset_messages(agent: LettaAgent, caller: Calling) -> JsonObject:
    """Put the conversation out of the main context, under its summary. The log keeps it."""
    caller.require("admin")
    await _flush(caller.kernel, agent.name, keep=0)
    notice = "The messages are out of the prompt, which has a summary of them; the log keeps them."
    return await shown(caller, agent, [notice])


@routes.post("/{agent_id}/summarize")
async def compact(agent: LettaAgent, caller: Calling) -> JsonObject:
    """Flush the queue: older messages give way to their summary."""
    caller.require("chat")
    before = (await views.context(caller.kernel, agent.name)).queue
    await _flush(caller.kernel, agent.name)
    after = await views.context(caller.kernel, agent.name)
    return {
        "summary": after.summary.text if after.summary else "",
        "num_messages_before": len(before),
        "num_messages_after": len(after.queue),
    }


@routes.post("/{agent_id}/recompile")
async def recompile(agent: LettaAgent, caller: Calling) -> str:
    """Return the system message as the next request would send it."""
    messages = (await views.context(caller.kernel, agent.name)).messages
    return messages[0].text if messages else ""


async def _flush(kernel: Kernel, name: str, keep: int | None = None) -> None:
    if not await kernel.flush(name, keep) and (await views.agent(kernel, name)).waiting:
        raise InTurnError(name)


def wishes_of(caller: Caller) -> Wishes:
    """The wishes of a request, none yet."""
    return Wishes([tool.name for tool in program_tools(caller.kernel)])


async def shown(caller: Caller, record: AgentRecord, notices: Sequence[str] = ()) -> JsonObject:
    """An agent as it now stands."""
    return await _state(caller, await memory_of(caller.kernel, record), notices)


async def _state(caller: Caller, memory: AgentMemory, notices: Sequence[str] = ()) -> JsonObject:
    settings = settings_shown(memory.record)
    try:
        window, _ = await caller.kernel.window(settings)
    except PagefaultError:  # the model's name is not valid any more, or its server is away
        window = settings.window or 0
    tools = program_tools(caller.kernel, settings.tools)
    return agent_state(memory, window, tools, notices)


async def settings_with_model(
    caller: Caller, values: JsonObject, handle: str | None, defaults: AgentSettings, wishes: Wishes
) -> AgentSettings:
    """The settings with the model of a handle, or with the installation's if that cannot be had here."""
    if handle is None:
        return parse_settings(values)
    wanted = settings_by(caller, values | {"model": model_name(handle)}, defaults, values["model"])
    if not await can_use_model(caller.kernel, wanted):
        used = handle_of(defaults.model)
        wishes.report(f"The model {handle[:100]!r} is not configured here; the agent uses {used}.")
        return parse_settings(values | {"model": defaults.model})
    return wanted


def check_reach(caller: Caller, name: str) -> None:
    """Raise a ``Problem`` if the caller may not make an agent of this name."""
    if not caller.may_name(name):
        raise Problem(403, "Forbidden", "This key may not make an agent of that name; use another key.")


async def _made(caller: Caller, name: str, settings: AgentSettings) -> AgentRecord:
    """Make an agent of this name, or of the first with a number behind it that is free."""
    tries = 0
    while True:
        taken = {each.name for each in await caller.kernel.agents()}
        free = free_name(agent_name(name) or "agent", taken)
        check_reach(caller, free)
        try:
            return await caller.kernel.create_agent(free, settings)
        except NameTakenError:
            tries += 1
            if tries == _TRIES:
                raise


async def _attach(caller: Caller, name: str, body: AgentBody) -> None:
    """Attach the shared blocks and the folders that are named."""
    for id in body.block_ids or ():
        block = await shared_of(caller, "section", "block", id, to_change=True)
        await shared_sections.attach(caller.kernel, block.record.name, name)
    for id in (*(body.folder_ids or ()), *(body.source_ids or ())):
        folder = await shared_of(caller, "archive", "folder", id)
        await archives.attach(caller.kernel, folder.record.name, name, read_only=True)
