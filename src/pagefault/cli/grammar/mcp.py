"""The grammar of `pagefault mcp`."""

from __future__ import annotations

from typing import Annotated

import typer

from pagefault.cli.options import Agent, Database, Home, Json, Model, Tenant, Window, Zone, given, session_of

__all__ = ["mcp"]


def mcp(
    agent: Agent = "default",
    model: Model = None,
    window: Window = None,
    zone: Zone = None,
    tokens: Annotated[int, typer.Option(min=500, help="Tokens that a result takes at most.")] = 4_000,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Serve the memory of one agent over MCP, until stdin ends; it is created if there is none of that name.

    A client starts this command. Stdout has the protocol alone, all else goes to stderr. The options of a new
    agent do not change one that is there.
    """
    from pagefault.cli.mcp import serve

    serve(
        session_of(home, database, json, tenant), agent, given(model=model, window=window, zone=zone), tokens
    )
