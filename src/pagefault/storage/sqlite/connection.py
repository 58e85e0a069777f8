"""One connection to a SQLite file: statements in, rows out, every failure a ``StorageError`` sentence.

Leaves out what a statement means (``transaction``) and when to commit (``worker``).
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pagefault.errors import StorageError
from pagefault.storage.rows import storable
from pagefault.storage.sqlite.dialect import SQLITE

__all__ = ["Connection", "Synchronous", "is_writable", "sole_connection"]

Synchronous = Literal["NORMAL", "FULL"]

_FIXES = {
    "SQLITE_BUSY": "is locked by {holder}; let it finish, end it, or try again",
    "SQLITE_FULL": "cannot grow because the disk is full; free some space",
    "SQLITE_NOTADB": "is not a pagefault database; move the file away or choose another place",
    "SQLITE_CORRUPT": "is damaged; restore it from a backup",
    "SQLITE_READONLY": "can only be read; make the file and its folder writable",
    "SQLITE_CANTOPEN": "cannot be opened; make its folder exist and be writable",
    "SQLITE_PERM": "cannot be opened; make the file and its folder readable and writable",
    "SQLITE_IOERR": "cannot be read or written (input/output error); check the disk",
}
_WRITING = "120"
"""The byte of the file beside the database that SQLite locks while a process writes."""
_OPEN = str(2**30 + 2)
"""The first of the bytes of the database that SQLite locks while a process has it open."""


class Connection:
    """A connection in autocommit mode (transactions are begun by hand), used by one thread at a time.

    ``busy_timeout`` is in seconds: how long to wait for another process's transaction. A file that cannot be
    written here is opened to be read; then everything else is refused. ``alone``: the first statement that
    reads the file is refused if another connection has it open; from then on no other can open it.
    """

    def __init__(
        self,
        path: Path,
        *,
        synchronous: Synchronous,
        busy_timeout: float,
        read_only: bool = False,
        alone: bool = False,
    ) -> None:
        self.path = path
        self.dialect = SQLITE
        self._can_only_read = not is_writable(path)
        try:
            self.driver = sqlite3.connect(
                _address(path), uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self.failure(error) from error
        try:
            if alone:  # before anything is read: later it would be no lock on the file
                self.run("PRAGMA locking_mode = EXCLUSIVE")
            self.run("PRAGMA foreign_keys = ON")
            self.run("PRAGMA temp_store = MEMORY")
            self.run(f"PRAGMA synchronous = {synchronous}")
            self.run("PRAGMA secure_delete = ON")  # a default that builds of SQLite do not agree on
            if read_only:
                self.run("PRAGMA query_only = ON")
        except StorageError:
            self.close()
            raise

    def check_writable(self) -> None:
        """Raise ``StorageError`` for a file that can only be read: SQLite does so at the first change."""
        if self._can_only_read:
            raise StorageError(f"The database {self.path} {_FIXES['SQLITE_READONLY']}.")

    def one(self, statement: str, **values: Any) -> Any:
        """The first row as a tuple, or None."""
        try:
            return self._execute(statement, values).fetchone()
        except sqlite3.Error as error:
            raise self.failure(error) from error

    def rows(self, statement: str, **values: Any) -> list[Any]:
        """All rows as tuples."""
        try:
            return self._execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self.failure(error) from error

    binary = rows

    def batches(self, statement: str, size: int, **values: Any) -> Iterator[list[Any]]:
        """The rows as tuples, never more than ``size`` at a time in memory."""
        try:
            cursor = self._execute(statement, values)
            while batch := cursor.fetchmany(size):
                yield batch
        except sqlite3.Error as error:
            raise self.failure(error) from error

    def run(self, statement: str, **values: Any) -> int:
        """Execute for its effect; the number of rows changed."""
        try:
            return self._execute(statement, values).rowcount
        except sqlite3.Error as error:
            raise self.failure(error) from error

    send = run

    def changed(self, statement: str, **values: Any) -> bool:
        """Execute, and return whether any row was changed."""
        return self.run(statement, **values) > 0

    def many(self, statement: str, batch: Sequence[Mapping[str, Any]]) -> int:
        """Execute once for each of ``batch``, whose texts are storable already; the rows changed."""
        if not batch:
            return 0
        try:
            return self.driver.executemany(statement, batch).rowcount
        except sqlite3.Error as error:
            raise self.failure(error) from error

    def insert(
        self, table: str, agent: int, rows: Sequence[Mapping[str, Any]], *, if_absent: bool = False
    ) -> None:
        """Insert an agent's rows, all with the same columns; with ``if_absent`` those that are there stay."""
        del agent  # each row has it
        if rows:
            self.many(_insertion(table, tuple(rows[0]), if_absent), rows)

    def listed(self, values: Sequence[Any]) -> str:
        """Values as ``json_each`` takes them."""
        return json.dumps(values)

    def rollback(self) -> None:
        """Undo the open transaction, if SQLite has not already done so by itself."""
        if self.driver.in_transaction:
            self.run("ROLLBACK")

    def close(self) -> None:
        self.driver.close()

    def failure(self, error: sqlite3.Error) -> StorageError:
        """Return the error as one sentence that says how to fix it."""
        name: str = getattr(error, "sqlite_errorname", "")
        for code, fix in _FIXES.items():
            if name.startswith(code):
                holder = _holder(f"{self.path}-shm", _WRITING) if code == "SQLITE_BUSY" else ""
                return StorageError(f"The database {self.path} {fix.format(holder=holder)}.")
        return StorageError(f"The database {self.path} refused a statement: {error}.")

    def _execute(self, statement: str, values: dict[str, Any]) -> sqlite3.Cursor:
        try:
            return self.driver.execute(statement, values)
        except UnicodeEncodeError:
            clean = {name: storable(v) if isinstance(v, str) else v for name, v in values.items()}
            return self.driver.execute(statement, clean)


