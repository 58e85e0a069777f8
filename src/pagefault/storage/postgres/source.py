"""The reads of a database's postings and word blocks for the index in memory, and of its vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pagefault.storage.index import Numbers, Postings, StoredVectors
from pagefault.storage.index.words import WordBlocks, decoded, joined
from pagefault.storage.postgres.connection import PostgresConnection
from pagefault.storage.postgres.hnsw import SealedTables
from pagefault.storage.sql.source import SqlSource
from pagefault.storage.terms import terms
from pagefault.types import AgentId, Tier

__all__ = ["PostgresSource", "sent_array"]

# The blocks of sealed segments, which follow one another, and the rows of the open one.
_POSTINGS = """
    SELECT u.unit, b.*, p.* FROM unnest(:units::text[]) u (unit) CROSS JOIN LATERAL (
        SELECT array_send(array_agg(block ORDER BY block)), array_send(array_agg(count ORDER BY block)),
        array_send(array_agg(length(data) ORDER BY block)), string_agg(data, '' ORDER BY block)
        FROM word_blocks WHERE agent = :agent AND segment = ANY(ARRAY(
            SELECT number FROM segments
            WHERE agent = :agent AND tier = :tier AND fingerprint = '' AND state = 'sealed'))
        AND unit = u.unit) b
    CROSS JOIN LATERAL (
        SELECT array_send(array_agg(number ORDER BY number)), array_send(array_agg(count ORDER BY number))
        FROM postings WHERE agent = :agent AND tier = :tier AND unit = u.unit AND number > (
            SELECT coalesce(max(last), 0) FROM segments
            WHERE agent = :agent AND tier = :tier AND fingerprint = '' AND state = 'sealed')) p"""


class PostgresSource(SqlSource):
    """``storage.index.blocks.BlockStore`` on one connection."""

    _db: PostgresConnection

    def sealed(self, agent: AgentId, tier: Tier, fingerprint: str) -> SealedTables | None:
        return SealedTables.of(self._db, agent, tier, fingerprint)

    def postings(self, agent: AgentId, tier: Tier, units: Iterable[str]) -> dict[str, Postings]:
        found = self._db.binary(_POSTINGS, agent=agent, tier=tier, units=list(units))
        postings = {unit: _sent(*sent) for unit, *sent in found}
        return {unit: each for unit, each in postings.items() if len(each.numbers)}

    def containing(
        self, agent: AgentId, tier: Tier, phrases: Sequence[Sequence[str]], rows: Numbers
    ) -> Numbers:
        longer = [list(phrase) for phrase in phrases if len(phrase) > 1]
        if not longer:
            return rows
        texts = self.texts(agent, tier, rows.tolist())  # postings do not say where a unit stands
        numbers = [number for number, text in texts.items() if _has_all(terms(text), longer)]
        return np.array(sorted(numbers), np.int64)

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


def _sent(*sent: bytes | None) -> Postings:
    """The columns of ``_POSTINGS`` behind the unit."""
    block, count, length, data, numbers, counts = sent
    sealed = decoded(
        WordBlocks(sent_array(block, ">i8"), sent_array(count, ">i4"), sent_array(length, ">i4"), data or b"")
    )
    return joined(sealed, Postings(sent_array(numbers, ">i8"), sent_array(counts, ">i4")))


def sent_array(sent: bytes | None, kind: str) -> Numbers:
    """An array as ``array_send`` writes it: five 32-bit numbers, then a length before each element."""
    if sent is None:
        return np.empty(0, np.int64)
    elements = np.frombuffer(sent, np.dtype([("length", ">i4"), ("value", kind)]), offset=20)
    return elements["value"].astype(np.int64)
