"""Segments of words: building the word blocks of a range of rows, taking rows out of them, dropping them.

A segment is built in steps of one short transaction each, by unit, beside what it replaces: the postings of
the open segment, and other segments. What is built so far is in the database, so that a build goes on where
another process left it. Leaves out when a segment is built, and publishing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pagefault.storage.index import Numbers, Postings
from pagefault.storage.index.words import WordBlocks, decoded, encoded, without
from pagefault.storage.postgres.connection import PostgresConnection
from pagefault.storage.postgres.source import sent_array
from pagefault.storage.segments import WORDS, Segment
from pagefault.storage.sql.source import DELETIONS
from pagefault.types import AgentId, Tier

__all__ = ["WordSegments", "unseal"]

_ROWS = 200_000  # postings of one step of building
_IN_BLOCK = 100  # of a part: a block is taken for so many
_DELETED = 10  # a step deletes fewer rows, so many times
_UNBOUNDED = 1 << 62
_NUMBERED: dict[Tier, tuple[str, str, str]] = {
    "recall": ("messages", "seq", "last_seq"),
    "archival": ("passages", "number", "last_passage"),
}
"""Of each tier: its table, the column of its numbers, the counter of these."""

_COUNT = "SELECT count(*) FROM {table} WHERE agent = :agent AND {number} BETWEEN :first AND :last"
_LAST_BUILT = "SELECT coalesce(max(unit), '') FROM word_blocks WHERE agent = :agent AND segment = :segment"
_CHANGES = "SELECT {tier}_changes FROM agents WHERE id = :agent"
_OPEN = "agent = :agent AND tier = :tier AND unit > :after AND number > :above AND number <= :last"
# The unit that a step ends with; null for the last step.
_BOUND = f"""
    SELECT min(unit) FROM (
        (SELECT unit FROM postings WHERE {_OPEN} ORDER BY unit, number OFFSET :rows LIMIT 1)
        UNION ALL
        SELECT w.unit FROM unnest(:parts::bigint[]) p (number) CROSS JOIN LATERAL (
            SELECT unit FROM word_blocks WHERE agent = :agent AND segment = p.number AND unit > :after
            ORDER BY unit, block OFFSET :blocks LIMIT 1) w) ends"""
_UP_TO = " AND unit <= :bound"
_OPEN_ROWS = f"""
    SELECT unit, array_send(array_agg(number ORDER BY number)), array_send(array_agg(count ORDER BY number))
    FROM postings WHERE {_OPEN}{{up_to}} GROUP BY unit"""
_PARTS = """
    SELECT unit, block, count, data FROM word_blocks WHERE agent = :agent AND segment = ANY(:parts::bigint[])
    AND unit > :after{up_to}"""
_LOCK = "SELECT id FROM agents WHERE id = :agent FOR NO KEY UPDATE"
_IS_BUILDING = """
    SELECT true FROM segments WHERE agent = :agent AND number = :segment AND state = 'building'"""
_GONE = "SELECT number FROM {deletions} WHERE agent = :agent AND change > :change"
_PUT = """
    INSERT INTO word_blocks (agent, segment, block, count, unit, data) VALUES (:agent,
    unnest(:segments::bigint[]), unnest(:blocks::bigint[]), unnest(:counts::integer[]),
    unnest(:units::text[]), unnest(:data::bytea[]))"""
_HOLDING = """
    SELECT DISTINCT s.number, w.unit, w.block, w.count, w.data
    FROM unnest(:units::text[], :numbers::bigint[]) d (unit, number)
    JOIN segments s ON s.agent = :agent AND s.tier = :tier AND s.fingerprint = ''
    AND d.number BETWEEN s.first AND s.last
    CROSS JOIN LATERAL (
        SELECT unit, block, count, data FROM word_blocks
        WHERE agent = :agent AND segment = s.number AND unit = d.unit AND block <= d.number
        ORDER BY block DESC LIMIT 1) w"""
# The next of the rows that are sealed and so of no use, and of a segment's blocks. Nothing is locked before:
# should it and a deletion wait for each other, the one that the server ends is run again. How many is written
# into the statement: a plan made without the number reads all postings for each step.
_CLEAN = """
    WITH sealed AS MATERIALIZED (
        SELECT unit, number FROM postings WHERE agent = :agent AND tier = :tier AND number <= :last
        ORDER BY unit, number LIMIT {rows:d})
    DELETE FROM postings p USING sealed s
    WHERE p.agent = :agent AND p.tier = :tier AND p.unit = s.unit AND p.number = s.number"""
_DROP = """
    WITH unused AS MATERIALIZED (
        SELECT unit, block FROM word_blocks WHERE agent = :agent AND segment = :segment
        ORDER BY unit, block LIMIT {rows:d})
    DELETE FROM word_blocks b USING unused u
    WHERE b.agent = :agent AND b.segment = :segment AND b.unit = u.unit AND b.block = u.block"""
_TAKE_OUT = """
    DELETE FROM word_blocks b USING unnest(:segments::bigint[], :units::text[], :blocks::bigint[])
    g (segment, unit, block)
    WHERE b.agent = :agent AND b.segment = g.segment AND b.unit = g.unit AND b.block = g.block"""


class WordSegments:
    """``storage.segments.SegmentKind`` of words. ``rows``: the postings of one step, about."""

    def __init__(self, connection: PostgresConnection, rows: int = _ROWS) -> None:
        self._db = connection
        self._rows = rows

    def indexes(self, agent: AgentId) -> Sequence[tuple[Tier, str]]:
        del agent
        return [(tier, WORDS) for tier in _NUMBERED]

    def most(self, fingerprint: str) -> int:
        del fingerprint
        return _UNBOUNDED

    def reach(self, agent: AgentId, tier: Tier, fingerprint: str) -> int:
        del fingerprint
        row = self._db.one(f"SELECT {_NUMBERED[tier][2]} FROM agents WHERE id = :agent", agent=agent)
        return row[0] if row else 0

    def measure(self, agent: AgentId, tier: Tier, fingerprint: str, first: int, last: int) -> int:
        del fingerprint
        table, number, _ = _NUMBERED[tier]
        count = _COUNT.format(table=table, number=number)
        return self._db.one(count, agent=agent, first=first, last=last)[0]

    def build(self, agent: AgentId, segment: Segment, sealed: Sequence[Segment]) -> int | None:
        """The agent is locked only while blocks are written; till then rows that were read may be deleted."""
        tier = segment.tier
        (change,) = self._db.one(_CHANGES.format(tier=tier), agent=agent) or (0,)
        (after,) = self._db.one(_LAST_BUILT, agent=agent, segment=segment.number)
        of = {"agent": agent, "after": after, "parts": [part.number for part in sealed]}
        above = sealed[-1].last if sealed else segment.first - 1
        among = {"tier": tier, "above": above, "last": segment.last}
        (bound,) = self._db.one(_BOUND, **of, **among, rows=self._rows, blocks=self._rows // _IN_BLOCK)
        up_to = {"bound": bound} if bound else {}
        parts = self._db.binary(_PARTS.format(up_to=_UP_TO if bound else ""), **of, **up_to)
        rows = _OPEN_ROWS.format(up_to=_UP_TO if bound else "")
        opened = self._db.binary(rows, agent=agent, after=after, **among, **up_to)
        self._db.one(_LOCK, agent=agent)
        if not self._db.one(_IS_BUILDING, agent=agent, segment=segment.number):
            return None  # the index was made anew, or the agent deleted
        gone = self._db.rows(_GONE.format(deletions=DELETIONS[tier]), agent=agent, change=change)
        units, blocks = _together(parts, opened, np.array(gone, np.int64).ravel())
        _put(self._db, agent, [segment.number] * len(units), units, blocks)
        return None if bound else self.measure(agent, tier, WORDS, segment.first, segment.last)

    def publish(self, agent: AgentId, segment: Segment) -> int:
        """Nothing is to be taken out: who deletes rows takes them out of all blocks (``unseal``)."""
        del agent, segment
        return 0

    def clean(self, agent: AgentId, tier: Tier, fingerprint: str, last: int) -> bool:
        del fingerprint
        statement = _CLEAN.format(rows=self._rows // _DELETED)
        return self._db.changed(statement, agent=agent, tier=tier, last=last)

    def drop(self, agent: AgentId, segment: Segment) -> bool:
        statement = _DROP.format(rows=self._rows // _DELETED)
        return self._db.changed(statement, agent=agent, segment=segment.number)


def unseal(
    connection: PostgresConnection, agent: AgentId, tier: Tier, rows: Mapping[int, Iterable[str]]
) -> None:
    """Take rows (number to units) out of the blocks of all segments, also of those that are being built. The
    agent is locked."""
    pairs = [(unit, number) for number, units in rows.items() for unit in set(units)]
    units, numbers = [unit for unit, _ in pairs], [number for _, number in pairs]
    found = connection.binary(_HOLDING, agent=agent, tier=tier, units=units, numbers=numbers)
    if found:
        segments, units = [row[0] for row in found], [row[1] for row in found]
        blocks = WordBlocks.of(row[2:] for row in found)
        of = {"segments": segments, "units": units, "blocks": blocks.block.tolist()}
        connection.send(_TAKE_OUT, agent=agent, **of)
        _put(connection, agent, segments, units, without(blocks, np.array(sorted(rows), np.int64)))


def _together(sealed: Sequence[Any], opened: Sequence[Any], gone: Numbers) -> tuple[list[str], WordBlocks]:
    """The rows of ``_PARTS`` and of ``_OPEN_ROWS`` as blocks, each with its unit, without the rows that are
    gone."""
    codes: dict[str, int] = {}
    blocks = WordBlocks.of(row[1:] for row in sealed)
    of_blocks = [codes.setdefault(row[0], len(codes)) for row in sealed]
    numbers = [sent_array(sent, ">i8") for _, sent, _ in opened]
    counts = [sent_array(sent, ">i4") for _, _, sent in opened]
    of_lists = [codes.setdefault(row[0], len(codes)) for row in opened]
    held = decoded(blocks)
    lengths = [*blocks.count.tolist(), *map(len, numbers)]
    code = np.repeat(np.array(of_blocks + of_lists, np.int64), lengths)
    number, count = np.concatenate([held.numbers, *numbers]), np.concatenate([held.counts, *counts])
    order = np.lexsort((number, code))
    order = order[~np.isin(number[order], gone)]
    lists = np.flatnonzero(np.diff(code[order], prepend=-1))
    which, made = encoded(Postings(number[order], count[order]), lists)
    units = list(codes)
    return [units[each] for each in code[order][lists][which].tolist()], made


def _put(
    connection: PostgresConnection,
    agent: AgentId,
    segments: list[int],
    units: list[str],
    blocks: WordBlocks,
) -> None:
    """Write blocks of these segments and units but for empty ones."""
    each = zip(segments, units, blocks.each(), strict=True)
    full = [(segment, unit, *block) for segment, unit, block in each if block[1]]
    if full:
        segments, units, number, count, data = map(list, zip(*full, strict=True))
        of = {"segments": segments, "units": units, "blocks": number, "counts": count, "data": data}
        connection.send(_PUT, agent=agent, **of)