def sole_connection(path: Path, *, patience: float) -> Connection:
    """A connection to a file that no other connection has open, nor can open until it is closed.

    ``patience``, in seconds, is for those that are about to close theirs; ``StorageError`` after it.
    """
    connection = None
    try:
        connection = Connection(path, synchronous="NORMAL", busy_timeout=patience, alone=True)
        connection.one("SELECT 1 FROM sqlite_master")
    except StorageError as error:
        if connection:
            connection.close()
        if not getattr(error.__cause__, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
            raise
        raise StorageError(
            f"The database {path} cannot be upgraded while {_holder(path, _OPEN)} has it open, because an "
            "earlier pagefault must not run beside this one; end it, then try again (nothing was changed)."
        ) from error
    return connection


def is_writable(path: Path) -> bool:
    """False for a file that is there and cannot be written, itself or its folder, where the log goes."""
    return not path.exists() or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def _address(path: Path) -> str:
    """A file's path, or the URI of one that can only be read. If that has no log, it is taken for one that
    nobody changes, because SQLite otherwise wants to make files beside it."""
    if is_writable(path):
        return str(path.absolute())
    uri = path.absolute().as_uri()
    log, index = Path(f"{path}-wal"), Path(f"{path}-shm")
    is_logged = log.exists() and (log.stat().st_size > 0 or index.exists())
    return f"{uri}?mode=ro" if is_logged else f"{uri}?mode=ro&immutable=1"


@cache
def _insertion(table: str, columns: tuple[str, ...], if_absent: bool) -> str:
    values = ", ".join(f":{column}" for column in columns)
    conflict = " ON CONFLICT DO NOTHING" if if_absent else ""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values}){conflict}"


def _holder(path: Path | str, first: str) -> str:
    """The process that has locked a file from its byte ``first`` on, in a few words."""
    try:
        locked = f":{os.stat(path).st_ino}"
        for line in Path("/proc/locks").read_text("ascii").splitlines():
            fields = line.split()
            if fields[1] == "POSIX" and fields[5].endswith(locked) and fields[6] == first:
                state = (
                    Path(f"/proc/{fields[4]}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
                )
                return f"process {fields[4]}{', which is stopped' * (state[0] in 'Tt')}"
    except (OSError, IndexError, ValueError):
        pass
    return "another process"
