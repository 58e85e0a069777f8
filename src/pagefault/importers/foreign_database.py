"""SQLite databases of other programs, read and never trusted.

A file is opened read-only and immutable. Only plain tables are read: a view, a virtual table or a generated
column could run what its author wrote; functions are refused, rows are bounded in size and a query in time.
Names of tables and columns are those that the caller knows. Left out: their meaning.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pagefault.errors import UsageError
from pagefault.importers.sources import Source
from pagefault.quoting import whole

__all__ = ["ForeignDatabase", "foreign_database", "is_database"]

_HEADER = b"SQLite format 3\0"
_LARGEST_VALUE = 64 << 20  # bytes
_SECONDS = 600.0
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ})


def is_database(head: bytes, *tables: bytes) -> bool:
    """Return whether a file begins like a database that has one of these tables."""
    return head.startswith(_HEADER) and any(table in head for table in tables)


@dataclass(frozen=True, slots=True)
class ForeignDatabase:
    """A database as it is read. ``tables``: the columns of each plain table."""

    place: str
    tables: dict[str, tuple[str, ...]]
    _connection: sqlite3.Connection

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The rows of a table, of those of these columns that it has; none if there is no such table. Bytes
        that are no text are given as they are. ``UsageError`` if the file is damaged."""
        there = [column for column in columns if column in self.tables.get(table, ())]
        if not there:
            return
        chosen = ", ".join(map(_named, there))
        try:
            for row in self._connection.execute(f"SELECT {chosen} FROM {_named(table)}"):
                yield dict(zip(there, row, strict=True))
        except (sqlite3.Error, OverflowError) as error:
            raise UsageError(f"{self.place}: its table {table} cannot be read ({error}).") from None


@contextmanager
def foreign_database(source: Source, name: str) -> Generator[ForeignDatabase]:
    """Open a database of a source; one in a ZIP is copied out of it first."""
    if path := source.local(name):
        with _opened(path, name) as database:
            yield database
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "database"
        with source.open(name) as file, copy.open("wb") as target:
            shutil.copyfileobj(file, target)
        with _opened(copy, name) as database:
            yield database


@contextmanager
def _opened(path: Path, place: str) -> Generator[ForeignDatabase]:
    ends = time.monotonic() + _SECONDS
    try:
        address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
        connection = sqlite3.connect(address, uri=True, check_same_thread=False)
    except sqlite3.Error as error:
        raise UsageError(f"{place} is no database that can be read ({error}).") from None
    with closing(connection):
        connection.text_factory = _text
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
        connection.set_progress_handler(lambda: time.monotonic() > ends, 10_000)
        try:
            tables = dict(_plain_tables(connection))
        except (sqlite3.Error, OverflowError) as error:
            raise UsageError(f"{place} is no database that can be read ({error}).") from None
        connection.set_authorizer(_authorised)
        yield ForeignDatabase(place, tables, connection)


def _plain_tables(connection: sqlite3.Connection) -> Iterator[tuple[str, tuple[str, ...]]]:
    connection.execute("PRAGMA trusted_schema = OFF")
    made = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
    for name, sql in made:
        if not isinstance(sql, str) or not sql.upper().startswith("CREATE TABLE"):
            continue  # a virtual table
        columns = connection.execute(f"PRAGMA table_xinfo({_named(name)})").fetchall()
        yield name, tuple(column[1] for column in columns if column[6] == 0)  # 2, 3: generated


def _authorised(action: int, *_: object) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _named(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(data: bytes) -> str:
    return whole(data.decode("utf-8", "replace")).replace("\0", "")
