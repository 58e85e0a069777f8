"""Sections of the working context: shown, edited, compared with earlier versions, restored, added, removed.

An edit names the version it is based on; if the section was changed meanwhile, both texts are shown and
nothing is written. A shared section is edited for all who have it. Left out: passages (``passages``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import anyio
from fastapi import APIRouter, Form, Query, Response

from pagefault.errors import StaleEditError, UsageError
from pagefault.kernel import sections, shared_sections
from pagefault.server.api.values import Name
from pagefault.server.inspector.fields import plain_text
from pagefault.server.inspector.pages import AgentVisit, WebPage, redirect
from pagefault.server.inspector.showing import address
from pagefault.server.problems import Problem, problem_of
from pagefault.views import memory, sharing
from pagefault.views.asking import page_of
from pagefault.views.differences import difference
from pagefault.views.memory import SectionVersion, SectionView
from pagefault.views.sharing import SharedSectionView

__all__ = ["routes"]

routes = APIRouter(prefix="/agents/{name}/memory")
"""The routes of sections."""

_PAGE = 20  # versions


@dataclass(frozen=True, slots=True)
class _Typed:
    """A text that was sent and not stored. ``why``: the error, in one sentence; ``stale``: the section has
    another text by now than the one that was edited."""

    text: str
    why: str
    status: int
    stale: StaleEditError | None = None


@routes.get("")
async def memory_page(name: Name, page: AgentVisit) -> Response:
    """Show the sections of the working context."""
    found = await memory.sections(page.kernel, name)
    shared = {each.name: each for each in await sharing.shared_sections(page.kernel, name)}
    holders = {each.name: await _known_holders(page, each) for each in shared.values()}
    return page.show("memory.html", name=name, sections=found, holders=holders)


@routes.post("")
async def add(
    name: Name,
    page: AgentVisit,
    section: Annotated[str, Form()] = "",
    description: Annotated[str, Form()] = "",
    limit: Annotated[float, Form()] = 200,
    text: Annotated[str, Form()] = "",
) -> Response:
    """Add a section at the end of the working context."""
    page.caller.require("admin")
    section = section.strip()
    await sections.add_section(
        page.kernel, name, section, description=description.strip(), limit=limit, text=plain_text(text)
    )
    return redirect(page.request, address("agents", name, "memory", section))


@routes.get("/{section}")
async def section_page(
    name: Name,
    section: str,
    page: AgentVisit,
    version: Annotated[int | None, Query(ge=1)] = None,
    against: Annotated[str, Query(pattern="^(before|now)$")] = "before",
    number: Annotated[int, Query(alias="page", ge=1, le=1_000_000)] = 1,
) -> Response:
    """Show a section with its versions, one of them as the difference to another."""
    return await _shown(name, section, page, version, against, number)


@routes.post("/{section}")
async def edit(
    name: Name,
    section: str,
    page: AgentVisit,
    text: Annotated[str, Form()] = "",
    version: Annotated[int, Form()] = 0,
) -> Response:
    """Store another text; shown with the text there is now if it was based on an earlier one."""
    page.caller.require("admin")
    return await _saved(name, section, page, plain_text(text), version)


@routes.post("/{section}/restore")
async def restore(
    name: Name,
    section: str,
    page: AgentVisit,
    version: Annotated[int, Form()] = 0,
    restored: Annotated[int, Form()] = 0,
) -> Response:
    """Store the text of an earlier version as the newest."""
    page.caller.require("admin")
    versions = await memory.section_versions(page.kernel, name, section)
    texts = [each.text for each in versions if each.version == restored]
    if not texts:
        raise Problem(
            404, "Not found", f"There is no version {restored} of {section}; choose one of its list."
        )
    return await _saved(name, section, page, texts[0], version)


@routes.post("/{section}/limit")
async def set_limit(
    name: Name, section: str, page: AgentVisit, limit: Annotated[float, Form()] = 0
) -> Response:
    """Give a section another limit."""
    page.caller.require("admin")
    await sections.set_limit(page.kernel, name, section, limit)
    return redirect(page.request, address("agents", name, "memory", section))


@routes.post("/{section}/remove")
async def remove(name: Name, section: str, page: AgentVisit, typed: Annotated[str, Form()] = "") -> Response:
    """Remove a section whose name was typed; its versions are kept."""
    page.caller.require("admin")
    if typed.strip() != section:
        raise UsageError(f"That is not the name of the section; type {section} to remove it.")
    await sections.remove_section(page.kernel, name, section)
    return redirect(page.request, address("agents", name, "memory"))


async def _saved(name: str, section: str, page: WebPage, text: str, version: int) -> Response:
    try:
        if shared := await _shared(page, name, section):
            await _check_holders(page, shared)
            await shared_sections.edit(page.kernel, section, text, version=version)
        else:
            await sections.edit_section(page.kernel, name, section, text, version=version)
    except StaleEditError as error:
        return await _shown(name, section, page, typed=_Typed(text, str(error), 409, error))
    except UsageError as error:
        problem = problem_of(error)
        return await _shown(name, section, page, typed=_Typed(text, problem.detail, problem.status_code))
    return redirect(page.request, address("agents", name, "memory", section))


async def _shown(
    name: str, section: str, page: WebPage, version: int | None = None, against: str = "before",
    number: int = 1, *, typed: _Typed | None = None,
) -> Response:  # fmt: skip
    found = await memory.section(page.kernel, name, section)
    versions = await memory.section_versions(page.kernel, name, section)
    chosen = next((each for each in versions if each.version == version), versions[-1])
    if version is not None and chosen.version != version:
        raise Problem(
            404, "Not found", f"There is no version {version} of {section}; choose one of its list."
        )
    listed, pages = page_of(versions[::-1], number, _PAGE)
    shared = await _shared(page, name, section)
    stale = typed.stale if typed else None
    return page.show(
        "section.html", typed.status if typed else 200, {},
        name=name, shown=found, base=shared.version if shared else found.version,
        current=shared.text if shared else found.text, shared=shared, typed=typed,
        holders=await _known_holders(page, shared) if shared else (),
        listed=listed, pages=pages, number=number, chosen=chosen, against=against,
        is_newest=chosen.version == versions[-1].version,
        changed=await _compared(*_sides(versions, chosen, found, against)),
        conflict=await _compared(stale.text, typed.text) if typed and stale else None,
    )  # fmt: skip


def _sides(
    versions: Sequence[SectionVersion], chosen: SectionVersion, found: SectionView, against: str
) -> tuple[str, str]:
    """The older and the newer text to compare."""
    if against == "now":
        return chosen.text, found.text
    before = [each.text for each in versions if each.version < chosen.version]
    return before[-1] if before else "", chosen.text


async def _compared(old: str, new: str) -> object:
    return await anyio.to_thread.run_sync(difference, old, new)


async def _shared(page: WebPage, agent: str, section: str) -> SharedSectionView | None:
    """The shared section of this name, if the agent is attached to it."""
    found = await sharing.shared_sections(page.kernel, agent)
    return next((each for each in found if each.name == section), None)


async def _known_holders(page: WebPage, shared: SharedSectionView) -> tuple[str, ...]:
    """The names of the agents that have a shared section, as far as the visitor may know of them."""
    reached = await page.caller.reached(each.agent for each in shared.agents)
    return tuple(each.agent for each in shared.agents if each.agent in reached)


async def _check_holders(page: WebPage, shared: SharedSectionView) -> None:
    if len(await _known_holders(page, shared)) < len(shared.agents):
        raise Problem(403, "Forbidden", "Agents that this key may not reach share this; use another key.")
