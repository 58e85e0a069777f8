"""The texts the model reads that are not data: one Markdown file each."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def text(name: str) -> str:
    """The text of ``prompts/NAME.md``."""
    return resources.files(__name__).joinpath(f"{name}.md").read_text("utf-8").strip()
