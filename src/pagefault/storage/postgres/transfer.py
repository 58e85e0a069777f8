"""Raw rows of a PostgreSQL database: ``storage.row_transfer`` on a connection apart from the store's pool.

Leaves out where deleted words are looked for (``traces``, ``files``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, cast

import numpy as np
import psycopg

from pagefault.errors import StorageError
from pagefault.storage.index.words import WordBlocks, decoded
from pagefault.storage.postgres.connection import Driver, PostgresConnection, adapt, failure, place_of
from pagefault.storage.postgres.dialect import OWNED_TABLES
from pagefault.storage.postgres.files import file_traces, flush, unseen_in_files
from pagefault.storage.postgres.hnsw import vectors_of_agent
from pagefault.storage.postgres.opening import conninfo_of, prepare
from pagefault.storage.postgres.rewriting import rewrite as rewritten
from pagefault.storage.postgres.segment_faults import (
    drop_unowned_tables,
    segment_faults,
    unowned_tables,
    unseal_vectors,
)
from pagefault.storage.postgres.sessions import connect, is_pooled, limits_of, set_local
from pagefault.storage.postgres.traces import (
    lexical_traces,
    row_traces,
    statistics_traces,
    tables_of,
    vector_traces,
)
from pagefault.storage.postgres.transaction import PostgresPart
from pagefault.storage.row_transfer import IndexFault, Row, TransferTable, Value
from pagefault.storage.sql.transfer import SqlTransfer
from pagefault.storage.traces import row_sentences
from pagefault.types import AgentId, Tier

__all__ = ["PostgresTransfer", "PostgresTransferRows"]

_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_SEALED = "agent = :agent AND tier = :tier AND fingerprint = '' AND state = 'sealed'"
_FREQUENCIES = f"""
    SELECT unit, count(*), sum(count) FROM postings WHERE agent = :agent AND tier = :tier AND number > (
        SELECT coalesce(max(last), 0) FROM segments WHERE {_SEALED}) GROUP BY unit"""
_BLOCKS = """
    SELECT w.unit, s.first, s.last, w.block, w.count, w.data
    FROM segments s JOIN word_blocks w ON w.agent = s.agent AND w.segment = s.number
    WHERE s.agent = :agent AND s.tier = :tier AND s.fingerprint = '' AND s.state = 'sealed'"""
_CLEAR = (
    "SELECT id FROM agents WHERE id = :agent FOR NO KEY UPDATE",  # who builds blocks looks again behind it
    "DELETE FROM postings WHERE agent = :agent",
    "DELETE FROM word_blocks WHERE agent = :agent",
    "DELETE FROM segments WHERE agent = :agent AND fingerprint = ''",
)
_ASTRAY = """
    SELECT count(*) FROM {table} t WHERE NOT EXISTS (SELECT FROM agents a WHERE a.id = t.agent)"""
_AGENTS = "SELECT id, tenant, name FROM agents WHERE id > :after ORDER BY id LIMIT :limit"
_NAMES = "SELECT agent, tenant, name FROM agent_names WHERE agent > :after AND agent <= :last"

_BATCH = 10_000  # agents, units, blocks
_LAST = (1 << 63) - 1


class PostgresTransferRows(PostgresPart, SqlTransfer):
    """``storage.row_transfer.TransferRows`` on a connection inside a transaction."""

    _db: PostgresConnection

    def __init__(self, connection: PostgresConnection, driver: Driver | None = None) -> None:
        """``driver``: the connection's, unless the transaction is a pipeline already."""
        super().__init__(connection)
        self._driver = driver

    def _column(self, name: str) -> str:
        return "halfvec_send(vector)" if name == "vector" else name

    def _read(self, table: TransferTable, rows: Sequence[Row]) -> Sequence[Row]:
        return [(*row[:-1], _little(row[-1])) for row in rows] if "vector" in table.columns else rows

    def _relation(self, agent: AgentId, table: TransferTable) -> str:
        return vectors_of_agent(self._db, agent) if "vector" in table.columns else table.name

    def restore(self, agent: AgentId, table: TransferTable, rows: Sequence[Row]) -> None:
        driver = self._driver
        with nullcontext() if driver is None or is_pooled(driver) else driver.pipeline():
            super().restore(agent, table, rows)

    def _clear_index(self, agent: AgentId) -> None:
        for statement in _CLEAR:
            self._db.send(statement, agent=agent)

    def frequencies(self, agent: AgentId, tier: Tier) -> Iterator[tuple[str, int, int]]:
        sealed = defaultdict[str, Counter[str]](Counter)
        for batch in self._db.batches(_BLOCKS, _BATCH, agent=agent, tier=tier):
            for (unit, *_, rows, _), count in zip(batch, _occurrences(batch), strict=True):
                sealed[unit].update(rows=rows, count=count)
        for batch in self._db.batches(_FREQUENCIES, _BATCH, agent=agent, tier=tier):
            for unit, rows, count in batch:
                of = sealed.pop(unit, Counter[str]())
                yield unit, of["rows"] + rows, of["count"] + count
        for unit, of in sealed.items():
            yield unit, of["rows"], of["count"]

    def _segment_faults(self, agent: AgentId) -> Iterator[IndexFault]:
        return segment_faults(self._db, agent)

    def _unseal(self, agent: AgentId, tier: Tier, fingerprint: str) -> None:
        unseal_vectors(self._db, agent, tier, fingerprint)

    def unowned_tables(self) -> list[str]:
        return unowned_tables(self._db)

    def drop_unowned_tables(self) -> None:
        drop_unowned_tables(self._db)

    def faults(self) -> list[str]:
        owned = [table for table in OWNED_TABLES if table != "agent_names"]
        astray = {table: self._db.one(_ASTRAY.format(table=table))[0] for table in owned}
        astray["agent_names"], nameless = self._unlike_names()
        found = [f"{count:,} rows of {table} belong to no agent." for table, count in astray.items() if count]
        return found + ([f"{nameless:,} agents are not listed under their names."] if nameless else [])

    def traces(self, words: Sequence[str], readable: bool) -> tuple[list[str], list[str]]:
        """The places that have one of the words; the files of tables if these are ``readable``."""
        rows = row_traces(self._db, words)
        there = {word for word, _ in rows}
        absent = [word for word in words if word not in there]
        found = [
            *row_sentences(rows),
            *lexical_traces(self._db, absent),
            *vector_traces(self._db),
            *statistics_traces(self._db, absent),
            *(file_traces(self._db, absent) if readable else ()),
        ]
        return found, list(unseen_in_files(self._db, readable))

    def _unlike_names(self) -> tuple[int, int]:
        """Names without an agent, and agents without theirs; the tables may be on different servers."""
        astray, nameless, after, last = 0, 0, -1, 0
        while last < _LAST:
            agents = self._db.rows(_AGENTS, after=after, limit=_BATCH)
            last = agents[-1][0] if len(agents) == _BATCH else _LAST
            names = self._db.rows(_NAMES, after=after, last=last)
            known = {agent for agent, *_ in agents}
            astray += sum(agent not in known for agent, *_ in names)
            nameless += len(set(agents) - set(names))
            after = last
        return astray, nameless


