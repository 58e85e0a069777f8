"""One connection to PostgreSQL: statements in, rows out; any text in and out again; errors as sentences.

Statements of a transaction are sent as a pipeline: what returns nothing is not waited for. Insertions are
kept and sent as one with the next statement that does not touch their tables. What the server refuses may
therefore be reported later, at the latest at the end of the transaction. Leaves out what a statement means
(``transaction``) and when to commit (``store``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import errors
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format
from psycopg.types import TypeInfo
from psycopg.types.string import StrDumperUnknown, TextLoader

from pagefault.errors import StorageError
from pagefault.storage.postgres.dialect import (
    POSTGRES,
    insertion,
    is_insertion,
    joined,
    tables_in,
    translated,
)
from pagefault.storage.rows import storable

__all__ = [
    "Driver",
    "Half",
    "PostgresConnection",
    "adapt",
    "failure",
    "is_passing",
    "is_uncertain",
    "place_of",
]

Driver = psycopg.Connection[tuple[Any, ...]]

# PostgreSQL's text cannot hold a NUL. It is stored as two characters, of which the first is one that Unicode
# has set aside for a program's own use; where that one itself is meant, it is doubled up as well.
_ESCAPE = "\U0010ffff"
_NUL = f"{_ESCAPE}0"
_SELF = f"{_ESCAPE}1"


class _TextDumper(StrDumperUnknown):
    def dump(self, obj: str) -> Buffer | None:
        if "\x00" in obj or _ESCAPE in obj:
            obj = obj.replace(_ESCAPE, _SELF).replace("\x00", _NUL)
        try:
            return obj.encode()
        except UnicodeEncodeError:
            return storable(obj).encode()


class _TextLoader(TextLoader):
    def load(self, data: Buffer) -> str:
        text = str(data, "utf-8")
        return text.replace(_NUL, "\x00").replace(_SELF, _ESCAPE) if _ESCAPE in text else text


@dataclass(frozen=True, slots=True)
class Half:
    """A vector on its way to a ``halfvec`` column; 16-bit floats, shape (dimensions,)."""

    values: NDArray[np.float16]


class _HalfDumper(Dumper):
    """pgvector's binary form: dimensions and a spare as 16-bit integers, then the floats, all big-endian."""

    format = Format.BINARY

    def dump(self, obj: Half) -> Buffer | None:
        return struct.pack(">HH", len(obj.values), 0) + obj.values.astype(">f2").tobytes()


def adapt(driver: Driver) -> None:
    """Teach a new connection about any text and about vectors."""
    driver.adapters.register_dumper(str, _TextDumper)
    driver.adapters.register_loader("text", _TextLoader)
    if half := TypeInfo.fetch(driver, "halfvec"):
        half.register(driver)
        driver.adapters.register_dumper(Half, type("_HalfDumper", (_HalfDumper,), {"oid": half.oid}))


