"""Raw rows of a SQLite file: ``storage.row_transfer`` on a connection apart from the store's threads.

While a transaction writes, others that write to the file wait; who reads does not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pagefault.errors import StorageError
from pagefault.storage.row_transfer import Row, TransferTable
from pagefault.storage.sql.transfer import SqlTransfer
from pagefault.storage.sqlite import lexicon
from pagefault.storage.sqlite.connection import Connection
from pagefault.storage.sqlite.opening import open_file
from pagefault.storage.sqlite.purge import Purge, owe, truncate_log
from pagefault.storage.sqlite.traces import traces, used_pages
from pagefault.storage.sqlite.transaction import SQLitePart
from pagefault.types import AgentId, Tier

__all__ = ["SQLiteTransfer", "SQLiteTransferRows"]

_EVERYTHING = 2**31  # steps of a purge
_STEP = 256  # pages of a backup between two reports


class SQLiteTransferRows(SQLitePart, SqlTransfer):
    """``storage.row_transfer.TransferRows`` on a connection inside a transaction."""

    _db: Connection

    def _read(self, table: TransferTable, rows: Sequence[Row]) -> Sequence[Row]:
        """SQLite has no truth values, only 0 and 1."""
        where = [index for index, kind in enumerate(table.columns.values()) if kind is bool]
        if not where:
            return rows
        return [tuple(bool(v) if index in where else v for index, v in enumerate(row)) for row in rows]

    def _clear_index(self, agent: AgentId) -> None:
        lexicon.unindex_agent(self._db, agent)

    def frequencies(self, agent: AgentId, tier: Tier) -> Iterator[tuple[str, int, int]]:
        return lexicon.frequencies(self._db, agent, tier)

    def faults(self) -> list[str]:
        found = [said for (said,) in self._db.rows("PRAGMA integrity_check") if said != "ok"]
        astray = self._db.rows("PRAGMA foreign_key_check")
        found += [f"A row of {table} belongs to no agent." for table, *_ in astray]
        last = {table: self._db.one(f"SELECT max(id) FROM {table}")[0] for table in _COUNTED}
        return found + [
            f"{table} takes no more rows: one has the id {id}." for table, id in last.items() if id == _LAST
        ]


_COUNTED = ("agents", "messages", "passages")  # their ids go up and are never used again
_LAST = (1 << 63) - 1


class SQLiteTransfer:
    """``storage.row_transfer.TransferDatabase`` on one file. Make it with ``open``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path, *, busy_timeout: float = 60.0) -> SQLiteTransfer:
        """Open the file, making it or bringing it up to date if need be; ``busy_timeout`` in seconds."""
        path = path.resolve()
        locks = path.parent / "locks"
        connection = open_file(path, locks, synchronous="NORMAL", busy_timeout=busy_timeout)
        return cls(connection)

    @property
    def place(self) -> str:
        return str(self._connection.path)

    @contextmanager
    def reading(self) -> Generator[SQLiteTransferRows]:
        self._connection.run("BEGIN")
        try:
            self._connection.one("SELECT 1 FROM agents LIMIT 1")  # from here on the snapshot stands
            yield SQLiteTransferRows(self._connection)
        finally:
            self._connection.rollback()

    @contextmanager
    def writing(self) -> Generator[SQLiteTransferRows]:
        self._connection.run("BEGIN IMMEDIATE")
        try:
            yield SQLiteTransferRows(self._connection)
            self._connection.run("COMMIT")
        finally:
            self._connection.rollback()  # if what is above was not reached

    def backup(self, path: Path, progress: Callable[[int, int], None]) -> None:
        """Copy the file as it stands now to a new file, while others go on writing.

        ``progress`` hears how many pages of how many are copied.
        """
        copy = sqlite3.connect(path, isolation_level=None)
        try:
            with self.reading():  # held, so that what others write meanwhile does not start it anew
                self._connection.driver.backup(
                    copy, pages=_STEP, progress=lambda _, left, total: progress(total - left, total)
                )
        except sqlite3.Error as error:
            raise StorageError(f"The backup {path} could not be written: {error}.") from error
        finally:
            copy.close()

    def traces(self, words: Sequence[str], *, rewrite: bool = False) -> tuple[list[str], list[str]]:
        if rewrite:
            with self.writing():
                owe(self._connection)
        Purge(self._connection).finish(_EVERYTHING)
        if rewrite:
            self._connection.run("VACUUM")
        settled = truncate_log(self._connection) and not Purge(self._connection).is_owed
        found = list(traces(self._connection, words))
        if not settled:
            found.append("Others use the database; what was deleted is purged when they let it. Try again.")
        elif pages := used_pages(self._connection.path):
            found.append(f"{pages:,} unused pages hold what was deleted by an earlier version of pagefault.")
        return found, []

    def close(self) -> None:
        self._connection.close()
