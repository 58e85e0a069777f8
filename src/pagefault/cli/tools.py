"""Servers of tools: `tools list`, `tools allow`, `tools revoke`."""

from __future__ import annotations

from pagefault.cli.render import clip, plain, table
from pagefault.cli.session import Session
from pagefault.functions.tool_source import ServerTool, ToolServerState
from pagefault.kernel import Kernel
from pagefault.views.tool_servers import allow_tool, tool_servers

__all__ = ["allow", "list_all"]

_SAID = {
    "ask": "a person decides on each call",
    "read-only": "runs unasked: it only reads, says its server",
    "allowed": "runs unasked: allowed",
    "changed": "a person decides on each call: it has changed since it was allowed",
}


def list_all(session: Session, name: str | None) -> None:
    """Ask each server, or one, for its tools."""

    async def work(kernel: Kernel) -> None:
        found = await tool_servers(kernel, name)
        none = "There is no server of tools; add one to config.toml as [mcp.NAME]."
        session.show(found, "\n\n".join(map(_server, found)) or none)

    session.run(work)


def allow(session: Session, name: str, tool: str, allowed: bool) -> None:
    """Let calls of a tool run unasked, or not any more."""

    async def work(kernel: Kernel) -> None:
        made = await allow_tool(kernel, name, tool, allowed)
        session.show(made, f"{made.function} ({made.definition}): {_SAID[made.permission]}.")

    session.run(work)


def _server(server: ToolServerState) -> str:
    rows = [
        [each.function, each.definition, _tool(each), clip(each.description, 60)] for each in server.tools
    ]
    lines = [f"{server.name} ({plain(server.place)})"]
    lines += [plain(server.fault)] if server.fault else []
    return "\n".join([*lines, table([["function", "definition", "calls", "description"], *rows])])


def _tool(tool: ServerTool) -> str:
    return f"not offered: {tool.fault}" if tool.fault else _SAID[tool.permission]
