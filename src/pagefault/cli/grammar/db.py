"""The grammar of `pagefault db`: its commands with their arguments and options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pagefault.cli.options import Database, Home, Json, Name, Tenant, command_group, session_of

__all__ = ["db"]

db = command_group()


@db.command("migrate")
def db_migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Only report if it is needed; exit with 1 if it is.")
    ] = False,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Bring the database to the newest version. Every command does so when it opens one."""
    from pagefault.cli import database as room

    room.migrate(session_of(home, database, json), check)


@db.command("check")
def db_check(
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Rebuild the lexical index where it is wrong; see --deleted."),
    ] = False,
    deleted: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD",
            help="Look for this text instead, which was deleted; - reads lines of standard input. "
            "May be given again. With --repair the database is first written anew.",
        ),
    ] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Check the database and the invariants of each agent; exit with 1 on any error."""
    from pagefault.cli import database as room

    if deleted is not None:
        return room.look_for_deleted(session_of(home, database, json), repair, deleted)
    room.examine(session_of(home, database, json), repair)


@db.command("distribute")
def db_distribute(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only report what would be moved, and how much.")
    ] = False,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Spread a PostgreSQL database over the worker nodes of Citus, by agent; end its processes first.

    All is moved or nothing, so an interrupted run can be repeated. What is distributed already stays.
    """
    from pagefault.cli import database as room

    room.distribute(session_of(home, database, json), dry_run)


@db.command("protect")
def db_protect(
    off: Annotated[bool, typer.Option("--off", help="Take the protection away.")] = False,
    role: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Of tenants; made unless there is one. Default: pagefault_tenant_*."
        ),
    ] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Let PostgreSQL refuse each tenant the rows of others (row-level security), as a second wall.

    Agents may run meanwhile. Processes take it up with their next connections, at once if started anew. Run
    it as the owner of the tables.
    """
    from pagefault.cli import protection as room

    room.protect(session_of(home, database, json), off, role or "")


@db.command("backup")
def db_backup(
    path: Annotated[Path, typer.Argument(help="A new file.")],
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Back the database up while agents run.

    Of SQLite the copy is a database; put it in the place of the other to restore it. Of PostgreSQL it is an
    export of all agents, for `pagefault db import`.
    """
    from pagefault.cli import database as room

    room.backup(session_of(home, database, json), path)


@db.command("copy")
def db_copy(
    source: Annotated[str, typer.Argument(metavar="SRC", help="A file, or a URL: postgresql://...")],
    target: Annotated[str, typer.Argument(metavar="DST", help="The same; created if it does not exist.")],
    agent: Annotated[list[str] | None, typer.Option(help="Only this agent; may be given again.")] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Copy agents from one database to another, and compare checksums.

    Each agent is copied whole or not at all. An agent that the target already has, unchanged, is skipped, so
    an interrupted copy can be run again; if the target has another agent of that name, nothing is copied. All
    tenants are copied, or the one of --tenant; each agent stays in its own.
    """
    from pagefault.cli import database as room

    room.copy(session_of(home, database, json, tenant), source, target, agent or [])


@db.command("export")
def db_export(
    name: Name,
    path: Annotated[str, typer.Argument(help="A new file; - is standard output.")],
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Write an agent with all its memory as JSON Lines, with checksums; agents may run meanwhile."""
    from pagefault.cli import database as room

    room.export(session_of(home, database, json, tenant), name, path)


@db.command("import")
def db_import(
    path: Annotated[str, typer.Argument(help="An export, or a backup of PostgreSQL; - is standard input.")],
    name: Annotated[str | None, typer.Option(help="The new name of the agent.")] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Take its model and instructions too; for what you exported.")
    ] = False,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Store the agents of an export, all or none; a truncated or changed file is refused.

    A model, instructions and the rights to write to other agents and to run tools by text are taken with
    --trust, or if you agree on a terminal; else the agent gets this installation's, and the report names what
    was left out. So is its tenant, unless --tenant says where all of them go.
    """
    from pagefault.cli import database as room

    room.import_(session_of(home, database, json, tenant), path, name, trust)
