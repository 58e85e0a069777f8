"""The tools that look for memories, the passages of archival storage, and for messages of recall storage.

Left out: what was said around a message (``conversations``).
"""

from __future__ import annotations

from typing import Any

from pagefault.errors import NotFoundError, UsageError
from pagefault.mcp.access import MemoryAccess
from pagefault.mcp.arguments import Cursor, MemoryId, Query, ToolArguments
from pagefault.mcp.cursors import ListPlace
from pagefault.mcp.shown import (
    ShownItem,
    ToolAnswer,
    excerpt_of,
    item_size,
    listed,
    named,
    read_page,
    tags_shown,
)
from pagefault.types import Tier
from pagefault.views import memory
from pagefault.views.history import LogRow
from pagefault.views.memory import MessageHit, PassageHit, PassageView

__all__ = [
    "GetMemory",
    "ListMemories",
    "SearchConversations",
    "SearchMemories",
    "get_memory",
    "list_memories",
    "memory_fields",
    "message_fields",
    "no_memory",
    "search_conversations",
    "search_memories",
]

_PAGE = 10  # items on a page, if there is room


class SearchMemories(ToolArguments):
    """Search the memories for words or a question; best first. Long ones come as an excerpt: `get_memory`
    reads them whole."""

    query: Query
    cursor: Cursor = None


class ListMemories(ToolArguments):
    """List all memories, newest first."""

    cursor: Cursor = None


class GetMemory(ToolArguments):
    """Read one memory whole; a very long one part by part."""

    id: MemoryId
    cursor: Cursor = None


class SearchConversations(ToolArguments):
    """Search what was said in conversations, by words or a question; best first, each with its date and
    speaker. `read_conversation` shows what was said before and after."""

    query: Query
    cursor: Cursor = None


async def search_memories(access: MemoryAccess, given: SearchMemories) -> ToolAnswer:
    """The memories that a query finds, best first."""
    return await _searched(access, given.query, "archival", given.cursor)


async def list_memories(access: MemoryAccess, given: ListMemories) -> ToolAnswer:
    """All memories, newest first."""
    return await _searched(access, "", "archival", given.cursor)


async def search_conversations(access: MemoryAccess, given: SearchConversations) -> ToolAnswer:
    """The messages that a query finds, best first."""
    return await _searched(access, given.query, "recall", given.cursor)


async def get_memory(access: MemoryAccess, given: GetMemory) -> ToolAnswer:
    """One memory whole, or a part of it."""
    found = await passage_of(access, given.id)
    return read_page(found.id, found.text, memory_fields(found), given.cursor, access.tokens)


async def passage_of(access: MemoryAccess, id: str) -> PassageView:
    """The passage of this id; ``UsageError`` if there is none."""
    try:
        return await memory.passage(access.kernel, access.agent, id)
    except NotFoundError:
        raise no_memory(id) from None


def no_memory(id: str) -> UsageError:
    """The error for a memory that is not there."""
    return UsageError(f"There is no memory {named(id)}; list_memories shows those there are.")


def memory_fields(found: PassageView) -> dict[str, Any]:
    """The short fields of a memory as JSON values, without the empty ones."""
    fields: dict[str, Any] = {"id": found.id, "at": found.at.isoformat(timespec="seconds")}
    fields |= {"tags": tags_shown(found.tags)} if found.tags else {}
    fields |= {"source": named(found.title or found.source)} if found.title or found.source else {}
    fields |= {"document": found.document, "page": found.page} if found.document else {}
    ends = min(filter(None, (found.valid_until, found.ended)), default=None)
    limits = {"valid_from": found.valid_from, "valid_until": ends}
    fields |= {name: at.isoformat(timespec="seconds") for name, at in limits.items() if at}
    return fields | ({"superseded": found.superseded} if found.superseded else {})


async def _searched(access: MemoryAccess, query: str, tier: Tier, cursor: str | None) -> ToolAnswer:
    place, is_recall = ListPlace.of(cursor), tier == "recall"
    page = await memory.search(
        access.kernel, access.agent, query, tier=tier, page=place.offset // _PAGE + 1, size=_PAGE,
        as_of=place.newest if is_recall else None,
    )  # fmt: skip
    place = ListPlace(place.offset, page.as_of if is_recall else None)
    size = item_size(access.tokens)
    items = (_item(hit, excerpt_of(hit.text, query, size)) for hit in page.results[place.offset % _PAGE :])
    kind, noun = ("messages", "message") if is_recall else ("memories", "memory")
    return listed(kind, noun, items, page.total, place, access.tokens)


def _item(hit: MessageHit | PassageHit, text: str) -> ShownItem:
    fields = memory_fields(hit) if isinstance(hit, PassageHit) else message_fields(hit)
    cut = {"cut": True} if text != hit.text else {}
    return ShownItem(f"{hit.id} {hit.label}", text, fields | cut, hit.like)


def message_fields(row: MessageHit | LogRow) -> dict[str, Any]:
    """The short fields of a message as JSON values, without the empty ones."""
    fields: dict[str, Any] = {"id": row.id, "role": str(row.role), "at": row.at.isoformat(timespec="seconds")}
    return fields | ({"speaker": named(row.speaker)} if row.speaker else {})
