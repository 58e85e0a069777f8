"""The grammar of `pagefault tools`."""

from __future__ import annotations

from typing import Annotated

import typer

from pagefault.cli.options import Database, Home, Json, command_group, session_of

__all__ = ["tools"]

tools = command_group()

Server = Annotated[str, typer.Argument(help="The server's name, as in [mcp.NAME] of config.toml.")]
Tool = Annotated[str, typer.Argument(help="The tool's own name, without the server's before it.")]


@tools.command("list")
def tools_list(
    server: Annotated[str | None, typer.Argument(help="The server's name; none: all servers.")] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Ask servers for their tools; list these, with the hash of each definition and who decides on calls."""
    from pagefault.cli import tools

    tools.list_all(session_of(home, database, json), server)


@tools.command("allow")
def tools_allow(
    server: Server, tool: Tool, home: Home = None, database: Database = None, json: Json = False
) -> None:
    """Let a tool run without asking, as it is defined now. If its definition changes, calls are asked for."""
    from pagefault.cli import tools

    tools.allow(session_of(home, database, json), server, tool, True)


@tools.command("revoke")
def tools_revoke(
    server: Server, tool: Tool, home: Home = None, database: Database = None, json: Json = False
) -> None:
    """Take an allowance back. What config.toml allows stays allowed, with the definition of now."""
    from pagefault.cli import tools

    tools.allow(session_of(home, database, json), server, tool, False)
