"""The reads of a file's lexical index for the index in memory, and of its vectors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pagefault.storage.index import Numbers, Postings, StoredVectors
from pagefault.storage.sql.source import SqlSource, numbers_of
from pagefault.storage.sqlite.lexicon import tokens
from pagefault.types import AgentId, Tier

__all__ = ["SQLiteSource"]

# CROSS JOIN: SQLite's word for "in this order"
_VECTORS_OF = """
    SELECT v.number, v.vector FROM json_each(:numbers) n CROSS JOIN vectors v ON v.agent = :agent
    AND v.tier = :tier AND v.fingerprint = :fingerprint AND v.number = n.value
    AND v.part >= 0 ORDER BY v.number, v.part"""
# As text, because a hundred thousand Python integers take ten times as long as their digits.
_POSTINGS = "SELECT group_concat(doc & 0xFFFFFFFF) FROM lexicon_postings WHERE term = :token"
_PHRASES = "SELECT rowid & 0xFFFFFFFF FROM lexicon WHERE lexicon MATCH :phrases"


class SQLiteSource(SqlSource):
    """``storage.index.blocks.BlockStore`` on one connection."""

    def postings(self, agent: AgentId, tier: Tier, units: Iterable[str]) -> dict[str, Postings]:
        listed = list(units)
        marked = zip(listed, tokens(agent, tier, listed), strict=True)
        found = {unit: self._db.one(_POSTINGS, token=token)[0] for unit, token in marked}
        return {unit: _counted(numbers) for unit, numbers in found.items() if numbers}

    def containing(
        self, agent: AgentId, tier: Tier, phrases: Sequence[Sequence[str]], rows: Numbers
    ) -> Numbers:
        del rows  # FTS5 knows where a unit stands
        quoted = ('"' + " ".join(tokens(agent, tier, phrase)) + '"' for phrase in phrases)
        return numbers_of(self._db.rows(_PHRASES, phrases=" AND ".join(quoted)))

    def _vectors_of(self, agent: AgentId, tier: Tier, fingerprint: str, numbers: Sequence[int]) -> list[Any]:
        listed = json.dumps(list(numbers))
        return self._db.rows(_VECTORS_OF, agent=agent, tier=tier, fingerprint=fingerprint, numbers=listed)

    def _decoded(self, rows: Sequence[tuple[int, bytes]]) -> StoredVectors:
        numbers = np.array([number for number, _ in rows], np.int64)
        halves = np.frombuffer(b"".join(vector for _, vector in rows), "<f2")
        return StoredVectors(numbers, halves.reshape(len(rows), -1) if rows else halves.reshape(0, 0))


def _counted(numbers: str) -> Postings:
    """Ascending numbers, each as often as it occurs."""
    occurrences = np.fromstring(numbers, np.int64, sep=",")
    first = np.flatnonzero(np.diff(occurrences, prepend=-1))
    return Postings(occurrences[first], np.diff(first, append=len(occurrences)))
