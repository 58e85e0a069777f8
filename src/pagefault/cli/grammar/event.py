"""The grammar of `pagefault event` and `pagefault schedule`."""

from __future__ import annotations

from typing import Annotated

import typer

from pagefault.cli.options import Database, Home, Json, Name, Tenant, command_group, session_of

__all__ = ["event", "schedule"]

event = command_group()
schedule = command_group()


@event.command("post")
def event_post(
    name: Name,
    kind: Annotated[
        str, typer.Argument(help="message, overheard, alert, login, upload_finished, or a word of your own.")
    ],
    text: Annotated[str, typer.Argument(help="The text of the event.")] = "",
    key: Annotated[str | None, typer.Option(help="Posting twice with one key stores one event.")] = None,
    sender: Annotated[str | None, typer.Option(help="Who it is from, as the agent is to read it.")] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Put an event into an agent's inbox; `pagefault run` or the next chat serves it."""
    from pagefault.cli import events

    events.post(session_of(home, database, json, tenant), name, kind, text, key, sender)


@event.command("attach")
def event_attach(
    name: Name,
    source: Annotated[str, typer.Argument(help="A path, or an address.")],
    text: Annotated[str, typer.Argument(help="What to say with it.")] = "",
    kind: Annotated[
        str | None, typer.Option(help="image, file or transcript; else what its content is.")
    ] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Put an image, a file or a transcript into an agent's inbox as an event."""
    from pagefault.cli import events

    events.attach(session_of(home, database, json, tenant), name, source, text, kind)


EventId = Annotated[str, typer.Argument(help="The event's id, e.g. 3.")]


@event.command("list")
def event_list(
    name: Annotated[str | None, typer.Argument(help="The agent's name; none: all agents.")] = None,
    parked: Annotated[
        bool, typer.Option("--parked", help="Only those that are not served any more.")
    ] = False,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """List the events that wait, and those that are parked because their turn failed again and again."""
    from pagefault.cli import events

    events.list_events(session_of(home, database, json, tenant), name, parked)


@event.command("retry")
def event_retry(
    name: Name,
    id: EventId,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Post a parked event again."""
    from pagefault.cli import events

    events.retry(session_of(home, database, json, tenant), name, id)


@event.command("drop")
def event_drop(
    name: Name,
    id: EventId,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Give a parked event up."""
    from pagefault.cli import events

    events.drop(session_of(home, database, json, tenant), name, id)


@schedule.command("list")
def schedule_list(
    name: Name, home: Home = None, database: Database = None, json: Json = False, tenant: Tenant = None
) -> None:
    """List an agent's timers."""
    from pagefault.cli import events

    events.list_schedules(session_of(home, database, json, tenant), name)


@schedule.command("add")
def schedule_add(
    name: Name,
    note: Annotated[str, typer.Argument(help="The text of the event that it posts.")],
    when: Annotated[str | None, typer.Option(help="ISO 8601, +2h, +1 month, tomorrow 9am ...")] = None,
    cron: Annotated[str | None, typer.Option(help="A cron line, e.g. '0 9 * * 1'.")] = None,
    catch_up: Annotated[str, typer.Option(help="At a missed time: once (late) or skip.")] = "once",
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Set a timer."""
    from pagefault.cli import events

    events.add_schedule(session_of(home, database, json, tenant), name, note, when, cron, catch_up)


@schedule.command("remove")
def schedule_remove(
    name: Name,
    id: Annotated[str, typer.Argument(help="The timer's id, e.g. t3.")],
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Remove a timer."""
    from pagefault.cli import events

    events.remove_schedule(session_of(home, database, json, tenant), name, id)
