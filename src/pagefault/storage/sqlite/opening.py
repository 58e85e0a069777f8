"""From a path to a file that is ready: its folder, its permissions, the migrations."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

from pagefault.errors import StorageError
from pagefault.storage.head import HEAD, precedes_leases
from pagefault.storage.sqlite.connection import Connection, Synchronous, is_writable, sole_connection

__all__ = ["NEW", "open_file", "version_of"]

NEW = Path(__file__).with_name("new.sql")
"""The statements that make an empty file one of the newest version; a test holds them to the migrations."""
_LOOKS = 2.0
"""The seconds after which a process that has a file open counts as one that stays, not one that looks."""


def open_file(path: Path, locks: Path, *, synchronous: Synchronous, busy_timeout: float) -> Connection:
    """A connection to a file that is up to date: made (0600, its folder 0700) or upgraded if need be.

    ``locks`` is the folder of its locks, ``busy_timeout`` in seconds. Raises ``StorageError``, also for one
    that can only be read and is not up to date.
    """
    if can_change := is_writable(path):
        _make(path, locks)
    connect = partial(Connection, path, synchronous=synchronous, busy_timeout=busy_timeout)
    connection = connect()
    try:
        if (version := _version(connection)) != HEAD:
            if not can_change:
                raise _of_another_version(path, version)
            connection.close()  # a process that waits for its turn to upgrade has the file not open
            _upgrade(path, locks / f"{path.name}.open.lock", busy_timeout)
            connection = connect()
            _fill_blocks(connection)
    except StorageError:
        connection.close()
        raise
    return connection


def _make(path: Path, locks: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        locks.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):  # else it is not touched: closing it would free SQLite's locks on it
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise StorageError(
            f"The database {path} cannot be opened, because {error.filename} is in the way; move that, or "
            "choose another place."
        ) from error
    except OSError as error:
        raise StorageError(
            f"The database {path} cannot be opened ({error.strerror}); make it and its folder writable."
        ) from error


def _of_another_version(path: Path, version: str | None) -> StorageError:
    """Return the error for a file that can only be read; raise it for one of a newer pagefault."""
    from pagefault.storage.migrations import check_known

    check_known(version, str(path))
    return StorageError(
        f"The database {path} was written by an older pagefault and cannot be upgraded here, where it is "
        "read-only; run `pagefault db migrate` where it can be written, or on a copy."
    )


def version_of(path: Path) -> str | None:
    """The migration a file stands at, None if there is nothing of ours yet; changes nothing.

    ``StorageError`` as ``open_file`` raises it if another process stands in the way of an upgrade.
    """
    if not path.exists():
        return None
    with closing(Connection(path, synchronous="NORMAL", busy_timeout=10.0, read_only=True)) as connection:
        version = _version(connection)
    if precedes_leases(version) and is_writable(path):
        sole_connection(path, patience=_LOOKS).close()
    return version


def _version(connection: Connection) -> str | None:
    """The migration a file stands at, None for an empty one; ``StorageError`` for another program's."""
    tables = {name for (name,) in connection.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    if not {"alembic_version", "agents"} <= tables:
        raise StorageError(f"{connection.path} is another program's database; choose another place.")
    return connection.one("SELECT version_num FROM alembic_version")[0]


def _upgrade(path: Path, lock: Path, patience: float) -> None:
    """Run the migrations that are missing, all or none. One process at a time; the others wait for it."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(lock, timeout=patience, mode=0o600):
            with closing(Connection(path, synchronous="NORMAL", busy_timeout=patience)) as connection:
                version = _version(connection)
                if version == HEAD:
                    return
                if not precedes_leases(version):
                    return _migrate(connection, version)
            with closing(sole_connection(path, patience=min(_LOOKS, patience))) as connection:
                _migrate(connection, version)
    except Timeout as error:
        raise StorageError(f"The database {path} is being upgraded by another process; try again.") from error


def _migrate(connection: Connection, version: str | None) -> None:
    connection.run("PRAGMA journal_mode = WAL")
    if version is None:
        return _create(connection)
    from pagefault.storage.migrations import upgrade_sqlite

    upgrade_sqlite(connection.driver, connection.path, version)


def _create(connection: Connection) -> None:
    """Make the tables of an empty file, all or none, as the migrations would: without loading Alembic, which
    takes longer than a first chat."""
    try:
        connection.driver.executescript(f"BEGIN IMMEDIATE;\n{NEW.read_text('utf-8')}COMMIT;")
    except sqlite3.Error as error:
        raise StorageError(f"The database {connection.path} could not be created: {error}.") from error
    finally:
        connection.rollback()  # if a statement failed


def _fill_blocks(connection: Connection) -> None:
    from pagefault.storage.sql.source import fill_blocks
    from pagefault.storage.sqlite.source import SQLiteSource

    fill_blocks(connection, SQLiteSource(connection), partial(_transaction, connection))


@contextmanager
def _transaction(connection: Connection) -> Generator[None]:
    connection.run("BEGIN IMMEDIATE")
    try:
        yield
        connection.run("COMMIT")
    finally:
        connection.rollback()  # if the commit was not reached
