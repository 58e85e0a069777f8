"""The rows of one agent as the checks read them: by column, with what they are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pagefault.storage.row_transfer import OWNED, TransferRows
from pagefault.types import AgentId

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
    passages: set[int] = field(default_factory=set[int])

    def table(self, name: str) -> Iterator[dict[str, Any]]:
        table = TABLES[name]
        for batch in self.rows.rows(self.agent, table):
            for row in batch:
                yield dict(zip(table.columns, row, strict=True))
