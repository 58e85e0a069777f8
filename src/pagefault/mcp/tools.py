"""The tools of the server, as a table: names, arguments, the role that each needs, hints for clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcp_types import Tool, ToolAnnotations

from pagefault.mcp.access import MemoryAccess
from pagefault.mcp.arguments import ToolArguments, checked_arguments, schema_of
from pagefault.mcp.conversations import (
    AppendMessages,
    ReadConversation,
    append_messages,
    read_conversation,
)
from pagefault.mcp.reading import (
    GetMemory,
    ListMemories,
    SearchConversations,
    SearchMemories,
    get_memory,
    list_memories,
    search_conversations,
    search_memories,
)
from pagefault.mcp.shown import ToolAnswer
from pagefault.mcp.talking import Report, SendMessage, send_message
from pagefault.mcp.writing import (
    AddMemory,
    DeleteMemory,
    UpdateMemory,
    add_memory,
    delete_memory,
    update_memory,
)
from pagefault.tenancy import KeyRole, has_role

__all__ = ["TOOLS", "MemoryTool", "tools_for"]


@dataclass(frozen=True, slots=True)
class MemoryTool:
    """A tool. ``run`` takes the access and the checked arguments and, if it ``reports``, a ``Report``.
    ``destroys``: it may change what is there; ``repeats``: a second call with the same arguments changes
    nothing more."""

    title: str
    arguments: type[ToolArguments]
    run: Callable[..., Awaitable[ToolAnswer]]
    role: KeyRole = "read"
    destroys: bool = False
    repeats: bool = True
    reports: bool = False

    @property
    def name(self) -> str:
        return self.run.__name__

    async def call(self, access: MemoryAccess, given: Mapping[str, Any] | None, report: Report) -> ToolAnswer:
        """Run the tool on arguments as they came; ``UsageError`` if they are wrong, or the caller may not."""
        access.require(self.role, self.name)
        checked = checked_arguments(self.name, self.arguments, given)
        return await (self.run(access, checked, report) if self.reports else self.run(access, checked))

    def described(self) -> Tool:
        """The tool as clients list it."""
        hints = ToolAnnotations(
            title=self.title,
            read_only_hint=self.role == "read",
            destructive_hint=self.destroys,
            idempotent_hint=self.repeats,
            open_world_hint=self.reports,
        )
        return Tool(
            name=self.name,
            title=self.title,
            description=" ".join((self.arguments.__doc__ or "").split()),
            input_schema=schema_of(self.arguments),
            annotations=hints,
        )


TOOLS = {
    tool.name: tool
    for tool in (
        MemoryTool("Add a memory", AddMemory, add_memory, "chat"),
        MemoryTool("Search memories", SearchMemories, search_memories),
        MemoryTool("Read a memory", GetMemory, get_memory),
        MemoryTool("Replace a memory", UpdateMemory, update_memory, "admin", destroys=True),
        MemoryTool("Delete a memory", DeleteMemory, delete_memory, "admin", destroys=True),
        MemoryTool("List memories", ListMemories, list_memories),
        MemoryTool("Search conversations", SearchConversations, search_conversations),
        MemoryTool("Read a conversation", ReadConversation, read_conversation),
        MemoryTool("Append messages", AppendMessages, append_messages, "chat", repeats=False),
        MemoryTool("Send a message", SendMessage, send_message, "chat", repeats=False, reports=True),
    )
}
"""All tools by name."""


def tools_for(access: MemoryAccess) -> list[Tool]:
    """The tools that a caller may use."""
    return [tool.described() for tool in TOOLS.values() if has_role(access.role, tool.role)]
