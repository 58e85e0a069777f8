"""The grammar of `pagefault load` and `pagefault document`."""

from __future__ import annotations

from typing import Annotated

import typer

from pagefault.cli.options import (
    Agent,
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
from pagefault.shared import Archive, StorageOwner

__all__ = ["document", "load"]

document = command_group()

OfArchive = Annotated[str | None, typer.Option("--archive", help="The name of an archive, not of an agent.")]


def _owner(agent: str, archive: str | None) -> StorageOwner:
    return Archive(archive) if archive else agent


def load(
    targets: Annotated[list[str], typer.Argument(help="Files, folders, http(s) URLs; - is standard input.")],
    agent: Agent = "default",
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
    """Load documents into an agent's archival storage: PDF, Office, mail, pages, books, data, archives, code.

    A document that has not changed since it was loaded is skipped, a changed one is replaced. A file that
    cannot be read is reported, the others are loaded, and the exit code is 1. At the end the agent gets one
    event.
    """
    from pagefault.cli import documents

    how = documents.options_of(encoding, ocr, password, kind)
    documents.load(session_of(home, database, json, tenant), agent, targets, tag or [], title, how)


@document.command("list")
def document_list(
    agent: Agent = "default",
    archive: OfArchive = None,
    page: Page = 1,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """List the documents of an agent or an archive, newest first."""
    from pagefault.cli import documents

    documents.list_all(session_of(home, database, json, tenant), _owner(agent, archive), page)


@document.command("show")
def document_show(
    id: Annotated[str, typer.Argument(help="The document's id, e.g. d1.")],
    agent: Agent = "default",
    archive: OfArchive = None,
    page: Annotated[int, typer.Option(help="Page of the document, from 1.")] = 1,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Show a document and one of its pages."""
    from pagefault.cli import documents

    documents.show(session_of(home, database, json, tenant), _owner(agent, archive), id, page)


@document.command("delete")
def document_delete(
    id: Annotated[str, typer.Argument(help="The document's id, e.g. d1.")],
    agent: Agent = "default",
    archive: OfArchive = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Delete a document with all its passages."""
    from pagefault.cli import documents

    documents.delete(session_of(home, database, json, tenant), _owner(agent, archive), id)
