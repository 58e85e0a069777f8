"""Alembic migrations, shipped in the package, run without an ``alembic.ini``: one history for both databases.

A new version: change ``storage.schema``, add a file to ``versions`` that does it on SQLite and on PostgreSQL,
raise ``storage.head.HEAD``, and run ``python tests/test_new_database.py``, which writes the statements that
make a new SQLite file (without Alembic). A test compares what the migrations make with the schema.

From 0012 on a migration only adds: tables, indexes, columns that may be null or have a default. Processes of
the version before then run beside those of this one, as in a rolling upgrade; a test compares the tables.
Before 0012 no two versions may (``storage.head.precedes_leases``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from pagefault.errors import StorageError

if TYPE_CHECKING:
    import psycopg

__all__ = ["check_known", "upgrade_postgres", "upgrade_sqlite"]


def upgrade_sqlite(driver: sqlite3.Connection, path: Path, version: str | None) -> None:
    """Bring a file from ``version`` (None: empty) to the newest, in one transaction.

    Raises ``StorageError``, also for what was written by newer code.
    """
    engine = create_engine("sqlite://", creator=lambda: driver, poolclass=StaticPool)
    driver.execute("PRAGMA foreign_keys = OFF")  # a table that others refer to may be made anew
    try:
        _upgrade(engine, str(path), partial(_begin_immediate, version), lambda: None)
    finally:
        driver.execute("PRAGMA foreign_keys = ON")


def upgrade_postgres(
    driver: psycopg.Connection[Any], place: str, begin: Callable[[], str | None], finish: Callable[[], None]
) -> None:
    """The same for a PostgreSQL database; ``place`` is what to call it in a sentence, ``begin`` begins the
    transaction and returns the version, ``finish`` is the last of it."""
    engine = create_engine("postgresql+psycopg://", creator=lambda: driver, poolclass=StaticPool)
    _upgrade(engine, place, lambda _: begin(), finish)


def check_known(version: str | None, place: str) -> None:
    """``StorageError`` if no migration of that name is shipped: the database was written by newer code."""
    if version is None:
        return
    try:
        ScriptDirectory.from_config(_config()).get_revision(version)
    except CommandError as error:
        raise StorageError(
            f"The database {place} was written by a newer pagefault ({version}); upgrade pagefault."
        ) from error


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _begin_immediate(version: str | None, connection: Connection) -> str | None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    return version


def _upgrade(
    engine: Engine, place: str, begin: Callable[[Connection], str | None], finish: Callable[[], None]
) -> None:
    config = _config()
    try:
        with engine.connect() as connection:
            check_known(begin(connection), place)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            finish()
            connection.commit()
    except DBAPIError as error:
        raise StorageError(f"The database {place} could not be upgraded: {error.orig}.") from error
