"""Alembic migrations, shipped in the package and run without an ``alembic.ini``.

A new version: change ``storage.schema``, add a file to ``versions``, and raise ``HEAD`` in the store. A test
compares what the migrations make with the schema.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from pagefault.errors import StorageError

__all__ = ["upgrade"]


def upgrade(driver: sqlite3.Connection, path: Path, version: str | None) -> None:
    """Bring a database from ``version`` (None: empty) to the newest, in one transaction.

    ``StorageError`` if no migration of that name is shipped: the file was written by newer code.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    if version is not None:
        try:
            ScriptDirectory.from_config(config).get_revision(version)
        except CommandError as error:
            raise StorageError(
                f"The database {path} was written by a newer pagefault ({version}); upgrade pagefault."
            ) from error
    engine = create_engine("sqlite://", creator=lambda: driver, poolclass=StaticPool)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except DBAPIError as error:
        raise StorageError(f"The database {path} could not be upgraded: {error.orig}.") from error
