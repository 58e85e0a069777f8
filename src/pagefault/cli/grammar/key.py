"""The grammar of `pagefault key`, `pagefault tenant` and `pagefault audit`."""

from __future__ import annotations

from typing import Annotated

import typer

from pagefault.cli.options import Database, Home, Json, Tenant, command_group, session_of

__all__ = ["audit", "key", "tenant"]

key = command_group()
tenant = command_group()

KeyName = Annotated[str, typer.Argument(metavar="NAME", help="The key's name.")]
TenantName = Annotated[str, typer.Argument(metavar="NAME", help="The tenant's name.")]
Limit = Annotated[str | None, typer.Option(metavar="N", help="The most that it may have; `none`: no limit.")]
Daily = Annotated[str | None, typer.Option(metavar="N", help="The most a day, in UTC; `none`: no limit.")]


@key.command("create")
def key_create(
    name: KeyName,
    agents: Annotated[
        str | None, typer.Option(metavar="A,B", help="For these agents alone, with commas between them.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="For the agents with this tag (the setting tags).")] = None,
    all: Annotated[
        bool, typer.Option("--all", help="For all agents of the tenant, as without either.")
    ] = False,
    role: Annotated[str, typer.Option(help="read, chat or admin; each may what comes before it.")] = "chat",
    speaks_for_users: Annotated[
        bool, typer.Option("--speaks-for-users", help="It may say who the sender of a message is.")
    ] = False,
    rate: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="Requests a minute; 0: no limit. Without it the server's --rate."
        ),
    ] = None,
    body: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="The largest body of a request, e.g. 100k or 10M; bytes."),
    ] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Make a key and show it, once: only its digest is kept."""
    from pagefault.cli import keys

    session = session_of(home, database, json, tenant)
    keys.create(session, name, agents, tag, all, role, speaks_for_users, rate, body)


@key.command("list")
def key_list(home: Home = None, database: Database = None, json: Json = False, tenant: Tenant = None) -> None:
    """List the keys of a tenant, without their secrets."""
    from pagefault.cli import keys

    keys.list_all(session_of(home, database, json, tenant))


@key.command("revoke")
def key_revoke(
    name: KeyName, home: Home = None, database: Database = None, json: Json = False, tenant: Tenant = None
) -> None:
    """Revoke a key: requests with it are refused from now on."""
    from pagefault.cli import keys

    keys.revoke(session_of(home, database, json, tenant), name)


@tenant.command("list")
def tenant_list(home: Home = None, database: Database = None, json: Json = False) -> None:
    """List the tenants that have agents, keys or a quota."""
    from pagefault.cli import keys

    keys.list_tenants(session_of(home, database, json))


@tenant.command("show")
def tenant_show(name: TenantName, home: Home = None, database: Database = None, json: Json = False) -> None:
    """Show what a tenant has, and what it may have and spend."""
    from pagefault.cli import keys

    keys.show_tenant(session_of(home, database, json, name))


@tenant.command("set")
def tenant_set(
    name: TenantName,
    agents: Limit = None,
    rows: Limit = None,
    documents: Limit = None,
    media_bytes: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="The most bytes of images, e.g. 500M or 2G; `none`: no limit."),
    ] = None,
    daily_tokens: Daily = None,
    daily_cost: Daily = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Set the quota of a tenant. Rows are messages and passages, the cost is in US dollars."""
    from pagefault.cli import keys

    wanted = {
        "agents": agents, "rows": rows, "documents": documents, "daily_tokens": daily_tokens,
        "daily_cost": daily_cost, "media_bytes": media_bytes,
    }  # fmt: skip
    keys.set_quota(session_of(home, database, json, name), wanted)


def audit(
    agent: Annotated[
        str | None, typer.Argument(help="An agent whose memory to audit; none: what was done, and by whom.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most acts that are shown.")] = 50,
    before: Annotated[int | None, typer.Option(help="Only acts with an id below this one.")] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Show who made, changed or deleted agents, keys and quotas of a tenant, the newest first; of an agent:
    what its archival storage has twice, what is superseded or was never found, and the share that is junk."""
    if agent is not None:
        from pagefault.cli import auditing

        return auditing.show_audit(session_of(home, database, json, tenant), agent)
    from pagefault.cli import keys

    return keys.show_acts(session_of(home, database, json, tenant), limit, before)
