"""Vectors beside the rows: which rows wait for one, and storing them.

A mark per fingerprint and tier says up to which row all is done, so that asking costs nothing when nothing
waits, and a new fingerprint starts from the beginning. Leaves out making vectors (``pagefault.embedders``).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from pagefault.errors import StorageError
from pagefault.storage import EmbedderRecord, PendingVector
from pagefault.storage.index.blocks import seal
from pagefault.storage.sqlite.connection import Connection
from pagefault.storage.sqlite.source import SQLiteSource

__all__ = ["VectorRows", "advance_marks", "delete_vectors"]

_TABLES = (
    ("recall", "messages", "seq", "''"),
    ("archival", "passages", "number", "r.title"),
)
_WAITING = """
    FROM {table} r WHERE r.embed AND r.id > coalesce(
        (SELECT done FROM vector_marks WHERE fingerprint = :fingerprint AND tier = '{tier}'), 0)
    AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.agent = r.agent AND v.tier = '{tier}'
        AND v.fingerprint = :fingerprint AND v.number = r.{number})
    ORDER BY r.id"""
_PENDING = "SELECT r.at, r.agent, '{tier}', r.{number}, r.text, {title}" + _WAITING + " LIMIT :limit"
_ADVANCE = (
    "INSERT OR REPLACE INTO vector_marks (fingerprint, tier, done) SELECT :fingerprint, '{tier}', coalesce("
    "(SELECT r.id - 1" + _WAITING + " LIMIT 1), (SELECT max(id) FROM {table}), 0)"
)
_LAST = """
    SELECT max(number) FROM vectors
    WHERE agent = :agent AND tier = :tier AND fingerprint = :fingerprint"""
_PUT = """
    INSERT OR IGNORE INTO vectors (agent, tier, fingerprint, number, part, text_hash, vector)
    SELECT :agent, '{tier}', :fingerprint, :number, :part, :text_hash, :vector
    FROM {table} r WHERE r.agent = :agent AND r.{number} = :number AND r.text = :text"""
_CHANGED = """
    UPDATE agents SET {tier}_changes = {tier}_changes + 1, {tier}_rebuilds = {tier}_rebuilds + :late
    WHERE id = :agent"""


_EMBEDDERS = "SELECT fingerprint, name, dimensions, wanted, in_service FROM embedders ORDER BY fingerprint"
_NO_OTHER = (
    "UPDATE embedders SET wanted = wanted AND NOT :wanted, in_service = in_service AND NOT :in_service"
)
_PUT_EMBEDDER = """
    INSERT OR REPLACE INTO embedders (fingerprint, name, dimensions, wanted, in_service)
    VALUES (:fingerprint, :name, :dimensions, :wanted, :in_service)"""
_KNOW_EMBEDDER = """
    INSERT OR IGNORE INTO embedders (fingerprint, name, dimensions, wanted, in_service)
    VALUES (:fingerprint, '', 0, 0, 0)"""
_SET_DIMENSIONS = """
    UPDATE embedders SET dimensions = :dimensions WHERE fingerprint = :fingerprint AND dimensions = 0"""
_DIMENSIONS = "SELECT dimensions FROM embedders WHERE fingerprint = :fingerprint"
_FORGET = """
    DELETE FROM vectors WHERE (agent, tier, fingerprint, number, part) IN (
        SELECT agent, tier, fingerprint, number, part FROM vectors
        WHERE fingerprint = :fingerprint LIMIT :limit)"""
_FORGET_EMBEDDER = (
    "DELETE FROM index_blocks WHERE fingerprint = :fingerprint",
    "DELETE FROM vector_marks WHERE fingerprint = :fingerprint",
    "DELETE FROM embedders WHERE fingerprint = :fingerprint",
)
_EMBEDDED = """
    SELECT (SELECT count(*) FROM vectors WHERE fingerprint = :fingerprint AND part = 0),
    (SELECT count(*) FROM messages WHERE embed) + (SELECT count(*) FROM passages WHERE embed)"""


class VectorRows:
    """The part of a transaction that is about vectors and embedders."""

    _db: Connection

    def pending_vectors(self, fingerprint: str, limit: int) -> list[PendingVector]:
        found = [
            row
            for tier, table, number, title in _TABLES
            for row in self._db.rows(
                _PENDING.format(tier=tier, table=table, number=number, title=title),
                fingerprint=fingerprint,
                limit=limit,
            )
        ]
        return [PendingVector(*row[1:]) for row in sorted(found)[:limit]]

    def put_vectors(
        self, fingerprint: str, items: Sequence[PendingVector], vectors: Sequence[NDArray[np.float32]]
    ) -> None:
        """Stored as 16-bit floats: cosines to 3 digits."""
        if not items:
            return
        self._check_length(fingerprint, vectors[0].shape[1])
        for tier, table, number, _ in _TABLES:
            names = {"tier": tier, "table": table, "number": number}
            chosen = [(item, rows) for item, rows in zip(items, vectors, strict=True) if item.tier == tier]
            for agent in dict.fromkeys(item.agent for item, _ in chosen):
                of_agent = [(item, rows) for item, rows in chosen if item.agent == agent]
                # An index in memory reads on from the last vector it has; what comes in before that is late.
                last = self._db.one(_LAST, agent=agent, tier=tier, fingerprint=fingerprint)[0] or 0
                if self._db.many(_PUT.format(**names), _rows(fingerprint, of_agent)) > 0:
                    numbers = [item.number for item, _ in of_agent]
                    late = min(numbers) <= last
                    self._db.run(_CHANGED.format(tier=tier), agent=agent, late=late)
                    _renew_blocks(self._db, fingerprint, of_agent[0][0], numbers, last)
            if chosen:
                self._db.run(_ADVANCE.format(**names), fingerprint=fingerprint)

    def _check_length(self, fingerprint: str, dimensions: int) -> None:
        """So that vectors of two lengths can never stand under one fingerprint."""
        self._db.run(_KNOW_EMBEDDER, fingerprint=fingerprint)
        self._db.run(_SET_DIMENSIONS, fingerprint=fingerprint, dimensions=dimensions)
        (known,) = self._db.one(_DIMENSIONS, fingerprint=fingerprint)
        if known != dimensions:
            raise StorageError(
                f"Vectors of {fingerprint} have {known} dimensions, not {dimensions}; is another model "
                "served under that name? Name it differently, and all is embedded anew."
            )

    def forget_vectors(self, fingerprint: str, limit: int) -> int:
        gone = self._db.run(_FORGET, fingerprint=fingerprint, limit=limit)
        if gone < limit:
            for statement in _FORGET_EMBEDDER:
                self._db.run(statement, fingerprint=fingerprint)
        return gone

    def embedded(self, fingerprint: str) -> tuple[int, int]:
        return self._db.one(_EMBEDDED, fingerprint=fingerprint)

    def embedders(self) -> list[EmbedderRecord]:
        return [
            EmbedderRecord(fingerprint, name, dimensions, bool(wanted), bool(in_service))
            for fingerprint, name, dimensions, wanted, in_service in self._db.rows(_EMBEDDERS)
        ]

    def put_embedder(self, record: EmbedderRecord) -> None:
        values = {"wanted": record.wanted, "in_service": record.in_service}
        self._db.run(_NO_OTHER, **values)
        self._db.run(
            _PUT_EMBEDDER,
            fingerprint=record.fingerprint,
            name=record.name,
            dimensions=record.dimensions,
            **values,
        )


def _renew_blocks(
    connection: Connection, fingerprint: str, item: PendingVector, numbers: Sequence[int], last: int
) -> None:
    """Keep the blocks of the item's agent and tier true to the vectors stored for these numbers."""
    source = SQLiteSource(connection)
    source.drop_blocks(item.agent, item.tier, numbers, fingerprint)
    seal(source, item.agent, item.tier, fingerprint, last, max(numbers))


def _rows(
    fingerprint: str, items: Sequence[tuple[PendingVector, NDArray[np.float32]]]
) -> list[dict[str, object]]:
    return [
        {
            "agent": item.agent,
            "fingerprint": fingerprint,
            "number": item.number,
            "part": part,
            "text": item.text,
            "text_hash": blake2b(item.text.encode(), digest_size=16).digest(),
            "vector": vector.tobytes(),
        }
        for item, windows in items
        for part, vector in enumerate(windows.astype("<f2"))
    ]


def advance_marks(connection: Connection) -> None:
    """Bring the marks of all embedders to where they may be."""
    for (fingerprint,) in connection.rows("SELECT fingerprint FROM embedders"):
        for tier, table, number, _ in _TABLES:
            connection.run(_ADVANCE.format(tier=tier, table=table, number=number), fingerprint=fingerprint)


def delete_vectors(connection: Connection, agent: int, number: int) -> None:
    """Forget the vectors of a passage, of all fingerprints."""
    connection.run(
        "DELETE FROM vectors WHERE agent = :agent AND tier = 'archival' AND number = :number",
        agent=agent,
        number=number,
    )
