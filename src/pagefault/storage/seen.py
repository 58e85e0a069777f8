"""The part of a transaction by which a past main context is found again: completions, sections at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pagefault.types import AgentId, Message, Section

__all__ = ["SeenTransaction"]


class SeenTransaction(Protocol):
    """See ``storage.transaction.Transaction``."""

    def completion_row(self, agent: AgentId, seq: int, *, behind: bool = False) -> Message | None:
        """The first row of the newest completion that begins at ``seq`` or before, or of the oldest one
        ``behind`` it."""
        ...

    def sections_at(self, agent: AgentId, at: datetime) -> list[tuple[datetime, Section]]:
        """Each section's newest version that was stored at this time or before, with its own time, in order
        of creation; those that were removed by then have a limit of 0."""
        ...
