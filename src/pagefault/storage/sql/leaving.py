"""Rows that leave the indexes: counters, lexical index, vectors, blocks, and a note for indexes in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pagefault.storage.sql.part import SqlPart
from pagefault.storage.sql.source import DELETIONS
from pagefault.types import AgentId, Tier

__all__ = ["SqlLeaving"]

# An index in memory follows deletions of passages. Of the log it is read anew: sessions, and which row is
# beside which, depend on the rows before.
_LEAVE = """
    UPDATE agents SET {tier}_rows = {tier}_rows - :rows, {tier}_units = {tier}_units - :units,
    {tier}_changes = {tier}_changes + 1, {tier}_rebuilds = {tier}_rebuilds + :anew
    WHERE id = :agent RETURNING {tier}_changes"""
_UNTAG = "DELETE FROM passage_tags WHERE agent = :agent AND {among}"
_FORGET_VECTORS = "DELETE FROM vectors WHERE agent = :agent AND tier = :tier AND {among}"


class SqlLeaving(SqlPart):
    """The part of a transaction on rows that leave the indexes."""

    def _leave(self, agent: AgentId, tier: Tier, rows: Mapping[int, Sequence[str]]) -> None:
        """Take rows (number to the units that they were indexed by) out of all indexes; the agent is locked,
        and no row is withdrawn or erased twice."""
        if not rows:
            return
        indexed, units = sum(map(bool, rows.values())), sum(map(len, rows.values()))
        anew = int(tier == "recall")
        change = self._take(_LEAVE.format(tier=tier), agent, rows=indexed, units=units, anew=anew)
        noted = [{"agent": agent, "change": change, "number": number} for number in rows]
        self._db.insert(DELETIONS[tier], agent, noted)
        among = self._db.dialect.among("number", "numbers", int)
        numbers = self._db.listed(list(rows))
        if tier == "archival":
            self._db.send(_UNTAG.format(among=among), agent=agent, numbers=numbers)
        self._db.send(_FORGET_VECTORS.format(among=among), agent=agent, tier=tier, numbers=numbers)
        self._unenter(agent, tier, rows)
        self._source().drop_blocks(agent, tier, rows)
