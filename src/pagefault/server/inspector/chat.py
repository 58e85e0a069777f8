"""Talking with an agent: its log page by page, messages, what comes of them as a stream, decisions.

The page shows committed rows as the server renders them, asked for by the number of the last one that it has:
so none is lost or doubled, however often the connection breaks. The stream says when there are new ones, and
carries what is being said meanwhile. Left out: the main context, which stands beside it (``context``).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response

from pagefault.kernel import approvals as deciding
from pagefault.kernel.streams import outputs_after
from pagefault.server.api.values import LARGEST, Name
from pagefault.server.inspector.headers import SECURITY
from pagefault.server.inspector.pages import AgentVisit, WebPage, redirect
from pagefault.server.inspector.showing import address
from pagefault.server.posting import checked_event, posted
from pagefault.server.problems import Problem
from pagefault.server.sse import LastEventId, event_stream, output_events, resumed
from pagefault.types import Event, EventKind, Role
from pagefault.views.approvals import approvals
from pagefault.views.events import events
from pagefault.views.history import LogRow, history, newest
from pagefault.views.media import media

__all__ = ["routes"]

routes = APIRouter(prefix="/agents/{name}")
"""The routes of talking with an agent."""

_PAGE = 40  # rows
_NEWS = 200  # rows, of which a page that was away asks again
_SPEAKS = "send_message"
_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@routes.get("")
async def chat_page(name: Name, page: AgentVisit) -> Response:
    """Show the newest rows, what is going on, and a field to write in."""
    last = await newest(page.kernel, name)
    found = await history(page.kernel, name, limit=_PAGE, roles=tuple(Role))
    return page.show(
        "chat.html", name=name, rows=list(filter(_is_shown, found.rows)), before=found.before, last=last,
        **await _state(page, name),
    )  # fmt: skip


@routes.get("/chat/rows")
async def rows(
    name: Name,
    page: AgentVisit,
    before: Annotated[str | None, Query(max_length=20)] = None,
    after: Annotated[int, Query(ge=0, lt=LARGEST)] = 0,
) -> Response:
    """Show the rows before one, or those behind one with what is going on."""
    if before is not None:
        found = await history(page.kernel, name, before=before, limit=_PAGE, roles=tuple(Role))
        shown = list(filter(_is_shown, found.rows))
        return page.show("chat_rows.html", name=name, rows=shown, before=found.before)
    found = await history(page.kernel, name, after=f"m{after}", limit=_NEWS, roles=tuple(Role))
    last = int(found.rows[-1].id[1:]) if found.rows else after
    return page.show(
        "chat_news.html", name=name, rows=list(filter(_is_shown, found.rows)), last=last,
        more=found.after is not None, **await _state(page, name),
    )  # fmt: skip


@routes.get("/chat/rows/{id}")
async def whole_row(name: Name, id: str, page: AgentVisit) -> Response:
    """Show one row with all of its text."""
    (row,) = (await history(page.kernel, name, around=id, limit=1)).rows
    return page.show("chat_row.html", name=name, row=row, whole=True)


@routes.get("/chat/stream")
async def stream(
    name: Name,
    page: AgentVisit,
    request: Request,
    last: LastEventId,
    after: Annotated[int, Query(ge=0, lt=LARGEST)] = 0,
) -> Response:
    """Stream the outputs of the agent, of all its events, from where the page stands."""
    outputs = outputs_after(page.kernel, name, after if last is None else last)
    response = event_stream(request, output_events(resumed(outputs, None, last)))
    response.headers.update(SECURITY)
    return response


@routes.post("/chat/messages", status_code=202)
async def send(
    name: Name,
    page: AgentVisit,
    text: Annotated[str, Form()] = "",
    key: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Store a message in the agent's inbox; one with the same key is stored once."""
    if not text.strip():
        raise Problem(400, "Wrong request", page.t("The message is empty; write something."))
    event = checked_event(page.caller, Event(EventKind.MESSAGE, text, key or None))
    await posted(page.caller, name, event)
    if not page.is_part:  # a browser without scripts would stay at the form as it was
        return redirect(page.request, address("agents", name))
    return Response(status_code=204, headers=dict(SECURITY))


@routes.post("/chat/stop")
async def stop(name: Name, page: AgentVisit) -> Response:
    """End the open turn."""
    page.caller.require("chat")
    await page.kernel.cancel(name)
    return Response(status_code=204, headers=dict(SECURITY))


@routes.post("/chat/approvals/{id}")
async def decide(name: Name, id: str, page: AgentVisit, decision: Annotated[str, Form()] = "") -> Response:
    """Approve or refuse a call that waits; its turn goes on in the background."""
    page.caller.require("chat")
    if decision not in ("approve", "refuse"):
        raise Problem(400, "Wrong request", page.t("Say whether the call is approved or refused."))
    await deciding.settle(page.kernel, name, id, decision == "approve", by=page.caller.key)
    return Response(status_code=204, headers=dict(SECURITY))


@routes.get("/media/{hash}")
async def get_media(name: Name, hash: str, page: AgentVisit) -> Response:
    """Return an image or a file of the agent's log; what is no image is downloaded, never shown."""
    found = await media(page.kernel, name, hash)
    shown = found.media.media_type in _IMAGES
    headers = {**SECURITY, "cache-control": "private, max-age=86400, immutable"}
    headers["content-disposition"] = "inline" if shown else "attachment"
    type = found.media.media_type if shown else "application/octet-stream"
    return Response(found.data, headers=headers, media_type=type)


def _is_shown(row: LogRow) -> bool:
    """Return whether a row stands in the conversation: not the call whose speech does."""
    speaks = row.name == _SPEAKS and row.role in (Role.CALL, Role.RESULT) and not row.failed
    return not speaks and (bool(row.text) or bool(row.media))


async def _state(page: WebPage, name: str) -> dict[str, object]:
    """The events that are open, and the calls that wait for a decision."""
    found = await events(page.kernel, name)
    return {
        "waiting": [event for event in found if event.state == "pending"],
        "is_open": any(event.state == "active" for event in found),
        "undecided": await approvals(page.kernel, name),
    }
