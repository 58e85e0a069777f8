"""The grammar of `pagefault import`."""

from __future__ import annotations

from typing import Annotated

import typer

from pagefault.cli.options import Database, Home, Json, Tenant, Zone, session_of

__all__ = ["import_"]


def import_(
    path: Annotated[str, typer.Argument(help="A file, a folder or a ZIP; - is standard input.")],
    agent: Annotated[
        str | None, typer.Option(help="Into this agent, made if there is none; else the file's, or default.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--as", metavar="KIND", help="What it is, if it is not recognised.")
    ] = None,
    me: Annotated[
        str | None, typer.Option(metavar="NAME", help="Your name in it: who speaks so is the user.")
    ] = None,
    zone: Zone = None,
    since: Annotated[
        str | None, typer.Option(help="Only from this time on (ISO 8601, yesterday, -30d ...).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report what would be imported.")] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="A new agent takes its model and instructions too.")
    ] = False,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Import conversations and memory from elsewhere: exports of ChatGPT, Claude, Telegram, WhatsApp, Slack,
    Discord, mailboxes, JSON Lines, and pagefault's own.

    What it is is recognised by the content. Messages keep their dates and speakers; no agent is woken, and
    nothing is sent to a model. Run again, it adds what is new and nothing twice; what was forgotten does not
    come back. --zone is of times that name none, by default the agent's.
    """
    from pagefault.cli import importing as room

    session = session_of(home, database, json, tenant)
    room.import_(session, path, room.wishes(agent, kind, me, zone, since, trust, dry_run))
