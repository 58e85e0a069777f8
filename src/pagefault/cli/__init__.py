"""The command line: `pagefault chat`, and commands to see and change what an agent remembers.

    tree.py       the command tree: names, and the modules that are loaded when they are used
    grammar/      every command with its arguments and options; options.py: those that commands share
    session.py    one run of a command: which home, JSON or text, a kernel that is opened and closed
    agents.py memory.py documents.py events.py models.py embedders.py database.py trace.py usage.py
                  what the commands do, with the views of the kernel
    chat.py conversation.py person.py pipe.py slash.py screens.py
                  a conversation, at a terminal or through a pipe, its slash commands, the screens
    render.py     values as lines of text and as JSON

Errors become one sentence on stderr, a JSON object with ``--json``, and exit code 1; a wrong command line is
exit code 2.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
from collections.abc import Sequence
from errno import ENOSPC
from io import TextIOWrapper
from typing import Any, NoReturn, cast

from pagefault.errors import PagefaultError
from pagefault.quoting import visible
from pagefault.redaction import redacted

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command (by default the process's own arguments) and exit with its code."""
    _start_quickly()
    os.umask(
        0o077
    )  # for others to read nothing that a command writes: exports, caches, results of benchmarks
    from typer.exceptions import Abort, TyperException
    from typer.main import get_command

    from pagefault.cli.tree import app

    _set_up_streams()
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # the store reports a lost server, in a sentence
    given = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in given
    try:
        code = get_command(app).main(args=given, prog_name="pagefault", standalone_mode=not as_json)
    except ExceptionGroup as group:  # a background task of the chat failed
        from pagefault.cli.session import first_of

        error = first_of(group)
        if not isinstance(error, PagefaultError | OSError):
            raise
        _fail(error, as_json)
    except (PagefaultError, OSError) as error:
        _fail(error, as_json)
    except TyperException as error:  # a wrong command line; without --json Typer reports it
        print(_line(error.format_message(), "CommandLineError", as_json), file=sys.stderr)
        raise SystemExit(2) from None
    except Abort:
        raise SystemExit(1) from None
    raise SystemExit(code or 0)


def _start_quickly() -> None:
    """Collect garbage less often, as imports leave none, and load no plug-ins of pydantic."""
    gc.set_threshold(50_000, 20, 20)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


class _ShownStream(TextIOWrapper):
    """A standard stream to which no text writes control characters. A terminal is sent those of C0: the codes
    of the console begin with one, and texts come to it through the console or ``render``."""

    def __init__(self, stream: TextIOWrapper[Any]) -> None:
        buffering = stream.line_buffering
        super().__init__(stream.buffer, "utf-8", "replace", line_buffering=buffering, write_through=True)
        self._kept = "".join(map(chr, range(32))) if stream.isatty() else "\n\t"

    def write(self, text: str) -> int:
        super().write(visible(text, self._kept))
        return len(text)

    def close(self) -> None:
        self.flush()  # what is beneath belongs to the process


def _set_up_streams() -> None:
    """Use UTF-8 whatever the locale is: stored text is Unicode, and must not fail in a C locale."""
    for name in ("stdin", "stdout", "stderr"):
        stream: object = getattr(sys, name)
        if isinstance(stream, TextIOWrapper):
            wrapper = cast("TextIOWrapper[Any]", stream)
            wrapper.reconfigure(encoding="utf-8", errors="replace")
            setattr(sys, name, wrapper if name == "stdin" else _ShownStream(wrapper))


def _fail(error: PagefaultError | OSError, as_json: bool) -> NoReturn:
    """Exit with one sentence for an error that a person can fix. Any other is a bug, and keeps its trace."""
    if isinstance(error, BrokenPipeError):  # the reader has closed the pipe
        for stream in (sys.stdout, sys.stderr):  # what is left in their buffers has nowhere to go
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise SystemExit(1)
    if isinstance(error, OSError):
        what = f"{error.filename}: " if error.filename else ""
        advice = "free some space" if error.errno == ENOSPC else "check that path and who may use it"
        sys.exit(_line(f"{what}{error.strerror or error}; {advice}.", "OSError", as_json))
    sys.exit(_line(str(error), type(error).__name__, as_json))


def _line(sentence: str, kind: str, as_json: bool) -> str:
    """An error as a line for stderr: a sentence, or with ``--json`` an object."""
    shown = visible(redacted(sentence))
    return json.dumps({"error": shown, "type": kind}) if as_json else f"pagefault: {shown}"
