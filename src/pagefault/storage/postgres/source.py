"""The reads of a database for the index in memory, and its blocks: ``blocks.BlockStore``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pagefault.storage.index import Counters, IndexBlock, Numbers, RowFacts, StoredVectors
from pagefault.storage.index.blocks import block_of
from pagefault.storage.postgres.connection import Connection
from pagefault.storage.terms import passage_terms
from pagefault.types import AgentId, Tier

__all__ = ["PostgresSource"]

_LAST = {"recall": "last_seq", "archival": "last_passage"}
_COUNTERS = """
    SELECT {tier}_changes, {tier}_rebuilds, {tier}_rows, {tier}_units, {last} FROM agents
    WHERE id = %(agent)s"""
_QUESTION = "right(rtrim(text, E' \\t\\n\\r'), 1) IN ('?', '？')"
_ROWS = {
    "recall": f"""
        SELECT seq, at, role, speaker, 0, units, {_QUESTION} FROM messages
        WHERE agent = %(agent)s AND seq > %(after)s AND seq < %(stop)s ORDER BY seq LIMIT %(limit)s""",
    "archival": f"""
        SELECT number, at, '', '', coalesce(document, 0), units, {_QUESTION} FROM passages
        WHERE agent = %(agent)s AND number > %(after)s AND number < %(stop)s
        ORDER BY number LIMIT %(limit)s""",
}
_VECTORS = """
    SELECT number, halfvec_send(vector) FROM vectors
    WHERE agent = %(agent)s AND tier = %(tier)s AND fingerprint = %(fingerprint)s"""
_VECTORS_AFTER = (
    f"{_VECTORS} AND number > %(after)s AND number < %(stop)s ORDER BY number, part LIMIT %(limit)s"
)
_VECTORS_OF = f"{_VECTORS} AND number = ANY(%(numbers)s::bigint[]) ORDER BY number, part"
_BLOCK_SIZES = """
    SELECT block, count FROM index_blocks
    WHERE agent = %(agent)s AND tier = %(tier)s AND fingerprint = %(fingerprint)s"""
_BLOCKS = """
    SELECT block, count, names, data FROM index_blocks WHERE agent = %(agent)s AND tier = %(tier)s
    AND fingerprint = %(fingerprint)s AND block >= %(block)s ORDER BY block LIMIT %(limit)s"""
_PUT_BLOCK = """
    INSERT INTO index_blocks (agent, tier, fingerprint, block, count, names, data)
    VALUES (%(agent)s, %(tier)s, %(fingerprint)s, %(block)s, %(count)s, %(names)s, %(data)b)"""
_DROP_BLOCKS = """
    DELETE FROM index_blocks WHERE agent = %(agent)s AND tier = %(tier)s
    AND block = ANY(%(blocks)s::bigint[])
    AND (%(fingerprint)s::text IS NULL OR fingerprint = %(fingerprint)s)"""
_DROP_ALL_BLOCKS = "DELETE FROM index_blocks WHERE agent = %(agent)s"
_DELETED = "SELECT number FROM deletions WHERE agent = %(agent)s AND change > %(change)s"
_OF_UNIT = "agent = %(agent)s AND tier = %(tier)s AND unit = u.unit"
_FREQUENCIES = f"""
    SELECT u.unit, (SELECT count(*) FROM (SELECT FROM postings WHERE {_OF_UNIT} LIMIT %(most)s) counted)
    FROM unnest(%(units)s::text[]) u (unit)"""
_POSTINGS = f"""
    SELECT u.unit, p.numbers, p.counts FROM unnest(%(units)s::text[]) u (unit) CROSS JOIN LATERAL (
        SELECT array_send(array_agg(number)) AS numbers, array_send(array_agg(count)) AS counts
        FROM (SELECT number, count FROM postings WHERE {_OF_UNIT} ORDER BY number) ordered) p
    WHERE p.numbers IS NOT NULL"""
_WITH_ALL = f"""
    SELECT p.number FROM postings p WHERE p.agent = %(agent)s AND p.tier = %(tier)s AND p.unit = %(rarest)s
    AND NOT EXISTS (SELECT FROM unnest(%(others)s::text[]) u (unit) WHERE NOT EXISTS (
        SELECT FROM postings WHERE {_OF_UNIT} AND number = p.number)) ORDER BY p.number"""
_TEXTS = {
    "recall": """
        SELECT seq, '', text FROM messages WHERE agent = %(agent)s AND seq = ANY(%(numbers)s::bigint[])""",
    "archival": """
        SELECT number, title, text FROM passages
        WHERE agent = %(agent)s AND number = ANY(%(numbers)s::bigint[])""",
}
_TAGGED = """
    SELECT number FROM passage_tags WHERE agent = %(agent)s AND tag = ANY(%(tags)s::text[])
    GROUP BY number HAVING count(*) = %(count)s ORDER BY number"""

_MOST = 100_000
"""Rows of a unit that are counted. One that is in more of them says next to nothing, and is not looked up
unless the query has no rarer one; then its weight is taken too large, which changes no order."""


class PostgresSource:
    """``storage.index.blocks.BlockStore`` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def counters(self, agent: AgentId, tier: Tier) -> Counters:
        counters = _COUNTERS.format(tier=tier, last=_LAST[tier])
        return Counters(*(self._db.one(counters, agent=agent) or (0, 0, 0, 0, 0)))

    def block_sizes(self, agent: AgentId, tier: Tier, fingerprint: str) -> dict[int, int]:
        return dict(self._db.rows(_BLOCK_SIZES, agent=agent, tier=tier, fingerprint=fingerprint))

    def blocks_from(
        self, agent: AgentId, tier: Tier, fingerprint: str, block: int, limit: int
    ) -> Sequence[IndexBlock]:
        of = {"agent": agent, "tier": tier, "fingerprint": fingerprint}
        return [IndexBlock(*row) for row in self._db.binary(_BLOCKS, **of, block=block, limit=limit)]

    def put_block(self, agent: AgentId, tier: Tier, fingerprint: str, block: IndexBlock) -> None:
        of = {"agent": agent, "tier": tier, "fingerprint": fingerprint, "block": block.number}
        self._db.send(_PUT_BLOCK, **of, count=block.count, names=block.names, data=block.data)

    def fingerprints(self) -> list[str]:
        return [fingerprint for (fingerprint,) in self._db.rows("SELECT fingerprint FROM embedders")]

    def drop_blocks(
        self, agent: AgentId, tier: Tier, numbers: Iterable[int], fingerprint: str | None = None
    ) -> None:
        """Drop the blocks that these numbers belong to: of vectors of one embedder, or all."""
        blocks = block_of(numbers)
        self._db.send(_DROP_BLOCKS, agent=agent, tier=tier, blocks=blocks, fingerprint=fingerprint)

    def drop_all_blocks(self, agent: AgentId) -> None:
        self._db.send(_DROP_ALL_BLOCKS, agent=agent)

    def rows_after(
        self, agent: AgentId, tier: Tier, number: int, limit: int, stop: int
    ) -> Sequence[RowFacts]:
        return self._db.rows(_ROWS[tier], agent=agent, after=number, limit=limit, stop=stop)

    def vectors_after(
        self, agent: AgentId, tier: Tier, fingerprint: str, number: int, limit: int, stop: int
    ) -> StoredVectors:
        of = {"agent": agent, "tier": tier, "fingerprint": fingerprint}
        rows = self._db.binary(_VECTORS_AFTER, **of, after=number, limit=limit, stop=stop)
        if len(rows) == limit:  # the last number's other windows may be behind the limit
            last = rows[-1][0]
            whole = [row for row in rows if row[0] != last]
            rows = [*whole, *self._vectors_of(agent, tier, fingerprint, [last])]
        return _vectors(rows)

    def vectors_of(
        self, agent: AgentId, tier: Tier, fingerprint: str, numbers: Sequence[int]
    ) -> StoredVectors:
        return _vectors(self._vectors_of(agent, tier, fingerprint, numbers))

    def _vectors_of(self, agent: AgentId, tier: Tier, fingerprint: str, numbers: Sequence[int]) -> list[Any]:
        return self._db.binary(
            _VECTORS_OF, agent=agent, tier=tier, fingerprint=fingerprint, numbers=list(numbers)
        )

    def deleted_since(self, agent: AgentId, change: int) -> Sequence[int]:
        return [number for (number,) in self._db.rows(_DELETED, agent=agent, change=change)]

    def frequencies(self, agent: AgentId, tier: Tier, units: Iterable[str]) -> dict[str, int]:
        found = self._db.rows(_FREQUENCIES, agent=agent, tier=tier, units=list(units), most=_MOST)
        return {unit: rows for unit, rows in found if rows}

    def postings(self, agent: AgentId, tier: Tier, units: Iterable[str]) -> dict[str, Numbers]:
        found = self._db.binary(_POSTINGS, agent=agent, tier=tier, units=list(units))
        return {
            unit: np.repeat(_array(numbers, ">i8"), _array(counts, ">i4")) for unit, numbers, counts in found
        }

    def containing(self, agent: AgentId, tier: Tier, phrases: Sequence[Sequence[str]]) -> Numbers:
        frequencies = self.frequencies(agent, tier, {unit for phrase in phrases for unit in phrase})
        rarest, *others = sorted(frequencies, key=lambda unit: (frequencies[unit], unit))
        rows = self._db.rows(_WITH_ALL, agent=agent, tier=tier, rarest=rarest, others=others)
        numbers = [number for (number,) in rows]
        longer = [list(phrase) for phrase in phrases if len(phrase) > 1]
        if longer and numbers:  # postings do not say where a unit stands
            texts = self._db.rows(_TEXTS[tier], agent=agent, numbers=numbers)
            numbers = [n for n, title, text in texts if _has_all(passage_terms(title, text), longer)]
        return np.array(numbers, np.int64)

    def tagged(self, agent: AgentId, tags: Sequence[str]) -> Numbers:
        rows = self._db.rows(_TAGGED, agent=agent, tags=list(tags), count=len(tags))
        return np.array([number for (number,) in rows], np.int64)


def _has_all(units: list[str], phrases: Sequence[list[str]]) -> bool:
    return all(
        any(
            units[start : start + len(phrase)] == phrase
            for start, unit in enumerate(units)
            if unit == phrase[0]
        )
        for phrase in phrases
    )


def _array(sent: bytes, kind: str) -> Numbers:
    """An array as ``array_send`` writes it: five 32-bit numbers, then a length before each element."""
    elements = np.frombuffer(sent, np.dtype([("length", ">i4"), ("value", kind)]), offset=20)
    return elements["value"].astype(np.int64)


def _vectors(rows: Sequence[tuple[int, bytes]]) -> StoredVectors:
    """Vectors as ``halfvec_send`` writes them: two 16-bit numbers, then the elements."""
    numbers = np.array([number for number, _ in rows], np.int64)
    sent = np.frombuffer(b"".join(vector for _, vector in rows), ">f2")
    halves = sent.reshape(len(rows), -1)[:, 2:] if rows else sent.reshape(0, 0)
    return StoredVectors(numbers, halves.astype(np.float16))
