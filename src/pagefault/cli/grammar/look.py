"""The grammar of `pagefault trace`, `pagefault usage` and `pagefault embedders`."""

from __future__ import annotations

from typing import Annotated

import typer

from pagefault.cli.options import Database, Home, Json, Name, Tenant, session_of

__all__ = ["embedders", "trace", "usage"]


def trace(
    name: Name,
    event: Annotated[
        str | None, typer.Argument(help="Number of an event, or id of a message (m12); else the last.")
    ] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Show why it said that: each step of an event's turn, from the log alone."""
    from pagefault.cli.trace import trace as explain

    explain(session_of(home, database, json, tenant), name, event)


def usage(
    agent: Annotated[str | None, typer.Argument(help="The agent's name; by default all agents.")] = None,
    by: Annotated[str | None, typer.Option(help="turn, day or model.")] = None,
    since: Annotated[
        str | None, typer.Option(help="From this time on (ISO 8601, yesterday, -2h ...).")
    ] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Show what was spent: tokens and cost, by agent, turn, day or model."""
    from pagefault.cli.usage import usage as show

    show(session_of(home, database, json, tenant), agent, by, since)


def embedders(home: Home = None, database: Database = None, json: Json = False) -> None:
    """List the kinds of embedder, which one is set, and what is missing for the others."""
    from pagefault.cli.embedders import list_all

    list_all(session_of(home, database, json))
