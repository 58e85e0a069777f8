"""The grammar of `pagefault agent`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pagefault.cli.options import (
    Database,
    Home,
    Json,
    Model,
    Name,
    Style,
    Tenant,
    Window,
    Zone,
    command_group,
    given,
    session_of,
)
from pagefault.errors import UsageError

__all__ = ["agent"]

agent = command_group()


@agent.command("list")
def agent_list(
    home: Home = None, database: Database = None, json: Json = False, tenant: Tenant = None
) -> None:
    """List the agents."""
    from pagefault.cli import agents

    agents.list_all(session_of(home, database, json, tenant))


@agent.command("show")
def agent_show(
    name: Name, home: Home = None, database: Database = None, json: Json = False, tenant: Tenant = None
) -> None:
    """Show an agent's settings and working context."""
    from pagefault.cli import agents

    agents.show(session_of(home, database, json, tenant), name)


@agent.command("create")
def agent_create(
    name: Name,
    model: Model = None,
    window: Window = None,
    style: Style = None,
    zone: Zone = None,
    persona: Annotated[str | None, typer.Option(help="Text of the section persona.")] = None,
    section: Annotated[
        list[str] | None,
        typer.Option(help="NAME:TOKENS[:DESCRIPTION], a section to add or to resize; may be given again."),
    ] = None,
    timers: Annotated[bool | None, typer.Option("--timers/--no-timers", help="Let it set timers.")] = None,
    agents: Annotated[
        bool | None, typer.Option("--agents/--no-agents", help="Let it write to other agents.")
    ] = None,
    setting: Annotated[list[str] | None, typer.Option(help="KEY=VALUE, any other setting.")] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Create an agent."""
    from pagefault.cli.agents import create

    wanted = given(model=model, window=window, style=style, zone=zone, timers=timers, agents=agents)
    create(session_of(home, database, json, tenant), name, wanted, persona, section or [], setting or [])


@agent.command("set")
def agent_set(
    name: Name,
    setting: Annotated[list[str], typer.Argument(help="KEY=VALUE, a setting to change.")],
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Change settings of an agent."""
    from pagefault.cli.agents import change

    change(session_of(home, database, json, tenant), name, setting)


@agent.command("delete")
def agent_delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Delete an agent and all that it remembers."""
    from pagefault.cli import agents

    question = f"Delete agent {name} and all that it remembers?"
    if not yes and not (sys.stdin.isatty() and typer.confirm(question, err=True)):
        raise UsageError(f"Agent {name} is not deleted; say --yes if you mean it.")
    agents.delete(session_of(home, database, json, tenant), name)


@agent.command("release")
def agent_release(
    name: Name, home: Home = None, database: Database = None, json: Json = False, tenant: Tenant = None
) -> None:
    """Let an agent that is parked be served again, once what is wrong with it is mended."""
    from pagefault.cli import agents

    agents.release(session_of(home, database, json, tenant), name)


@agent.command("hold")
def agent_hold(
    name: Name,
    why: Annotated[str, typer.Option(help="The reason, for whoever is refused.")],
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Let nothing of an agent be forgotten, by nobody, and the agent not be deleted."""
    from pagefault.cli.holding import hold

    hold(session_of(home, database, json, tenant), name, why)


@agent.command("lift-hold")
def agent_lift_hold(
    name: Name, home: Home = None, database: Database = None, json: Json = False, tenant: Tenant = None
) -> None:
    """Let an agent that is held be forgotten and deleted again."""
    from pagefault.cli.holding import lift

    lift(session_of(home, database, json, tenant), name)


@agent.command("context")
def agent_context(
    name: Name, home: Home = None, database: Database = None, json: Json = False, tenant: Tenant = None
) -> None:
    """Show the prompt as it would be sent now, and its sizes."""
    from pagefault.cli import agents

    agents.context(session_of(home, database, json, tenant), name)
