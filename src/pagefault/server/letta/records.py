"""The things that Letta's ids name, as far as the caller may see them: agents, and what they share.

A thing that the caller may not reach is not there. What agents share is seen by who reaches one of those
attached, and changed by who reaches all of them; what is attached to none, by who reaches all agents.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from pagefault.kernel import Kernel
from pagefault.server.auth import Caller, Calling
from pagefault.server.letta.ids import IdKind, no_such, read_id
from pagefault.server.problems import Problem
from pagefault.shared import SharedKind
from pagefault.types import AgentRecord
from pagefault.views.stored import (
    AgentMemory,
    SharedThing,
    agent_by_number,
    memories,
    shared_by_number,
    shared_of_kind,
)

__all__ = ["LettaAgent", "agent_of", "check_all", "memory_of", "shared_of", "shared_things"]


async def agent_of(caller: Caller, id: str) -> AgentRecord:
    """The agent of an id, if the caller may reach it."""
    record = await agent_by_number(caller.kernel, read_id("agent", id).owner)
    if record is None or not caller.reaches(record):
        raise no_such("agent", id)
    return record


async def _agent(agent_id: str, caller: Calling) -> AgentRecord:
    return await agent_of(caller, agent_id)


LettaAgent = Annotated[AgentRecord, Depends(_agent)]
"""The agent of ``{agent_id}``."""


async def memory_of(kernel: Kernel, record: AgentRecord) -> AgentMemory:
    """An agent as it now stands; ``NotFoundError`` if it was deleted since."""
    (found,) = await memories(kernel, [await kernel.record(record.name)])
    return found


async def shared_of(
    caller: Caller, kind: SharedKind, as_: IdKind, id: str, *, to_change: bool = False
) -> SharedThing:
    """The archive or shared section of an id, if the caller may see it, or change it."""
    found = await shared_by_number(caller.kernel, kind, read_id(as_, id).owner)
    if found is None or not await _sees(caller, found):
        raise no_such(as_, id)
    if to_change:
        caller.require("admin")
        if await caller.reached(found.agents) != set(found.agents):
            raise Problem(403, "Forbidden", "Agents that this key may not reach share this; use another key.")
    return found


async def shared_things(caller: Caller, kind: SharedKind) -> list[SharedThing]:
    """All that agents share of a kind, as far as the caller may see it, in the order of ids."""
    return [each for each in await shared_of_kind(caller.kernel, kind) if await _sees(caller, each)]


def check_all(caller: Caller) -> None:
    """Raise a ``Problem`` if the caller may not make what is of no single agent."""
    caller.require("admin")
    if caller.is_limited:
        raise Problem(
            403, "Forbidden", "This needs a key for all agents; what is shared is not of one of them."
        )


async def _sees(caller: Caller, thing: SharedThing) -> bool:
    return not caller.is_limited or bool(await caller.reached(thing.agents))