class PostgresConnection:
    """Statements with named values (``:name``) on a driver's connection, used by one thread at a time."""

    def __init__(self, driver: Driver, *, keeps: bool = False) -> None:
        """``keeps``: insertions wait for the next statement. The last one must be a COMMIT sent here."""
        self._driver = driver
        self._keeps = keeps
        self._kept: list[tuple[str, Mapping[str, Any]]] = []
        self.dialect = POSTGRES

    def one(self, statement: str, **values: Any) -> Any:
        """The first row as a tuple, or None."""
        return self._execute(statement, values).fetchone()

    def ask(self, statement: str, **values: Any) -> Callable[[], Any]:
        """Execute without waiting for it; return a call that waits for the first row, or None."""
        return self._execute(statement, values).fetchone

    def rows(self, statement: str, **values: Any) -> list[Any]:
        """All rows as tuples."""
        return self._execute(statement, values).fetchall()

    def batches(self, statement: str, size: int, **values: Any) -> Iterator[list[Any]]:
        """The rows as tuples, never more than ``size`` at a time in memory; not within a pipeline."""
        with self._driver.cursor(name="pagefault_rows") as cursor:
            cursor.execute(translated(statement), values)
            while batch := cursor.fetchmany(size):
                yield batch

    def binary(self, statement: str, **values: Any) -> list[Any]:
        """All rows as tuples, fetched in PostgreSQL's binary form: for results that are bytes."""
        return self._execute(statement, values, binary=True).fetchall()

    def changed(self, statement: str, **values: Any) -> bool:
        """Return True if an INSERT, UPDATE or DELETE changed any row."""
        return self.one(f"{statement} RETURNING true", **values) is not None

    def send(self, statement: str, **values: Any) -> None:
        """Execute for its effect without waiting for it."""
        if self._keeps and is_insertion(statement):
            if not self._joins(statement):
                self._send_kept()
            self._kept.append((statement, values))
        else:
            self._execute(statement, values)

    def many(self, statement: str, batch: Sequence[Mapping[str, Any]]) -> None:
        """Execute once for each of ``batch``, without waiting for it."""
        for values in batch:
            self.send(statement, **values)

    def insert(
        self, table: str, agent: int, rows: Sequence[Mapping[str, Any]], *, if_absent: bool = False
    ) -> None:
        """Insert an agent's rows, all with the same columns, in one statement, without waiting for it; with
        ``if_absent`` those that are there stay."""
        if not rows:
            return
        columns = {name: [row[name] for row in rows] for name in rows[0] if name != "agent"}
        if "vector" in columns:
            columns["vector"] = [Half(np.frombuffer(vector, "<f2")) for vector in columns["vector"]]
        single = len(rows) == 1
        values: Mapping[str, Any] = {name: of[0] for name, of in columns.items()} if single else columns
        self.send(insertion(table, tuple(columns), if_absent, single=single), agent=agent, **values)

    def listed(self, values: Sequence[Any]) -> list[Any]:
        """Values as an array."""
        return list(values)

    def _joins(self, statement: str) -> bool:
        """Return whether a statement may be one with those that are kept: each sees what was there before."""
        tables = tables_in(statement)
        return bool(tables) and all(tables.isdisjoint(tables_in(kept)) for kept, _ in self._kept)

    def _send_kept(self) -> None:
        if self._kept:
            statement, values = self._kept.pop()
            self._execute(statement, values)

    def _execute(
        self, statement: str, values: Mapping[str, Any], binary: bool = False
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        if not self._kept:
            return self._driver.execute(translated(statement), values, binary=binary)
        if not self._joins(statement):
            self._send_kept()
            return self._driver.execute(translated(statement), values, binary=binary)
        kept, self._kept = self._kept, []
        together = {f"{name}_{n}": value for n, (_, of) in enumerate(kept) for name, value in of.items()}
        sql = joined(statement, *(each for each, _ in kept))
        return self._driver.execute(sql, {**values, **together}, binary=binary)


_FIXES: tuple[tuple[type[psycopg.Error], str], ...] = (
    (errors.ReadOnlySqlTransaction, "was asked to write while reading; use Store.write"),
    (errors.InsufficientPrivilege, "does not permit this user what pagefault needs; grant it"),
    (errors.DiskFull, "cannot grow because the disk is full; free some space"),
    (errors.TooManyConnections, "has no connection left; raise max_connections or run fewer processes"),
    (errors.DeadlockDetected, "gave a change up again and again, because others waited for it; try again"),
    (errors.SerializationFailure, "gave a change up again and again, because of others; try again"),
    (errors.LockNotAvailable, "is held up by another process; try again, or end what holds it"),
    (errors.InvalidPassword, "refused the password; correct it in the URL"),
    (errors.InvalidCatalogName, "does not exist; create it"),
    (errors.UndefinedTable, "lacks a table; restore it from a backup"),
)
_POOLER = {
    "query_wait_timeout": "has no connection free behind its pooler; raise the pooler's default_pool_size or "
    "run fewer processes",
    "max_client_conn": "has a pooler that accepts no more clients; raise its max_client_conn or run fewer "
    "processes",
    "unsupported startup parameter": "has a pooler that refuses a parameter of the URL ({said}); remove it, "
    "or set it for the user with ALTER ROLE",
}
"""The refusals of pgbouncer, which all have one code, by their words."""
# A snapshot may name the table of a segment that was replaced and has gone since.
_PASSING = (errors.SerializationFailure, errors.DeadlockDetected, errors.UndefinedTable)
_AWAY = ("08000", "08001", "08003", "08006", "57P01", "57P02", "57P03")
"""The codes of a server that is away, a node of Citus included while its coordinator is there."""
_UNCONFIRMED = "could not commit transaction"
"""The words of Citus if the only node that was written to does not answer to the COMMIT."""


def place_of(conninfo: str) -> str:
    """The name of a database in messages: host and name, never the password."""
    given = conninfo_to_dict(conninfo)
    return f"{given.get('host') or 'the local server'}/{given.get('dbname') or given.get('user') or ''}"


def is_passing(error: psycopg.Error, *, lost: bool) -> bool:
    """Return True if the same transaction may succeed when it is retried at once; ``lost``: the connection
    is."""
    if isinstance(error, _PASSING) or error.sqlstate in _AWAY:
        return True
    return lost and not any(said in str(error) for said in _POOLER)


def is_uncertain(error: psycopg.Error, *, lost: bool) -> bool:
    """Return True if a COMMIT that gave this error may have been done; ``lost``: the connection is."""
    return lost or _UNCONFIRMED in str(error) or isinstance(error, errors.QueryCanceled)


def failure(error: psycopg.Error, place: str) -> StorageError:
    """Return the error as one sentence that says how to fix it."""
    for kind, fix in _FIXES:
        if isinstance(error, kind):
            return StorageError(f"The database {place} {fix}.")
    said = (error.diag.message_primary or str(error)).strip().partition("\n")[0].rstrip(".")
    for words, fix in _POOLER.items():
        if words in str(error):
            refused = said.rpartition("FATAL:")[2].strip()
            return StorageError(f"The database {place} {fix.format(said=refused)}.")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return StorageError(f"The database {place} cannot be reached ({said}); start it or correct the URL.")
    return StorageError(f"The database {place} refused a statement: {said}.")
