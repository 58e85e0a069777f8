"""Vectors beside the rows: which rows wait for one, and storing them.

A mark per agent, fingerprint and tier says up to which number all is done, so that asking reads only what was
added since. It is per agent because an agent's numbers are given out under a lock, in the order of commits;
what counts over all agents is not: a smaller id may be committed after a larger one. Leaves out making
vectors (``pagefault.embedders``).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from pagefault.errors import StorageError
from pagefault.storage import EmbedderRecord, PendingVector
from pagefault.storage.index.blocks import seal
from pagefault.storage.postgres.connection import Connection, Half
from pagefault.storage.postgres.source import PostgresSource

__all__ = ["VectorRows", "advance_marks", "delete_vectors"]

_TIERS = (
    {"tier": "recall", "table": "messages", "number": "seq", "last": "last_seq", "title": "''"},
    {"tier": "archival", "table": "passages", "number": "number", "last": "last_passage", "title": "r.title"},
)
# Not EXISTS: that becomes a join, whose plan, once prepared, hashes every vector of the agent for each batch.
_WAITING = """
    FROM {table} r WHERE r.agent = a.id AND r.embed AND r.{number} > coalesce(m.done, 0)
    AND (SELECT v.number FROM vectors v WHERE v.agent = r.agent AND v.tier = '{tier}'
        AND v.fingerprint = %(fingerprint)s AND v.number = r.{number} LIMIT 1) IS NULL
    ORDER BY r.{number}"""
_MARKED = """
    FROM agents a LEFT JOIN vector_marks m
    ON m.agent = a.id AND m.fingerprint = %(fingerprint)s AND m.tier = '{tier}'"""
_PENDING = f"""
    SELECT w.at, a.id, '{{tier}}', w.number, w.text, w.title {_MARKED} CROSS JOIN LATERAL (
        SELECT r.at, r.{{number}} AS number, r.text, {{title}} AS title {_WAITING} LIMIT %(limit)s) w
    WHERE a.{{last}} > coalesce(m.done, 0) LIMIT %(limit)s"""
_ADVANCE = f"""
    INSERT INTO vector_marks (agent, fingerprint, tier, done) SELECT a.id, %(fingerprint)s, '{{tier}}',
    coalesce((SELECT r.{{number}} - 1 {_WAITING} LIMIT 1), a.{{last}}) {_MARKED} WHERE a.id = %(agent)s
    ON CONFLICT (agent, fingerprint, tier) DO UPDATE SET done = excluded.done"""
_LAST = """
    SELECT coalesce(max(number), 0) FROM vectors
    WHERE agent = %(agent)s AND tier = '{tier}' AND fingerprint = %(fingerprint)s"""
_TEXTS = """
    SELECT {number}, text FROM {table} WHERE agent = %(agent)s AND {number} = ANY(%(numbers)s::bigint[])"""
_PUT = """
    INSERT INTO vectors (agent, tier, fingerprint, number, part, text_hash, vector)
    SELECT %(agent)s, '{tier}', %(fingerprint)s, * FROM unnest(%(numbers)s::bigint[], %(parts)s::integer[],
    %(hashes)s::bytea[], %(vectors)b::halfvec[]) ON CONFLICT DO NOTHING"""
_CHANGED = """
    UPDATE agents SET {tier}_changes = {tier}_changes + 1, {tier}_rebuilds = {tier}_rebuilds + %(late)s
    WHERE id = %(agent)s"""
_LOCK_AGENT = "SELECT id FROM agents WHERE id = %(agent)s FOR NO KEY UPDATE"
_DELETE = "DELETE FROM vectors WHERE agent = %(agent)s AND tier = 'archival' AND number = %(number)s"

_EMBEDDERS = "SELECT fingerprint, name, dimensions, wanted, in_service FROM embedders ORDER BY fingerprint"
_NO_OTHER = """
    UPDATE embedders SET wanted = wanted AND NOT %(wanted)s, in_service = in_service AND NOT %(in_service)s"""
_PUT_EMBEDDER = """
    INSERT INTO embedders (fingerprint, name, dimensions, wanted, in_service)
    VALUES (%(fingerprint)s, %(name)s, %(dimensions)s, %(wanted)s, %(in_service)s)
    ON CONFLICT (fingerprint) DO UPDATE SET name = excluded.name, dimensions = excluded.dimensions,
    wanted = excluded.wanted, in_service = excluded.in_service"""
_KNOW_EMBEDDER = """
    INSERT INTO embedders AS e (fingerprint, name, dimensions, wanted, in_service)
    VALUES (%(fingerprint)s, '', %(dimensions)s, false, false)
    ON CONFLICT (fingerprint) DO UPDATE SET dimensions = excluded.dimensions WHERE e.dimensions = 0"""
_DIMENSIONS = "SELECT dimensions FROM embedders WHERE fingerprint = %(fingerprint)s"
_FORGET = """
    DELETE FROM vectors WHERE (agent, tier, fingerprint, number, part) IN (
        SELECT agent, tier, fingerprint, number, part FROM vectors
        WHERE fingerprint = %(fingerprint)s LIMIT %(limit)s) RETURNING 1"""
_FORGET_EMBEDDER = (
    "DELETE FROM index_blocks WHERE fingerprint = %(fingerprint)s",
    "DELETE FROM vector_marks WHERE fingerprint = %(fingerprint)s",
    "DELETE FROM embedders WHERE fingerprint = %(fingerprint)s",
)
_EMBEDDED = """
    SELECT (SELECT count(*) FROM vectors WHERE fingerprint = %(fingerprint)s AND part = 0),
    (SELECT count(*) FROM messages WHERE embed) + (SELECT count(*) FROM passages WHERE embed)"""

_Item = tuple[PendingVector, NDArray[np.float32]]


class VectorRows:
    """The part of a transaction that is about vectors and embedders."""

    _db: Connection

    def pending_vectors(self, fingerprint: str, limit: int) -> list[PendingVector]:
        """Of one agent the oldest first."""
        found = [
            row
            for names in _TIERS
            for row in self._db.rows(_PENDING.format(**names), fingerprint=fingerprint, limit=limit)
        ]
        return [PendingVector(*row[1:]) for row in sorted(found)[:limit]]

    def put_vectors(
        self, fingerprint: str, items: Sequence[PendingVector], vectors: Sequence[NDArray[np.float32]]
    ) -> None:
        """Stored as 16-bit floats: cosines to 3 digits."""
        if not items:
            return
        agents = sorted({item.agent for item in items})
        for agent in agents:  # in one order, so that two writers never wait for each other crosswise
            self._db.send(_LOCK_AGENT, agent=agent)
        self._check_length(fingerprint, vectors[0].shape[1])
        for names in _TIERS:
            for agent in agents:
                chosen = [
                    (item, windows)
                    for item, windows in zip(items, vectors, strict=True)
                    if (item.agent, item.tier) == (agent, names["tier"])
                ]
                if chosen:
                    _put(self._db, fingerprint, agent, names, chosen)

    def _check_length(self, fingerprint: str, dimensions: int) -> None:
        """So that vectors of two lengths can never stand under one fingerprint."""
        known = self._db.one(_DIMENSIONS, fingerprint=fingerprint)
        if known is None or known[0] == 0:
            self._db.send(_KNOW_EMBEDDER, fingerprint=fingerprint, dimensions=dimensions)
            known = self._db.one(_DIMENSIONS, fingerprint=fingerprint)
        if known[0] != dimensions:
            raise StorageError(
                f"Vectors of {fingerprint} have {known[0]} dimensions, not {dimensions}; is another model "
                "served under that name? Name it differently, and all is embedded anew."
            )

    def forget_vectors(self, fingerprint: str, limit: int) -> int:
        gone = len(self._db.rows(_FORGET, fingerprint=fingerprint, limit=limit))
        if gone < limit:
            for statement in _FORGET_EMBEDDER:
                self._db.send(statement, fingerprint=fingerprint)
        return gone

    def embedded(self, fingerprint: str) -> tuple[int, int]:
        return self._db.one(_EMBEDDED, fingerprint=fingerprint)

    def embedders(self) -> list[EmbedderRecord]:
        return [EmbedderRecord(*row) for row in self._db.rows(_EMBEDDERS)]

    def put_embedder(self, record: EmbedderRecord) -> None:
        values = {"wanted": record.wanted, "in_service": record.in_service}
        self._db.send(_NO_OTHER, **values)
        self._db.send(
            _PUT_EMBEDDER,
            fingerprint=record.fingerprint,
            name=record.name,
            dimensions=record.dimensions,
            **values,
        )


def _put(
    connection: Connection, fingerprint: str, agent: int, names: dict[str, str], items: Sequence[_Item]
) -> None:
    numbers = [item.number for item, _ in items]
    texts = dict(connection.rows(_TEXTS.format(**names), agent=agent, numbers=numbers))
    current = [(item, windows) for item, windows in items if texts.get(item.number) == item.text]
    if not current:
        return
    # An index in memory reads on from the last vector it has; what comes in before that is late.
    (last,) = connection.one(_LAST.format(**names), agent=agent, fingerprint=fingerprint)
    rows = [
        (item.number, part, blake2b(item.text.encode(), digest_size=16).digest(), Half(half))
        for item, windows in current
        for part, half in enumerate(windows.astype(np.float16))
    ]
    columns = map(list, zip(*rows, strict=True))
    values = dict(zip(("numbers", "parts", "hashes", "vectors"), columns, strict=True))
    if connection.changed(_PUT.format(**names), agent=agent, fingerprint=fingerprint, **values):
        stored = [item.number for item, _ in current]
        late = int(min(stored) <= last)
        connection.send(_CHANGED.format(**names), agent=agent, late=late)
        source, item = PostgresSource(connection), current[0][0]
        source.drop_blocks(item.agent, item.tier, stored, fingerprint)
        seal(source, item.agent, item.tier, fingerprint, last, max(stored))
    connection.send(_ADVANCE.format(**names), agent=agent, fingerprint=fingerprint)


def advance_marks(connection: Connection, agent: int) -> None:
    """Bring an agent's marks of all embedders to where they may be."""
    for (fingerprint,) in connection.rows("SELECT fingerprint FROM embedders"):
        for names in _TIERS:
            connection.send(_ADVANCE.format(**names), agent=agent, fingerprint=fingerprint)


def delete_vectors(connection: Connection, agent: int, number: int) -> None:
    """Forget the vectors of a passage, of all fingerprints."""
    connection.send(_DELETE, agent=agent, number=number)
