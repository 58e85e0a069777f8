"""Archival memory of agents, archives that agents share, and search of both, and of messages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from pagefault.kernel import edits, facts
from pagefault.server.auth import Caller, Calling
from pagefault.server.letta.bodies import LettaBody, PassageBody, PassageSearchBody
from pagefault.server.letta.ids import LettaId, letta_id, no_such, read_id
from pagefault.server.letta.paging import OldestFirst
from pagefault.server.letta.records import LettaAgent, agent_of, memory_of, shared_of
from pagefault.server.letta.states import passage_state
from pagefault.server.problems import Problem
from pagefault.shared import Archive, StorageOwner
from pagefault.types import AgentId, AgentRecord, Passage
from pagefault.views import memory as views
from pagefault.views.memory import MessageHit, PassageHit
from pagefault.views.stored import passage_numbers, passages_of

__all__ = ["routes"]

routes = APIRouter(prefix="/v1", tags=["letta"])
"""The routes of passages and archives."""

JsonObject = dict[str, Any]

Tags = Annotated[list[str] | None, Query(max_length=100)]
TagMatch = Literal["any", "all"]

_OF_AGENT = "/agents/{agent_id}/archival-memory"
_FOUND = 10  # passages, without a number of its own


@routes.post(_OF_AGENT)
async def create_passage(agent: LettaAgent, body: PassageBody, caller: Calling) -> list[JsonObject]:
    """Put a text into the archival storage of an agent."""
    caller.require("admin")
    stored = await facts.remember(
        caller.kernel, agent.name, body.text, tags=body.tags or (), at=body.created_at, always=True
    )
    return [passage_state(agent.id, stored.passage)]


@routes.get(_OF_AGENT)
async def list_passages(
    agent: LettaAgent, caller: Calling, page: OldestFirst, search: str | None = None
) -> list[JsonObject]:
    """List the passages of an agent's own storage, in the order in which they came."""
    if search:
        hits = await _search(caller, agent.name, search, [], "any", None, None, page.limit)
        owners = await _owners(caller, agent)
        return [_hit_state(owners, hit) for hit in hits]
    numbers = await passage_numbers(caller.kernel, agent.id)
    ids = page.of((LettaId(agent.id, number) for number in numbers), "passage", lambda id: id)
    found = await passages_of(caller.kernel, agent.id, [each.number for each in ids])
    return [passage_state(agent.id, passage) for passage in found]


@routes.get(f"{_OF_AGENT}/search")
async def search_passages(
    agent: LettaAgent,
    caller: Calling,
    query: str = "",
    tags: Tags = None,
    tag_match_mode: TagMatch = "any",
    top_k: Annotated[int | None, Query(ge=1, le=1000)] = None,
    start_datetime: datetime | None = None,
    end_datetime: datetime | None = None,
) -> JsonObject:
    """Search the archival storage of an agent, attached archives included."""
    times = start_datetime, end_datetime
    hits = await _search(caller, agent.name, query, tags or [], tag_match_mode, *times, top_k or _FOUND)
    owners = await _owners(caller, agent)
    results = [
        {
            "id": _passage_id(owners, hit), "content": hit.text, "timestamp": hit.at.isoformat(),
            "tags": list(hit.tags),
        }
        for hit in hits
    ]  # fmt: skip
    return {"results": results, "count": len(results)}


@routes.delete(f"{_OF_AGENT}/{{memory_id}}")
async def delete_passage(agent: LettaAgent, memory_id: str, caller: Calling) -> None:
    """Delete a passage of an agent, or of an archive that it may write to."""
    caller.require("admin")
    found = read_id("passage", memory_id)
    names = {owner: name for name, owner in (await _owners(caller, agent)).items()}
    if found.owner not in names:
        raise no_such("passage", memory_id)
    name = names[found.owner]
    await edits.delete_passage(
        caller.kernel, agent.name, f"{name}/p{found.number}" if name else f"p{found.number}"
    )


@routes.post("/passages/search")
async def search_everywhere(body: PassageSearchBody, caller: Calling) -> list[JsonObject]:
    """Search the passages of an agent or of an archive."""
    if body.agent_id:
        agent = await agent_of(caller, body.agent_id)
        owner, owners = agent.name, await _owners(caller, agent)
    elif body.archive_id:
        archive = (await shared_of(caller, "archive", "archive", body.archive_id)).record
        owner, owners = Archive(archive.name), {archive.name: archive.id}
    else:
        raise Problem(
            400, "Wrong request", "Give agent_id or archive_id: passages are searched of one of them."
        )
    times = body.start_date, body.end_date
    hits = await _search(
        caller, owner, body.query or "", body.tags or [], body.tag_match_mode, *times, body.limit
    )
    return [
        {"passage": _hit_state(owners, hit), "score": hit.score, "metadata": dict(hit.parts or {})}
        for hit in hits
    ]


class MessageSearchBody(LettaBody):
    """A search for messages of an agent."""

    query: str
    agent_id: str | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    limit: int = Field(default=50, ge=1, le=1000)


@routes.post("/messages/search")
async def search_messages(body: MessageSearchBody, caller: Calling) -> list[JsonObject]:
    """Search the messages of an agent."""
    if not body.agent_id:
        raise Problem(400, "Wrong request", "Give agent_id: messages are searched of one agent.")
    agent = await agent_of(caller, body.agent_id)
    found = await views.search(
        caller.kernel, agent.name, body.query, tier="recall", size=body.limit, since=body.start_date,
        until=body.end_date,
    )  # fmt: skip
    types = {"user": "user_message", "assistant": "assistant_message"}
    return [
        {
            "message_type": types.get(hit.role, "system_message"),
            "message_id": letta_id("message", agent.id, int(hit.id[1:])),
            "content": hit.text,
            "agent_id": letta_id("agent", agent.id),
            "created_at": hit.at.isoformat(),
            "conversation_id": None,
        }
        for hit in found
        if isinstance(hit, MessageHit)
    ]


# searching


async def _search(
    caller: Caller, owner: StorageOwner, query: str, tags: Sequence[str], mode: TagMatch,
    since: datetime | None, until: datetime | None, most: int,
) -> list[PassageHit]:  # fmt: skip
    """The passages found, the best first; of those with any of the tags each tag's are looked for."""
    wanted = [[tag] for tag in tags] if mode == "any" and tags else [list(tags)]
    found = dict[str, PassageHit]()
    for each in wanted:
        hits = await views.search(
            caller.kernel, owner, query, tier="archival", size=most, tags=each, since=since, until=until
        )
        found |= {hit.id: hit for hit in hits if isinstance(hit, PassageHit)}
    return sorted(found.values(), key=lambda hit: -hit.score)[:most]


async def _owners(caller: Caller, agent: AgentRecord) -> dict[str, AgentId]:
    """The owners of the storages that an agent reaches, by the name before their passages' ids."""
    memory = await memory_of(caller.kernel, agent)
    return {"": agent.id} | {archive.name: archive.id for archive, _ in memory.archives}


def _passage_id(owners: dict[str, AgentId], hit: PassageHit) -> str:
    name, _, number = hit.id.rpartition("/")
    return letta_id("passage", owners.get(name, AgentId(0)), int(number[1:]))


def _hit_state(owners: dict[str, AgentId], hit: PassageHit) -> JsonObject:
    name, _, number = hit.id.rpartition("/")
    passage = Passage(hit.text, hit.at, hit.tags, hit.source, int(number[1:]), hit.title)
    return passage_state(owners.get(name, AgentId(0)), passage)
