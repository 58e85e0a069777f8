"""The grammar of `pagefault section` and `pagefault outbox`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pagefault.cli.options import Database, Home, Json, Tenant, command_group, session_of
from pagefault.errors import UsageError

__all__ = ["outbox", "section"]

section = command_group()
outbox = command_group()

SectionName = Annotated[str, typer.Argument(metavar="SECTION", help="The shared section's name.")]
Agents = Annotated[list[str], typer.Option("--agent", help="The agent's name; give it once for each.")]
ReadOnly = Annotated[bool, typer.Option("--read-only", help="The agents can read it, and not change it.")]


@section.command("share")
def section_share(
    name: SectionName,
    agent: Agents,
    read_only: ReadOnly = False,
    description: Annotated[str | None, typer.Option(help="What belongs there; its agents see this.")] = None,
    limit: Annotated[int | None, typer.Option(help="Room in tokens (200).")] = None,
    text: Annotated[str | None, typer.Option(help="The text that it starts with.")] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Share a section between agents. It is one that the first agent has, or a new one."""
    from pagefault.cli import sharing

    sharing.share(
        session_of(home, database, json, tenant), name, agent, description=description, limit=limit,
        text=text,
        read_only=read_only,
    )  # fmt: skip


@section.command("list")
def section_list(
    agent: Annotated[str | None, typer.Option(help="Only those attached to this agent.")] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """List the shared sections."""
    from pagefault.cli import sharing

    sharing.list_all(session_of(home, database, json, tenant), agent)


@section.command("show")
def section_show(
    name: SectionName, home: Home = None, database: Database = None, json: Json = False, tenant: Tenant = None
) -> None:
    """Show a shared section: its text, and the agents that have it."""
    from pagefault.cli import sharing

    sharing.show(session_of(home, database, json, tenant), name)


@section.command("edit")
def section_edit(
    name: SectionName,
    text: Annotated[str, typer.Argument(help="The new text.")],
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Replace the text of a shared section. Every agent that has it learns of it by an event."""
    from pagefault.cli import sharing

    sharing.edit(session_of(home, database, json, tenant), name, text)


@section.command("attach")
def section_attach(
    name: SectionName,
    agent: Agents,
    read_only: ReadOnly = False,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Attach a shared section to agents. Again, it changes whether they may only read it."""
    from pagefault.cli import sharing

    sharing.attach(session_of(home, database, json, tenant), name, agent, read_only=read_only)


@section.command("detach")
def section_detach(
    name: SectionName,
    agent: Agents,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Detach a shared section from agents. It goes from their working context."""
    from pagefault.cli import sharing

    sharing.detach(session_of(home, database, json, tenant), name, agent)


@section.command("delete")
def section_delete(
    name: SectionName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Delete a shared section. It goes from the working context of every agent."""
    from pagefault.cli import sharing

    question = f"Delete section {name} for every agent that shares it?"
    if not yes and not (sys.stdin.isatty() and typer.confirm(question, err=True)):
        raise UsageError(f"Section {name} is not deleted; say --yes if you mean it.")
    sharing.delete(session_of(home, database, json, tenant), name)


Sender = Annotated[str, typer.Argument(help="As `outbox list` shows it: an agent, or section:NAME.")]
Number = Annotated[int, typer.Argument(help="The change's number, as `outbox list` shows it.")]


@outbox.command("list")
def outbox_list(
    parked: Annotated[bool, typer.Option("--parked", help="Only those that are not made any more.")] = False,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """List the changes on their way, and those that are parked."""
    from pagefault.cli import sharing

    sharing.list_effects(session_of(home, database, json, tenant), parked)


@outbox.command("retry")
def outbox_retry(
    sender: Sender,
    number: Number,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Send a parked change again."""
    from pagefault.cli import sharing

    sharing.retry(session_of(home, database, json, tenant), sender, number)


@outbox.command("drop")
def outbox_drop(
    sender: Sender,
    number: Number,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Give a parked change up."""
    from pagefault.cli import sharing

    sharing.drop(session_of(home, database, json, tenant), sender, number)
