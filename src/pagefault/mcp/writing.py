"""The tools that change memory. Each may be repeated: the same call again does nothing more.

A memory is known by its text: one that is there already is not added again.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pagefault.errors import NotFoundError
from pagefault.kernel import edits, facts
from pagefault.mcp.access import MemoryAccess
from pagefault.mcp.arguments import MemoryId, MemoryText, ToolArguments
from pagefault.mcp.reading import no_memory, passage_of
from pagefault.mcp.shown import ToolAnswer

__all__ = ["AddMemory", "DeleteMemory", "UpdateMemory", "add_memory", "delete_memory", "update_memory"]

Tag = Annotated[str, Field(min_length=1, max_length=64)]


class AddMemory(ToolArguments):
    """Keep a text as a memory: one fact or note, which can be understood by itself. A text that is there
    already is not added again; an older memory that it contradicts stays, marked with its end."""

    text: MemoryText
    tags: Annotated[list[Tag] | None, Field(max_length=32, description="Words to find it by.")] = None
    valid_from: Annotated[str | None, Field(max_length=64, description="From when it holds (ISO 8601).")] = (
        None
    )
    valid_until: Annotated[str | None, Field(max_length=64, description="Until when.")] = None


class UpdateMemory(ToolArguments):
    """Replace the text of a memory. Its tags stay; it gets a new id, and the ids it had name it as before."""

    id: MemoryId
    text: MemoryText


class DeleteMemory(ToolArguments):
    """Delete a memory for good."""

    id: MemoryId


async def add_memory(access: MemoryAccess, given: AddMemory) -> ToolAnswer:
    """Keep a text, unless the agent's own storage has it."""
    kept = await facts.remember(
        access.kernel, access.agent, given.text, tags=given.tags or (), valid_from=given.valid_from,
        valid_until=given.valid_until,
    )  # fmt: skip
    replaced = {"replaced": list(kept.replaced)} if kept.replaced else {}
    return ToolAnswer(kept.said, {"id": kept.id, "added": kept.is_new, **replaced})


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
