"""The rows of an agent's tables as they are stored, read whole or in the order of a key."""

from __future__ import annotations

from collections.abc import Sequence

from pagefault.storage.row_transfer import Row, TransferTable
from pagefault.storage.sql.vectors import SqlVectors
from pagefault.types import AgentId

__all__ = ["SqlRawRows"]


class SqlRawRows(SqlVectors):
    """The base of transfers of rows: reading them."""

    def _column(self, name: str) -> str:
        """A column as it is read."""
        return name

    def _read(self, table: TransferTable, rows: Sequence[Row]) -> Sequence[Row]:
        """Rows of a table as they are handed over."""
        del table
        return rows

    def _relation(self, agent: AgentId, table: TransferTable) -> str:
        """The name of a table, or the SQL of what stands for it, with ``:agent``."""
        del agent
        return table.name

    def whole(self, agent: AgentId, table: TransferTable) -> Sequence[Row]:
        """All rows of a small table, as ``rows`` gives them, inside a transaction of the store."""
        ordered = f" ORDER BY {table.order}" if table.order else ""
        return self._read(table, self._db.rows(f"{self._chosen(agent, table)}{ordered}", agent=agent))

    def _chosen(self, agent: AgentId, table: TransferTable) -> str:
        columns = ", ".join(map(self._column, table.columns))
        return f"SELECT {columns} FROM {self._relation(agent, table)} r WHERE agent = :agent"

    def behind(
        self, agent: AgentId, table: TransferTable, key: str, after: int | str, limit: int,
        also: str = "TRUE", **values: int | str,
    ) -> Sequence[Row]:  # fmt: skip
        """The first ``limit`` rows whose ``key`` is above ``after``, in its order, which meet a condition."""
        further = f"{self._chosen(agent, table)} AND {key} > :after AND {also} ORDER BY {key} LIMIT :limit"
        return self._read(table, self._db.rows(further, agent=agent, after=after, limit=limit, **values))
