"""The list of agents: what each is doing, how full its window is, what it has cost; a form to make one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Response

from pagefault.kernel.tenancy import records_named
from pagefault.server.api.agents import make_agent
from pagefault.server.auth import options_of
from pagefault.server.inspector.pages import Visit, WebPage, redirect
from pagefault.server.inspector.showing import address
from pagefault.server.problems import Problem
from pagefault.views.overview import overview

__all__ = ["routes"]

routes = APIRouter()
"""The routes of the list of agents."""

_PAGE = 50  # agents


@routes.get("/")
async def agents_page(
    page: Visit,
    find: Annotated[str, Query(max_length=64)] = "",
    number: Annotated[int, Query(alias="page", ge=1, le=1_000_000)] = 1,
) -> Response:
    """Show the agents by name, those alone whose name has ``find`` in it."""
    return await _listed(page, find, number)


@routes.get("/agents")
async def listed_elsewhere(page: Visit) -> Response:
    """Lead to the list, from the address that those of agents make one expect."""
    return redirect(page.request, "/")


@routes.post("/agents")
async def create(
    page: Visit, name: Annotated[str, Form()] = "", model: Annotated[str, Form()] = ""
) -> Response:
    """Make an agent, with the installation's settings but for the model, if one is given."""
    defaults = options_of(page.request).agent
    settings = {"model": model.strip()} if model.strip() else {}
    await make_agent(page.caller, defaults, name.strip(), settings)
    return redirect(page.request, address("agents", name.strip()))


async def _listed(page: WebPage, find: str, number: int) -> Response:
    names = [name for name in await page.caller.names() if find.casefold() in name.casefold()]
    pages = max(1, -(-len(names) // _PAGE))
    if number > pages:
        raise Problem(404, "Not found", f"The list has {pages:,} pages; go to its first one.")
    shown = await records_named(page.kernel, names[(number - 1) * _PAGE : number * _PAGE])
    return page.show(
        "agents_part.html" if page.is_part else "agents.html",
        agents=await overview(page.kernel, shown), count=len(names), find=find, number=number, pages=pages,
        model=options_of(page.request).agent.model,
    )  # fmt: skip
