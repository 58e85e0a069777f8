"""The lines that were typed in chats, which the terminal's history keeps beside the database."""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path

from pagefault.errors import UsageError
from pagefault.literal_query import LiteralQuery

__all__ = ["FILE", "forget_typed"]

FILE = "history"
"""Its name in the home. Each entry is a line with ``#`` and the time, then its lines, each behind a ``+``."""


def forget_typed(home: Path, query: str, *, dry_run: bool = False) -> int:
    """Take out the entries that contain ``query``, and overwrite where they stood; return how many."""
    file = home / FILE
    if not query or not file.exists():
        return 0
    wanted = LiteralQuery(query)
    try:
        data = file.read_bytes()
        entries = _entries(data)
        kept = [each for each in entries if not wanted.is_in(_text(each))]
        if len(kept) < len(entries) and not dry_run:
            rest = b"".join(kept)
            with file.open("rb+") as opened:
                opened.write(rest.ljust(len(data), b"\0"))
                opened.flush()
                os.fsync(opened.fileno())
                opened.truncate(len(rest))
    except OSError as error:
        why = f"{file} cannot be changed ({error.strerror})"
        raise UsageError(f"{why}; delete it, or make it writable.") from error
    return len(entries) - len(kept)


def _entries(data: bytes) -> list[bytes]:
    typed = groupby(data.splitlines(keepends=True), key=lambda line: line.startswith(b"+"))
    parts = [(is_text, b"".join(lines)) for is_text, lines in typed]
    entries, head = list[bytes](), b""
    for is_text, part in parts:
        if is_text:
            entries.append(head + part)
        head = b"" if is_text else part
    return [*entries, head] if head else entries


def _text(entry: bytes) -> str:
    lines = entry.decode("utf-8", "replace").splitlines()
    return "\n".join(line[1:] for line in lines if line.startswith("+"))
