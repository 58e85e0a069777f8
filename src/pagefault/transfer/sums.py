"""Checksums of an agent's tables: the same in every database, whatever the order of the rows.

A row's part is the BLAKE2b (16 bytes) of its line of JSON (``lines``), a table's their sum: rows may come in
any order, and one that is lost, doubled or changed shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from pagefault.storage.row_transfer import AGENT, OWNED, Row, TransferRows, TransferTable
from pagefault.transfer.lines import encode
from pagefault.types import AgentId

__all__ = ["Batches", "Sums", "TableSum", "outgoing"]

Batches = Iterator[tuple[TransferTable, Sequence[Row]]]
"""Rows of an agent by table, a few at a time."""

_SIZE = 16


@dataclass(frozen=True, slots=True)
class TableSum:
    """The number of an agent's rows in a table, and their checksum in hexadecimal."""

    rows: int
    checksum: str


@dataclass(slots=True)
class Sums:
    """Sums of the rows that were added, by table."""

    _rows: dict[str, int] = field(default_factory=dict[str, int])
    _sums: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, table: TransferTable, line: bytes) -> None:
        part = int.from_bytes(blake2b(line, digest_size=_SIZE).digest())
        self._rows[table.name] = self._rows.get(table.name, 0) + 1
        self._sums[table.name] = (self._sums.get(table.name, 0) + part) % (1 << 8 * _SIZE)

    def tables(self) -> dict[str, TableSum]:
        """Tables without rows are left out."""
        return {
            name: TableSum(rows, f"{self._sums[name]:0{2 * _SIZE}x}") for name, rows in self._rows.items()
        }

    def added(self, batches: Batches) -> Batches:
        """The same batches, each added as it passes."""
        for table, rows in batches:
            for row in rows:
                self.add(table, encode(table, row))
            yield table, rows


def outgoing(source: TransferRows, agent: AgentId) -> Batches:
    """All that an agent owns, in batches, its own row first. Effects on their way that were applied already
    are left out: where the rows go, the agent has another id, and nobody would know."""
    yield AGENT, [source.agent(agent)]
    for table in OWNED:
        for rows in source.rows(agent, table):
            yield table, source.unapplied(agent, rows) if table.name == "outbox" else rows
