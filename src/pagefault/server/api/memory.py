"""An agent's memory changed from outside: sections of its working context with their versions, and
passages."""

from __future__ import annotations

from dataclasses import fields

from fastapi import APIRouter, Response
from pydantic import Field

from pagefault.kernel import edits, facts, sections
from pagefault.server.api.values import AgentCaller, Cursor, ItemList, Limit, Name, RequestBody, page_number
from pagefault.views import memory
from pagefault.views.auditing import MemoryAudit, audit
from pagefault.views.memory import PassageHit, PassageView, SectionVersion, SectionView

__all__ = ["routes"]

routes = APIRouter(prefix="/agents/{name}", tags=["memory"])
"""The routes of sections and passages."""


class NewSection(RequestBody):
    """A section to be added. ``limit``: tokens or, below 1, a share of the window."""

    name: str
    description: str = ""
    limit: float = 200
    text: str = ""
    read_only: bool = False


class SectionChange(RequestBody):
    """A change of a section: its text, its limit, or both."""

    text: str | None = None
    limit: float | None = None


class NewPassage(RequestBody):
    """A text for archival storage. ``at``: its time, now if it is left out; ``archive``: one attached to the
    agent, into which it goes instead; ``valid_from``, ``valid_until``: when it holds; ``always``: store it
    whatever is there."""

    text: str
    tags: list[str] = Field(default_factory=list[str])
    at: str | None = None
    archive: str | None = None
    valid_from: str | None = None
    valid_until: str | None = None
    always: bool = False


class Supersession(RequestBody):
    """The passage that takes another one's place, and since when; None: from when it holds itself."""

    by: str
    since: str | None = None


class PassageChange(RequestBody):
    """Another text for a passage, and other tags if they are given."""

    text: str
    tags: list[str] | None = None


@routes.get("/sections")
async def list_sections(name: Name, caller: AgentCaller) -> ItemList[SectionView]:
    """List the sections of the working context, in the order of their creation."""
    return ItemList(items=list(await memory.sections(caller.kernel, name)))


@routes.post("/sections", status_code=201)
async def add_section(name: Name, body: NewSection, caller: AgentCaller) -> SectionView:
    """Add a section at the end of the working context."""
    caller.require("admin")
    await sections.add_section(
        caller.kernel, name, body.name, description=body.description, limit=body.limit, text=body.text,
        read_only=body.read_only,
    )  # fmt: skip
    return await memory.section(caller.kernel, name, body.name)


@routes.get("/sections/{section}")
async def get_section(name: Name, section: str, caller: AgentCaller) -> SectionView:
    """Return one section."""
    return await memory.section(caller.kernel, name, section)


@routes.patch("/sections/{section}")
async def change_section(name: Name, section: str, body: SectionChange, caller: AgentCaller) -> SectionView:
    """Replace the text of a section or change its limit; the agent learns of it by an event."""
    caller.require("admin")
    if body.limit is not None:
        await sections.set_limit(caller.kernel, name, section, body.limit)
    if body.text is not None:
        await sections.edit_section(caller.kernel, name, section, body.text)
    return await memory.section(caller.kernel, name, section)


@routes.delete("/sections/{section}", status_code=204)
async def remove_section(name: Name, section: str, caller: AgentCaller) -> None:
    """Remove a section; its versions are kept."""
    caller.require("admin")
    await sections.remove_section(caller.kernel, name, section)


@routes.get("/sections/{section}/versions")
async def list_versions(name: Name, section: str, caller: AgentCaller) -> ItemList[SectionVersion]:
    """List all versions of a section, oldest first; the current one is the last."""
    return ItemList(items=list(await memory.section_versions(caller.kernel, name, section)))


@routes.get("/passages")
async def list_passages(
    name: Name, caller: AgentCaller, limit: Limit = 100, cursor: Cursor = None, archive: str | None = None
) -> ItemList[PassageView]:
    """List the passages of archival storage, newest first; also those of attached archives."""
    page = page_number(cursor)
    found = await memory.search(
        caller.kernel, name, "", tier="archival", page=page, size=limit, archive=archive
    )
    views = [_plain(hit) for hit in found.results if isinstance(hit, PassageHit)]
    return ItemList(items=views, next=str(page + 1) if page < found.pages else None)


def _plain(hit: PassageHit) -> PassageView:
    return PassageView(**{field.name: getattr(hit, field.name) for field in fields(PassageView)})


@routes.post("/passages", status_code=201)
async def add_passage(name: Name, body: NewPassage, caller: AgentCaller, response: Response) -> PassageView:
    """Put a text into archival storage, where the agent finds it by searching. One that is there already is
    the answer, with the status 200; what it contradicts stays, marked."""
    caller.require("admin")
    kept = await facts.remember(
        caller.kernel, name, body.text, tags=body.tags, at=body.at, archive=body.archive,
        valid_from=body.valid_from, valid_until=body.valid_until, always=body.always,
    )  # fmt: skip
    if not kept.is_new:
        response.status_code = 200
    return await memory.kept_passage(caller.kernel, name, kept)


@routes.post("/passages/{id:path}/supersede")
async def supersede_passage(name: Name, id: str, body: Supersession, caller: AgentCaller) -> PassageView:
    """Mark a passage as superseded by another one; it stays, and is found below that one."""
    caller.require("admin")
    old = await facts.supersede(caller.kernel, name, id, body.by, since=body.since)
    return await memory.passage(caller.kernel, name, old.id)


@routes.post("/passages/{id:path}/restore")
async def restore_passage(name: Name, id: str, caller: AgentCaller) -> PassageView:
    """Let a passage that was superseded hold again."""
    caller.require("admin")
    return await memory.passage(caller.kernel, name, (await facts.restore(caller.kernel, name, id)).id)


@routes.get("/audit")
async def get_audit(name: Name, caller: AgentCaller) -> MemoryAudit:
    """Audit archival storage: items by source, doubles, what is superseded or was never found, the oldest,
    junk."""
    return await audit(caller.kernel, name)


@routes.get("/passages/{id:path}")
async def get_passage(name: Name, id: str, caller: AgentCaller) -> PassageView:
    """Return one passage (`p7`, or `manuals/p7` in an attached archive)."""
    return await memory.passage(caller.kernel, name, id)


@routes.patch("/passages/{id:path}")
async def change_passage(name: Name, id: str, body: PassageChange, caller: AgentCaller) -> PassageView:
    """Store a passage anew with another text; it gets another id, and those it had name it as before."""
    caller.require("admin")
    stored = await edits.edit_passage(caller.kernel, name, id, body.text, tags=body.tags)
    return await memory.passage(caller.kernel, name, stored.id)


@routes.delete("/passages/{id:path}", status_code=204)
async def delete_passage(name: Name, id: str, caller: AgentCaller) -> None:
    """Delete one passage."""
    caller.require("admin")
    await edits.delete_passage(caller.kernel, name, id)
