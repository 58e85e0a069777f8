"""The reads of a file for the index in memory, and its blocks: ``blocks.BlockStore``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np

from pagefault.storage.index import Counters, IndexBlock, Numbers, RowFacts, StoredVectors
from pagefault.storage.index.blocks import block_of
from pagefault.storage.sqlite.connection import Connection
from pagefault.storage.sqlite.lexicon import tokens
from pagefault.types import AgentId, Tier

__all__ = ["SQLiteSource"]

_LAST = {"recall": "last_seq", "archival": "last_passage"}
_COUNTERS = """
    SELECT {tier}_changes, {tier}_rebuilds, {tier}_rows, {tier}_units, {last} FROM agents WHERE id = :agent"""
# Plainly by characters: a function of our own would cost a call into Python for each row.
_QUESTION = "substr(rtrim(text, char(32, 9, 10, 13)), -1) IN ('?', '？')"
_ROWS = {
    "recall": f"""
        SELECT seq, at, role, speaker, 0, units, {_QUESTION} FROM messages
        WHERE agent = :agent AND seq > :after AND seq < :stop ORDER BY seq LIMIT :limit""",
    "archival": f"""
        SELECT number, at, '', '', coalesce(document, 0), units, {_QUESTION}
        FROM passages WHERE agent = :agent AND number > :after AND number < :stop
        ORDER BY number LIMIT :limit""",
}
_VECTORS = """
    SELECT number, vector FROM vectors WHERE agent = :agent AND tier = :tier AND fingerprint = :fingerprint"""
_VECTORS_AFTER = _VECTORS + " AND number > :after AND number < :stop ORDER BY number, part LIMIT :limit"
# CROSS JOIN: SQLite's word for "in this order"
_VECTORS_OF = """
    SELECT v.number, v.vector FROM json_each(:numbers) n CROSS JOIN vectors v ON v.agent = :agent
    AND v.tier = :tier AND v.fingerprint = :fingerprint AND v.number = n.value ORDER BY v.number, v.part"""
_BLOCK_SIZES = """
    SELECT block, count FROM index_blocks
    WHERE agent = :agent AND tier = :tier AND fingerprint = :fingerprint"""
_BLOCKS = """
    SELECT block, count, names, data FROM index_blocks WHERE agent = :agent AND tier = :tier
    AND fingerprint = :fingerprint AND block >= :block ORDER BY block LIMIT :limit"""
_PUT_BLOCK = """
    INSERT INTO index_blocks (agent, tier, fingerprint, block, count, names, data)
    VALUES (:agent, :tier, :fingerprint, :block, :count, :names, :data)"""
_DROP_BLOCKS = """
    DELETE FROM index_blocks WHERE agent = :agent AND tier = :tier
    AND block IN (SELECT value FROM json_each(:blocks))
    AND (:fingerprint IS NULL OR fingerprint = :fingerprint)"""
_DROP_ALL_BLOCKS = "DELETE FROM index_blocks WHERE agent = :agent"
_DELETED = "SELECT number FROM deletions WHERE agent = :agent AND change > :change"
_FREQUENCIES = "SELECT term, doc FROM lexicon_terms WHERE term IN (SELECT value FROM json_each(:tokens))"
# As text, because a hundred thousand Python integers take ten times as long as their digits.
_POSTINGS = "SELECT group_concat(doc & 0xFFFFFFFF) FROM lexicon_postings WHERE term = :token"
_PHRASES = "SELECT rowid & 0xFFFFFFFF FROM lexicon WHERE lexicon MATCH :phrases"
_TAGGED = """
    SELECT number FROM passage_tags WHERE agent = :agent AND tag IN (SELECT value FROM json_each(:tags))
    GROUP BY number HAVING count(*) = :count"""


class SQLiteSource:
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
        return [IndexBlock(*row) for row in self._db.rows(_BLOCKS, **of, block=block, limit=limit)]

    def put_block(self, agent: AgentId, tier: Tier, fingerprint: str, block: IndexBlock) -> None:
        of = {"agent": agent, "tier": tier, "fingerprint": fingerprint, "block": block.number}
        self._db.run(_PUT_BLOCK, **of, count=block.count, names=block.names, data=block.data)

    def fingerprints(self) -> list[str]:
        return [fingerprint for (fingerprint,) in self._db.rows("SELECT fingerprint FROM embedders")]

    def drop_blocks(
        self, agent: AgentId, tier: Tier, numbers: Iterable[int], fingerprint: str | None = None
    ) -> None:
        """Drop the blocks that these numbers belong to: of vectors of one embedder, or all."""
        blocks = json.dumps(block_of(numbers))
        self._db.run(_DROP_BLOCKS, agent=agent, tier=tier, blocks=blocks, fingerprint=fingerprint)

    def drop_all_blocks(self, agent: AgentId) -> None:
        self._db.run(_DROP_ALL_BLOCKS, agent=agent)

    def rows_after(
        self, agent: AgentId, tier: Tier, number: int, limit: int, stop: int
    ) -> Sequence[RowFacts]:
        return self._db.rows(_ROWS[tier], agent=agent, after=number, limit=limit, stop=stop)

    def vectors_after(
        self, agent: AgentId, tier: Tier, fingerprint: str, number: int, limit: int, stop: int
    ) -> StoredVectors:
        of = {"agent": agent, "tier": tier, "fingerprint": fingerprint}
        rows = self._db.rows(_VECTORS_AFTER, **of, after=number, limit=limit, stop=stop)
        if len(rows) == limit:  # the last number's other windows may be behind the limit
            last = rows[-1][0]
            whole = [row for row in rows if row[0] != last]
            rows = [*whole, *self._vectors_of(agent, tier, fingerprint, [last])]
        return _vectors(rows)

    def vectors_of(
        self, agent: AgentId, tier: Tier, fingerprint: str, numbers: Sequence[int]
    ) -> StoredVectors:
        return _vectors(self._vectors_of(agent, tier, fingerprint, numbers))

    def _vectors_of(
        self, agent: AgentId, tier: Tier, fingerprint: str, numbers: Sequence[int]
    ) -> list[tuple[int, bytes]]:
        listed = json.dumps(list(numbers))
        return self._db.rows(_VECTORS_OF, agent=agent, tier=tier, fingerprint=fingerprint, numbers=listed)

    def deleted_since(self, agent: AgentId, change: int) -> Sequence[int]:
        return [number for (number,) in self._db.rows(_DELETED, agent=agent, change=change)]

    def frequencies(self, agent: AgentId, tier: Tier, units: Iterable[str]) -> dict[str, int]:
        token = {marked: unit for unit, marked in _marked(agent, tier, units)}
        found = self._db.rows(_FREQUENCIES, tokens=json.dumps(list(token)))
        return {token[term]: rows for term, rows in found}

    def postings(self, agent: AgentId, tier: Tier, units: Iterable[str]) -> dict[str, Numbers]:
        return {
            unit: np.fromstring(self._db.one(_POSTINGS, token=marked)[0] or "", np.int64, sep=",")
            for unit, marked in _marked(agent, tier, units)
        }

    def containing(self, agent: AgentId, tier: Tier, phrases: Sequence[Sequence[str]]) -> Numbers:
        quoted = ('"' + " ".join(tokens(agent, tier, phrase)) + '"' for phrase in phrases)
        return _numbers(self._db.rows(_PHRASES, phrases=" AND ".join(quoted)))

    def tagged(self, agent: AgentId, tags: Sequence[str]) -> Numbers:
        listed = json.dumps(list(tags))
        return _numbers(self._db.rows(_TAGGED, agent=agent, tags=listed, count=len(tags)))


def _marked(agent: AgentId, tier: Tier, units: Iterable[str]) -> list[tuple[str, str]]:
    listed = list(units)
    return list(zip(listed, tokens(agent, tier, listed), strict=True))


def _numbers(rows: Sequence[tuple[int]]) -> Numbers:
    return np.array([number for (number,) in rows], np.int64)


def _vectors(rows: Sequence[tuple[int, bytes]]) -> StoredVectors:
    numbers = np.array([number for number, _ in rows], np.int64)
    halves = np.frombuffer(b"".join(vector for _, vector in rows), "<f2")
    return StoredVectors(numbers, halves.reshape(len(rows), -1) if rows else halves.reshape(0, 0))
