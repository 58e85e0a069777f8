"""A small file of the home, replaced as a whole, readable by its owner only."""

from __future__ import annotations

import os
from pathlib import Path

from pagefault.redaction import logger_of

__all__ = ["keep"]

logger = logger_of(__name__)


def keep(path: Path, text: str) -> None:
    """Write a file (0600, its folder 0700 if it is made). If it cannot be written, as in a home that is
    read-only, a warning says so, and it is as before."""
    fresh = path.with_suffix(".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)  # left by a process that was killed
        with open(fresh, "x", encoding="utf-8", opener=_private) as file:
            file.write(text)
        fresh.replace(path)
    except OSError as error:
        logger.warning("%s cannot be written (%s): this is not kept for later.", path, error.strerror)


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)
