"""SQLite's own part of a transaction: the lexical index, and what goes with a deleted row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pagefault.storage.sql.part import RAISED, SqlPart
from pagefault.storage.sql.transaction import SqlTransaction
from pagefault.storage.sql.transfer import SqlTransfer
from pagefault.storage.sqlite import lexicon
from pagefault.storage.sqlite.connection import Connection
from pagefault.storage.sqlite.purge import owe
from pagefault.storage.sqlite.source import SQLiteSource
from pagefault.types import AgentId, Tier

__all__ = ["SQLitePart", "SQLiteTransaction"]

_RAISE_FENCE = f"UPDATE agents SET lease_fence = {RAISED} WHERE id = :agent RETURNING lease_fence"


class SQLitePart(SqlPart):
    """The base of transactions and of transfers of rows."""

    _db: Connection

    def _enter(self, agent: AgentId, tier: Tier, rows: Sequence[tuple[int, Sequence[str]]]) -> None:
        lexicon.index(self._db, agent, tier, rows)

    def _unenter(self, agent: AgentId, tier: Tier, rows: Mapping[int, Sequence[str]]) -> None:
        for number in rows:
            lexicon.unindex(self._db, agent, tier, number)

    def _purge(self) -> None:
        owe(self._db)

    def _source(self) -> SQLiteSource:
        return SQLiteSource(self._db)

    def _register(self, agent: AgentId, tenant: str, name: str) -> bool:
        del agent, tenant, name
        return True  # the table of agents holds that a name is unique


class SQLiteTransaction(SQLitePart, SqlTransaction):
    """``pagefault.storage.Transaction`` on one connection, inside a transaction that the worker opened."""

    _db: Connection

    def raise_fence(self, agent: AgentId) -> int | None:
        """Raise the agent's fence, for who has just taken its turn; None if there is no such agent."""
        row = self._db.one(_RAISE_FENCE, agent=agent)
        return row[0] if row else None

    def _raw(self) -> SqlTransfer:
        from pagefault.storage.sqlite.transfer import SQLiteTransferRows  # it is made of this module's parts

        return SQLiteTransferRows(self._db)

    def _delete_owned(self, agent: AgentId) -> None:
        lexicon.unindex_agent(self._db, agent)  # the rest goes by foreign keys
