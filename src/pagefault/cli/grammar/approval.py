"""The grammar of `pagefault approval`."""

from __future__ import annotations

from typing import Annotated

import typer

from pagefault.cli.options import Database, Home, Json, Name, Tenant, command_group, session_of

__all__ = ["approval"]

approval = command_group()

CallId = Annotated[str, typer.Argument(metavar="ID", help="The call's id, e.g. m12.")]
Note = Annotated[str, typer.Option(help="A note; the model reads it.")]
By = Annotated[str, typer.Option(help="Who decides, for the log.")]


@approval.command("list")
def approval_list(
    name: Annotated[str | None, typer.Argument(help="The agent's name; none: all agents.")] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """List the calls that wait for a decision, with all of their arguments."""
    from pagefault.cli import approvals

    approvals.list_all(session_of(home, database, json, tenant), name)


@approval.command("approve")
def approval_approve(
    name: Name,
    id: CallId,
    note: Note = "",
    arguments: Annotated[str | None, typer.Option(help="Run it with these instead: a JSON object.")] = None,
    always: Annotated[bool, typer.Option("--always", help="Do not ask for this function again.")] = False,
    by: By = "",
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Approve a call; the program that has the tool runs it."""
    from pagefault.cli import approvals

    approvals.approve(
        session_of(home, database, json, tenant),
        name,
        id,
        note=note,
        arguments=arguments,
        always=always,
        by=by,
    )


@approval.command("refuse")
def approval_refuse(
    name: Name,
    id: CallId,
    note: Note = "",
    by: By = "",
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Refuse a call; the model is told."""
    from pagefault.cli import approvals

    approvals.refuse(session_of(home, database, json, tenant), name, id, note=note, by=by)


@approval.command("grants")
def approval_grants(
    name: Name, home: Home = None, database: Database = None, json: Json = False, tenant: Tenant = None
) -> None:
    """List the functions that an agent may call without being asked."""
    from pagefault.cli import approvals

    approvals.list_grants(session_of(home, database, json, tenant), name)


@approval.command("revoke")
def approval_revoke(
    name: Name,
    function: Annotated[str, typer.Argument(help="The function's name.")],
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Ask again before each call of a function."""
    from pagefault.cli import approvals

    approvals.revoke(session_of(home, database, json, tenant), name, function)
