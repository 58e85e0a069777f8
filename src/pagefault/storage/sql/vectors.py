"""Vectors beside the rows, and embedders. Leaves out which rows wait for a vector (``waiting``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from pagefault.errors import EmbedderError
from pagefault.storage import EmbedderRecord, PendingVector
from pagefault.storage.index.blocks import seal
from pagefault.storage.sql.part import now_micros
from pagefault.storage.sql.waiting import TIERS, SqlWaiting
from pagefault.types import AgentId, Tier

__all__ = ["SqlVectors"]

_LAST = """
    SELECT coalesce(max(number), 0), (SELECT coalesce(max(last), 0) FROM segments s WHERE s.agent = :agent
        AND s.tier = :tier AND s.fingerprint = :fingerprint AND s.state = 'sealed')
    FROM vectors WHERE agent = :agent AND tier = :tier AND fingerprint = :fingerprint"""
_TEXTS = "SELECT {number}, text FROM {table} WHERE agent = :agent AND embed AND {among}"
_HAVE = """
    SELECT number FROM vectors
    WHERE agent = :agent AND tier = :tier AND fingerprint = :fingerprint AND part <= 0 AND {among}"""
_CHANGED = """
    UPDATE agents SET {tier}_changes = {tier}_changes + 1, {tier}_rebuilds = {tier}_rebuilds + :late
    WHERE id = :agent"""
_NO_OTHER = (
    "UPDATE embedders SET wanted = wanted AND NOT :wanted, in_service = in_service AND NOT :in_service"
)
_WALK_ANEW = "UPDATE embedders SET walked = 0"
_PUT_EMBEDDER = """
    INSERT INTO embedders (fingerprint, name, dimensions, wanted, in_service)
    VALUES (:fingerprint, :name, :dimensions, :wanted, :in_service)
    ON CONFLICT (fingerprint) DO UPDATE SET name = excluded.name, dimensions = excluded.dimensions,
    wanted = excluded.wanted, in_service = excluded.in_service"""
_KNOW_EMBEDDER = """
    INSERT INTO embedders AS e (fingerprint, name, dimensions, wanted, in_service)
    VALUES (:fingerprint, '', :dimensions, false, false)
    ON CONFLICT (fingerprint) DO UPDATE SET dimensions = excluded.dimensions WHERE e.dimensions = 0"""
_DIMENSIONS = "SELECT dimensions FROM embedders WHERE fingerprint = :fingerprint"
_FLAG = "UPDATE agents SET unembedded = coalesce(unembedded, :now) WHERE id = :agent"
_FORGET = """
    DELETE FROM vectors WHERE (agent, tier, fingerprint, number, part) IN (
        SELECT agent, tier, fingerprint, number, part FROM vectors
        WHERE fingerprint = :fingerprint LIMIT :limit) RETURNING 1"""
_FORGET_EMBEDDER = (
    "DELETE FROM index_blocks WHERE fingerprint = :fingerprint",
    "DELETE FROM vector_marks WHERE fingerprint = :fingerprint",
    "DELETE FROM embedders WHERE fingerprint = :fingerprint",
)
# Each row once: a vector that is sealed may not be deleted where it was yet.
_EMBEDDED = """
    SELECT (SELECT count(*) FROM vectors v LEFT JOIN (
            SELECT agent, tier, max(last) AS last FROM segments
            WHERE fingerprint = :fingerprint AND state = 'sealed' GROUP BY agent, tier) s
        ON s.agent = v.agent AND s.tier = v.tier
        WHERE v.fingerprint = :fingerprint AND (v.part < 0 OR v.part = 0 AND v.number > coalesce(s.last, 0)))
    + (SELECT coalesce(sum(rows - dead), 0) FROM segments
        WHERE fingerprint = :fingerprint AND state = 'sealed'),
    (SELECT count(*) FROM messages WHERE embed) + (SELECT count(*) FROM passages WHERE embed)"""

_NONE = -1  # the part of a row without vectors, which stands for: done with, and not read
_Item = tuple[PendingVector, NDArray[np.float32]]


class SqlVectors(SqlWaiting):
    """The part of a transaction on vectors and embedders."""

    def _advance_marks(self, agent: AgentId) -> None:
        """Bring the marks of all embedders to where they may be; rows may wait for other vectors."""
        self._db.send(_FLAG, agent=agent, now=now_micros())
        for embedder in self.embedders():
            for tier, _, _ in TIERS:
                self._mark(agent, tier, embedder.fingerprint)

    def put_vectors(
        self, fingerprint: str, items: Sequence[PendingVector], vectors: Sequence[NDArray[np.float32]]
    ) -> None:
        """Stored as 16-bit floats: cosines to 3 digits."""
        if not items:
            return
        agents = sorted({item.agent for item in items})
        for agent in agents:  # in one order, so that two writers never wait for each other crosswise
            self._lock(agent)
        for windows in vectors:
            if len(windows):
                self._check_length(fingerprint, windows.shape[1])
                break
        for tier, table, number in TIERS:
            for agent in agents:
                pairs = zip(items, vectors, strict=True)
                chosen = [(item, w) for item, w in pairs if (item.agent, item.tier) == (agent, tier)]
                if chosen:
                    texts = _TEXTS.format(
                        table=table, number=number, among=self._db.dialect.among(number, "numbers", int)
                    )
                    last = self._db.one(_LAST, agent=agent, tier=tier, fingerprint=fingerprint)
                    current = self._current(agent, tier, fingerprint, texts, chosen, sealed=last[1])
                    self._put(agent, tier, fingerprint, current, last=max(last))
                    self._mark(agent, tier, fingerprint)

    def _current(
        self,
        agent: AgentId,
        tier: Tier,
        fingerprint: str,
        texts: str,
        items: Sequence[_Item],
        *,
        sealed: int,
    ) -> list[_Item]:
        """The items whose text still stands, and that have no vectors yet."""
        numbers = self._db.listed([item.number for item, _ in items])
        stand = dict(self._db.rows(texts, agent=agent, numbers=numbers))
        have = _HAVE.format(among=self._db.dialect.among("number", "numbers", int))
        found = self._db.rows(have, agent=agent, tier=tier, fingerprint=fingerprint, numbers=numbers)
        there = {number for (number,) in found}
        return [
            (item, windows)
            for item, windows in items
            if item.number > sealed and stand.get(item.number) == item.text and item.number not in there
        ]

    def _put(self, agent: AgentId, tier: Tier, fingerprint: str, items: Sequence[_Item], last: int) -> None:
        if not items:
            return
        # An index in memory reads on from the last vector it has; what comes in before that is late.
        of = {"agent": agent, "tier": tier, "fingerprint": fingerprint}
        rows = [
            of
            | {
                "number": item.number,
                "part": part,
                "text_hash": blake2b(item.text.encode(), digest_size=16).digest(),
                "vector": vector.tobytes(),
            }
            for item, windows in items
            for part, vector in _parts(windows)
        ]
        self._db.insert("vectors", agent, rows)
        numbers = [item.number for item, _ in items]
        self._db.send(_CHANGED.format(tier=tier), agent=agent, late=int(min(numbers) <= last))
        source = self._source()
        source.drop_blocks(agent, tier, numbers, fingerprint)
        seal(source, agent, tier, fingerprint, last, max(numbers))

    def _check_length(self, fingerprint: str, dimensions: int) -> None:
        """So that vectors of two lengths can never stand under one fingerprint."""
        known = self._db.one(_DIMENSIONS, fingerprint=fingerprint)
        if known is None or known[0] == 0:
            self._db.send(_KNOW_EMBEDDER, fingerprint=fingerprint, dimensions=dimensions)
            known = self._db.one(_DIMENSIONS, fingerprint=fingerprint)
        if known[0] != dimensions:
            raise EmbedderError(
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
        rows, of = self._db.one(_EMBEDDED, fingerprint=fingerprint)
        return int(rows), of  # PostgreSQL sums integers to a decimal

    def embedders(self) -> list[EmbedderRecord]:
        return [record for record, _ in self._embedder_rows()]

    def put_embedder(self, record: EmbedderRecord) -> None:
        values = {"wanted": record.wanted, "in_service": record.in_service}
        named = {"fingerprint": record.fingerprint, "name": record.name, "dimensions": record.dimensions}
        if record.wanted and not any(
            e.wanted for e in self.embedders() if e.fingerprint == record.fingerprint
        ):
            self._db.send(_WALK_ANEW)  # agents may have been settled without what this one uses
        self._db.send(_NO_OTHER, **values)
        self._db.send(_PUT_EMBEDDER, **named, **values)


def _parts(windows: NDArray[np.float32]) -> Iterable[tuple[int, NDArray[np.float16]]]:
    """The numbered vectors to store."""
    return enumerate(windows.astype("<f2")) if len(windows) else [(_NONE, np.zeros(1, "<f2"))]
