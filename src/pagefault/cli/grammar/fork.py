"""The grammar of `pagefault fork`, `pagefault diff` and `pagefault past`."""

from __future__ import annotations

from typing import Annotated

import typer

from pagefault.cli.options import Database, Home, Json, Name, Page, Tenant, session_of

__all__ = ["diff", "fork", "past"]

At = Annotated[str | None, typer.Option(help="As it was at this message (m12).")]


def fork(
    name: Name,
    new: Annotated[str, typer.Argument(help="The name of the fork.")],
    at: At = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Copy an agent to a new one, as it is or as it was at a message."""
    from pagefault.cli.forking import fork as make

    make(session_of(home, database, json, tenant), name, new, at)


def diff(
    name: Name,
    other: Annotated[str | None, typer.Argument(help="Another agent; by default the same.")] = None,
    at: At = None,
    other_at: Annotated[str | None, typer.Option(help="The other as it was at this message.")] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Show what memory differs between two agents, or between one then and now."""
    from pagefault.cli.forking import diff as compare

    compare(session_of(home, database, json, tenant), name, other or name, at, other_at)


def past(
    name: Name,
    at: Annotated[str, typer.Argument(help="The message (m12) at which its log ended.")],
    page: Page = 1,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Show what an agent knew at a message: sections, the last messages, a page of passages."""
    from pagefault.cli.forking import past as look

    look(session_of(home, database, json, tenant), name, at, page)
