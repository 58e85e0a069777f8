"""The tools of conversations: what was said around a message, and messages that were said elsewhere.

Appending asks no model and changes no prompt; the messages are found by searching from then on.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from pagefault.context import stamp
from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel.conversations import AppendedMessage, append
from pagefault.mcp.access import MemoryAccess
from pagefault.mcp.arguments import Cursor, MemoryText, RetryKey, ToolArguments
from pagefault.mcp.reading import message_fields
from pagefault.mcp.shown import (
    ShownItem,
    ToolAnswer,
    counted,
    excerpt_of,
    item_size,
    named,
    read_page,
    shown_around,
)
from pagefault.types import SEARCHED_BY_DEFAULT
from pagefault.views.history import LogRow, history

__all__ = ["AppendMessages", "ReadConversation", "append_messages", "read_conversation"]

_AROUND = 11  # messages, the one that is asked for amid them
_MOST = 1_000  # messages of a call
_NAMED = 40  # ids of a result

MessageId = Annotated[str, Field(min_length=1, max_length=20, description="As results show it, e.g. m12.")]


class SaidMessage(BaseModel):
    """A message of a conversation that was held elsewhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: MemoryText = Field(validation_alias=AliasChoices("text", "content"))
    role: Literal["user", "assistant", "system", "event"] = "user"
    speaker: Annotated[str, Field(max_length=64, description="The name of who spoke.")] = Field(
        default="", validation_alias=AliasChoices("speaker", "name")
    )
    at: Annotated[str | None, Field(max_length=64, description="When it was said: ISO 8601; else now.")] = (
        Field(default=None, validation_alias=AliasChoices("at", "date", "timestamp"))
    )
    key: RetryKey = None


class AppendMessages(ToolArguments):
    """Append messages of a conversation that was held elsewhere, oldest first, with their dates and speakers,
    so that search_conversations finds them. No model is asked. Messages with a date or a key are appended
    once, however often they are sent."""

    messages: Annotated[list[SaidMessage], Field(min_length=1, max_length=_MOST)]
    key: RetryKey = None


class ReadConversation(ToolArguments):
    """Read a message whole, with what was said before and after it."""

    id: MessageId
    cursor: Cursor = None


async def read_conversation(access: MemoryAccess, given: ReadConversation) -> ToolAnswer:
    """A message amid others; one that is too long for that alone, part by part."""
    try:
        found = await history(
            access.kernel, access.agent, around=given.id, limit=_AROUND, roles=SEARCHED_BY_DEFAULT
        )
    except NotFoundError:
        raise UsageError(f"There is no message {named(given.id)}; search_conversations finds some.") from None
    place = next(index for index, row in enumerate(found.rows) if row.id == given.id)
    row = found.rows[place]
    if given.cursor or excerpt_of(row.text, "", access.tokens // 2) != row.text:
        return read_page(_label(row), row.text, message_fields(row), given.cursor, access.tokens)
    size = item_size(access.tokens // 2)
    items = [_item(each, each.text if each is row else excerpt_of(each.text, "", size)) for each in found]
    return shown_around("messages", items, place, access.tokens)


async def append_messages(access: MemoryAccess, given: AppendMessages) -> ToolAnswer:
    """Append messages; those that were appended before keep their ids."""
    if not access.speaks_for_users and any(each.speaker for each in given.messages):
        raise UsageError("This key may not say who the speaker is; leave the speakers out.")
    by_message = any(each.key for each in given.messages)
    key = given.key or (None if by_message else access.key)
    messages = [
        AppendedMessage(each.text, each.role, each.speaker, each.at, each.key if key else _key_of(each))
        for each in given.messages
    ]
    done = await append(access.kernel, access.agent, messages, key=key)
    new = f"{counted(done.added, 'message')} appended"
    data: dict[str, Any] = {"added": done.added, "first": done.ids[0], "last": done.ids[-1]}
    data |= {"ids": list(done.ids)} if len(done.ids) <= _NAMED else {}
    first, last = done.ids[0], done.ids[-1]
    named = f"its id is {first}" if first == last else f"their ids are {first} to {last}"
    return ToolAnswer(f"{new}; {named}.", data)


def _key_of(message: SaidMessage) -> str | None:
    """The key of a message or, if it has a date of its own, one made of what it says and when."""
    if message.key or message.at is None:
        return message.key
    try:
        datetime.fromisoformat(message.at)
    except ValueError:  # a time like "yesterday", which means another one tomorrow
        return None
    said = json.dumps([message.at, message.role, message.speaker, message.text])
    return f"mcp-{sha256(said.encode()).hexdigest()[:32]}"


def _item(row: LogRow, text: str) -> ShownItem:
    cut = {"cut": True} if text != row.text else {}
    return ShownItem(_label(row), text, message_fields(row) | cut)


def _label(row: LogRow) -> str:
    return f"{row.id} {stamp(row.at, row.at.tzinfo or UTC)} {row.role} {named(row.speaker)}".rstrip()
