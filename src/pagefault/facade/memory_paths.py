"""The paths of an agent's memory as files: what is one, and which tags are those of files.

Leaves out the files (``facade.memory_files``).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from pagefault.errors import UsageError

__all__ = ["ROOT", "SECTIONS", "TAG", "parts_of", "path_of", "refuse_section"]

ROOT = "/memories"
TAG = "memories"  # of every file, and the beginning of the tag that is its path
SECTIONS = "sections"
_LONGEST_PATH = 200  # characters


def parts_of(path: str) -> tuple[str, ...]:
    """The names of a path below ``/memories``; ``UsageError`` for one that is no such path."""
    if path != ROOT and not path.startswith(f"{ROOT}/"):
        raise UsageError(f"Path must start with /memories, got: {path[:_LONGEST_PATH]!a}")
    if len(path) > _LONGEST_PATH:
        raise UsageError(f"The path has {len(path):,} characters, and may have {_LONGEST_PATH}")
    parts = tuple(part for part in unicodedata.normalize("NFC", path[len(ROOT) :]).split("/") if part)
    if ".." in parts or "." in parts:
        raise UsageError(f"Path {path} would escape /memories directory")
    for part in parts:
        if not part.isprintable() or part != part.strip("# ") or "\\" in part:
            raise UsageError(f"{part!a} cannot be the name of a file; use letters, digits, dots and dashes.")
    return parts


def path_of(tag: str) -> str:
    """The path of the file that a tag is of; empty if it is none, as whoever adds memories may write it."""
    try:
        path = "/".join(parts_of(f"/{tag}"))
    except UsageError:
        return ""
    return path if tag == f"{TAG}/{path}" and not path.startswith(f"{SECTIONS}/") else ""


def refuse_section(parts: Sequence[str]) -> None:
    if parts[:1] == (SECTIONS,):
        raise UsageError(
            "The files below /memories/sections are the agent's own sections: view and edit them; put new "
            "files elsewhere below /memories."
        )
