"""Documents: listed, uploaded with progress, leafed through, searched for a text, deleted."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Query, Response, UploadFile

from pagefault.ingest import load
from pagefault.kernel.edits import delete_document
from pagefault.server.api.documents import loaded_items, loading_events
from pagefault.server.api.values import LARGEST, Name
from pagefault.server.inspector.fields import tags_in
from pagefault.server.inspector.pages import AgentVisit, redirect
from pagefault.server.inspector.showing import address
from pagefault.server.problems import Problem
from pagefault.server.sse import event_stream, wants_stream
from pagefault.server.uploads import UploadSource, plain_file_name
from pagefault.shared import Archive, StorageOwner
from pagefault.views import archives, documents
from pagefault.views.highlights import highlights

__all__ = ["routes"]

routes = APIRouter(prefix="/agents/{name}/documents")
"""The routes of documents."""


@routes.get("")
async def documents_page(
    name: Name,
    page: AgentVisit,
    archive: str = "",
    number: Annotated[int, Query(alias="page", ge=1, le=1_000_000)] = 1,
) -> Response:
    """List the documents of the agent, or those of an attached archive, newest first."""
    attached = await archives.archives(page.kernel, name)
    if archive and archive not in {each.name for each in attached}:
        raise Problem(404, "Not found", "This archive is not attached to the agent; choose one of the list.")
    owner: StorageOwner = Archive(archive) if archive else name
    return page.show(
        "documents_part.html" if page.is_part else "documents.html",
        name=name, archive=archive, attached=attached, number=number,
        is_read_only=any(name in each.readers for each in attached if each.name == archive),
        found=await documents.documents(page.kernel, owner, page=number),
    )  # fmt: skip


@routes.post("")
async def upload(
    name: Name,
    page: AgentVisit,
    file: Annotated[list[UploadFile] | None, File()] = None,
    tags: Annotated[str, Form()] = "",
) -> Response:
    """Load files into archival storage; answered with their progress as a stream, or when all are done."""
    page.caller.require("admin")
    files = [each for each in file or () if each.filename]
    if not files:
        raise Problem(400, "Wrong request", "No file was chosen; choose one.")
    sources = [UploadSource(each, plain_file_name(each.filename)) for each in files]
    words = tags_in(tags)
    if wants_stream(page.request):
        return event_stream(page.request, loading_events(page.caller, name, sources, words, None))
    report = loaded_items(await load(page.kernel, name, sources, tags=words))
    return page.show("documents_loaded.html", name=name, report=report)


@routes.get("/{id:path}/pages/{number}")
async def leaf(
    name: Name, id: str, number: int, page: AgentVisit, find: Annotated[str, Query(max_length=500)] = ""
) -> Response:
    """Show one page of a document, with the words marked that were looked for."""
    if not 0 < number < LARGEST:
        raise Problem(404, "Not found", "Pages are numbered from 1.")
    found = await documents.document_page(page.kernel, name, id, number)
    return page.show("leaf.html", name=name, leaf=found, find=find, parts=highlights(found.text, find))


@routes.get("/{id:path}/find")
async def find_page(
    name: Name,
    id: str,
    page: AgentVisit,
    find: Annotated[str, Query(max_length=500)] = "",
    number: Annotated[int, Query(alias="page", ge=1, le=1_000_000)] = 1,
) -> Response:
    """List the pages of a document that have a text."""
    document = await documents.document(page.kernel, name, id)
    if not find.strip():
        return redirect(page.request, address("agents", name, "documents", id, "pages", 1))
    found = await documents.find(page.kernel, name, id, find, page=number)
    excerpts = [highlights(each.excerpt, find) for each in found.results]
    return page.show("finds.html", name=name, document=document, found=found, find=find, excerpts=excerpts)


@routes.get("/{id:path}")
async def first_page(name: Name, id: str, page: AgentVisit) -> Response:
    """Lead to the first page of a document."""
    found = await documents.document(page.kernel, name, id)
    return redirect(page.request, address("agents", name, "documents", found.id, "pages", 1))


@routes.post("/{id:path}/delete")
async def delete(name: Name, id: str, page: AgentVisit) -> Response:
    """Delete a document with its pages and passages."""
    page.caller.require("admin")
    await delete_document(page.kernel, name, id)
    return redirect(page.request, address("agents", name, "documents"))
