"""Fields of forms as a browser sends them: texts, tags, names."""

from __future__ import annotations

__all__ = ["names_in", "plain_text", "tags_in"]


def plain_text(text: str) -> str:
    """A text: a browser sends the end of a line as two characters."""
    return text.replace("\r\n", "\n")


def tags_in(text: str) -> list[str]:
    """Tags with commas between them, with or without ``#``."""
    return [tag for each in text.split(",") if (tag := each.strip().strip("#").strip())]


def names_in(text: str) -> list[str]:
    """Names with commas or spaces between them."""
    return text.replace(",", " ").split()
