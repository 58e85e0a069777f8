"""A small file of the home, replaced as a whole, readable by its owner only."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["keep"]


def keep(path: Path, text: str) -> None:
    """Write a file (0600, its folder 0700 if it is made); ``OSError`` if it cannot be: it is as before."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)  # left by a process that was killed
    with open(fresh, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    fresh.replace(path)
