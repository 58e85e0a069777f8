"""The reads of a database for the index in memory, and its blocks: ``index.blocks.BlockStore`` but for the
lexical index, which is a database's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from pagefault.storage.index import (
    NO_AGENT,
    Counters,
    IndexBlock,
    Numbers,
    Postings,
    RowFacts,
    SealedVectors,
    StoredVectors,
)
from pagefault.storage.index.blocks import SIZE, block_of, seal_all
from pagefault.storage.sql.dialect import SqlConnection
from pagefault.types import AgentId, Tier

__all__ = ["DELETIONS", "SqlSource", "fill_blocks", "numbers_of"]

DELETIONS: dict[Tier, str] = {"recall": "recall_deletions", "archival": "deletions"}
"""Of each tier, the table of the numbers that left its indexes."""

_LAST = {"recall": "last_seq", "archival": "last_passage"}
_COUNTERS = """
    SELECT {tier}_changes, {tier}_rebuilds, {tier}_rows, {tier}_units, {last}, last_segment FROM agents
    WHERE id = :agent"""
_ROWS = {
    "recall": """
        SELECT seq, at, role, speaker, 0, units, {question} FROM messages
        WHERE agent = :agent AND seq > :after AND seq < :stop AND withdrawn IS NULL AND NOT erased
        ORDER BY seq LIMIT :limit""",
    "archival": """
        SELECT number, at, '', '', coalesce(document, 0), units, {question} FROM passages
        WHERE agent = :agent AND number > :after AND number < :stop AND withdrawn IS NULL
        ORDER BY number LIMIT :limit""",
}
_VECTORS = """
    SELECT number, {vector} FROM vectors
    WHERE agent = :agent AND tier = :tier AND fingerprint = :fingerprint AND part >= 0 AND """
_AFTER = "number > :after AND number < :stop ORDER BY number, part LIMIT :limit"
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
    DELETE FROM index_blocks WHERE agent = :agent AND tier = :tier AND {among}
    AND (CAST(:fingerprint AS text) IS NULL OR fingerprint = :fingerprint)"""
_MADE_AT_ONCE = 32  # blocks made in one transaction
_LARGE_AGENTS = "SELECT id FROM agents WHERE last_seq >= :size OR last_passage >= :size"
_LOCK_AGENT = "SELECT id FROM agents WHERE id = :agent"
_DROP_ALL_BLOCKS = "DELETE FROM index_blocks WHERE agent = :agent"
_DELETED = "SELECT number FROM deletions WHERE agent = :agent AND change > :change"
_TAGGED = """
    SELECT number FROM passage_tags WHERE agent = :agent AND {among}
    GROUP BY number HAVING count(*) = :count ORDER BY number"""

_TEXTS = {
    "recall": "SELECT seq, text FROM messages WHERE agent = :agent AND withdrawn IS NULL AND {among}",
    "archival": """
        SELECT number, title || ' ' || text FROM passages
        WHERE agent = :agent AND withdrawn IS NULL AND {among}""",
}


class SqlSource(ABC):
    """The reads on one connection. The abstract methods are a database's own."""

    def __init__(self, connection: SqlConnection) -> None:
        self._db = connection

    @abstractmethod
    def postings(self, agent: AgentId, tier: Tier, units: Iterable[str]) -> dict[str, Postings]: ...
    @abstractmethod
    def containing(
        self, agent: AgentId, tier: Tier, phrases: Sequence[Sequence[str]], rows: Numbers
    ) -> Numbers: ...
    @abstractmethod
    def _decoded(self, rows: Sequence[tuple[int, bytes]]) -> StoredVectors:
        """Rows of number and vector, as the database gives them."""

    def counters(self, agent: AgentId, tier: Tier) -> Counters:
        counters = _COUNTERS.format(tier=tier, last=_LAST[tier])
        return Counters(*(self._db.one(counters, agent=agent) or (NO_AGENT, 0, 0, 0, 0)))

    def sealed(self, agent: AgentId, tier: Tier, fingerprint: str) -> SealedVectors | None:
        del agent, tier, fingerprint
        return None

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
        drop = _DROP_BLOCKS.format(among=self._db.dialect.among("block", "blocks", int))
        blocks = self._db.listed(block_of(numbers))
        self._db.send(drop, agent=agent, tier=tier, blocks=blocks, fingerprint=fingerprint)

    def drop_all_blocks(self, agent: AgentId) -> None:
        self._db.send(_DROP_ALL_BLOCKS, agent=agent)

    def rows_after(
        self, agent: AgentId, tier: Tier, number: int, limit: int, stop: int
    ) -> Sequence[RowFacts]:
        rows = _ROWS[tier].format(question=self._db.dialect.question)
        return self._db.rows(rows, agent=agent, after=number, limit=limit, stop=stop)

    def vectors_after(
        self, agent: AgentId, tier: Tier, fingerprint: str, number: int, limit: int, stop: int
    ) -> StoredVectors:
        of = {"agent": agent, "tier": tier, "fingerprint": fingerprint}
        after = _VECTORS.format(vector=self._db.dialect.vector) + _AFTER
        rows = self._db.binary(after, **of, after=number, limit=limit, stop=stop)
        if len(rows) == limit:  # the last number's other windows may be behind the limit
            last = rows[-1][0]
            whole = [row for row in rows if row[0] != last]
            rows = [*whole, *self._vectors_of(agent, tier, fingerprint, [last])]
        return self._decoded(rows)

    def vectors_of(
        self, agent: AgentId, tier: Tier, fingerprint: str, numbers: Sequence[int]
    ) -> StoredVectors:
        return self._decoded(self._vectors_of(agent, tier, fingerprint, numbers))

    def _vectors_of(self, agent: AgentId, tier: Tier, fingerprint: str, numbers: Sequence[int]) -> list[Any]:
        dialect = self._db.dialect
        among = f"{dialect.among('number', 'numbers', int)} ORDER BY number, part"
        of = {"agent": agent, "tier": tier, "fingerprint": fingerprint}
        chosen = _VECTORS.format(vector=dialect.vector) + among
        return self._db.binary(chosen, **of, numbers=self._db.listed(list(numbers)))

    def deleted_since(self, agent: AgentId, change: int) -> Sequence[int]:
        return [number for (number,) in self._db.rows(_DELETED, agent=agent, change=change)]

    def texts(self, agent: AgentId, tier: Tier, numbers: Sequence[int]) -> dict[int, str]:
        column = "seq" if tier == "recall" else "number"
        chosen = _TEXTS[tier].format(among=self._db.dialect.among(column, "numbers", int))
        return dict(self._db.rows(chosen, agent=agent, numbers=self._db.listed(numbers)))

    def tagged(self, agent: AgentId, tags: Sequence[str]) -> Numbers:
        tagged = _TAGGED.format(among=self._db.dialect.among("tag", "tags", str))
        return numbers_of(self._db.rows(tagged, agent=agent, tags=self._db.listed(tags), count=len(tags)))


def numbers_of(rows: Sequence[tuple[int]]) -> Numbers:
    return np.array([number for (number,) in rows], np.int64)


def fill_blocks(
    connection: SqlConnection, source: SqlSource, transaction: Callable[[], AbstractContextManager[object]]
) -> None:
    """Make the blocks of agents that are there already, each time some in a ``transaction``, so that others
    can write between. An interrupted run is completed by later writes."""
    for (agent,) in connection.rows(_LARGE_AGENTS, size=SIZE):
        more = True
        while more:
            with transaction():
                connection.one(_LOCK_AGENT + connection.dialect.lock, agent=agent)
                more = seal_all(source, agent, most=_MADE_AT_ONCE)
