"""Servers of tools as a person sees them: their tools, and which of these run without being asked for."""

from __future__ import annotations

from pagefault.functions.tool_source import ServerTool, ToolServerState
from pagefault.kernel import Kernel

__all__ = ["allow_tool", "tool_server_names", "tool_servers"]


def tool_server_names(kernel: Kernel) -> tuple[str, ...]:
    """The servers of the installation."""
    return kernel.assembly.tool_servers.names()


async def tool_servers(kernel: Kernel, name: str | None = None) -> tuple[ToolServerState, ...]:
    """Each server, or the one of this name, as it answers now; ``NotFoundError`` if there is none."""
    servers = kernel.assembly.tool_servers
    return tuple([await servers.state(each) for each in ([name] if name else servers.names())])


async def allow_tool(kernel: Kernel, name: str, tool: str, allowed: bool = True) -> ServerTool:
    """Let calls of a tool run without asking, as it is defined now, or take that back; ``NotFoundError`` if
    there is none such, ``UsageError`` if its server does not answer."""
    return await kernel.assembly.tool_servers.allow(name, tool, allowed)
