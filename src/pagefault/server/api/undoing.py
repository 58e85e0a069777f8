"""Undo, edit and retry: what was said is taken back, and answered anew."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from pagefault.kernel.streams import MOST_BEHIND
from pagefault.kernel.withdrawing import UndoReport, edited, retried
from pagefault.kernel.withdrawing import undo as withdraw
from pagefault.server.api.messages import STREAMED, ReplyBody, answer
from pagefault.server.api.values import LARGEST, AgentCaller, IdempotencyKey, Name, RequestBody
from pagefault.server.auth import Caller
from pagefault.server.problems import Problem
from pagefault.server.sse import LastEventId
from pagefault.tenancy import KeyRole

__all__ = ["check_may_take_back", "may_take_back", "routes"]

routes = APIRouter(prefix="/agents/{name}", tags=["undo"])
"""The routes of undo, edit and retry."""


class Undo(RequestBody):
    """The turns to withdraw: the last ones, or all behind a row of the log."""

    turns: int | None = Field(default=None, ge=1, lt=LARGEST, description="So many turns; by default 1.")
    to: Annotated[int, Field(ge=0, lt=LARGEST, strict=True)] | str | None = Field(
        default=None, description="The id of a row (m12), or its number; 0: all is withdrawn."
    )


class Edit(RequestBody):
    """A user's message with another text."""

    text: str
    message: str | None = Field(default=None, description="The id of the message (m12); null: the last one.")


@routes.post("/undo")
async def undo(name: Name, caller: AgentCaller, key: IdempotencyKey, body: Undo | None = None) -> UndoReport:
    """Withdraw turns: they stay in the log and are out of all else."""
    check_may_take_back(caller)
    asked = body or Undo()
    if asked.turns is not None and asked.to is not None:
        raise Problem(400, "Wrong request", "Give turns or to, not both.")
    return await withdraw(caller.kernel, name, to=asked.to, turns=asked.turns or 1, key=key)


@routes.post("/edit", response_model=ReplyBody, responses=STREAMED)
async def edit(
    name: Name, body: Edit, caller: AgentCaller, request: Request, key: IdempotencyKey, after: LastEventId
) -> Any:
    """Withdraw a user's message with all that came since, and send it with another text; answered as a
    message is."""
    check_may_take_back(caller)
    posting = edited(caller.kernel, name, body.message, body.text, MOST_BEHIND, key)
    return await answer(request, caller, posting, after)


@routes.post("/retry", response_model=ReplyBody, responses=STREAMED)
async def retry(
    name: Name, caller: AgentCaller, request: Request, key: IdempotencyKey, after: LastEventId
) -> Any:
    """Withdraw the last answer, and have it given anew; answered as a message is."""
    check_may_take_back(caller)
    return await answer(request, caller, retried(caller.kernel, name, MOST_BEHIND, key), after)


def check_may_take_back(caller: Caller) -> None:
    """Raise a ``Problem`` if the caller may not take back what others said."""
    caller.require(_role(caller))


def may_take_back(caller: Caller) -> bool:
    """Return whether the caller may take back what others said."""
    return caller.has(_role(caller))


def _role(caller: Caller) -> KeyRole:
    return "chat" if caller.speaks_for_users else "admin"
