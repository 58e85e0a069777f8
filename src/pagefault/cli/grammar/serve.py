"""The grammar of `pagefault serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from pagefault.cli.options import Database, Home, Json, session_of

__all__ = ["serve"]


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any free one.")] = 8283,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes that serve.")] = 1,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A further name by which clients address the server; may be given again."),
    ] = None,
    grace: Annotated[float, typer.Option(min=0.0, help="Seconds for open turns to end at a stop.")] = 30.0,
    rate: Annotated[
        int, typer.Option(min=0, help="Requests a minute that each key may send; 0: no limit.")
    ] = 600,
    mcp_tokens: Annotated[
        int, typer.Option(min=500, help="Tokens that a result of MCP takes at most.")
    ] = 4_000,
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Serve agents over HTTP, with their inboxes and timers, until SIGINT or SIGTERM."""
    from pagefault.cli.serving import serve as run

    run(session_of(home, database, json), host, port, workers, allow_host or [], grace, rate, mcp_tokens)
