"""The grammar of `pagefault export`."""

from __future__ import annotations

from typing import Annotated

import typer

from pagefault.cli.options import Database, Home, Json, Tenant, session_of

__all__ = ["export"]


def export(
    speaker: Annotated[str, typer.Option(help="The name of the person, as it stands in messages.")],
    path: Annotated[str, typer.Argument(help="A new file; - is standard output.")] = "-",
    agent: Annotated[list[str] | None, typer.Option(help="Only this agent; may be given again.")] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Write all that is held of a person as JSON Lines; agents may run meanwhile.

    That is what they sent and attached, what was answered to them, and what has their name, whoever wrote it.
    """
    from pagefault.cli.held import export as write

    write(session_of(home, database, json, tenant), speaker, agent or [], path)
