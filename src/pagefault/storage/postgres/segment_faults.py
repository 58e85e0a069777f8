"""Sealed segments that searches cannot rely on, and vectors moved back out of them.

Leaves out words, whose blocks are made anew from the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from pagefault.errors import StorageError
from pagefault.storage.index.words import WordBlocks, decoded
from pagefault.storage.postgres.connection import PostgresConnection
from pagefault.storage.postgres.hnsw import table_of
from pagefault.storage.row_transfer import IndexFault
from pagefault.storage.segments import WORDS, Segment
from pagefault.storage.sql.segments import SEGMENT
from pagefault.types import AgentId, Tier

__all__ = [
    "drop_unowned_tables",
    "segment_faults",
    "segment_tables",
    "unowned_tables",
    "unseal_all",
    "unseal_vectors",
]

_BATCH = 10_000  # blocks
_STATE = """
    SELECT to_regclass(:table) IS NOT NULL, EXISTS (
        SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
        WHERE i.indrelid = to_regclass(:table) AND i.indisvalid AND m.amname = 'hnsw')"""
_COUNTED = "SELECT last_seq, last_passage FROM agents WHERE id = :agent"
_BLOCKS = """
    SELECT s.tier, s.first, s.last, w.block, w.count, w.data FROM word_blocks w
    LEFT JOIN segments s ON s.agent = w.agent AND s.number = w.segment AND s.fingerprint = ''
    WHERE w.agent = :agent"""
_UNSEAL = """
    INSERT INTO vectors (agent, tier, fingerprint, number, part, text_hash, vector)
    SELECT :agent, :tier, :fingerprint, s.number, s.part, s.text_hash, s.vector::halfvec FROM {table} s
    WHERE EXISTS (SELECT FROM {rows} r WHERE r.agent = :agent AND r.{column} = s.number)
    ON CONFLICT DO NOTHING"""
_ROWS: dict[Tier, tuple[str, str]] = {"recall": ("messages", "seq"), "archival": ("passages", "number")}
_FORGET = (
    "DELETE FROM segments WHERE agent = :agent AND tier = :tier AND fingerprint = :fingerprint",
    "DELETE FROM index_blocks WHERE agent = :agent AND tier = :tier AND fingerprint = :fingerprint",
)
_TABLES = r"""
    SELECT c.relname FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
    AND c.relname ~ '^segment_[0-9]{1,18}_[0-9]{1,18}$'"""
_INDEXES = "SELECT DISTINCT agent, tier, fingerprint FROM segments WHERE fingerprint <> ''"
_OWNED = "SELECT agent, number FROM segments WHERE fingerprint <> ''"


def segment_faults(connection: PostgresConnection, agent: AgentId) -> Iterator[IndexFault]:
    """Yield each fault of an agent's segments, and of what they consist of."""
    found = connection.rows(f"{SEGMENT} WHERE agent = :agent ORDER BY tier, fingerprint, first", agent=agent)
    segments = [Segment(*row) for row in found]
    counted = dict(zip(_ROWS, connection.one(_COUNTED, agent=agent), strict=True))
    sealed = [segment for segment in segments if segment.state == "sealed"]
    for (tier, fingerprint), own in groupby(sealed, key=lambda s: (s.tier, s.fingerprint)):
        for what in _astray(list(own), counted[tier]):
            yield IndexFault(tier, fingerprint, f"{_called(tier, fingerprint)} {what}")
    for segment in segments:
        if what := _of_table(connection, agent, segment):
            name = f"Segment {segment.number} of {segment.fingerprint} in {segment.tier}"
            yield IndexFault(segment.tier, segment.fingerprint, f"{name} {what}")
    yield from _of_blocks(connection, agent)


def _called(tier: Tier, fingerprint: str) -> str:
    return f"Vectors of {fingerprint} in {tier}" if fingerprint else f"Words in {tier}"


def _astray(sealed: list[Segment], counted: int) -> Iterator[str]:
    """Yield what is wrong with the ranges of an index."""
    if sealed[0].first != 1:
        yield f"are sealed from number {sealed[0].first:,} on instead of 1."
    for one, other in pairwise(sealed):
        if other.first != one.last + 1:
            fault = "overlap" if other.first <= one.last else "have a gap"
            ends = f"one ends at {one.last:,}, one begins at {other.first:,}"
            yield f"are sealed in segments that {fault}: {ends}."
    if sealed[-1].last > counted:
        yield f"are sealed up to number {sealed[-1].last:,}, but {counted:,} were counted."


