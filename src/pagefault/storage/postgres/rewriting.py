"""The tables of a PostgreSQL database written anew without what was removed: VACUUM FULL and what it leaves.

It keeps removed rows that an older transaction still sees (an ANALYZE of autovacuum is one), so such are
waited for. ANALYZE keeps the samples of a table in which no row is left, so these are taken away. Leaves out
looking for words (``traces``, ``files``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from psycopg import errors

from pagefault.storage.postgres.connection import PostgresConnection

__all__ = ["rewrite"]

_PAUSE = 0.1  # seconds between looks whether older transactions are over
_NOW = "SELECT pg_current_xact_id()::xid::text"
_OLDER = """
    SELECT pid, coalesce(usename::text, backend_type), to_char(xact_start, 'YYYY-MM-DD HH24:MI:SS TZ')
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND greatest(age(backend_xmin), age(backend_xid)) > age(:now::text::xid) ORDER BY xact_start, pid"""
_WAIT = "SELECT pg_sleep(:seconds)"
# By now a table without rows is known to have none. Columns of partitions change with those of their table.
_EMPTIED = """
    SELECT DISTINCT coalesce(pg_partition_root(c.oid), c.oid)::regclass::text, quote_ident(s.attname),
        format_type(a.atttypid, a.atttypmod)
    FROM pg_stats s JOIN pg_class c ON c.relname = s.tablename
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = s.attname
    WHERE s.schemaname = current_schema() AND c.relnamespace = current_schema()::regnamespace
    AND c.reltuples = 0 AND a.atttypid IN (
        'text'::regtype, 'varchar'::regtype, 'json'::regtype, 'jsonb'::regtype, 'bytea'::regtype)
    ORDER BY 1, 2"""


def rewrite(connection: PostgresConnection, tables: Sequence[str], patience: float = 30.0) -> list[str]:
    """Write the tables anew; return a sentence for each transaction that may see rows which were removed
    before and has not ended after ``patience`` seconds: these rows are kept. Raises ``psycopg.Error``."""
    older = list(_older_transactions(connection, patience))
    for table in tables:
        connection.send(f"VACUUM (FULL, ANALYZE) {table}")
    _clear_samples(connection)
    connection.send("VACUUM (FULL, ANALYZE) pg_catalog.pg_statistic")
    return older


def _older_transactions(connection: PostgresConnection, patience: float) -> Iterator[str]:
    """Wait until those that are open now have ended; yield a sentence for each that has not."""
    (now,), found = connection.one(_NOW), list[tuple[int, str, str]]()
    for _ in range(int(patience / _PAUSE) + 1):
        if not (found := connection.rows(_OLDER, now=now)):
            return
        connection.one(_WAIT, seconds=_PAUSE)
    for pid, user, since in found:
        yield (
            f"A transaction of {user} (process {pid}) is open since {since} and may see rows that were "
            "removed, so these are kept; end it, and check again."
        )


def _clear_samples(connection: PostgresConnection) -> None:
    """Take away the statistics of columns that are of no row any more, which only a new type does for the
    owner of a table; it is the one it was. Other parts of the same table are sampled anew."""
    emptied = connection.rows(_EMPTIED)
    for table, column, kind in emptied:
        with suppress(errors.FeatureNotSupported, errors.InsufficientPrivilege):  # of a policy; of others
            connection.send(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind}")
    for table in dict.fromkeys(table for table, _, _ in emptied):
        connection.send(f"ANALYZE {table}")
