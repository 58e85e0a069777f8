"""The grammar of `pagefault export`."""

from __future__ import annotations

from typing import Annotated

import typer

from pagefault.cli.options import Database, Home, Json, Tenant, session_of
from pagefault.errors import UsageError

__all__ = ["export"]


def export(
    name: Annotated[
        str | None, typer.Argument(metavar="[AGENT]", help="The agent; with --speaker none is named here.")
    ] = None,
    path: Annotated[
        str | None, typer.Argument(metavar="[PATH]", help="A new file; - is standard output.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--as", help="pagefault (all of it), af (Letta's agent file) or markdown.")
    ] = None,
    speaker: Annotated[
        str | None, typer.Option(help="All of a person, instead: the name as it stands in messages.")
    ] = None,
    agent: Annotated[
        list[str] | None, typer.Option(help="With --speaker, only this agent; may be given again.")
    ] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Write an agent to a file, or all that is held of a person as JSON Lines; agents may run meanwhile.

    What is held of a person is what they sent and attached, what was answered to them, and what has their
    name, whoever wrote it.
    """
    session = session_of(home, database, json, tenant)
    if speaker is not None:
        if path is not None or kind is not None:
            raise UsageError("With --speaker give a file alone; the form is JSON Lines.")
        from pagefault.cli.held import export as write

        return write(session, speaker, agent or [], name or "-")
    if name is None:
        raise UsageError("Name the agent (`pagefault export ana`), or a person with --speaker.")
    if agent:
        raise UsageError("--agent goes with --speaker; give the agent's name alone.")
    from pagefault.cli.exporting import export_agent

    return export_agent(session, name, kind or "pagefault", path or "-")
