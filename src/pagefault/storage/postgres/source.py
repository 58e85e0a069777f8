"""The reads of a database's postings for the index in memory, and of its vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pagefault.storage.index import Numbers, StoredVectors
from pagefault.storage.sql.source import SqlSource
from pagefault.storage.terms import terms
from pagefault.types import AgentId, Tier

__all__ = ["PostgresSource"]

_OF_UNIT = "agent = :agent AND tier = :tier AND unit = u.unit"
_FREQUENCIES = f"""
    SELECT u.unit, (SELECT count(*) FROM (SELECT FROM postings WHERE {_OF_UNIT} LIMIT :most) counted)
    FROM unnest(:units::text[]) u (unit)"""
_POSTINGS = f"""
    SELECT u.unit, p.numbers, p.counts FROM unnest(:units::text[]) u (unit) CROSS JOIN LATERAL (
        SELECT array_send(array_agg(number)) AS numbers, array_send(array_agg(count)) AS counts
        FROM (SELECT number, count FROM postings WHERE {_OF_UNIT} ORDER BY number) ordered) p
    WHERE p.numbers IS NOT NULL"""
_WITH_ALL = f"""
    SELECT p.number FROM postings p WHERE p.agent = :agent AND p.tier = :tier AND p.unit = :rarest
    AND NOT EXISTS (SELECT FROM unnest(:others::text[]) u (unit) WHERE NOT EXISTS (
        SELECT FROM postings WHERE {_OF_UNIT} AND number = p.number)) ORDER BY p.number"""

_MOST = 100_000
"""Rows of a unit that are counted. One that is in more of them says next to nothing, and is not looked up
unless the query has no rarer one; then its weight is taken too large, which changes no order."""


class PostgresSource(SqlSource):
    """``storage.index.blocks.BlockStore`` on one connection."""

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
            texts = self.texts(agent, tier, numbers)
            numbers = [number for number, text in texts.items() if _has_all(terms(text), longer)]
        return np.array(numbers, np.int64)

    def _decoded(self, rows: Sequence[tuple[int, bytes]]) -> StoredVectors:
        """Vectors as ``halfvec_send`` writes them: two 16-bit numbers, then the elements."""
        numbers = np.array([number for number, _ in rows], np.int64)
        sent = np.frombuffer(b"".join(vector for _, vector in rows), ">f2")
        halves = sent.reshape(len(rows), -1)[:, 2:] if rows else sent.reshape(0, 0)
        return StoredVectors(numbers, halves.astype(np.float16))


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
