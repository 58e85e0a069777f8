"""What the index in memory reads of a database: ``storage.index.IndexSource`` in PostgreSQL's SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pagefault.storage.index import Counters, Numbers, RowFacts, StoredVectors
from pagefault.storage.postgres.connection import Connection
from pagefault.storage.terms import passage_terms
from pagefault.types import AgentId, Tier

__all__ = ["SourceRows"]

_COUNTERS = """
    SELECT {tier}_changes, {tier}_rebuilds, {tier}_rows, {tier}_units FROM agents WHERE id = %(agent)s"""
_QUESTION = "right(rtrim(text, E' \\t\\n\\r'), 1) IN ('?', '？')"
_ROWS = {
    "recall": f"""
        SELECT seq, at, role, speaker, 0, units, {_QUESTION} FROM messages
        WHERE agent = %(agent)s AND seq > %(after)s ORDER BY seq LIMIT %(limit)s""",
    "archival": f"""
        SELECT number, at, '', '', coalesce(document, 0), units, {_QUESTION} FROM passages
        WHERE agent = %(agent)s AND number > %(after)s ORDER BY number LIMIT %(limit)s""",
}
_VECTORS = """
    SELECT number, halfvec_send(vector) FROM vectors
    WHERE agent = %(agent)s AND tier = %(tier)s AND fingerprint = %(fingerprint)s"""
_VECTORS_AFTER = f"{_VECTORS} AND number > %(after)s ORDER BY number, part LIMIT %(limit)s"
_VECTORS_OF = f"{_VECTORS} AND number = ANY(%(numbers)s::bigint[]) ORDER BY number, part"
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


class SourceRows:
    """``storage.index.IndexSource`` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def counters(self, agent: AgentId, tier: Tier) -> Counters:
        return Counters(*(self._db.one(_COUNTERS.format(tier=tier), agent=agent) or (0, 0, 0, 0)))

    def rows_after(self, agent: AgentId, tier: Tier, number: int, limit: int) -> Sequence[RowFacts]:
        return self._db.rows(_ROWS[tier], agent=agent, after=number, limit=limit)

    def vectors_after(
        self, agent: AgentId, tier: Tier, fingerprint: str, number: int, limit: int
    ) -> StoredVectors:
        rows = self._db.binary(
            _VECTORS_AFTER, agent=agent, tier=tier, fingerprint=fingerprint, after=number, limit=limit
        )
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
