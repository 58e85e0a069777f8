"""The grammar of `pagefault forget`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pagefault.cli.options import Agent, Database, Home, Json, Tenant, session_of

__all__ = ["forget"]


def forget(
    query: Annotated[
        str, typer.Argument(help="The text to forget, literally apart from case and spaces.")
    ] = "",
    agent: Agent = "default",
    id: Annotated[
        list[str] | None, typer.Option(help="m12, p7, d1, t3 or manuals/p7; may be given again.")
    ] = None,
    speaker: Annotated[str, typer.Option(help="Only what this person or agent said.")] = "",
    since: Annotated[
        str | None, typer.Option(help="From this time on (ISO 8601, yesterday, -2h ...).")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Before this time; a bare date is included.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List it all; change nothing.")] = False,
    by: Annotated[str, typer.Option(help="At whose word, for the tombstone.")] = "",
    receipts: Annotated[bool, typer.Option("--receipts", help="List what was forgotten so far.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Forget a text, ids, a person or a time: everywhere, for good.

    What meets all that is given goes from the log, from memory, documents, summaries and indexes; what quotes
    it goes with it. A receipt says how much went, and what is out of reach.
    """
    from pagefault.cli.forgetting import forget as run
    from pagefault.cli.forgetting import list_receipts

    if receipts:
        return list_receipts(session_of(home, database, json, tenant), agent)

    def sure(question: str) -> bool:
        return yes or (sys.stdin.isatty() and typer.confirm(question, err=True))

    run(
        session_of(home, database, json, tenant), agent, query, id or [], speaker, since, until, by, sure,
        dry_run=dry_run,
    )  # fmt: skip
