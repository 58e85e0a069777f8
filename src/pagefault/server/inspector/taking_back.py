"""Undo, edit and retry as forms, and forgetting: first what would go, then, if that is confirmed, a receipt.

Left out: the REST of the same (``server.api.undoing``, ``server.api.forgetting``), whose checks are used.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Response

from pagefault.kernel.forgetting import holding
from pagefault.kernel.forgetting.asking import tombstones
from pagefault.kernel.withdrawing import edited, retried, undo
from pagefault.server.api.forgetting import ToForget, forget_for
from pagefault.server.api.undoing import check_may_take_back, may_take_back
from pagefault.server.api.values import Name
from pagefault.server.inspector.fields import names_in, plain_text
from pagefault.server.inspector.pages import AgentVisit, WebPage, redirect
from pagefault.server.inspector.showing import address
from pagefault.types import Role
from pagefault.views import agents
from pagefault.views.history import history

__all__ = ["routes"]

routes = APIRouter(prefix="/agents/{name}")
"""The routes of undo, edit, retry and forgetting."""

_SHOWN = 500  # places of a plan
_MESSAGES = 20  # of users, among which the last one is looked for that is no appended one


@routes.get("/undo")
async def undo_page(name: Name, page: AgentVisit) -> Response:
    """Offer to undo the last turn, to answer it anew, or to say the last message otherwise."""
    return await _undo_shown(name, page)


@routes.post("/undo")
async def undo_last(name: Name, page: AgentVisit) -> Response:
    """Withdraw the last turn, and show what that did and what it could not undo."""
    check_may_take_back(page.caller)
    return await _undo_shown(name, page, report=await undo(page.kernel, name))


@routes.post("/retry")
async def retry(name: Name, page: AgentVisit) -> Response:
    """Withdraw the last answer, and have it given anew; that goes on in the background."""
    check_may_take_back(page.caller)
    async with retried(page.kernel, name):
        return redirect(page.request, address("agents", name))


@routes.post("/edit")
async def edit(
    name: Name, page: AgentVisit, message: Annotated[str, Form(max_length=20)],
    text: Annotated[str, Form()] = "",
) -> Response:  # fmt: skip
    """Withdraw the message that the form was made for, with all that came since, and send another text."""
    check_may_take_back(page.caller)
    async with edited(page.kernel, name, message, plain_text(text)):
        return redirect(page.request, address("agents", name))


async def _undo_shown(name: str, page: WebPage, **values: Any) -> Response:
    found = await history(page.kernel, name, limit=_MESSAGES, roles=(Role.USER,))
    said = [row for row in found.rows if row.event is not None]
    shown: dict[str, Any] = {"report": None, **values}
    last, is_allowed = said[-1] if said else None, may_take_back(page.caller)
    return page.show("undo.html", name=name, last=last, is_allowed=is_allowed, **shown)


@routes.get("/forgetting")
async def forgetting_page(name: Name, page: AgentVisit) -> Response:
    """Offer to forget something; list what was forgotten so far, in numbers."""
    return await _forgetting_shown(name, page)


@routes.post("/forgetting")
async def look(
    name: Name, page: AgentVisit, query: Annotated[str, Form()] = "", ids: Annotated[str, Form()] = "",
    speaker: Annotated[str, Form()] = "", since: Annotated[str, Form()] = "",
    until: Annotated[str, Form()] = "", sure: Annotated[str, Form()] = "",
) -> Response:  # fmt: skip
    """Show what would be forgotten, with a form to confirm it; if it is confirmed, forget it."""
    body = ToForget(
        query=plain_text(query), ids=names_in(ids), speaker=speaker.strip(), since=since.strip() or None,
        until=until.strip() or None, dry_run=sure != "yes",
    )  # fmt: skip
    receipt = await forget_for(page.caller, name, body)
    typed = {"query": query, "ids": ids, "speaker": speaker, "since": since, "until": until}
    return await _forgetting_shown(name, page, typed=typed, receipt=receipt, is_plan=body.dry_run)


@routes.post("/hold")
async def hold(name: Name, page: AgentVisit, why: Annotated[str, Form()] = "") -> Response:
    """Let nothing of the agent be forgotten or deleted."""
    page.caller.require("admin")
    await holding.hold(page.kernel, name, why)
    return redirect(page.request, address("agents", name, "forgetting"))


@routes.post("/lift-hold")
async def lift_hold(name: Name, page: AgentVisit) -> Response:
    """Let the agent be forgotten and deleted again."""
    page.caller.require("admin")
    await holding.lift_hold(page.kernel, name)
    return redirect(page.request, address("agents", name, "forgetting"))


async def _forgetting_shown(name: str, page: WebPage, **values: Any) -> Response:
    empty = dict.fromkeys(("query", "ids", "speaker", "since", "until"), "")
    shown: dict[str, Any] = {"typed": empty, "receipt": None, "is_plan": False, **values}
    return page.show(
        "forgetting.html", name=name, most=_SHOWN, about=await agents.summary(page.kernel, name),
        stones=await tombstones(page.kernel, name), **shown,
    )  # fmt: skip
