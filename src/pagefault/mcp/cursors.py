"""Cursors: the place in a list at which its next page begins.

A cursor holds two numbers and nothing else, so it needs no signature: a made-up one shows another page of
what the caller may see anyway.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pagefault.errors import UsageError

__all__ = ["ListPlace"]

_FORM = re.compile(r"o(\d{1,9})(?:\.m(\d{1,15}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ListPlace:
    """``offset``: items before the page; ``newest``: the id of the newest message that the first page looked
    at, so that pages stay as they were while the log grows."""

    offset: int = 0
    newest: str | None = None

    @classmethod
    def of(cls, cursor: str | None) -> ListPlace:
        """The place that a cursor names; ``UsageError`` for what is none."""
        if not cursor:  # models write "" for none
            return cls()
        if not (found := _FORM.fullmatch(cursor)):
            raise UsageError("That is no cursor of this list; take the cursor of its page before.")
        return cls(int(found[1]), f"m{found[2]}" if found[2] else None)

    def __str__(self) -> str:
        return f"o{self.offset}" + (f".{self.newest}" if self.newest else "")
