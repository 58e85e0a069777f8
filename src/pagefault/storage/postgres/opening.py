"""From a URL to a database that is ready: the URL as libpq takes it, the extension, the migrations."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pagefault.errors import StorageError, UsageError
from pagefault.storage.head import HEAD
from pagefault.storage.postgres.connection import Driver, failure, place_of
from pagefault.storage.postgres.sessions import connect

__all__ = ["conninfo_of", "prepare", "version_of"]

_BEGIN_UPGRADE = f"""
    SELECT set_config('lock_timeout', '60s', true), pg_advisory_xact_lock({0x7066 << 48})"""
"""The lock is the transaction's that runs the migrations, so that it holds through a pooler too."""
_STATE = """
    SELECT current_setting('server_encoding'), to_regclass('alembic_version') IS NOT NULL,
    to_regclass('agents') IS NOT NULL"""


def conninfo_of(url: str, patience: float, name: str = "database URL") -> str:
    """The URL as libpq takes it, with what makes a lost connection known within seconds.

    ``patience`` is in seconds. ``UsageError``, which says ``name``, if it is no such URL; the URL may hold
    a password, so the sentence does not repeat it.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise UsageError(
            f"The {name} cannot be read; write postgresql://USER:PASSWORD@HOST:PORT/NAME."
        ) from None
    usual: dict[str, Any] = {
        "application_name": "pagefault",
        "connect_timeout": max(2, round(patience)),
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
    }
    return make_conninfo("", **{**usual, **given, "client_encoding": "utf8"})


def prepare(conninfo: str) -> None:
    """Bring the database up to date if need be: one process at a time, the others wait for it."""
    place = place_of(conninfo)
    try:
        with connect(conninfo) as driver:
            if _version(driver, place) != HEAD:
                _upgrade(driver, place)
                _fill_blocks(driver)
    except psycopg.Error as error:
        raise failure(error, place) from error


def version_of(conninfo: str) -> str | None:
    """The migration the database stands at, None if there is nothing of ours yet; changes nothing."""
    place = place_of(conninfo)
    try:
        with connect(conninfo) as driver:
            return _version(driver, place)
    except psycopg.Error as error:
        raise failure(error, place) from error


def _version(driver: Driver, place: str) -> str | None:
    """The migration the database stands at, None if there is nothing of ours."""
    row = driver.execute(_STATE.encode()).fetchone()
    encoding, has_version, has_agents = row or ("", False, False)
    if encoding != "UTF8":
        raise StorageError(f"The database {place} is in {encoding}; create one with ENCODING 'UTF8'.")
    if has_version != has_agents:
        raise StorageError(
            f"The database {place} has tables of another program with the names of pagefault's; "
            "choose another database or schema."
        )
    found = driver.execute("SELECT version_num FROM alembic_version").fetchone() if has_version else None
    return found[0] if found else None


def _extend(driver: Driver, place: str) -> None:
    try:
        driver.execute("CREATE EXTENSION IF NOT EXISTS vector")
        driver.execute("SELECT '[0]'::halfvec")
    except (errors.FeatureNotSupported, errors.UndefinedFile):
        raise StorageError(
            f"The server of {place} has no pgvector; install it there (its package is called "
            "postgresql-NN-pgvector or pgvector)."
        ) from None
    except errors.InsufficientPrivilege:
        raise StorageError(
            f"This user may not add pgvector to {place}; have an administrator run CREATE EXTENSION vector."
        ) from None
    except errors.UndefinedObject:
        raise StorageError(
            f"pgvector in {place} is older than 0.7; run ALTER EXTENSION vector UPDATE."
        ) from None


def _upgrade(driver: Driver, place: str) -> None:
    from pagefault.storage.migrations import upgrade_postgres

    def begin() -> str | None:
        driver.execute(_BEGIN_UPGRADE.encode())
        version = _version(driver, place)
        if version != HEAD:
            _extend(driver, place)
        return version

    driver.autocommit = False
    upgrade_postgres(driver, place, begin)
    driver.autocommit = True


def _fill_blocks(driver: Driver) -> None:
    from pagefault.storage.postgres.connection import PostgresConnection, adapt
    from pagefault.storage.postgres.source import PostgresSource
    from pagefault.storage.sql.source import fill_blocks

    adapt(driver)
    connection = PostgresConnection(driver)
    fill_blocks(connection, PostgresSource(connection), driver.transaction)
