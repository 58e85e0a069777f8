"""The files of a PostgreSQL server's tables, as bytes: what rows that were removed have left there.

A plain VACUUM frees the space of removed rows and does not write over it; VACUUM FULL writes the tables anew.
The files are read through the server, by a user who may (a superuser, mostly). Leaves out what is compressed
in them (long texts may be), the server's log, and the files of other nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from pagefault.storage.postgres.connection import PostgresConnection
from pagefault.storage.traces import ByteCounter, needles

__all__ = ["file_traces", "flush", "unseen_in_files"]

_CHUNK = 1 << 22  # bytes
_MAY_READ = """
    SELECT has_function_privilege('pg_read_binary_file(text, bigint, bigint, boolean)', 'EXECUTE')
    AND (current_setting('is_superuser') = 'on' OR EXISTS (
        SELECT FROM pg_roles WHERE rolname = 'pg_checkpoint' AND pg_has_role(oid, 'USAGE')))"""
# Tables with what they keep apart (TOAST), their indexes, and the catalogue with samples of their columns.
_FILES = """
    WITH own AS (
        SELECT oid, relname FROM pg_class WHERE relkind IN ('r', 'm')
        AND (relnamespace = current_schema()::regnamespace OR oid = 'pg_statistic'::regclass)
    ), stored AS (
        SELECT oid, relname FROM own
        UNION ALL SELECT c.reltoastrelid, own.relname FROM own JOIN pg_class c USING (oid)
        WHERE c.reltoastrelid <> 0)
    SELECT relname::text, pg_relation_filepath(oid) FROM stored
    UNION ALL SELECT s.relname::text, pg_relation_filepath(i.indexrelid)
    FROM stored s JOIN pg_index i ON i.indrelid = s.oid ORDER BY 1, 2"""
_READ = "SELECT pg_read_binary_file(:path, :start, :length, true)"
_DEAD = """
    SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables
    WHERE schemaname = current_schema()"""
_IS_SPREAD = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')"


def flush(connection: PostgresConnection) -> bool:
    """Have the server write its memory to the files, if this user may read these; return whether."""
    readable = bool(connection.one(_MAY_READ)[0])
    if readable:
        connection.send("CHECKPOINT")
    return readable


def file_traces(connection: PostgresConnection, words: Sequence[str]) -> Iterator[str]:
    """A sentence for each table whose files hold a word: of no row that is there, if none has the word."""
    found: dict[tuple[str, str], int] = {}
    patterns = {word: needles(word) for word in words}
    for table, path in connection.rows(_FILES) if words else ():
        counters = {word: ByteCounter(pattern) for word, pattern in patterns.items()}
        for chunk in _chunks(connection, path):
            for counter in counters.values():
                counter.add(chunk)
        for word, counter in counters.items():
            found[word, table] = found.get((word, table), 0) + counter.count
    for (word, table), places in sorted(found.items()):
        if places:
            yield f"The files of {table} hold {word!r} where a row was removed (places: {places:,})."


def _chunks(connection: PostgresConnection, path: str | None) -> Iterator[bytes]:
    """The bytes of a relation, which is in files of a gigabyte each; of none, if it has no file here."""
    for part in count():
        name, start = f"{path}.{part}" if part else path, 0
        while name and (chunk := _read(connection, name, start)):
            yield chunk
            start += len(chunk)
        if not start:
            return


def _read(connection: PostgresConnection, path: str, start: int) -> bytes | None:
    return connection.binary(_READ, path=path, start=start, length=_CHUNK)[0][0]


def unseen_in_files(connection: PostgresConnection, readable: bool) -> Iterator[str]:
    """A sentence for each thing that cannot be looked at."""
    (dead,) = connection.one(_DEAD)
    waiting = f"; about {dead:,} removed rows wait for a VACUUM" if dead else ""
    if not readable:
        yield (
            "The space of removed rows in the tables' files, which only a superuser of the server may read"
            f"{waiting}."
        )
    elif dead:
        yield f"Long texts of removed rows, which the files hold compressed{waiting}."
    if connection.one(_IS_SPREAD)[0]:
        yield "The files of the other nodes of Citus; run it there."
    yield "The server's write-ahead log and its other logs, replicas and backups."
