"""The options that commands share, and the session that they make of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pagefault.cli.session import Session

__all__ = [
    "Agent", "As", "Database", "Encoding", "Home", "Json", "Model", "Name", "Ocr", "Page", "Password",
    "Style", "Tags", "Tenant", "Window", "Zone", "command_group", "given", "session_of",
]  # fmt: skip


def command_group(*, runs_alone: bool = False, cls: Any = None) -> typer.Typer:
    """A group without what costs time at each start: markup, completion, decorated tracebacks.

    Without a command it shows its help, unless it ``runs_alone``.
    """
    return typer.Typer(
        cls=cls,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=not runs_alone,
    )


def _home(context: typer.Context, value: Path | None) -> Path | None:
    return value or context.find_root().params.get("home")


def _database(context: typer.Context, value: str | None) -> str | None:
    return value or context.find_root().params.get("database")


def _json(context: typer.Context, value: bool) -> bool:
    return value or bool(context.find_root().params.get("json"))


def _tenant(context: typer.Context, value: str | None) -> str | None:
    return value if value is not None else context.find_root().params.get("tenant")


Home = Annotated[
    Path | None,
    typer.Option(help="Where the data is kept; else $PAGEFAULT_HOME, else ~/.pagefault.", callback=_home),
]
Encoding = Annotated[
    str, typer.Option(help="The character set of text, such as cp1251; detected by default.", metavar="NAME")
]
As = Annotated[
    str,
    typer.Option(
        "--as",
        help="What files of text are: code, text, markdown ...; by their names by default.",
        metavar="KIND",
    ),
]
Ocr = Annotated[bool, typer.Option("--ocr", help="Recognise the text of scanned pages; tesseract does it.")]
Password = Annotated[
    str, typer.Option(help="The password of PDFs that have one; - asks for it.", metavar="TEXT")
]
Database = Annotated[
    str | None,
    typer.Option(
        help="A PostgreSQL database, postgresql://...; else $PAGEFAULT_DATABASE_URL, else the home's file.",
        metavar="URL",
        callback=_database,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.", callback=_json)]
Tenant = Annotated[
    str | None,
    typer.Option(help="The tenant; else $PAGEFAULT_TENANT, else the one without a name.", callback=_tenant),
]
Name = Annotated[str, typer.Argument(help="The agent's name.")]
Agent = Annotated[str, typer.Option(help="The agent's name.")]
Page = Annotated[int, typer.Option(help="Page of results, from 1.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A tag; give it once for each.")]


Model = Annotated[
    str | None,
    typer.Option(help="As `pagefault models` lists them; a,b: b takes over when a fails."),
]
Window = Annotated[int | None, typer.Option(help="The context window in tokens, at least 4096.")]
Style = Annotated[str | None, typer.Option(help="memgpt: only send_message speaks. native: plain text does.")]
Zone = Annotated[str | None, typer.Option(help="Time zone, e.g. Europe/Lisbon.")]


def given(**options: Any) -> dict[str, Any]:
    """The options that were given: settings by name."""
    return {name: value for name, value in options.items() if value is not None}


def session_of(home: Path | None, database: str | None, json: bool, tenant: str | None = None) -> Session:
    from pagefault.cli.session import Session

    return Session(home, database, json, tenant)
