"""From a URL to a database that is ready: the URL as libpq takes it, the extension, the migrations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pagefault.errors import StorageError, UsageError
from pagefault.storage.head import HEAD, precedes_leases
from pagefault.storage.postgres.connection import Driver, failure, place_of
from pagefault.storage.postgres.sessions import ONE_BY_ONE, connect

__all__ = ["conninfo_of", "has_citus", "is_distributed", "other_owner", "prepare", "version_of"]

_NAME = "pagefault/segments"
"""The name of our sessions, to which the URL may add one. Those of an earlier pagefault are called
"pagefault/leases" or, if it has no leases, "pagefault" or as the URL says."""
_UPGRADING = 0x7066 << 48
"""An advisory lock; the numbers from here on were those of turns before there were leases."""
_BEGIN_UPGRADE = f"""
    SELECT set_config('lock_timeout', '60s', true), set_config('{ONE_BY_ONE}', 'sequential', true),
    pg_advisory_xact_lock({_UPGRADING})"""
"""The lock is the transaction's that runs the migrations, so that it holds through a pooler too."""
_STATE = """
    SELECT current_setting('server_encoding'), to_regclass('alembic_version') IS NOT NULL,
    to_regclass('agents') IS NOT NULL"""
# Sessions of an earlier pagefault, by their name or by the lock of a turn.
_EARLIER = """
    SELECT pid, coalesce(usename, '?'), client_addr::text FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND (application_name = ANY(%(names)s) OR pid IN (
        SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
        AND (classid::bigint << 32) + objid::bigint BETWEEN %(first)s AND %(last)s))
    ORDER BY pid"""

_HAS_CITUS = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')"
_HAS_AGENTS = "SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = to_regclass('agents'))"

_OTHER_OWNERS = """
    SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class
    WHERE oid = ANY(%s::regclass[]) AND NOT pg_has_role(relowner, 'USAGE')"""


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
    if given.get("application_name"):
        given["application_name"] = f"{_NAME}: {given['application_name']}"
    usual: dict[str, Any] = {
        "application_name": _NAME,
        "connect_timeout": max(2, round(patience)),
        "keepalives_idle": 3,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "tcp_user_timeout": 6_000,  # the same while something that was sent is not acknowledged
    }
    return make_conninfo("", **{**usual, **given, "client_encoding": "utf8"})


def prepare(conninfo: str) -> bool:
    """Bring the database up to date if need be: one process at a time, the others wait for it. Return whether
    it is distributed."""
    place = place_of(conninfo)
    try:
        with connect(conninfo) as driver:
            if _version(driver, place) != HEAD:
                _upgrade(driver, conninfo)
                _fill_blocks(driver)
            return is_distributed(driver)
    except psycopg.Error as error:
        raise failure(error, place) from error


def has_citus(driver: Driver) -> bool:
    """Return True if the database has the extension."""
    return driver.execute(_HAS_CITUS).fetchone() == (True,)


def is_distributed(driver: Driver) -> bool:
    """Return True if Citus has the agents on its nodes."""
    return has_citus(driver) and driver.execute(_HAS_AGENTS).fetchone() == (True,)


def other_owner(driver: Driver, tables: Sequence[str]) -> str:
    """The owner of some of the tables whose rights this user has not; empty if there is none."""
    found = driver.execute(_OTHER_OWNERS.encode(), (list(tables),)).fetchone()
    return found[0] if found else ""


def version_of(conninfo: str) -> str | None:
    """The migration the database stands at, None if there is nothing of ours yet; changes nothing.

    ``StorageError`` as ``prepare`` raises it if an earlier pagefault stands in the way of an upgrade.
    """
    place = place_of(conninfo)
    try:
        with connect(conninfo) as driver:
            migration = _version(driver, place)
            _refuse_beside_earlier(driver, migration, conninfo)
            return migration
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


def _refuse_beside_earlier(driver: Driver, version: str | None, conninfo: str) -> None:
    """Raise ``StorageError`` if a database of this version is in use by a pagefault that knows no leases."""
    own = str(conninfo_to_dict(conninfo)["application_name"]).removeprefix(_NAME).removeprefix(": ")
    values = {
        "names": ["pagefault", own or "pagefault"],
        "first": _UPGRADING + 1,
        "last": _UPGRADING + (1 << 48) - 1,
    }
    if found := precedes_leases(version) and driver.execute(_EARLIER.encode(), values).fetchall():
        sessions = ", ".join(
            f"session {pid} of user {user}{f' from {address}' if address else ''}"
            for pid, user, address in found[:3]
        )
        more = f" and {len(found) - 3:,} more" if len(found) > 3 else ""
        raise StorageError(
            f"The database {place_of(conninfo)} cannot be upgraded while an earlier pagefault, which must "
            f"not run beside this one, is connected to it ({sessions}{more}); stop it "
            "everywhere, then try again (nothing was changed)."
        )


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


def _upgrade(driver: Driver, conninfo: str) -> None:
    from pagefault.storage.migrations import upgrade_postgres
    from pagefault.storage.postgres.distributing import complete
    from pagefault.storage.postgres.protection import protect_again

    place = place_of(conninfo)

    def begin() -> str | None:
        driver.execute(_BEGIN_UPGRADE.encode())
        version = _version(driver, place)
        if version != HEAD:
            _refuse_beside_earlier(driver, version, conninfo)
            _extend(driver, place)
        return version

    def finish() -> None:
        complete(driver)
        protect_again(driver)

    driver.autocommit = False
    upgrade_postgres(driver, place, begin, finish)
    driver.autocommit = True


def _fill_blocks(driver: Driver) -> None:
    from pagefault.storage.postgres.connection import PostgresConnection, adapt
    from pagefault.storage.postgres.source import PostgresSource
    from pagefault.storage.sql.source import fill_blocks

    adapt(driver)
    connection = PostgresConnection(driver)
    fill_blocks(connection, PostgresSource(connection), driver.transaction)
