"""The grammar of `pagefault recall` and `pagefault archival`."""

from __future__ import annotations

from typing import Annotated

import typer

from pagefault.cli.options import (
    Agent,
    Database,
    Home,
    Json,
    Page,
    Tags,
    Tenant,
    command_group,
    session_of,
)

__all__ = ["archival", "recall"]

recall = command_group()
archival = command_group()


@recall.command("search")
def recall_search(
    query: Annotated[str, typer.Argument(help="The text to search for; none: list all.")] = "",
    agent: Agent = "default",
    page: Page = 1,
    role: Annotated[
        list[str] | None, typer.Option(help="user,assistant,event,alert,summary,thought,call,result.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="From this time on (ISO 8601, yesterday, -2h ...).")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Before this time; a bare date is included.")] = None,
    session: Annotated[int | None, typer.Option(help="Only this session, as results number them.")] = None,
    as_of: Annotated[
        str | None,
        typer.Option(help="Ignore what came after this message (m12) or time."),
    ] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Search the message log."""
    from pagefault.cli import memory

    memory.search_recall(
        session_of(home, database, json, tenant), agent, query, page, role or [], since, until, session, as_of
    )


@recall.command("append")
def recall_append(
    agent: Agent = "default",
    key: Annotated[
        str | None, typer.Option(help="A name for these messages: given again, they are not appended twice.")
    ] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Append messages that were said elsewhere, read from the standard input; no model is asked.

    Each line is a message as JSON: {"role": "user", "content": "...", "speaker": "Bo", "at": "2026-11-20",
    "key": "..."}; all but content may be left out.
    """
    from pagefault.cli import memory

    memory.append_messages(session_of(home, database, json, tenant), agent, key)


@archival.command("search")
def archival_search(
    query: Annotated[str, typer.Argument(help="The text to search for.")],
    agent: Agent = "default",
    page: Page = 1,
    tag: Tags = None,
    as_of: Annotated[
        str | None, typer.Option(help="Only what held at this time (ISO 8601, yesterday, -2h ...).")
    ] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Search documents and facts; all tags given must be present."""
    from pagefault.cli import memory

    memory.search_archival(session_of(home, database, json, tenant), agent, query, page, tag or [], as_of)


@archival.command("list")
def archival_list(
    agent: Agent = "default",
    page: Page = 1,
    tag: Tags = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """List documents and facts, newest first."""
    from pagefault.cli import memory

    memory.search_archival(session_of(home, database, json, tenant), agent, "", page, tag or [])


@archival.command("insert")
def archival_insert(
    text: Annotated[str, typer.Argument(help="The text to keep.")],
    agent: Agent = "default",
    tag: Tags = None,
    valid_from: Annotated[str | None, typer.Option(help="From when it holds.")] = None,
    valid_until: Annotated[
        str | None, typer.Option(help="Until when it holds; a bare date is included.")
    ] = None,
    always: Annotated[bool, typer.Option("--always", help="Keep it even if it is there.")] = False,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Put a text into archival storage, unless it is there."""
    from pagefault.cli import memory

    session = session_of(home, database, json, tenant)
    memory.insert(session, agent, text, tag or [], valid_from, valid_until, always)


@archival.command("supersede")
def archival_supersede(
    id: Annotated[str, typer.Argument(help="The passage that holds no longer, e.g. p7.")],
    by: Annotated[str, typer.Argument(help="The passage in its place, e.g. p9.")],
    agent: Agent = "default",
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Mark a passage as superseded by another; it stays, and is found below it."""
    from pagefault.cli import memory

    memory.supersede_fact(session_of(home, database, json, tenant), agent, id, by)


@archival.command("restore")
def archival_restore(
    id: Annotated[str, typer.Argument(help="The passage that was superseded, e.g. p7.")],
    agent: Agent = "default",
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Let a passage that was superseded hold again."""
    from pagefault.cli import memory

    memory.restore_fact(session_of(home, database, json, tenant), agent, id)


@archival.command("delete")
def archival_delete(
    id: Annotated[str, typer.Argument(help="The passage's id, e.g. p7.")],
    agent: Agent = "default",
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Delete a passage."""
    from pagefault.cli import memory

    memory.delete(session_of(home, database, json, tenant), agent, id)
