"""Passages of archival storage: listed, added, edited, deleted; and the archives attached to an agent."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Response

from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel import archives as archive_changes
from pagefault.kernel import edits, facts
from pagefault.server.api.values import Name
from pagefault.server.inspector.fields import plain_text, tags_in
from pagefault.server.inspector.pages import AgentVisit, WebPage, redirect
from pagefault.server.inspector.showing import address
from pagefault.server.problems import Problem, problem_of
from pagefault.views import archives, memory
from pagefault.views.archives import ArchiveView

__all__ = ["routes"]

routes = APIRouter(prefix="/agents/{name}")
"""The routes of passages and archives."""

_PAGE = 20  # passages


@routes.get("/passages")
async def passages_page(
    name: Name,
    page: AgentVisit,
    archive: str = "",
    parts: Annotated[bool, Query()] = False,
    number: Annotated[int, Query(alias="page", ge=1, le=1_000_000)] = 1,
) -> Response:
    """List passages, newest first; with ``parts`` those of documents too."""
    return await _listed(name, page, archive, parts, number)


@routes.post("/passages")
async def add(
    name: Name,
    page: AgentVisit,
    text: Annotated[str, Form()] = "",
    tags: Annotated[str, Form()] = "",
    at: Annotated[str, Form()] = "",
    archive: Annotated[str, Form()] = "",
) -> Response:
    """Put a text into archival storage."""
    page.caller.require("admin")
    try:
        stored = await facts.remember(
            page.kernel, name, plain_text(text), tags=tags_in(tags), at=at.strip() or None,
            archive=archive or None,
        )  # fmt: skip
    except UsageError as error:
        return await _listed(name, page, "", False, 1, typed=plain_text(text), tags=tags, error=error)
    return redirect(page.request, address("agents", name, "passages") + f"#{stored.id}")


@routes.get("/passages/{id:path}")
async def passage_page(name: Name, id: str, page: AgentVisit) -> Response:
    """Show one passage, with a form to edit it."""
    return await _shown(name, id, page)


@routes.post("/passages/{id:path}/delete")
async def delete(name: Name, id: str, page: AgentVisit) -> Response:
    """Delete one passage."""
    page.caller.require("admin")
    await edits.delete_passage(page.kernel, name, id, exact=True)
    return redirect(page.request, address("agents", name, "passages"))


@routes.post("/passages/{id:path}")
async def edit(
    name: Name,
    id: str,
    page: AgentVisit,
    text: Annotated[str, Form()] = "",
    tags: Annotated[str, Form()] = "",
) -> Response:
    """Store a passage anew with another text; one that was changed or deleted meanwhile is not there, and the
    text that was sent is offered as a new one."""
    page.caller.require("admin")
    text = plain_text(text)
    try:
        old = await memory.passage(page.kernel, name, id)
        is_same = tags == ", ".join(old.tags)  # a tag that has a comma stays one
        stored = await edits.edit_passage(
            page.kernel, name, id, text, tags=None if is_same else tags_in(tags), exact=True
        )
    except NotFoundError as error:
        return await _listed(name, page, "", False, 1, typed=text, tags=tags, error=error)
    except UsageError as error:
        return await _shown(name, id, page, typed=text, error=error)
    return redirect(page.request, address("agents", name, "passages") + f"#{stored.id}")


@routes.post("/archives/attach")
async def attach(
    name: Name,
    page: AgentVisit,
    archive: Annotated[str, Form()] = "",
    read_only: Annotated[bool, Form()] = False,
) -> Response:
    """Attach an archive to the agent, or change whether the agent may write to it."""
    page.caller.require("admin")
    known = {each.name: each for each in await _archives(page)}
    if archive not in known:
        raise Problem(404, "Not found", "There is no such archive; choose one of the list.")
    if await page.caller.reached(known[archive].agents) != set(known[archive].agents):
        raise Problem(403, "Forbidden", "Agents that this key may not reach share this; use another key.")
    await archive_changes.attach(page.kernel, archive, name, read_only=read_only)
    return redirect(page.request, address("agents", name, "passages") + "#archives")


@routes.post("/archives/detach")
async def detach(name: Name, page: AgentVisit, archive: Annotated[str, Form()] = "") -> Response:
    """Detach an archive from the agent; what is in it stays."""
    page.caller.require("admin")
    await archive_changes.detach(page.kernel, archive, name)
    return redirect(page.request, address("agents", name, "passages") + "#archives")


async def _listed(
    name: str, page: WebPage, archive: str, parts: bool, number: int, *, typed: str = "", tags: str = "",
    error: UsageError | None = None,
) -> Response:  # fmt: skip
    found = await memory.search(
        page.kernel, name, "", tier="archival", page=number, size=_PAGE, archive=archive or None,
        session=None if parts else 0,
    )  # fmt: skip
    attached = await archives.archives(page.kernel, name)
    held = {each.name for each in attached}
    problem = problem_of(error) if error else None
    return page.show(
        "passages.html", problem.status_code if problem else 200, {},
        name=name, found=found, archive=archive, parts=parts, number=number, attached=attached,
        others=[each for each in await _archives(page) if each.name not in held],
        typed=typed, tags=tags, why=problem.detail if problem else "",
    )  # fmt: skip


async def _shown(
    name: str, id: str, page: WebPage, *, typed: str | None = None, error: UsageError | None = None
) -> Response:
    found = await memory.passage(page.kernel, name, id)
    problem = problem_of(error) if error else None
    archive = id.rpartition("/")[0]
    held = await archives.archives(page.kernel, name) if archive else ()
    is_read_only = any(each.name == archive and name in each.readers for each in held)
    return page.show(
        "passage.html", problem.status_code if problem else 200, {},
        name=name, passage=found, typed=typed, why=problem.detail if problem else "",
        may_edit=page.caller.has("admin") and not is_read_only,
    )  # fmt: skip


async def _archives(page: WebPage) -> list[ArchiveView]:
    """All archives that the visitor may know of."""
    found = await archives.archives(page.kernel)
    if not page.caller.is_limited:
        return list(found)
    return [each for each in found if await page.caller.reached(each.agents)]
