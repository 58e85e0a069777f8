"""The grammar of `pagefault chat` and `pagefault run`."""

from __future__ import annotations

from typing import Annotated

import typer

from pagefault.cli.options import (
    Agent,
    Database,
    Home,
    Json,
    Model,
    Style,
    Tenant,
    Window,
    Zone,
    given,
    session_of,
)

__all__ = ["chat", "run"]


def chat(
    agent: Agent = "default",
    model: Model = None,
    window: Window = None,
    style: Style = None,
    zone: Zone = None,
    embedder: Annotated[str | None, typer.Option(help="As `pagefault embedders` lists them.")] = None,
    reranker: Annotated[str | None, typer.Option(help="URL#MODEL or fastembed:MODEL.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Hide thoughts and function calls.")] = False,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Talk with an agent; it is created if there is none of that name. Options given are stored with it.

    With piped input each non-empty line is a message and its reply is one line on stdout (empty if
    nothing was said); all else goes to stderr. With --json each output is a line of JSON on stdout.
    """
    from pagefault.cli.chat import chat as talk

    wanted = given(model=model, window=window, style=style, zone=zone)
    chosen = given(embedder=embedder, reranker=reranker)
    talk(session_of(home, database, json, tenant), agent, wanted, chosen, quiet)


def run(
    agent: Annotated[list[str] | None, typer.Option(help="Show only this agent; may be given again.")] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Serve inboxes and timers of all agents until interrupted."""
    from pagefault.cli.events import serve

    serve(session_of(home, database, json, tenant), agent or [])
