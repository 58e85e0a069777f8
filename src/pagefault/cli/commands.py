"""The grammar of the command line: every command with its arguments and options.

Only Typer is imported here, so that ``--help`` is quick; a command imports the room that does its work.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from pagefault.cli.bench_commands import bench
from pagefault.cli.db_commands import db
from pagefault.cli.document_commands import document, load
from pagefault.cli.model_commands import models
from pagefault.cli.options import Agent, Database, Home, Json, Name, Page, Tags, grown, session_of
from pagefault.errors import UsageError

app, agent, recall, archival, event, schedule = (grown() for _ in range(6))
app.add_typer(agent, name="agent", help="The agents of this home.")
app.add_typer(recall, name="recall", help="Recall storage: every message ever, verbatim.")
app.add_typer(archival, name="archival", help="Archival storage: documents and facts.")
app.add_typer(document, name="document", help="Documents that were loaded.")
app.command()(load)
app.add_typer(models, name="models", help="Models: the providers there are, and what one model can do.")
app.add_typer(event, name="event", help="Events in an agent's inbox.")
app.add_typer(schedule, name="schedule", help="Timers.")
app.add_typer(db, name="db", help="The database itself: upgrades, checks, backups, copies.")
app.add_typer(bench, name="bench", help="Benchmarks: the paper's experiments, and how well things are found.")


Model = Annotated[
    str | None, typer.Option(help="As `pagefault models` lists them; with commas, who takes over.")
]
Window = Annotated[int | None, typer.Option(help="The context window in tokens, at least 4096.")]
Style = Annotated[str | None, typer.Option(help="memgpt: only send_message speaks. native: plain text does.")]
Zone = Annotated[str | None, typer.Option(help="Time zone, e.g. Europe/Lisbon.")]


def _version(value: bool) -> None:
    if value:
        from pagefault import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def root(
    home: Home = None,
    database: Database = None,
    json: Json = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Virtual memory for LLM agents: talk with one, and see what it remembers."""


