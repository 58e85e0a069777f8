"""Blocks: the sections of an agent, and those that agents share.

A block that was made by itself is a shared section, which agents are attached to; one of an agent is its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Annotated, Any

from fastapi import APIRouter, Query

from pagefault.importers.letta.names import CHARACTERS, LONGEST_SECTION, free_name, section_name
from pagefault.kernel import sections, shared_sections
from pagefault.kernel.sections import SMALLEST
from pagefault.server.auth import Caller, Calling
from pagefault.server.letta.agents import shown
from pagefault.server.letta.bodies import BlockBody
from pagefault.server.letta.ids import LettaId, letta_id, no_such, read_id, section_number
from pagefault.server.letta.paging import NewestFirst, OldestFirst
from pagefault.server.letta.records import (
    LettaAgent,
    agent_of,
    check_all,
    memory_of,
    shared_of,
    shared_things,
)
from pagefault.server.letta.sections import (
    change_own,
    change_shared,
    check_value,
    labelled,
    own_state,
    section_of,
    shared_state,
)
from pagefault.types import Section
from pagefault.views.stored import AgentMemory, SharedThing, memories

__all__ = ["routes"]

routes = APIRouter(prefix="/v1", tags=["letta"])
"""The routes of blocks."""

JsonObject = dict[str, Any]

_OF_AGENT = "/agents/{agent_id}/core-memory"
_LIMIT = 500
"""Tokens of a shared block that has no limit of its own."""


@dataclass(frozen=True, slots=True)
class _OwnSection:
    """A section of one agent, with that."""

    memory: AgentMemory
    section: Section


# of an agent


@routes.get(_OF_AGENT)
async def core_memory(agent: LettaAgent, caller: Calling) -> JsonObject:
    """Return the working context of an agent."""
    return (await shown(caller, agent))["memory"]


@routes.get(f"{_OF_AGENT}/blocks")
async def list_of_agent(agent: LettaAgent, caller: Calling, page: OldestFirst) -> list[JsonObject]:
    """List the blocks of an agent, in the order of the prompt."""
    if page.after or page.before:  # all are on the first page
        return []
    memory = await memory_of(caller.kernel, agent)
    found = [own_state(memory, section) for section in memory.sections]
    return found[::-1] if page.descending else found


@routes.get(f"{_OF_AGENT}/blocks/{{label}}")
async def retrieve_of_agent(agent: LettaAgent, label: str, caller: Calling) -> JsonObject:
    """Return the block of this label."""
    memory = await memory_of(caller.kernel, agent)
    return own_state(memory, labelled(memory, label))


@routes.patch(f"{_OF_AGENT}/blocks/{{label}}")
async def update_of_agent(agent: LettaAgent, label: str, body: BlockBody, caller: Calling) -> JsonObject:
    """Change a block of an agent; of a shared one, what all have."""
    caller.require("admin")
    memory = await memory_of(caller.kernel, agent)
    section = labelled(memory, label)
    name = section.name
    if shared := memory.shared.get(name):
        id = letta_id("block", shared.id)
        await change_shared(caller.kernel, await _to_change(caller, id), body)
    else:
        name = await change_own(caller.kernel, memory, section, body)
    memory = await memory_of(caller.kernel, agent)
    return own_state(memory, labelled(memory, name))


@routes.patch(f"{_OF_AGENT}/blocks/attach/{{block_id}}")
async def attach(agent: LettaAgent, block_id: str, caller: Calling) -> JsonObject:
    """Attach an agent to a shared block."""
    block = await _to_change(caller, block_id)
    await shared_sections.attach(caller.kernel, block.record.name, agent.name)
    return await shown(caller, agent)


@routes.patch(f"{_OF_AGENT}/blocks/detach/{{block_id}}")
async def detach(agent: LettaAgent, block_id: str, caller: Calling) -> JsonObject:
    """Detach an agent from a shared block; a block of its own is deleted, for nobody else has it."""
    caller.require("admin")
    found = await _of_id(caller, block_id)
    if isinstance(found, SharedThing):
        await shared_sections.detach(caller.kernel, found.record.name, agent.name)
    elif found.memory.record.id == agent.id:
        await sections.remove_section(caller.kernel, agent.name, found.section.name)
    else:
        raise no_such("block", block_id)
    return await shown(caller, agent)


# all


@routes.post("/blocks/")
async def create_block(body: BlockBody, caller: Calling) -> JsonObject:
    """Make a block that agents can share. A label that is taken gets a number."""
    check_all(caller)
    kernel, text = caller.kernel, body.value or ""
    check_value(body.label or "block", text, body.limit)
    taken = {each.record.name for each in await shared_things(caller, "section")}
    name = free_name(section_name(body.label or ""), taken, "_", LONGEST_SECTION)
    size = shared_sections.size_of(kernel, text)
    wanted = ceil(body.limit / CHARACTERS) if body.limit else _LIMIT
    made = await shared_sections.share(
        kernel, name, [], description=body.description or "", text=text,
        limit=max(SMALLEST, size + size // 8, wanted),
    )  # fmt: skip
    return shared_state(await shared_of(caller, "section", "block", letta_id("block", made.id)))


@routes.get("/blocks/")
async def list_blocks(
    caller: Calling,
    page: NewestFirst,
    label: str | None = None,
    name: str | None = None,
    label_search: str = "",
    value_search: str = "",
    description_search: str = "",
    templates_only: bool = False,
    tags: Annotated[list[str] | None, Query()] = None,
) -> list[JsonObject]:
    """List all blocks, the shared ones and those of agents."""
    if templates_only or tags or name:  # blocks here have no templates, tags and names
        return []

    def fits(section: Section) -> bool:
        return (
            (label is None or section.name in (label, section_name(label)))
            and label_search.lower() in section.name
            and value_search.lower() in section.text.lower()
            and description_search.lower() in section.description.lower()
        )

    found = [(id, state) for id, section, state in await _all(caller) if fits(section)]
    return [state for _, state in page.of(found, "block", lambda each: each[0])]


@routes.get("/blocks/count")
async def count_blocks(caller: Calling) -> int:
    """Count the blocks."""
    return len(await _all(caller))


async def _all(caller: Caller) -> list[tuple[LettaId, Section, JsonObject]]:
    kernel = caller.kernel
    agents = [each for each in await kernel.agents() if caller.reaches(each)]
    own = [
        (LettaId(memory.record.id, section_number(section.name)), section, own_state(memory, section))
        for memory in await memories(kernel, agents)
        for section in memory.sections
        if section.name not in memory.shared
    ]
    shared = [
        (LettaId(thing.record.id), section_of(thing), shared_state(thing))
        for thing in await shared_things(caller, "section")
    ]
    return [*own, *shared]


@routes.get("/blocks/{block_id}")
async def retrieve_block(block_id: str, caller: Calling) -> JsonObject:
    """Return a block."""
    found = await _of_id(caller, block_id)
    if isinstance(found, SharedThing):
        return shared_state(found)
    return own_state(found.memory, found.section)


@routes.patch("/blocks/{block_id}")
async def update_block(block_id: str, body: BlockBody, caller: Calling) -> JsonObject:
    """Change a block."""
    caller.require("admin")
    found = await _of_id(caller, block_id)
    if isinstance(found, SharedThing):
        await change_shared(caller.kernel, await _to_change(caller, block_id), body)
        return shared_state(await shared_of(caller, "section", "block", block_id))
    name = await change_own(caller.kernel, found.memory, found.section, body)
    memory = await memory_of(caller.kernel, found.memory.record)
    return own_state(memory, labelled(memory, name))


@routes.delete("/blocks/{block_id}")
async def delete_block(block_id: str, caller: Calling) -> JsonObject:
    """Delete a block, for all who have it."""
    caller.require("admin")
    found = await _of_id(caller, block_id)
    if isinstance(found, SharedThing):
        await shared_sections.delete(caller.kernel, (await _to_change(caller, block_id)).record.name)
    else:
        await sections.remove_section(caller.kernel, found.memory.record.name, found.section.name)
    return {"message": "The block is deleted."}


@routes.get("/blocks/{block_id}/agents")
async def agents_of_block(block_id: str, caller: Calling, page: NewestFirst) -> list[JsonObject]:
    """List the agents that have a block."""
    found = await _of_id(caller, block_id)
    if isinstance(found, SharedThing):
        records = [r for name in found.agents if caller.reaches(r := await caller.kernel.record(name))]
    else:
        records = [found.memory.record]
    chosen = page.of(records, "agent", lambda record: LettaId(record.id))
    return [await shown(caller, record) for record in chosen]


async def _to_change(caller: Caller, id: str) -> SharedThing:
    return await shared_of(caller, "section", "block", id, to_change=True)


async def _of_id(caller: Caller, id: str) -> _OwnSection | SharedThing:
    """The section that an id names: an agent's own, or a shared one."""
    found = read_id("block", id)
    if not found.number:
        return await shared_of(caller, "section", "block", id)
    agent = await agent_of(caller, letta_id("agent", found.owner))
    memory = await memory_of(caller.kernel, agent)
    for section in memory.sections:
        if section_number(section.name) == found.number and section.name not in memory.shared:
            return _OwnSection(memory, section)
    raise no_such("block", id)