def _of_table(connection: PostgresConnection, agent: AgentId, segment: Segment) -> str:
    """Return what is wrong with the table of a segment of vectors."""
    if segment.fingerprint == WORDS or segment.state not in ("built", "sealed"):
        return ""
    table = table_of(agent, segment.number)
    is_there, is_indexed = connection.one(_STATE, table=table)
    if not is_there:
        return f"has no table {table}."
    if not is_indexed:
        return f"has no HNSW index on its table {table}."
    (alive,) = connection.one(f"SELECT count(*) FROM {table} WHERE part = 0")
    if segment.state == "sealed" and alive != segment.alive:
        return f"has {alive:,} rows, but {segment.alive:,} were counted."
    return ""


def _of_blocks(connection: PostgresConnection, agent: AgentId) -> Iterator[IndexFault]:
    """Yield the faults of an agent's word blocks."""
    unowned, damaged = 0, Counter[Tier]()
    for batch in connection.batches(_BLOCKS, _BATCH, agent=agent):
        owned = [row for row in batch if row[0] is not None]
        unowned += len(batch) - len(owned)
        if not _are_right(owned):  # then one after the other, which takes a hundred times as long
            damaged.update(row[0] for row in owned if not _are_right([row]))
    for tier, count in sorted(damaged.items()):
        yield IndexFault(tier, WORDS, f"{count:,} word blocks of {tier} are damaged.")
    if unowned:
        yield IndexFault("archival", WORDS, f"{unowned:,} word blocks belong to no segment.")


def _are_right(blocks: Sequence[Any]) -> bool:
    """Return whether blocks (rows of ``_BLOCKS``) can be read and are about rows of their segments."""
    try:
        found = decoded(WordBlocks.of(row[-3:] for row in blocks))
    except (StorageError, ValueError, IndexError):
        return False
    counts = [row[-2] for row in blocks]
    first, last = (np.repeat([row[column] for row in blocks], counts) for column in (1, 2))
    return bool(np.all((found.numbers >= first) & (found.numbers <= last)))


def unseal_vectors(connection: PostgresConnection, agent: AgentId, tier: Tier, fingerprint: str) -> None:
    """Move the vectors of an index back to ``vectors`` and drop its segments; the agent is locked."""
    of = {"agent": agent, "tier": tier, "fingerprint": fingerprint}
    chosen = "agent = :agent AND tier = :tier AND fingerprint = :fingerprint"
    rows, column = _ROWS[tier]
    for (number,) in connection.rows(f"SELECT number FROM segments WHERE {chosen} ORDER BY number", **of):
        table = table_of(agent, number)
        if connection.one("SELECT to_regclass(:table) IS NOT NULL", table=table)[0]:
            connection.send(_UNSEAL.format(table=table, rows=rows, column=column), **of)
            connection.send(f"DROP TABLE {table}")
    for statement in _FORGET:
        connection.send(statement, **of)


def unseal_all(connection: PostgresConnection) -> None:
    """Move all vectors back to ``vectors`` and drop all their segments; nobody else uses the database."""
    for index in connection.rows(_INDEXES):
        unseal_vectors(connection, *index)


def segment_tables(connection: PostgresConnection) -> list[str]:
    """The tables of all segments of vectors."""
    return [table for (table,) in connection.rows(_TABLES)]


def unowned_tables(connection: PostgresConnection) -> list[str]:
    """The tables of segments that are not there. Asked in two statements, because Citus has the segments on
    its nodes; a segment has its row before its table."""
    tables = segment_tables(connection)
    owned = {table_of(*segment) for segment in connection.rows(_OWNED)}
    return sorted(set(tables) - owned)


def drop_unowned_tables(connection: PostgresConnection) -> None:
    """Drop what no segment has any more: a segment that is being built has its row already."""
    for table in unowned_tables(connection):
        connection.send(f"DROP TABLE IF EXISTS {table}")
