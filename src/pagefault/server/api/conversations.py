"""Conversations that were held elsewhere: appended without a turn, and read around a message."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import AliasChoices, BaseModel, Field

from pagefault.kernel.conversations import AppendedMessage, append
from pagefault.server.api.history import HistoryItem, Roles, history_item
from pagefault.server.api.values import AgentCaller, IdempotencyKey, Limit, Name, RequestBody
from pagefault.server.problems import Problem
from pagefault.views.asking import roles_of
from pagefault.views.history import READABLE, history

__all__ = ["routes"]

routes = APIRouter(prefix="/agents/{name}/conversation", tags=["memory"])
"""The routes of conversations."""

MessageId = Annotated[str | None, Query(description="The id of a message (m12).")]


class SaidElsewhere(RequestBody):
    """A message that was said elsewhere; ``content`` is another name of ``text``. ``speaker`` (or ``name``):
    who spoke, if the role does not say it, from a key that may speak for users; ``at`` (or ``date``,
    ``timestamp``): when, now if it is left out; ``key``: names the message, which is then appended once."""

    text: str = Field(validation_alias=AliasChoices("text", "content"))
    role: Literal["user", "assistant", "event", "system"] = "user"
    speaker: str = Field(default="", validation_alias=AliasChoices("speaker", "name"))
    at: str | None = Field(default=None, validation_alias=AliasChoices("at", "date", "timestamp"))
    key: str | None = None


class SaidMessages(RequestBody):
    """Messages in their order. An ``Idempotency-Key`` is that of all; with one, none has a ``key``."""

    messages: list[SaidElsewhere] = Field(min_length=1, max_length=1000)


class AppendedIds(BaseModel):
    """The ids of the messages, in the order in which they were given; ``added``: how many are new."""

    ids: list[str]
    added: int


class ConversationPage(BaseModel):
    """Rows of the log, oldest first. ``before`` and ``after``: ids to ask for the pages on either side; null
    where there is none."""

    items: list[HistoryItem]
    before: str | None
    after: str | None


@routes.post("", status_code=201)
async def append_messages(
    name: Name, body: SaidMessages, caller: AgentCaller, key: IdempotencyKey
) -> AppendedIds:
    """Append messages with their dates and speakers; no model is asked, and the agent finds them by
    searching."""
    caller.require("chat")
    if not caller.speaks_for_users and any(each.speaker for each in body.messages):
        raise Problem(403, "Forbidden", "This key may not say who the speaker is; leave the speakers out.")
    messages = [
        AppendedMessage(each.text, each.role, each.speaker, each.at, each.key) for each in body.messages
    ]
    appended = await append(caller.kernel, name, messages, key=key)
    return AppendedIds(ids=list(appended.ids), added=appended.added)


@routes.get("")
async def get_conversation(
    name: Name,
    caller: AgentCaller,
    around: MessageId = None,
    before: MessageId = None,
    after: MessageId = None,
    limit: Limit = 20,
    role: Roles = None,
) -> ConversationPage:
    """Return the messages around one, before or after one, or the newest."""
    page = await history(
        caller.kernel, name, around=around, before=before, after=after, limit=limit,
        roles=roles_of(role or ()) or READABLE,
    )  # fmt: skip
    return ConversationPage(items=list(map(history_item, page)), before=page.before, after=page.after)