class PostgresTransfer:
    """``storage.row_transfer.TransferDatabase`` on one database. Make it with ``open``."""

    def __init__(self, driver: Driver, place: str) -> None:
        self._driver = driver
        self._place = place

    @classmethod
    def open(cls, url: str, *, patience: float = 10.0) -> PostgresTransfer:
        """Open the database, making or upgrading its tables if need be; ``patience`` in seconds."""
        conninfo = conninfo_of(url, patience)
        prepare(conninfo)
        place = place_of(conninfo)
        try:
            driver = connect(conninfo)
            adapt(driver)
        except psycopg.Error as error:
            raise failure(error, place) from error
        return cls(driver, place)

    @property
    def place(self) -> str:
        return self._place

    @contextmanager
    def reading(self) -> Generator[PostgresTransferRows]:
        with self.writing() as rows:
            self._driver.execute(_SNAPSHOT)
            yield rows

    @contextmanager
    def writing(self) -> Generator[PostgresTransferRows]:
        """An import may be long, and the reader of an export may take its time."""
        try:
            with self._driver.transaction():
                set_local(self._driver, limits_of(self._driver, 0))
                yield PostgresTransferRows(PostgresConnection(self._driver), self._driver)
        except psycopg.Error as error:
            raise failure(error, self._place) from error

    def traces(self, words: Sequence[str], *, rewrite: bool = False) -> tuple[list[str], list[str]]:
        try:
            connection = PostgresConnection(self._driver)
            older = rewritten(connection, tables_of(connection)) if rewrite else []
            readable = flush(connection)
        except psycopg.Error as error:
            raise failure(error, self._place) from error
        with self.reading() as rows:
            found, unseen = rows.traces(words, readable)
        return [*found, *(older if found else ())], unseen

    def close(self) -> None:
        self._driver.close()


def _occurrences(batch: Sequence[Any]) -> list[int]:
    """The occurrences in each block of the rows of ``_BLOCKS``; 0, which is wrong, where they cannot be read,
    or of a row that is not in its segment."""
    blocks = WordBlocks.of(row[3:] for row in batch)
    try:
        postings = decoded(blocks)
    except StorageError:
        return [0] * len(batch)
    first, last = (np.repeat([row[column] for row in batch], blocks.count) for column in (1, 2))
    counts = np.where((postings.numbers >= first) & (postings.numbers <= last), postings.counts, 0)
    sums = np.append(0, np.cumsum(counts))
    ends = np.cumsum(blocks.count)
    return (sums[ends] - sums[ends - blocks.count]).tolist()


def _little(sent: Value) -> bytes:
    """A vector as ``halfvec_send`` writes it (two 16-bit numbers, then the elements) in 16-bit floats, little
    endian."""
    return np.frombuffer(cast("bytes", sent), ">f2", offset=4).astype("<f2").tobytes()
