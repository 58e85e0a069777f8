"""Rows, passages and timers that were undone: marked, and taken out of all indexes."""

from __future__ import annotations

from collections.abc import Collection

from pagefault.storage.row_transfer import units_of
from pagefault.storage.rows import to_passage, to_schedule
from pagefault.storage.sql.inbox import SCHEDULE
from pagefault.storage.sql.leaving import SqlLeaving
from pagefault.storage.sql.recall import COUNTS, NOT_APPENDED
from pagefault.storage.sql.successors import PASSAGES, SqlSuccessors
from pagefault.types import AgentId, Passage, Schedule

__all__ = ["SqlWithdrawing"]

_TOGETHER = 500  # rows in one statement
_WITHDRAW_ROWS = f"""
    UPDATE messages SET withdrawn = :by, units = 0, embed = false
    WHERE agent = :agent AND seq >= :first AND seq < :end{COUNTS}{NOT_APPENDED}
    RETURNING seq, text, meta, erased"""
_WITHDRAW_PASSAGES = """
    UPDATE passages SET withdrawn = :by, units = 0, embed = false
    WHERE agent = :agent AND withdrawn IS NULL AND {among} RETURNING number, title, text, superseded"""
_OF_EVENTS = f"{SCHEDULE} WHERE agent = :agent AND withdrawn IS NULL AND {{among}} ORDER BY number"
_WITHDRAW_SCHEDULES = """
    UPDATE schedules SET withdrawn = :by WHERE agent = :agent AND withdrawn IS NULL AND {among}"""
_NEXT_PASSAGES = f"{PASSAGES} AND number > :after ORDER BY number LIMIT :limit"


class SqlWithdrawing(SqlLeaving, SqlSuccessors):
    """The part of a transaction on what was undone."""

    def withdraw_rows(self, agent: AgentId, first: int, by: int) -> int:
        self._require(agent)
        count = 0
        for start in range(first, by, _TOGETHER):
            end = min(by, start + _TOGETHER)
            rows = self._db.rows(_WITHDRAW_ROWS, agent=agent, first=start, end=end, by=by)
            units = {
                seq: units_of("recall", {"text": text, "meta": meta, "withdrawn": None})
                for seq, text, meta, erased in rows
                if not erased  # what was forgotten has left before
            }
            self._leave(agent, "recall", units)
            count += len(rows)
        return count

    def withdraw_passages(
        self, agent: AgentId, by: int, *, events: Collection[int] = (), numbers: Collection[int] = ()
    ) -> list[int]:
        self._require(agent)
        withdrawn = list[int]()
        for column, values in (("event", events), ("number", numbers)):
            if values:
                among = self._db.dialect.among(column, "values", int)
                listed = self._db.listed(sorted(values))
                rows = self._db.rows(
                    _WITHDRAW_PASSAGES.format(among=among), agent=agent, by=by, values=listed
                )
                units = {
                    number: units_of("archival", {"title": title, "text": text, "withdrawn": None})
                    for number, title, text, _ in rows
                }
                self._leave(agent, "archival", units)
                self._hand_on(agent, {number: by for number, *_, by in rows})
                withdrawn += units
        self._hand_back(agent, events)
        return sorted(withdrawn)

    def withdraw_schedules(self, agent: AgentId, events: Collection[int], by: int) -> list[Schedule]:
        self._require(agent)
        among = self._db.dialect.among("event", "events", int)
        listed = self._db.listed(sorted(events))
        found = self._db.rows(_OF_EVENTS.format(among=among), agent=agent, events=listed)
        self._db.send(_WITHDRAW_SCHEDULES.format(among=among), agent=agent, events=listed, by=by)
        return [to_schedule((*row[:-2], by, row[-1])) for row in found]

    def stored_passages(self, agent: AgentId, after: int = 0, limit: int = 1000) -> list[Passage]:
        found = self._db.rows(_NEXT_PASSAGES, agent=agent, after=after, limit=limit)
        return [to_passage(row) for row in found]
