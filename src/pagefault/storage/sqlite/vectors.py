"""Vectors beside the rows: which rows wait for one, and storing them.

A mark per fingerprint and tier says up to which row all is done, so that asking costs nothing when nothing
waits, and a new fingerprint starts from the beginning. Leaves out making vectors (``pagefault.embedders``).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from pagefault.storage import PendingVector
from pagefault.storage.sqlite.connection import Connection

__all__ = ["delete_vectors", "pending_vectors", "put_vectors"]

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


def pending_vectors(connection: Connection, fingerprint: str, limit: int) -> list[PendingVector]:
    """See ``storage.Transaction.pending_vectors``; oldest first."""
    found = [
        row
        for tier, table, number, title in _TABLES
        for row in connection.rows(
            _PENDING.format(tier=tier, table=table, number=number, title=title),
            fingerprint=fingerprint,
            limit=limit,
        )
    ]
    return [PendingVector(*row[1:]) for row in sorted(found)[:limit]]


def put_vectors(
    connection: Connection,
    fingerprint: str,
    items: Sequence[PendingVector],
    vectors: Sequence[NDArray[np.float32]],
) -> None:
    """See ``storage.Transaction.put_vectors``. Stored as 16-bit floats: cosines to 3 digits."""
    for tier, table, number, _ in _TABLES:
        names = {"tier": tier, "table": table, "number": number}
        chosen = [(item, windows) for item, windows in zip(items, vectors, strict=True) if item.tier == tier]
        for agent in dict.fromkeys(item.agent for item, _ in chosen):
            of_agent = [(item, windows) for item, windows in chosen if item.agent == agent]
            # An index in memory reads on from the last vector it has; what comes in before that is late.
            last = connection.one(_LAST, agent=agent, tier=tier, fingerprint=fingerprint)[0] or 0
            stored = connection.many(_PUT.format(**names), _rows(fingerprint, of_agent))
            if stored > 0:
                late = any(item.number <= last for item, _ in of_agent)
                connection.run(_CHANGED.format(tier=tier), agent=agent, late=late)
        if chosen:
            connection.run(_ADVANCE.format(**names), fingerprint=fingerprint)


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


def delete_vectors(connection: Connection, agent: int, number: int) -> None:
    """Forget the vectors of a passage, of all fingerprints."""
    connection.run(
        "DELETE FROM vectors WHERE agent = :agent AND tier = 'archival' AND number = :number",
        agent=agent,
        number=number,
    )
