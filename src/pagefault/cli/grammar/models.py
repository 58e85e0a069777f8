"""The grammar of `pagefault models`."""

from __future__ import annotations

from typing import Annotated

import typer

from pagefault.cli.options import Database, Home, Json, command_group, session_of

__all__ = ["models"]

models = command_group(runs_alone=True)


@models.callback(invoke_without_command=True)
def model_list(
    context: typer.Context, home: Home = None, database: Database = None, json: Json = False
) -> None:
    """List the providers of models, the one that is set, and what the others lack."""
    from pagefault.cli import models

    if context.invoked_subcommand is None:
        models.list_all(session_of(home, database, json))


@models.command("check")
def model_check(
    name: Annotated[str, typer.Argument(help="PROVIDER:NAME, or URL#NAME.")],
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Ask a model for one word and one function call, and report its abilities.

    The way in which it calls functions is stored, and used by agents. The exit code is 1 if it does not
    answer or cannot call functions.
    """
    from pagefault.cli import models

    models.check(session_of(home, database, json), name)


@models.command("trust")
def model_trust(
    name: Annotated[str, typer.Argument(help="URL#NAME.")],
    home: Home = None,
    database: Database = None,
    json: Json = False,
) -> None:
    """Let the server of a model have the key in PAGEFAULT_MODEL_KEY.

    A model that you name yourself is trusted: in config.toml, in PAGEFAULT_MODEL, with --model. One that came
    with an imported agent is not.
    """
    from pagefault.cli import models

    models.trust(session_of(home, database, json), name)
