"""Folders and their files: an archive whose documents are the files. An agent reads an attached folder."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Query, UploadFile

from pagefault.ingest import load
from pagefault.kernel import archives, edits
from pagefault.server.auth import Caller, Calling
from pagefault.server.letta.agents import shown
from pagefault.server.letta.archives import changed_archive, chosen_archives, new_archive
from pagefault.server.letta.bodies import FolderBody
from pagefault.server.letta.ids import LettaId, letta_id, no_such, read_id
from pagefault.server.letta.paging import NewestFirst
from pagefault.server.letta.records import LettaAgent, memory_of, shared_of, shared_things
from pagefault.server.letta.states import file_name, file_state, folder_state
from pagefault.server.problems import Problem
from pagefault.server.uploads import UploadSource, plain_file_name
from pagefault.shared import Archive, SharedRecord
from pagefault.types import Document
from pagefault.views.stored import archive_documents, document_text

__all__ = ["routes"]

routes = APIRouter(prefix="/v1", tags=["letta"])
"""The routes of folders."""

JsonObject = dict[str, Any]

_MOST_FILES = 1000


@routes.post("/folders/")
async def create_folder(body: FolderBody, caller: Calling) -> JsonObject:
    """Make a folder. A name that is taken gets a number."""
    return folder_state(await new_archive(caller, body, "folder"))


@routes.get("/folders/")
async def list_folders(caller: Calling, page: NewestFirst, name: str | None = None) -> list[JsonObject]:
    """List the folders."""
    return [folder_state(each) for each in await chosen_archives(caller, page, "folder", name)]


@routes.get("/folders/count")
async def count_folders(caller: Calling) -> int:
    """Count the folders."""
    return len(await shared_things(caller, "archive"))


@routes.get("/folders/{folder_id}")
async def retrieve_folder(folder_id: str, caller: Calling) -> JsonObject:
    """Return a folder."""
    return folder_state((await shared_of(caller, "archive", "folder", folder_id)).record)


@routes.patch("/folders/{folder_id}")
async def update_folder(folder_id: str, body: FolderBody, caller: Calling) -> JsonObject:
    """Rename a folder."""
    return folder_state(await changed_archive(caller, "folder", folder_id, body))


@routes.delete("/folders/{folder_id}")
async def delete_folder(folder_id: str, caller: Calling) -> JsonObject:
    """Delete a folder with its files."""
    folder = (await shared_of(caller, "archive", "folder", folder_id, to_change=True)).record
    await archives.delete(caller.kernel, folder.name)
    return {"message": f"Folder {folder.name} is deleted."}


@routes.post("/folders/{folder_id}/upload")
async def upload(
    folder_id: str,
    file: Annotated[UploadFile, File()],
    caller: Calling,
    duplicate_handling: Literal["skip", "error", "suffix", "replace"] = "suffix",
    name: Annotated[str | None, Query(max_length=300)] = None,
) -> JsonObject:
    """Load a file into a folder, and answer when it can be read. One of the same name gets a number unless
    ``duplicate_handling`` says otherwise."""
    folder = (await shared_of(caller, "archive", "folder", folder_id, to_change=True)).record
    wanted = plain_file_name(name or file.filename)
    stored = {file_name(each): each for each in await _documents(caller, folder)}
    if wanted in stored and duplicate_handling == "skip":
        return file_state(folder.id, stored[wanted])
    if wanted in stored and duplicate_handling == "error":
        raise Problem(409, "Name taken", f"There is a file {wanted} in folder {folder.name} already.")
    if duplicate_handling == "suffix":
        wanted = _free(wanted, stored)
    report = await load(caller.kernel, Archive(folder.name), [UploadSource(file, wanted)])
    item = next((each for each in report.items if each.document), report.items[0])
    if item.document is None:
        raise Problem(422, "Unreadable file", f"{wanted} was not loaded: {item.why}")
    return file_state(folder.id, item.document, item.chunks or None)


@routes.get("/folders/{folder_id}/files")
async def list_files(folder_id: str, caller: Calling, page: NewestFirst) -> list[JsonObject]:
    """List the files of a folder."""
    folder = (await shared_of(caller, "archive", "folder", folder_id)).record
    found = await _documents(caller, folder)
    chosen = page.of(found, "file", lambda each: LettaId(folder.id, each.number))
    return [file_state(folder.id, each) for each in chosen]


@routes.get("/folders/{folder_id}/files/{file_id}")
async def retrieve_file(
    folder_id: str, file_id: str, caller: Calling, include_content: bool = False
) -> JsonObject:
    """Return a file of a folder, with its text if asked for."""
    folder = (await shared_of(caller, "archive", "folder", folder_id)).record
    document = await _document(caller, folder, file_id)
    state = file_state(folder.id, document)
    if include_content:
        state["content"] = await document_text(caller.kernel, folder.id, document)
    return state


@routes.delete("/folders/{folder_id}/{file_id}", status_code=204)
async def delete_file(folder_id: str, file_id: str, caller: Calling) -> None:
    """Delete a file of a folder."""
    folder = (await shared_of(caller, "archive", "folder", folder_id, to_change=True)).record
    document = await _document(caller, folder, file_id)
    await edits.delete_document(caller.kernel, Archive(folder.name), f"{folder.name}/d{document.number}")


@routes.get("/folders/{folder_id}/agents")
async def agents_of_folder(folder_id: str, caller: Calling) -> list[str]:
    """List the ids of the agents to which a folder is attached."""
    found = await shared_of(caller, "archive", "folder", folder_id)
    records = [r for name in found.agents if caller.reaches(r := await caller.kernel.record(name))]
    return [letta_id("agent", record.id) for record in records]


@routes.patch("/agents/{agent_id}/folders/attach/{folder_id}")
async def attach(agent: LettaAgent, folder_id: str, caller: Calling) -> JsonObject:
    """Attach a folder to an agent, which can read it."""
    caller.require("admin")
    folder = (await shared_of(caller, "archive", "folder", folder_id)).record
    held = {each.name for each, _ in (await memory_of(caller.kernel, agent)).archives}
    if folder.name not in held:
        await archives.attach(caller.kernel, folder.name, agent.name, read_only=True)
    return await shown(caller, agent)


@routes.patch("/agents/{agent_id}/folders/detach/{folder_id}")
async def detach(agent: LettaAgent, folder_id: str, caller: Calling) -> JsonObject:
    """Detach a folder from an agent."""
    caller.require("admin")
    folder = (await shared_of(caller, "archive", "folder", folder_id)).record
    await archives.detach(caller.kernel, folder.name, agent.name)
    return await shown(caller, agent)


@routes.get("/agents/{agent_id}/folders")
async def folders_of_agent(agent: LettaAgent, caller: Calling, page: NewestFirst) -> list[JsonObject]:
    """List the folders that are attached to an agent."""
    held = [each for each, _ in (await memory_of(caller.kernel, agent)).archives]
    return [folder_state(each) for each in page.of(held, "folder", lambda each: LettaId(each.id))]


@routes.get("/agents/{agent_id}/files")
async def files_of_agent(agent: LettaAgent, caller: Calling, limit: int = _MOST_FILES) -> JsonObject:
    """List the files that an agent can read, all of which are open here."""
    found = list[JsonObject]()
    for folder, _ in (await memory_of(caller.kernel, agent)).archives:
        for each in await _documents(caller, folder):
            state = file_state(folder.id, each)
            found.append(state | {"file_id": state["id"], "folder_name": folder.name, "is_open": True})
    return {"files": found[: max(0, min(limit, _MOST_FILES))], "next_cursor": None, "has_more": False}


async def _documents(caller: Caller, folder: SharedRecord) -> list[Document]:
    return await archive_documents(caller.kernel, folder.id)


async def _document(caller: Caller, folder: SharedRecord, id: str) -> Document:
    found = read_id("file", id)
    document = None
    if found.owner == folder.id:
        documents = await _documents(caller, folder)
        document = next((each for each in documents if each.number == found.number), None)
    if document is None:
        raise no_such("file", id)
    return document


def _free(name: str, taken: dict[str, Document]) -> str:
    stem, dot, suffix = name.rpartition(".")
    base, end = (stem, dot + suffix) if stem else (name, "")
    number, free = 0, name
    while free in taken:
        number += 1
        free = f"{base}_({number}){end}"
    return free
