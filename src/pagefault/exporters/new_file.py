"""A file of the user's that is written whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from pagefault.errors import UsageError

__all__ = ["new_file", "text_output"]


@contextmanager
def new_file(target: Path) -> Generator[Path]:
    """A file to write beside ``target`` (0600), which becomes it when all is written, and else goes."""
    if target.exists():
        raise UsageError(f"{target} is there already; choose another name.")
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {target.parent}; make it, or write the file elsewhere.")
    part = target.with_name(f"{target.name}.part")
    os.close(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.rename(target)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


@contextmanager
def text_output(target: str) -> Generator[TextIO]:
    """A new file for text, as ``new_file``; or standard output for ``-``."""
    if target == "-":
        yield sys.stdout
        sys.stdout.flush()
        return
    with new_file(Path(target)) as part, part.open("w", encoding="utf-8") as file:
        yield file
