"""Vectors beside the rows: which rows wait for one, and storing them.

A mark per agent, fingerprint and tier says up to which number all is done, so that asking reads only what was
added since. It is per agent because an agent's numbers are given out under a lock, in the order of commits;
what counts over all agents is not: a smaller id may be committed after a larger one.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from pagefault.storage import PendingVector
from pagefault.storage.postgres.connection import Connection, Half
from pagefault.storage.postgres.queues import LOCK_AGENT

__all__ = ["delete_vectors", "pending_vectors", "put_vectors"]

_TIERS = (("recall", "messages", "seq", "last_seq"), ("archival", "passages", "number", "last_passage"))
_WAITING = """
    FROM {table} r WHERE r.agent = a.id AND r.embed AND r.{number} > coalesce(m.done, 0)
    AND NOT EXISTS (SELECT FROM vectors v WHERE v.agent = r.agent AND v.tier = '{tier}'
        AND v.fingerprint = %(fingerprint)s AND v.number = r.{number})
    ORDER BY r.{number}"""
_MARKED = """
    FROM agents a LEFT JOIN vector_marks m
    ON m.agent = a.id AND m.fingerprint = %(fingerprint)s AND m.tier = '{tier}'"""
_PENDING = f"""
    SELECT w.at, a.id, '{{tier}}', w.number, w.text {_MARKED} CROSS JOIN LATERAL (
        SELECT r.at, r.{{number}} AS number, r.text {_WAITING} LIMIT %(limit)s) w
    WHERE a.{{last}} > coalesce(m.done, 0) LIMIT %(limit)s"""
_ADVANCE = f"""
    INSERT INTO vector_marks (agent, fingerprint, tier, done)
    SELECT a.id, %(fingerprint)s, '{{tier}}', coalesce((SELECT r.{{number}} - 1 {_WAITING} LIMIT 1), a.{{last}})
    {_MARKED} WHERE a.id = %(agent)s
    ON CONFLICT (agent, fingerprint, tier) DO UPDATE SET done = excluded.done"""
_CHANGED = """
    UPDATE agents SET {tier}_changes = {tier}_changes + 1, {tier}_rebuilds = {tier}_rebuilds + (
        SELECT count(*) FROM (SELECT FROM vectors WHERE agent = %(agent)s AND tier = '{tier}'
            AND fingerprint = %(fingerprint)s AND number >= %(first)s LIMIT 1) known)
    WHERE id = %(agent)s"""
_PUT = """
    INSERT INTO vectors (agent, tier, fingerprint, number, part, text_hash, vector)
    SELECT %(agent)s, '{tier}', %(fingerprint)s, %(number)s, 0, %(text_hash)s, %(vector)s
    FROM {table} r WHERE r.agent = %(agent)s AND r.{number} = %(number)s AND r.text = %(text)s
    ON CONFLICT (agent, tier, fingerprint, number, part)
    DO UPDATE SET text_hash = excluded.text_hash, vector = excluded.vector"""
_DELETE = "DELETE FROM vectors WHERE agent = %(agent)s AND tier = 'archival' AND number = %(number)s"


def pending_vectors(connection: Connection, fingerprint: str, limit: int) -> list[PendingVector]:
    """See ``storage.Transaction.pending_vectors``; an agent's oldest first."""
    found = [
        row
        for tier, table, number, last in _TIERS
        for row in connection.rows(
            _PENDING.format(tier=tier, table=table, number=number, last=last),
            fingerprint=fingerprint,
            limit=limit,
        )
    ]
    return [PendingVector(*row[1:]) for row in sorted(found)[:limit]]


def put_vectors(
    connection: Connection, fingerprint: str, items: Sequence[PendingVector], vectors: NDArray[np.float32]
) -> None:
    """See ``storage.Transaction.put_vectors``. Stored as 16-bit floats: cosines to 3 digits."""
    halves = vectors.astype(np.float16)
    for agent in sorted(
        {item.agent for item in items}
    ):  # in order, so that two writers do not lock crosswise
        connection.send(LOCK_AGENT, agent=agent)
    for tier, table, number, last in _TIERS:
        names = {"tier": tier, "table": table, "number": number, "last": last}
        chosen = [(i, v) for i, v in zip(items, halves, strict=True) if i.tier == tier]
        for agent in sorted({item.agent for item, _ in chosen}):
            first = min(item.number for item, _ in chosen if item.agent == agent)
            connection.send(_CHANGED.format(**names), agent=agent, fingerprint=fingerprint, first=first)
        for item, vector in chosen:
            connection.send(
                _PUT.format(**names),
                agent=item.agent,
                fingerprint=fingerprint,
                number=item.number,
                text=item.text,
                text_hash=blake2b(item.text.encode(), digest_size=16).digest(),
                vector=Half(vector),
            )
        for agent in sorted({item.agent for item, _ in chosen}):
            connection.send(_ADVANCE.format(**names), agent=agent, fingerprint=fingerprint)


def delete_vectors(connection: Connection, agent: int, number: int) -> None:
    """Forget the vectors of a passage, of all fingerprints."""
    connection.send(_DELETE, agent=agent, number=number)
