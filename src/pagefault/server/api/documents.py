"""Documents: uploaded with progress, listed, read page by page, searched for a text, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, File, Form, Request, UploadFile
from pydantic import BaseModel
from pydantic_core import to_json
from sse_starlette import ServerSentEvent

from pagefault.errors import PagefaultError
from pagefault.ingest import LoadReport, ReadingOptions, SourceResult, load
from pagefault.ingest.extract import need_extra
from pagefault.kernel.edits import delete_document
from pagefault.server.api.messages import STREAMED
from pagefault.server.api.values import (
    LARGEST,
    AgentCaller,
    Cursor,
    ItemList,
    Limit,
    Name,
    page_number,
)
from pagefault.server.auth import Caller
from pagefault.server.problems import Problem, problem_of
from pagefault.server.sse import event_stream, wants_stream
from pagefault.server.uploads import UploadSource, plain_file_name
from pagefault.views import documents
from pagefault.views.asking import tags_of
from pagefault.views.documents import DocumentPage, DocumentView, PageFind

__all__ = ["loaded_items", "loading_events", "routes"]

routes = APIRouter(prefix="/agents/{name}/documents", tags=["documents"])
"""The routes of documents."""


class LoadedItem(BaseModel):
    """The outcome for one file. ``document``: its id; ``why``: the reason if it failed; ``notes``: sentences
    on what of it was not read as it stands."""

    source: str
    state: Literal["loaded", "replaced", "unchanged", "unpacked", "skipped", "failed"]
    document: str | None
    passages: int
    why: str
    notes: list[str] = []


class LoadedItems(BaseModel):
    """The outcome for all files. ``event``: the number of the event that the agent got; null: nothing is
    new."""

    items: list[LoadedItem]
    event: int | None
    notice: str


class _Progress:
    """Sends what is loaded, page by page, as events; pages are reported from another thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.send, self.receive = anyio.create_memory_object_stream[ServerSentEvent](float("inf"))

    def put(self, type: str, data: object) -> None:
        self.send.send_nowait(ServerSentEvent(to_json(data).decode(), event=type, sep="\n"))

    def begin(self, source: str) -> None:
        self.put("begin", {"source": source})

    def page(self, done: int, total: int) -> None:
        self._loop.call_soon_threadsafe(self.put, "page", {"done": done, "total": total})

    def size(self, done: int, total: int) -> None:
        """Uploads are no large tables: they are read whole."""

    def end(self, item: SourceResult) -> None:
        self.put("end", _item(item))


@routes.post("", response_model=LoadedItems, responses=STREAMED)
async def upload(
    name: Name,
    caller: AgentCaller,
    request: Request,
    file: Annotated[list[UploadFile], File(description="One file or several.")],
    tag: Annotated[list[str] | None, Form(description="A tag; may be repeated.")] = None,
    title: Annotated[str | None, Form(description="The title, for a single file.")] = None,
    kind: Annotated[str, Form(description="What files of text are: code, text ...; by their names.")] = "",
    encoding: Annotated[str, Form(description="The character set of text; detected by default.")] = "",
    ocr: Annotated[bool, Form(description="Recognise the text of scanned pages.")] = False,
    password: Annotated[str, Form(description="The password of PDFs that have one.")] = "",
) -> Any:
    """Load files into archival storage; answered when all are done, or with their progress as a stream."""
    caller.require("admin")
    sources, tags = [UploadSource(each, plain_file_name(each.filename)) for each in file], tags_of(tag or ())
    options = ReadingOptions(encoding, ocr, password, kind)
    need_extra()
    if wants_stream(request):
        return event_stream(request, loading_events(caller, name, sources, tags, title, options))
    report = await load(caller.kernel, name, sources, tags=tags, title=title, options=options)
    loaded = loaded_items(report)
    if all(item.state == "failed" for item in loaded.items):
        why = loaded.items[0].why
        raise Problem(422, "Not loaded", why, items=[item.model_dump() for item in loaded.items])
    return loaded


async def loading_events(
    caller: Caller,
    name: str,
    sources: Sequence[UploadSource],
    tags: Sequence[str],
    title: str | None,
    options: ReadingOptions | None = None,
) -> AsyncGenerator[ServerSentEvent]:
    """Load sources; the events of their progress, the last one of which reports the outcome."""
    watch = _Progress()

    async def work() -> None:
        with watch.send:
            try:
                watch.put("report", loaded_items(await load(
                    caller.kernel, name, sources, tags=tags, title=title, watch=watch, options=options
                )))  # fmt: skip
            except PagefaultError as error:
                watch.put("error", {"detail": problem_of(error).detail})

    task = asyncio.create_task(work())  # a task group could not be left by a generator that is closed
    try:
        with watch.receive:
            async for event in watch.receive:
                yield event
    finally:
        task.cancel()


def _item(item: SourceResult) -> LoadedItem:
    document = item.document.id if item.document else None
    return LoadedItem(
        source=item.source, state=item.state, document=document, passages=item.chunks, why=item.why,
        notes=list(item.notes),
    )  # fmt: skip


def loaded_items(report: LoadReport) -> LoadedItems:
    """The outcome of loading."""
    event = report.event.id if report.event else None
    return LoadedItems(items=list(map(_item, report.items)), event=event, notice=report.notice)


@routes.get("")
async def list_documents(
    name: Name, caller: AgentCaller, limit: Limit = 100, cursor: Cursor = None
) -> ItemList[DocumentView]:
    """List the documents of an agent, newest first."""
    page = page_number(cursor)
    found = await documents.documents(caller.kernel, name, page=page, size=limit)
    return ItemList(items=list(found.results), next=str(page + 1) if page < found.pages else None)


@routes.get("/{id:path}/pages/{page}")
async def get_page(name: Name, id: str, page: int, caller: AgentCaller) -> DocumentPage:
    """Return one page of a document, from 1."""
    if not 0 < page < LARGEST:
        raise Problem(404, "Not found", "Pages are numbered from 1.")
    return await documents.document_page(caller.kernel, name, id, page)


@routes.get("/{id:path}/find")
async def find_text(
    name: Name, id: str, text: str, caller: AgentCaller, cursor: Cursor = None
) -> ItemList[PageFind]:
    """List the pages of a document that have this text."""
    page = page_number(cursor)
    found = await documents.find(caller.kernel, name, id, text, page=page)
    return ItemList(items=list(found.results), next=str(page + 1) if page < found.pages else None)


@routes.get("/{id:path}")
async def get_document(name: Name, id: str, caller: AgentCaller) -> DocumentView:
    """Return one document (`d1`, or `manuals/d1` in an attached archive)."""
    return await documents.document(caller.kernel, name, id)


@routes.delete("/{id:path}", status_code=204)
async def remove_document(name: Name, id: str, caller: AgentCaller) -> None:
    """Delete a document with its pages and passages."""
    caller.require("admin")
    await delete_document(caller.kernel, name, id)
