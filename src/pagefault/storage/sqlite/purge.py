"""Purging: what was deleted also leaves the lexical index, the unused parts of the file and its log.

SQLite overwrites deleted rows with zeros (``PRAGMA secure_delete``). FTS5 only marks what is deleted until
its segments are merged, and the write-ahead log keeps earlier pages until it is truncated: that is done here,
in short steps while nothing else waits, because it takes the longer, the larger the index. ``user_version``
in the file's header counts deletions that still wait for it, so that it is completed after a crash.

FTS5's own ``secure-delete`` is not used: SQLite before 3.42 cannot read an index that has had it.
"""

from __future__ import annotations

from contextlib import suppress

from pagefault.errors import StorageError
from pagefault.storage.sqlite.connection import Connection

__all__ = ["Purge", "owe", "truncate_log"]

_PAGES = 250  # of the index, merged in one step: some 50 ms
_AT_END = 40  # steps when the file is closed; what is left is done when it is opened again
_SOON = 0.05  # seconds, for several deletions in a row are purged once
_LATER = 1.0  # seconds, after a step that others stood in the way of
_MERGE = "INSERT INTO lexicon (lexicon, rank) VALUES ('merge', :pages)"


def owe(connection: Connection) -> None:
    """Note, in the transaction that deletes, that a purge is to follow."""
    connection.run(f"PRAGMA user_version = {_owed(connection) % 2**30 + 1}")


def truncate_log(connection: Connection) -> bool:
    """Write the log into the file and empty it; False if others read it. Never waits."""
    (waits,) = connection.one("PRAGMA busy_timeout")
    connection.run("PRAGMA busy_timeout = 0")
    try:
        return not connection.one("PRAGMA wal_checkpoint(TRUNCATE)")[0]
    finally:
        connection.run(f"PRAGMA busy_timeout = {waits}")


class Purge:
    """The purge of a file, on a connection that writes. ``pause``: seconds to wait before the next step."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._counted = 0  # deletions, when the merge began
        self._merges = self._merged = False
        self.pause = 0.0
        self.look()

    @property
    def is_owed(self) -> bool:
        return self._counted > 0

    def look(self) -> None:
        """Look, after a commit, whether something was deleted: then all is merged again."""
        with suppress(StorageError):  # then it is looked at after the next commit
            if (counted := _owed(self._connection)) != self._counted:
                self._counted = counted
                self._merges = self._merged = False
                self.pause = _SOON

    def step(self) -> None:
        """Do the next step; nothing is lost if it fails."""
        self.pause = 0.0
        try:
            if self._merged:
                self._end()
            else:
                self._merge()
            self.look()
        except StorageError:
            self.pause = _LATER
            with suppress(StorageError):
                self._connection.rollback()

    def finish(self, most: int = _AT_END) -> bool:
        """Do up to so many steps; return True if nothing is owed any more."""
        for _ in range(most):
            if not self.is_owed:
                break
            self.step()
            if self.pause == _LATER:
                break
        return not self.is_owed

    def _merge(self) -> None:
        """Merge some pages. A negative number of them begins to merge all segments into one."""
        connection = self._connection
        connection.run("BEGIN IMMEDIATE")
        before = connection.driver.total_changes
        connection.run(_MERGE, pages=_PAGES if self._merges else -_PAGES)
        self._merged = (
            self._merges and connection.driver.total_changes - before < 2
        )  # so FTS5 says: all is done
        self._merges = True
        connection.run("COMMIT")

    def _end(self) -> None:
        connection = self._connection
        if not truncate_log(connection):
            self.pause = _LATER
            return
        connection.run("BEGIN IMMEDIATE")
        if _owed(connection) == self._counted:  # no other process has deleted anything since
            connection.run("PRAGMA user_version = 0")
        connection.run("COMMIT")


def _owed(connection: Connection) -> int:
    return connection.one("PRAGMA user_version")[0]
