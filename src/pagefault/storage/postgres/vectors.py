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

from pagefault.storage import PendingVector
from pagefault.storage.postgres.connection import Connection, Half
from pagefault.storage.postgres.queues import LOCK_AGENT

__all__ = ["delete_vectors", "pending_vectors", "put_vectors"]

_TIERS = (
    {"tier": "recall", "table": "messages", "number": "seq", "last": "last_seq", "whole": "r.text"},
    {
        "tier": "archival",
        "table": "passages",
        "number": "number",
        "last": "last_passage",
        "whole": "CASE r.title WHEN '' THEN r.text ELSE r.title || E'\\n' || r.text END",
    },
)
_WAITING = """
    FROM {table} r WHERE r.agent = a.id AND r.embed AND r.{number} > coalesce(m.done, 0)
    AND NOT EXISTS (SELECT FROM vectors v WHERE v.agent = r.agent AND v.tier = '{tier}'
        AND v.fingerprint = %(fingerprint)s AND v.number = r.{number})
    ORDER BY r.{number}"""
_MARKED = """
    FROM agents a LEFT JOIN vector_marks m
    ON m.agent = a.id AND m.fingerprint = %(fingerprint)s AND m.tier = '{tier}'"""
_PENDING = f"""
    SELECT w.at, a.id, '{{tier}}', w.number, w.whole {_MARKED} CROSS JOIN LATERAL (
        SELECT r.at, r.{{number}} AS number, {{whole}} AS whole {_WAITING} LIMIT %(limit)s) w
    WHERE a.{{last}} > coalesce(m.done, 0) LIMIT %(limit)s"""
_ADVANCE = f"""
    INSERT INTO vector_marks (agent, fingerprint, tier, done) SELECT a.id, %(fingerprint)s, '{{tier}}',
    coalesce((SELECT r.{{number}} - 1 {_WAITING} LIMIT 1), a.{{last}}) {_MARKED} WHERE a.id = %(agent)s
    ON CONFLICT (agent, fingerprint, tier) DO UPDATE SET done = excluded.done"""
_LAST = """
    SELECT coalesce(max(number), 0) FROM vectors
    WHERE agent = %(agent)s AND tier = '{tier}' AND fingerprint = %(fingerprint)s"""
_WHOLE = """
    SELECT r.{number}, {whole} FROM {table} r
    WHERE r.agent = %(agent)s AND r.{number} = ANY(%(numbers)s::bigint[])"""
_PUT = """
    INSERT INTO vectors (agent, tier, fingerprint, number, part, text_hash, vector)
    SELECT %(agent)s, '{tier}', %(fingerprint)s, * FROM unnest(%(numbers)s::bigint[], %(parts)s::integer[],
    %(hashes)s::bytea[], %(vectors)b::halfvec[]) ON CONFLICT DO NOTHING"""
_CHANGED = """
    UPDATE agents SET {tier}_changes = {tier}_changes + 1, {tier}_rebuilds = {tier}_rebuilds + %(late)s
    WHERE id = %(agent)s"""
_DELETE = "DELETE FROM vectors WHERE agent = %(agent)s AND tier = 'archival' AND number = %(number)s"

_Item = tuple[PendingVector, NDArray[np.float32]]


def pending_vectors(connection: Connection, fingerprint: str, limit: int) -> list[PendingVector]:
    """See ``storage.Transaction.pending_vectors``; an agent's oldest first."""
    found = [
        row
        for names in _TIERS
        for row in connection.rows(_PENDING.format(**names), fingerprint=fingerprint, limit=limit)
    ]
    return [PendingVector(*row[1:]) for row in sorted(found)[:limit]]


def put_vectors(
    connection: Connection,
    fingerprint: str,
    items: Sequence[PendingVector],
    vectors: Sequence[NDArray[np.float32]],
) -> None:
    """See ``storage.Transaction.put_vectors``. Stored as 16-bit floats: cosines to 3 digits."""
    agents = sorted({item.agent for item in items})
    for agent in agents:  # in one order, so that two writers never wait for each other crosswise
        connection.send(LOCK_AGENT, agent=agent)
    for names in _TIERS:
        for agent in agents:
            chosen = [
                (item, windows)
                for item, windows in zip(items, vectors, strict=True)
                if (item.agent, item.tier) == (agent, names["tier"])
            ]
            if chosen:
                _put(connection, fingerprint, agent, names, chosen)


def _put(
    connection: Connection, fingerprint: str, agent: int, names: dict[str, str], items: Sequence[_Item]
) -> None:
    numbers = [item.number for item, _ in items]
    texts = dict(connection.rows(_WHOLE.format(**names), agent=agent, numbers=numbers))
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
        late = int(any(item.number <= last for item, _ in current))
        connection.send(_CHANGED.format(**names), agent=agent, late=late)
    connection.send(_ADVANCE.format(**names), agent=agent, fingerprint=fingerprint)


def delete_vectors(connection: Connection, agent: int, number: int) -> None:
    """Forget the vectors of a passage, of all fingerprints."""
    connection.send(_DELETE, agent=agent, number=number)
