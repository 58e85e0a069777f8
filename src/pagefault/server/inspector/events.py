"""The inbox of an agent: calls that a person decides on, events, parked ones, timers; and grants."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Response

from pagefault.kernel import approvals as deciding
from pagefault.kernel import parked
from pagefault.kernel.edits import add_timer, remove_timer
from pagefault.server.api.values import EventNumber, Name
from pagefault.server.inspector.fields import plain_text
from pagefault.server.inspector.pages import AgentVisit, redirect
from pagefault.server.inspector.showing import address
from pagefault.views import agents, approvals, events

__all__ = ["routes"]

routes = APIRouter(prefix="/agents/{name}")
"""The routes of the inbox, timers, approvals and grants."""


@routes.get("/events")
async def events_page(name: Name, page: AgentVisit) -> Response:
    """Show what waits and what is parked."""
    found = await events.events(page.kernel, name)
    return page.show(
        "events_part.html" if page.is_part else "events.html",
        name=name, about=await agents.summary(page.kernel, name),
        waiting=await approvals.approvals(page.kernel, name),
        grants=await approvals.grants(page.kernel, name),
        session_grants=await approvals.session_grants(page.kernel, name),
        inbox=[each for each in found if each.state != "parked"],
        parked=[each for each in found if each.state == "parked"],
        timers=await agents.timers(page.kernel, name),
    )  # fmt: skip


@routes.post("/release")
async def release(name: Name, page: AgentVisit) -> Response:
    """Let an agent that is parked be served again."""
    page.caller.require("admin")
    await parked.release(page.kernel, name)
    return _back(name, page)


@routes.post("/events/{event}/retry")
async def retry(name: Name, event: EventNumber, page: AgentVisit) -> Response:
    """Post a parked event again, as a new one."""
    page.caller.require("admin")
    await parked.retry_event(page.kernel, name, event)
    return _back(name, page)


@routes.post("/events/{event}/drop")
async def drop(name: Name, event: EventNumber, page: AgentVisit) -> Response:
    """Give a parked event up."""
    page.caller.require("admin")
    await parked.drop_event(page.kernel, name, event)
    return _back(name, page)


@routes.post("/schedules")
async def add_schedule(
    name: Name,
    page: AgentVisit,
    note: Annotated[str, Form()] = "",
    when: Annotated[str, Form()] = "",
    cron: Annotated[str, Form()] = "",
    catch_up: Annotated[str, Form()] = "once",
) -> Response:
    """Set a timer, at a time or by a cron line."""
    page.caller.require("admin")
    await add_timer(
        page.kernel, name, plain_text(note), when=when.strip() or None, cron=cron.strip() or None,
        catch_up=catch_up,
    )  # fmt: skip
    return _back(name, page)


@routes.post("/schedules/{id}/remove")
async def remove_schedule(name: Name, id: str, page: AgentVisit) -> Response:
    """Remove a timer."""
    page.caller.require("admin")
    await remove_timer(page.kernel, name, id)
    return _back(name, page)


@routes.post("/approvals/{id}")
async def decide(
    name: Name,
    id: str,
    page: AgentVisit,
    decision: Annotated[Literal["once", "session", "always", "refuse"], Form()],
    note: Annotated[str, Form()] = "",
) -> Response:
    """Approve a call, once or for longer, or refuse it; its turn goes on meanwhile."""
    page.caller.require("chat")
    if decision in ("session", "always"):
        page.caller.require("admin")
    await deciding.settle(
        page.kernel, name, id, decision != "refuse", note=note.strip(),
        remember="once" if decision == "refuse" else decision, by=page.caller.key,
    )  # fmt: skip
    return _back(name, page)


@routes.post("/grants/{function}/revoke")
async def revoke(name: Name, function: str, page: AgentVisit) -> Response:
    """Ask again before calls of a function."""
    page.caller.require("admin")
    await deciding.revoke(page.kernel, name, function)
    return _back(name, page)


def _back(name: str, page: AgentVisit) -> Response:
    return redirect(page.request, address("agents", name, "events"))
