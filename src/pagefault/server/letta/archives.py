"""Archives that agents share, and what is put into them; the same for folders, which are archives too."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from pagefault.importers.letta.names import archive_name, free_name
from pagefault.kernel import archives, edits, facts
from pagefault.server.auth import Caller, Calling
from pagefault.server.letta.agents import shown
from pagefault.server.letta.bodies import ArchiveBody, LettaBody, PassageBody
from pagefault.server.letta.ids import IdKind, LettaId, no_such, read_id
from pagefault.server.letta.paging import ListPage, NewestFirst
from pagefault.server.letta.records import (
    LettaAgent,
    agent_of,
    check_all,
    memory_of,
    shared_of,
    shared_things,
)
from pagefault.server.letta.states import archive_state, passage_state
from pagefault.server.problems import Problem
from pagefault.shared import Archive, SharedRecord

__all__ = ["changed_archive", "chosen_archives", "new_archive", "routes"]

routes = APIRouter(prefix="/v1", tags=["letta"])
"""The routes of archives."""

JsonObject = dict[str, Any]


@routes.post("/archives/")
async def create_archive(body: ArchiveBody, caller: Calling) -> JsonObject:
    """Make an archive. A name that is taken gets a number."""
    return archive_state(await new_archive(caller, body, "archive"))


@routes.get("/archives/")
async def list_archives(
    caller: Calling, page: NewestFirst, name: str | None = None, agent_id: str | None = None
) -> list[JsonObject]:
    """List archives, or those of an agent."""
    return [archive_state(each) for each in await chosen_archives(caller, page, "archive", name, agent_id)]


@routes.get("/archives/{archive_id}")
async def retrieve_archive(archive_id: str, caller: Calling) -> JsonObject:
    """Return an archive."""
    return archive_state((await shared_of(caller, "archive", "archive", archive_id)).record)


@routes.patch("/archives/{archive_id}")
async def update_archive(archive_id: str, body: ArchiveBody, caller: Calling) -> JsonObject:
    """Rename an archive."""
    return archive_state(await changed_archive(caller, "archive", archive_id, body))


@routes.delete("/archives/{archive_id}", status_code=204)
async def delete_archive(archive_id: str, caller: Calling) -> None:
    """Delete an archive with all that is in it."""
    archive = (await shared_of(caller, "archive", "archive", archive_id, to_change=True)).record
    await archives.delete(caller.kernel, archive.name)


@routes.post("/archives/{archive_id}/passages")
async def create_in_archive(archive_id: str, body: PassageBody, caller: Calling) -> JsonObject:
    """Put a text into an archive."""
    archive = (await shared_of(caller, "archive", "archive", archive_id, to_change=True)).record
    stored = await facts.remember(
        caller.kernel, Archive(archive.name), body.text, tags=body.tags or (), at=body.created_at, always=True
    )
    return passage_state(archive.id, stored.passage)


class PassagesBody(LettaBody):
    """Several texts for an archive."""

    passages: list[PassageBody] = Field(max_length=1000)


@routes.post("/archives/{archive_id}/passages/batch")
async def create_many(archive_id: str, body: PassagesBody, caller: Calling) -> list[JsonObject]:
    """Put several texts into an archive."""
    return [await create_in_archive(archive_id, each, caller) for each in body.passages]


@routes.delete("/archives/{archive_id}/passages/{passage_id}", status_code=204)
async def delete_from_archive(archive_id: str, passage_id: str, caller: Calling) -> None:
    """Delete a passage of an archive."""
    archive = (await shared_of(caller, "archive", "archive", archive_id, to_change=True)).record
    found = read_id("passage", passage_id)
    if found.owner != archive.id:
        raise no_such("passage", passage_id)
    await edits.delete_passage(caller.kernel, Archive(archive.name), f"{archive.name}/p{found.number}")


@routes.patch("/agents/{agent_id}/archives/attach/{archive_id}")
async def attach_archive(agent: LettaAgent, archive_id: str, caller: Calling) -> JsonObject:
    """Attach an archive to an agent, which can write to it."""
    archive = (await shared_of(caller, "archive", "archive", archive_id, to_change=True)).record
    await archives.attach(caller.kernel, archive.name, agent.name)
    return await shown(caller, agent)


@routes.patch("/agents/{agent_id}/archives/detach/{archive_id}")
async def detach_archive(agent: LettaAgent, archive_id: str, caller: Calling) -> JsonObject:
    """Detach an archive from an agent."""
    caller.require("admin")
    archive = (await shared_of(caller, "archive", "archive", archive_id)).record
    await archives.detach(caller.kernel, archive.name, agent.name)
    return await shown(caller, agent)


async def new_archive(caller: Caller, body: ArchiveBody, kind: IdKind) -> SharedRecord:
    """Make an archive, for Letta an archive or a folder."""
    check_all(caller)
    if not body.name or not (name := archive_name(body.name)):
        raise Problem(422, "Invalid request", f"The {kind} has no name; give one of letters and digits.")
    taken = {each.record.name for each in await shared_things(caller, "archive")}
    return await archives.create(caller.kernel, free_name(name, taken), (body.description or "")[:1000])


async def chosen_archives(
    caller: Caller, page: ListPage, kind: IdKind, name: str | None, agent_id: str | None = None
) -> list[SharedRecord]:
    """The archives of a page of a list."""
    if agent_id is None:
        found = [each.record for each in await shared_things(caller, "archive")]
    else:
        memory = await memory_of(caller.kernel, await agent_of(caller, agent_id))
        found = [each for each, _ in memory.archives]
    named = [each for each in found if name is None or each.name in (name, archive_name(name))]
    return page.of(named, kind, lambda each: LettaId(each.id))


async def changed_archive(caller: Caller, kind: IdKind, id: str, body: ArchiveBody) -> SharedRecord:
    """Rename an archive, for Letta an archive or a folder."""
    archive = (await shared_of(caller, "archive", kind, id, to_change=True)).record
    if body.description is not None and body.description != archive.description:
        raise Problem(
            501, "Not there yet", f"The description of the {kind} cannot be changed; make another one."
        )
    if body.name is not None and (name := archive_name(body.name)) != archive.name:
        await archives.rename(caller.kernel, archive.name, name)
    return (await shared_of(caller, "archive", kind, id)).record
