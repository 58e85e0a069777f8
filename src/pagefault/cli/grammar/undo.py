"""The grammar of `pagefault undo`."""

from __future__ import annotations

from typing import Annotated

import typer

from pagefault.cli.options import Database, Home, Json, Name, Tenant, session_of
from pagefault.errors import UsageError

__all__ = ["undo"]


def undo(
    name: Name,
    turns: Annotated[int | None, typer.Option(help="So many turns; by default the last one.")] = None,
    to: Annotated[
        str | None, typer.Option(help="All behind this message (m12) instead; 0: everything.")
    ] = None,
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Withdraw the last turns of an agent: they stay in the log, and nowhere else."""
    from pagefault.cli.undoing import undo as withdraw

    if turns is not None and to is not None:
        raise UsageError("Give --turns or --to, not both.")
    withdraw(session_of(home, database, json, tenant), name, 1 if turns is None else turns, to)
