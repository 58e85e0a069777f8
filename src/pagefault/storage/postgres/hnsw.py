"""Vectors in sealed segments: tables of their own, ``segment_AGENT_NUMBER``, each with an HNSW index.

A table is made, filled and indexed in one transaction. Deleted rows are deleted at once; autovacuum is off,
because to vacuum HNSW takes longer than to build it anew, which is done when enough of it is dead. Leaves out
how deep an index is searched (``index.sealed``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pagefault.storage.index import Numbers, SealedScores
from pagefault.storage.postgres.connection import Half, PostgresConnection
from pagefault.storage.postgres.policies import protect_segment
from pagefault.storage.postgres.sessions import WITHOUT_LIMIT
from pagefault.storage.segments import WORDS, Segment
from pagefault.storage.sql.source import DELETIONS
from pagefault.types import AgentId, Tier

__all__ = ["HnswSegments", "SealedTables", "delete_tables", "table_of", "take_out", "vectors_of_agent"]

_DIMENSIONS = 4_000  # the most that the index takes
_LEAST = 20_000  # rows of a segment, even where the memory to build it is short
_LARGEST = 250_000  # rows of a segment: an index of more finds fewer of the nearest
_CLEANED = 5_000  # rows deleted in one step
_MEMORY = 256 << 20  # bytes to build an index in, if the server gives less
_OVERHEAD = 650  # bytes of a row in the memory that builds an index, besides its vector

_INDEXES = """
    SELECT m.tier, m.fingerprint FROM vector_marks m JOIN embedders e ON e.fingerprint = m.fingerprint
    WHERE m.agent = :agent AND m.done > 0 AND e.dimensions BETWEEN 1 AND :most
    AND has_schema_privilege(current_schema(), 'CREATE')
    AND EXISTS (SELECT FROM pg_extension WHERE extname = 'vector'
        AND string_to_array(extversion, '.')::integer[] >= '{0,8}') ORDER BY 1, 2"""
_MOST = f"""
    SELECT greatest(pg_size_bytes(current_setting('maintenance_work_mem')), {_MEMORY})
    / (2 * dimensions + {_OVERHEAD}) FROM embedders WHERE fingerprint = :fingerprint"""
_ENOUGH_MEMORY = f"""
    SELECT set_config(name, '{_MEMORY >> 10}', true) FROM pg_settings
    WHERE name = 'maintenance_work_mem' AND pg_size_bytes(current_setting(name)) < {_MEMORY}"""
_REACH = """
    SELECT done FROM vector_marks WHERE agent = :agent AND tier = :tier AND fingerprint = :fingerprint"""
_OPEN = """
    FROM vectors WHERE agent = :agent AND tier = :tier AND fingerprint = :fingerprint
    AND part >= 0 AND number BETWEEN :first AND :last"""
_MEASURE = f"SELECT count(*) {_OPEN} AND part = 0"
_DIMENSIONS_OF = "SELECT dimensions FROM embedders WHERE fingerprint = :fingerprint"
_CREATE = """
    CREATE TABLE {table} (number bigint NOT NULL, part integer NOT NULL, text_hash bytea NOT NULL,
    vector halfvec({dimensions}) NOT NULL) WITH (autovacuum_enabled = false)"""
# Workers share that memory in /dev/shm, of which a container often has less: then it is done without them.
_INDEX = """
    DO $$ BEGIN
        CREATE INDEX ON {table} USING hnsw (vector halfvec_cosine_ops);
    EXCEPTION WHEN disk_full OR out_of_memory THEN
        SET LOCAL max_parallel_maintenance_workers = 0;
        CREATE INDEX ON {table} USING hnsw (vector halfvec_cosine_ops);
    END $$"""
_FINISH = (
    "ALTER TABLE {table} ADD PRIMARY KEY (number, part)",
    _INDEX,
    "ANALYZE {table}",
)
_WITHOUT_DELETED = """
    DELETE FROM {table} s USING {deletions} d WHERE d.agent = :agent AND d.number = s.number RETURNING part"""
_DROP_BLOCKS = "DELETE FROM index_blocks WHERE agent = :agent AND tier = :tier AND fingerprint = :fingerprint"
# An earlier pagefault reads vectors from this table alone.
_EARLIER = """
    SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
    AND starts_with(application_name, 'pagefault/leases'))"""
_IS_REPLACED = f"SELECT EXISTS (SELECT {_OPEN})"
_CLEAN = """
    DELETE FROM vectors WHERE (agent, tier, fingerprint, number, part) IN (
        SELECT agent, tier, fingerprint, number, part FROM vectors
        WHERE agent = :agent AND tier = :tier AND fingerprint = :fingerprint AND part >= 0
        AND number <= :last ORDER BY number LIMIT {limit})"""
_IN_USE = """
    SELECT EXISTS (SELECT FROM pg_locks WHERE relation = to_regclass(:table) AND pid <> pg_backend_pid())"""
_SEALED = """
    SELECT number, first, last, rows - dead FROM segments WHERE agent = :agent AND tier = :tier
    AND fingerprint = :fingerprint AND state = 'sealed' ORDER BY first"""
_UNREAD = """
    SELECT number FROM vectors WHERE agent = :agent AND tier = :tier AND fingerprint = :fingerprint
    AND part = -1 AND number <= :last ORDER BY number"""
_OVERLAPPING = """
    SELECT number FROM segments WHERE agent = :agent AND tier = :tier AND fingerprint <> ''
    AND state = 'sealed' AND first <= :highest AND last >= :lowest"""
_TAKE_OUT = """
    WITH gone AS (DELETE FROM {table} WHERE number = ANY(:numbers::bigint[]) RETURNING part)
    UPDATE segments SET dead = dead + (SELECT count(*) FROM gone WHERE part = 0)
    WHERE agent = :agent AND number = :number"""
_TABLES_OF_AGENT = "DELETE FROM segments WHERE agent = :agent AND fingerprint <> '' RETURNING agent, number"
_TABLES_OF_EMBEDDER = "DELETE FROM segments WHERE fingerprint = :fingerprint RETURNING agent, number"
_SCORED = """
    SELECT {index}, array_send(array_agg(number)), array_send(array_agg(score)) FROM (
        SELECT s.number, -(s.vector <#> :query::halfvec) AS score {chosen}
        ORDER BY s.number, s.part) scored"""
_NEAREST = """
    FROM (SELECT DISTINCT number FROM (
        SELECT number FROM {table} ORDER BY vector <=> :query::halfvec LIMIT {limit}) hits) near
    JOIN {table} s ON s.number = near.number"""
_SETTINGS = """
    SELECT set_config('hnsw.ef_search', '{effort}', true),
    set_config('hnsw.iterative_scan', 'relaxed_order', true),
    set_config('hnsw.max_scan_tuples', '{scanned}', true), set_config('hnsw.scan_mem_multiplier', '8', true),
    set_config('enable_seqscan', 'off', true)"""
_SEALED_UP_TO = """
    coalesce((SELECT max(last) FROM segments s WHERE s.agent = :agent AND s.tier = v.tier
    AND s.fingerprint = v.fingerprint AND s.state = 'sealed'), 0)"""


def table_of(agent: AgentId, number: int) -> str:
    """The name of the table of a segment."""
    return f"segment_{agent:d}_{number:d}"


class HnswSegments:
    """``storage.segments.SegmentKind`` for vectors, on one connection."""

    def __init__(self, connection: PostgresConnection) -> None:
        self._db = connection

    def indexes(self, agent: AgentId) -> Sequence[tuple[Tier, str]]:
        return self._db.rows(_INDEXES, agent=agent, most=_DIMENSIONS)

    def most(self, fingerprint: str) -> int:
        row = self._db.one(_MOST, fingerprint=fingerprint)
        return min(_LARGEST, max(_LEAST, row[0] if row else 0))

    def reach(self, agent: AgentId, tier: Tier, fingerprint: str) -> int:
        row = self._db.one(_REACH, agent=agent, tier=tier, fingerprint=fingerprint)
        return row[0] if row else 0

    def measure(self, agent: AgentId, tier: Tier, fingerprint: str, first: int, last: int) -> int:
        of = {"agent": agent, "tier": tier, "fingerprint": fingerprint}
        return self._db.one(_MEASURE, **of, first=first, last=last)[0]

    def build(self, agent: AgentId, segment: Segment, sealed: Sequence[Segment]) -> int | None:
        table = table_of(agent, segment.number)
        for statement in (WITHOUT_LIMIT, _ENOUGH_MEMORY, f"DROP TABLE IF EXISTS {table}"):
            self._db.send(statement)
        (dimensions,) = self._db.one(_DIMENSIONS_OF, fingerprint=segment.fingerprint) or (1,)
        self._db.send(_CREATE.format(table=table, dimensions=dimensions))
        self._db.send(f"ALTER TABLE {table} ALTER COLUMN vector SET STORAGE PLAIN")
        columns = "number, part, text_hash, vector"
        sources = [f"SELECT {columns} FROM {table_of(agent, each.number)}" for each in sealed]
        sources.append(f"SELECT {columns} {_OPEN}")
        through = sealed[-1].last if sealed else segment.first - 1
        self._db.send(
            f"INSERT INTO {table} {' UNION ALL '.join(sources)} ORDER BY 1, 2",
            agent=agent,
            tier=segment.tier,
            fingerprint=segment.fingerprint,
            first=through + 1,
            last=segment.last,
        )
        for statement in _FINISH:
            self._db.send(statement.format(table=table))
        protect_segment(self._db, agent, table)
        return self._db.one(f"SELECT count(*) FROM {table} WHERE part = 0")[0]

    def publish(self, agent: AgentId, segment: Segment) -> int:
        table = table_of(agent, segment.number)
        deleted = _WITHOUT_DELETED.format(table=table, deletions=DELETIONS[segment.tier])
        gone: list[tuple[int]] = self._db.rows(deleted, agent=agent)
        of = {"agent": agent, "tier": segment.tier, "fingerprint": segment.fingerprint}
        self._db.send(_DROP_BLOCKS, **of)
        return sum(part == 0 for (part,) in gone)

    def clean(self, agent: AgentId, tier: Tier, fingerprint: str, last: int) -> bool:
        of = {"agent": agent, "tier": tier, "fingerprint": fingerprint}
        if not self._db.one(_IS_REPLACED, **of, first=1, last=last)[0] or self._db.one(_EARLIER)[0]:
            return False
        self._db.send(_CLEAN.format(limit=_CLEANED), **of, last=last)
        return True

    def drop(self, agent: AgentId, segment: Segment) -> bool | None:
        table = table_of(agent, segment.number)
        if self._db.one(_IN_USE, table=table)[0]:
            return None
        self._db.send(f"DROP TABLE IF EXISTS {table}")
        return False


def take_out(connection: PostgresConnection, agent: AgentId, tier: Tier, numbers: Collection[int]) -> None:
    """Delete rows from the sealed segments, the agent being locked."""
    bounds = {"lowest": min(numbers), "highest": max(numbers)}
    for (number,) in connection.rows(_OVERLAPPING, agent=agent, tier=tier, **bounds):
        statement = _TAKE_OUT.format(table=table_of(agent, number))
        connection.send(statement, agent=agent, number=number, numbers=list(numbers))


def delete_tables(
    connection: PostgresConnection, *, agent: AgentId | None = None, fingerprint: str = WORDS
) -> int:
    """Delete the segments of vectors of an agent, or of an embedder, with their tables; how many.

    Who builds one finds the segment gone, and deletes its table itself; one that is built is waited for.
    """
    chosen = _TABLES_OF_AGENT if agent is not None else _TABLES_OF_EMBEDDER
    gone = connection.rows(chosen, agent=agent, fingerprint=fingerprint)
    for owner, number in gone:
        connection.send(f"DROP TABLE IF EXISTS {table_of(owner, number)}")
    return len(gone)


def vectors_of_agent(connection: PostgresConnection, agent: AgentId) -> str:
    """The relation, as SQL with ``:agent`` in it, of all vectors of an agent: as ``vectors``, without what is
    replaced there by sealed segments."""
    columns = "agent, tier, fingerprint, number, part, text_hash, vector"
    chosen = f"{columns} FROM vectors v WHERE v.agent = :agent"
    parts = [f"SELECT {chosen} AND (v.part < 0 OR v.number > {_SEALED_UP_TO})"]
    sealed = """
        SELECT number FROM segments WHERE agent = :agent AND fingerprint <> '' AND state = 'sealed'
        AND to_regclass('segment_' || agent || '_' || number) IS NOT NULL"""  # else a check says so
    for (number,) in connection.rows(f"{sealed} ORDER BY tier, fingerprint, first", agent=agent):
        parts.append(
            f"SELECT g.agent, g.tier, g.fingerprint, s.number, s.part, s.text_hash, s.vector::halfvec "
            f"FROM {table_of(agent, number)} s, segments g WHERE g.agent = :agent AND g.number = {number:d}"
        )
    return f"({' UNION ALL '.join(parts)})"


@dataclass(frozen=True, slots=True)
class SealedTables:
    """``storage.index.SealedVectors`` on one connection, of the segments that its snapshot has."""

    connection: PostgresConnection
    agent: AgentId
    tier: Tier
    fingerprint: str
    segments: Sequence[tuple[int, int, int, int]]

    @classmethod
    def of(
        cls, connection: PostgresConnection, agent: AgentId, tier: Tier, fingerprint: str
    ) -> SealedTables | None:
        """The segments of an index; None if it has none."""
        found = connection.rows(_SEALED, agent=agent, tier=tier, fingerprint=fingerprint)
        return cls(connection, agent, tier, fingerprint, found) if found else None

    @property
    def through(self) -> int:
        return self.segments[-1][2]

    @property
    def sizes(self) -> Sequence[int]:
        return [alive for *_, alive in self.segments]

    def unread(self) -> Numbers:
        of = {"agent": self.agent, "tier": self.tier, "fingerprint": self.fingerprint}
        return np.array([number for (number,) in self.connection.rows(_UNREAD, **of, last=self.through)], int)

    def nearest(
        self, query: NDArray[np.float32], limits: Sequence[int], effort: int
    ) -> Sequence[SealedScores]:
        scanned = max(20_000, 4 * max(limits))
        self.connection.send(_SETTINGS.format(effort=effort, scanned=scanned))
        chosen = [
            _NEAREST.format(table=table_of(self.agent, number), limit=limit) if limit else ""
            for (number, *_), limit in zip(self.segments, limits, strict=True)
        ]
        return self._scored(query, chosen)

    def scores(self, query: NDArray[np.float32], numbers: Numbers | None) -> Sequence[SealedScores]:
        chosen: list[str] = []
        for number, first, last, _ in self.segments:
            of = f"FROM {table_of(self.agent, number)} s"
            if numbers is None:
                chosen.append(of)
            else:
                low, high = np.searchsorted(numbers, (first, last + 1))
                chosen.append(f"{of} WHERE s.number = ANY(:numbers::bigint[])" if high > low else "")
        return self._scored(query, chosen, numbers=None if numbers is None else numbers.tolist())

    def _scored(
        self, query: NDArray[np.float32], chosen: Sequence[str], **values: Any
    ) -> Sequence[SealedScores]:
        """The scores of each segment, of the rows that are chosen there; of none, none."""
        parts = [_SCORED.format(index=n, chosen=each) for n, each in enumerate(chosen) if each]
        scores = [SealedScores(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in chosen]
        if parts:
            half = Half(query.astype(np.float16))
            found = self.connection.binary(" UNION ALL ".join(parts), query=half, **values)
            for index, numbers, cosines in found:
                if numbers is not None:
                    read = _array(numbers, ">i8"), _array(cosines, ">f8").astype(np.float32)
                    scores[index] = SealedScores(*read)
        return scores


def _array(sent: bytes, kind: str) -> NDArray[Any]:
    """An array as ``array_send`` writes it: five 32-bit numbers, then a length before each element."""
    elements = np.frombuffer(sent, np.dtype([("length", ">i4"), ("value", kind)]), offset=20)
    return elements["value"].astype(kind[1:])
