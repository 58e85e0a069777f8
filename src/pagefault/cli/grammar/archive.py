"""The grammar of `pagefault archive`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pagefault.cli.options import (
    As,
    Database,
    Encoding,
    Home,
    Json,
    Ocr,
    Page,
    Password,
    Tags,
    Tenant,
    command_group,
    session_of,
)
from pagefault.errors import UsageError

__all__ = ["archive"]

archive = command_group()

ArchiveName = Annotated[str, typer.Argument(metavar="ARCHIVE", help="The archive's name.")]
Agents = Annotated[list[str], typer.Option("--agent", help="The agent's name; give it once for each.")]


@archive.command("create")
def archive_create(
    name: ArchiveName,
    description: Annotated[str, typer.Option(help="What is in it; its agents see this.")] = "",
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Make an archive, empty and attached to no agent."""
    from pagefault.cli import archives

    archives.create(session_of(home, database, json, tenant), name, description)


@archive.command("list")
def archive_list(
    agent: Annotated[str | None, typer.Option(help="Only those attached to this agent.")] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """List the archives."""
    from pagefault.cli import archives

    archives.list_all(session_of(home, database, json, tenant), agent)


@archive.command("show")
def archive_show(
    name: ArchiveName, home: Home = None, database: Database = None, json: Json = False, tenant: Tenant = None
) -> None:
    """Show an archive: what it holds, and to whom it is attached."""
    from pagefault.cli import archives

    archives.show(session_of(home, database, json, tenant), name)


@archive.command("attach")
def archive_attach(
    name: ArchiveName,
    agent: Agents,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="The agents can read it, and not change it.")
    ] = False,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Attach an archive to agents. Again, it changes whether they may only read it; each has an event."""
    from pagefault.cli import archives

    archives.attach(session_of(home, database, json, tenant), name, agent, read_only=read_only)


@archive.command("detach")
def archive_detach(
    name: ArchiveName,
    agent: Agents,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Detach an archive from agents. What they put into it stays there."""
    from pagefault.cli import archives

    archives.detach(session_of(home, database, json, tenant), name, agent)


@archive.command("load")
def archive_load(
    name: ArchiveName,
    targets: Annotated[list[str], typer.Argument(help="Files, folders, http(s) URLs; - is standard input.")],
    tag: Tags = None,
    title: Annotated[str | None, typer.Option(help="The title; for a single document.")] = None,
    kind: As = "",
    encoding: Encoding = "",
    ocr: Ocr = False,
    password: Password = "",
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Load documents into an archive, once for all its agents. See `pagefault load`."""
    from pagefault.cli import documents
    from pagefault.shared import Archive

    how = documents.options_of(encoding, ocr, password, kind)
    documents.load(session_of(home, database, json, tenant), Archive(name), targets, tag or [], title, how)


@archive.command("insert")
def archive_insert(
    name: ArchiveName,
    text: Annotated[str, typer.Argument(help="The text to keep.")],
    tag: Tags = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Put a text into an archive."""
    from pagefault.cli import memory
    from pagefault.shared import Archive

    memory.insert(session_of(home, database, json, tenant), Archive(name), text, tag or [])


@archive.command("search")
def archive_search(
    name: ArchiveName,
    query: Annotated[str, typer.Argument(help="The text to search for; none: list all, newest first.")] = "",
    page: Page = 1,
    tag: Tags = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Search an archive; all tags given must be present."""
    from pagefault.cli import memory
    from pagefault.shared import Archive

    memory.search_archival(session_of(home, database, json, tenant), Archive(name), query, page, tag or [])


@archive.command("remove")
def archive_remove(
    name: ArchiveName,
    id: Annotated[str, typer.Argument(help="The passage's id, e.g. p7.")],
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Delete a passage of an archive. `pagefault document delete --archive` deletes a document."""
    from pagefault.cli import memory
    from pagefault.shared import Archive

    memory.delete(session_of(home, database, json, tenant), Archive(name), id)


@archive.command("rename")
def archive_rename(
    name: ArchiveName,
    new: Annotated[str, typer.Argument(help="The new name.")],
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Give an archive another name. It stays attached."""
    from pagefault.cli import archives

    archives.rename(session_of(home, database, json, tenant), name, new)


@archive.command("delete")
def archive_delete(
    name: ArchiveName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Delete an archive with all that is in it."""
    from pagefault.cli import archives

    question = f"Delete archive {name} and all that is in it?"
    if not yes and not (sys.stdin.isatty() and typer.confirm(question, err=True)):
        raise UsageError(f"Archive {name} is not deleted; say --yes if you mean it.")
    archives.delete(session_of(home, database, json, tenant), name)
