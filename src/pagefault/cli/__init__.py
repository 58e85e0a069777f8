"""The command line: `pagefault chat`, and commands to look at and tend what an agent remembers.

    commands.py   the grammar: every command with its options; nothing else is imported for ``--help``
    db_commands.py document_commands.py model_commands.py options.py    parts of it: `db`; `load`, `document`;
                  `models`; shared options
    session.py    one run of a command: which home, JSON or text, a kernel that is opened and closed
    agents.py memory.py documents.py events.py models.py embedders.py database.py trace.py usage.py    the
                  rooms: what those commands do
    chat.py slash.py screens.py               a conversation, its slash commands, how it is shown
    render.py tally.py    values, and what was spent, as lines of text

Errors become one sentence on stderr and exit code 1; a wrong command line is exit code 2.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn, cast

from pagefault.errors import PagefaultError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command (by default the process's own arguments) and exit with its code."""
    from typer.main import get_command

    from pagefault.cli.commands import app

    _speak_utf8()
    try:
        get_command(app).main(args=arguments, prog_name="pagefault")
    except ExceptionGroup as group:  # a background task of the chat failed
        error = _first(group)
        if not isinstance(error, PagefaultError | OSError):
            raise
        _fail(error)
    except (PagefaultError, OSError) as error:
        _fail(error)
    raise SystemExit(0)


def _speak_utf8() -> None:
    """Whatever the locale says: what is stored is Unicode, and a reply must not die of a C locale."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


def _first(group: ExceptionGroup[Exception]) -> Exception:
    (error, *_) = group.exceptions
    return _first(cast(ExceptionGroup[Exception], error)) if isinstance(error, ExceptionGroup) else error


def _fail(error: PagefaultError | OSError) -> NoReturn:
    """Exit with one sentence for what somebody must mend. Anything else is a bug, and keeps its trace."""
    if isinstance(error, BrokenPipeError):  # the reader has left, and wants to hear no more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1)
    if isinstance(error, OSError):
        what = f"{error.filename}: " if error.filename else ""
        sys.exit(f"pagefault: {what}{error.strerror or error}; mend that or choose another --home.")
    sys.exit(f"pagefault: {error}")
