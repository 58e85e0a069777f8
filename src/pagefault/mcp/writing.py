"""The tools that change memory. Each may be repeated: the same call again does nothing more.

A memory is known by its text: one that is there already is not added again.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pagefault.errors import NotFoundError
from pagefault.kernel import edits
from pagefault.mcp.access import MemoryAccess
from pagefault.mcp.arguments import MemoryId, MemoryText, ToolArguments
from pagefault.mcp.reading import no_memory, passage_of
from pagefault.mcp.shown import ToolAnswer
from pagefault.views import memory
from pagefault.views.memory import PassageHit

__all__ = ["AddMemory", "DeleteMemory", "UpdateMemory", "add_memory", "delete_memory", "update_memory"]

_LOOKED_UP = 400  # characters of a text, to find out whether it is there
_BEST = 20  # hits that may be of the same text

Tag = Annotated[str, Field(min_length=1, max_length=64)]


class AddMemory(ToolArguments):
    """Keep a text as a memory: one fact or note, which can be understood by itself. A text that is there
    already is not added again."""

    text: MemoryText
    tags: Annotated[list[Tag] | None, Field(max_length=32, description="Words to find it by.")] = None


class UpdateMemory(ToolArguments):
    """Replace the text of a memory. Its tags stay; it gets a new id, and the ids it had name it as before."""

    id: MemoryId
    text: MemoryText


class DeleteMemory(ToolArguments):
    """Delete a memory for good."""

    id: MemoryId


async def add_memory(access: MemoryAccess, given: AddMemory) -> ToolAnswer:
    """Keep a text, unless the agent's own storage has it."""
    found = await _same(access, given.text)
    stored, is_new = await edits.remember_once(
        access.kernel, access.agent, given.text, tags=given.tags or (), known=found.id if found else None
    )
    said = f"Kept as {stored.id}." if is_new else f"{stored.id} has this text already; nothing was added."
    return ToolAnswer(said, {"id": stored.id, "added": is_new})


async def update_memory(access: MemoryAccess, given: UpdateMemory) -> ToolAnswer:
    """Store a memory anew with another text; a repeated call finds that it has it."""
    before = await passage_of(access, given.id)
    try:
        stored = await edits.edit_passage(access.kernel, access.agent, given.id, given.text)
    except NotFoundError:  # it was deleted meanwhile
        raise no_memory(given.id) from None
    if stored.id == before.id:
        text = f"{stored.id} has this text already; nothing was changed."
        return ToolAnswer(text, {"id": stored.id, "updated": False})
    return ToolAnswer(f"{given.id} is now {stored.id}.", {"id": stored.id, "updated": True})


async def delete_memory(access: MemoryAccess, given: DeleteMemory) -> ToolAnswer:
    """Delete a memory; one that is not there is no error, so that a call may be repeated."""
    try:
        await edits.delete_passage(access.kernel, access.agent, given.id)
    except NotFoundError:
        text = f"There was no memory {given.id}; nothing was deleted."
        return ToolAnswer(text, {"id": given.id, "deleted": False})
    return ToolAnswer(f"Deleted {given.id}.", {"id": given.id, "deleted": True})


async def _same(access: MemoryAccess, text: str) -> PassageHit | None:
    """A memory of the agent's own that has this text, if one is among the best hits for its beginning."""
    found = await memory.search(access.kernel, access.agent, text[:_LOOKED_UP], tier="archival", size=_BEST)
    same = (hit for hit in found.results if isinstance(hit, PassageHit) and hit.text == text)
    return next((hit for hit in same if hit.document is None and "/" not in hit.id), None)
