"""The rows of one agent as the checks read them: by column, with what they are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pagefault.storage.row_transfer import OWNED, TransferRows
from pagefault.types import AgentId, Role

__all__ = ["TABLES", "KnownRows"]

TABLES = {table.name: table for table in OWNED}
"""The tables of an agent by name."""


@dataclass(slots=True)
class KnownRows:
    """The values that one agent's tables are compared with."""

    rows: TransferRows
    agent: AgentId
    own: dict[str, Any]
    embedded: dict[str, set[int]] = field(default_factory=dict[str, "set[int]"])  # by tier, to have vectors
    messages: set[int] = field(default_factory=set[int])  # that are in the indexes
    summaries: set[int] = field(default_factory=set[int])  # that were not undone
    passages: set[int] = field(default_factory=set[int])

    def note(self, row: dict[str, Any]) -> None:
        """Note which sets a row of the log is in."""
        seq, counts = row["seq"], row["withdrawn"] is None
        if counts and row["role"] == Role.SUMMARY:
            self.summaries.add(seq)
        if counts and not row["erased"]:
            self.messages.add(seq)
        if row["embed"]:
            self.embedded.setdefault("recall", set()).add(seq)

    def table(self, name: str) -> Iterator[dict[str, Any]]:
        table = TABLES[name]
        for batch in self.rows.rows(self.agent, table):
            for row in batch:
                yield dict(zip(table.columns, row, strict=True))