@app.command()
def chat(
    agent: Agent = "default",
    model: Model = None,
    window: Window = None,
    style: Style = None,
    zone: Zone = None,
    embedder: Annotated[str | None, typer.Option(help="As `pagefault embedders` lists them.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Hide thoughts and function calls.")] = False,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Talk with an agent; it is made if there is none of that name. Options given are remembered.

    With piped input each non-empty line is a message and its reply is one line on stdout (empty if
    nothing was said); all else goes to stderr. With --json each output is a line of JSON on stdout.
    """
    from pagefault.cli.chat import chat as talk

    wanted = _given(model=model, window=window, style=style, zone=zone)
    talk(session_of(home, database, json), agent, wanted, embedder, quiet)


@app.command()
def run(
    agent: Annotated[list[str] | None, typer.Option(help="Show only this agent; may be given again.")] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Serve inboxes and timers of all agents until interrupted."""
    from pagefault.cli.events import serve

    serve(session_of(home, database, json), agent or [])


@app.command()
def trace(
    name: Name,
    event: Annotated[
        str | None, typer.Argument(help="Number of an event, or id of a message (m12); else the last.")
    ] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Why did it say that: each step of an event's turn, from the log alone."""
    from pagefault.cli.trace import trace as explain

    explain(session_of(home, database, json), name, event)


@app.command()
def usage(
    agent: Annotated[str | None, typer.Argument(help="The agent's name; nothing: all of them.")] = None,
    by: Annotated[str | None, typer.Option(help="turn, day or model.")] = None,
    since: Annotated[str | None, typer.Option(help="From this time on (ISO 8601).")] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Show what was spent: tokens and cost, by agent, turn, day or model."""
    from pagefault.cli.usage import usage as show

    show(session_of(home, database, json), agent, by, since)


@app.command()
def embedders(home: Home = None, database: Database = None, json: Json = False) -> None:
    """List the kinds of embedder, which one is set, and what is missing for the others."""
    from pagefault.cli.embedders import list_all

    list_all(session_of(home, database, json))


@agent.command("list")
def agent_list(home: Home = None, database: Database = None, json: Json = False) -> None:
    """List the agents."""
    from pagefault.cli import agents

    agents.list_all(session_of(home, database, json))


@agent.command("show")
def agent_show(name: Name, home: Home = None, database: Database = None, json: Json = False) -> None:
    """Show an agent's settings and working context."""
    from pagefault.cli import agents

    agents.show(session_of(home, database, json), name)


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
    timers: Annotated[bool | None, typer.Option("--timers/--no-timers", help="Offer timers to it.")] = None,
    agents: Annotated[bool | None, typer.Option("--agents/--no-agents", help="Offer send_to_agent.")] = None,
    setting: Annotated[list[str] | None, typer.Option(help="KEY=VALUE, any other setting.")] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Create an agent."""
    from pagefault.cli.agents import create

    wanted = _given(model=model, window=window, style=style, zone=zone, timers=timers, agents=agents)
    create(session_of(home, database, json), name, wanted, persona, section or [], setting or [])


@agent.command("delete")
def agent_delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Delete an agent and all that it remembers."""
    from pagefault.cli import agents

    question = f"Delete agent {name} and all that it remembers?"
    if not yes and not (_is_terminal() and typer.confirm(question, err=True)):
        raise UsageError(f"Agent {name} is not deleted; say --yes if you mean it.")
    agents.delete(session_of(home, database, json), name)


@agent.command("context")
def agent_context(name: Name, home: Home = None, database: Database = None, json: Json = False) -> None:
    """Show the prompt as it would be sent now, and its sizes."""
    from pagefault.cli import agents

    agents.context(session_of(home, database, json), name)


@recall.command("search")
def recall_search(
    query: Annotated[str, typer.Argument(help="What to look for; nothing: browse, newest first.")] = "",
    agent: Agent = "default",
    page: Page = 1,
    role: Annotated[
        list[str] | None, typer.Option(help="user,assistant,event,alert,summary,thought,call,result.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="From this time on (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time; a bare date is included.")] = None,
    session: Annotated[int | None, typer.Option(help="Only this session, as results number them.")] = None,
    as_of: Annotated[
        str | None, typer.Option(help="As if this message were the last, so that pages stay as they were.")
    ] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Search the message log."""
    from pagefault.cli import memory

    memory.search_recall(
        session_of(home, database, json), agent, query, page, role or [], since, until, session, as_of
    )


@archival.command("search")
def archival_search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    agent: Agent = "default",
    page: Page = 1,
    tag: Tags = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Search documents and facts; all tags given must be present."""
    from pagefault.cli import memory

    memory.search_archival(session_of(home, database, json), agent, query, page, tag or [])


@archival.command("list")
def archival_list(
    agent: Agent = "default",
    page: Page = 1,
    tag: Tags = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """List documents and facts, newest first."""
    from pagefault.cli import memory

    memory.search_archival(session_of(home, database, json), agent, "", page, tag or [])


@archival.command("insert")
def archival_insert(
    text: Annotated[str, typer.Argument(help="The text to keep.")],
    agent: Agent = "default",
    tag: Tags = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Put a text into archival storage."""
    from pagefault.cli import memory

    memory.insert(session_of(home, database, json), agent, text, tag or [])


@archival.command("delete")
def archival_delete(
    id: Annotated[str, typer.Argument(help="The passage's id, e.g. p7.")],
    agent: Agent = "default",
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Delete a passage."""
    from pagefault.cli import memory

    memory.delete(session_of(home, database, json), agent, id)


@event.command("post")
def event_post(
    name: Name,
    kind: Annotated[
        str, typer.Argument(help="message, alert, login, upload_finished, or a word of your own.")
    ],
    text: Annotated[str, typer.Argument(help="What it says.")] = "",
    key: Annotated[str | None, typer.Option(help="Posting twice with one key stores one event.")] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Put an event into an agent's inbox; `pagefault run` or the next chat serves it."""
    from pagefault.cli import events

    events.post(session_of(home, database, json), name, kind, text, key)


@schedule.command("list")
def schedule_list(name: Name, home: Home = None, database: Database = None, json: Json = False) -> None:
    """List an agent's timers."""
    from pagefault.cli import events

    events.list_schedules(session_of(home, database, json), name)


@schedule.command("add")
def schedule_add(
    name: Name,
    note: Annotated[str, typer.Argument(help="What the timer will say.")],
    when: Annotated[str | None, typer.Option(help="ISO 8601, or +2h.")] = None,
    cron: Annotated[str | None, typer.Option(help="A cron line, e.g. '0 9 * * 1'.")] = None,
    catch_up: Annotated[str, typer.Option(help="What a missed time does: once or skip.")] = "once",
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Set a timer."""
    from pagefault.cli import events

    events.add_schedule(session_of(home, database, json), name, note, when, cron, catch_up)


@schedule.command("remove")
def schedule_remove(
    name: Name,
    id: Annotated[str, typer.Argument(help="The timer's id, e.g. t3.")],
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Remove a timer."""
    from pagefault.cli import events

    events.remove_schedule(session_of(home, database, json), name, id)


def _given(**options: Any) -> dict[str, Any]:
    """The options that were given: settings by name."""
    return {name: value for name, value in options.items() if value is not None}


def _is_terminal() -> bool:
    return sys.stdin.isatty()
