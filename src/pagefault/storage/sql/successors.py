"""Facts alike, and those that others supersede: marks that last as long as what took their place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from pagefault.storage.rows import micros, to_passage, to_span
from pagefault.storage.sql.part import SqlPart
from pagefault.storage.tidying import FactKeys, FactSpan
from pagefault.types import AgentId, Passage

__all__ = ["PASSAGES", "SqlSuccessors"]

_MOST = 100  # passages with one key that are looked at
PASSAGES = """
    SELECT text, at, tags, source, title, document, page, section, start, stop, event, born, withdrawn,
    valid_from, valid_until, ended, found, superseded, same, about, number
    FROM passages WHERE agent = :agent"""
_COUNT = "coalesce(document, 0) = 0 AND withdrawn IS NULL"  # so that no index of documents is read
_ALIKE = f"""
    {PASSAGES} AND {{key}} = :key AND {_COUNT} AND superseded IS NULL ORDER BY number DESC LIMIT {_MOST}"""
_SUPERSEDE = """
    UPDATE passages SET superseded = :by, ended = :ended, marked = :event
    WHERE agent = :agent AND number = :number"""
_RESTORE = """
    UPDATE passages SET superseded = NULL, ended = NULL, marked = NULL
    WHERE agent = :agent AND superseded IS NOT NULL AND {which}"""
_THERE = f"""
    SELECT number FROM passages WHERE agent = :agent AND {_COUNT} AND number IN (:number, :by)"""
_FOLLOWED = """
    SELECT number, superseded FROM passages
    WHERE agent = :agent AND superseded IS NOT NULL AND {among}"""
_FOLLOW = "UPDATE passages SET superseded = :by WHERE agent = :agent AND number = :number"
_MARKED = """
    SELECT number, superseded, ended, marked FROM passages
    WHERE agent = :agent AND superseded IS NOT NULL ORDER BY number"""
_SPANS = """
    SELECT number, superseded, valid_from, valid_until, ended FROM passages
    WHERE agent = :agent AND (valid_from IS NOT NULL OR valid_until IS NOT NULL OR superseded IS NOT NULL)
    AND withdrawn IS NULL ORDER BY number"""
_FOUND = "UPDATE passages SET found = :at WHERE agent = :agent AND {among}"
_UNKEYED = f"""
    {PASSAGES} AND same IS NULL AND {_COUNT} ORDER BY number LIMIT :limit"""
_KEY = "UPDATE passages SET same = :same, about = :about WHERE agent = :agent AND number = :number"


class SqlSuccessors(SqlPart):
    """The part of a transaction on facts alike, and on those that others supersede."""

    def alike_passages(self, agent: AgentId, keys: FactKeys) -> list[Passage]:
        self._require(agent)
        asked = [("same", keys.same)] + ([("about", keys.about)] if keys.about is not None else [])
        found = [
            to_passage(row)
            for key, value in asked
            for row in self._db.rows(_ALIKE.format(key=key), agent=agent, key=value)
        ]
        numbered = {passage.number: passage for passage in found}
        return [passage for _, passage in sorted(numbered.items(), reverse=True)]

    def supersede_passage(
        self, agent: AgentId, number: int, by: int, ended: datetime | None, event: int | None = None
    ) -> bool:
        self._require(agent)
        there = self._db.rows(_THERE, agent=agent, number=number, by=by)
        if len(there) < 2:  # or it is one and the same
            return False
        since = ended and micros(ended)
        self._db.send(_SUPERSEDE, agent=agent, number=number, by=by, ended=since, event=event)
        return True

    def restore_passage(self, agent: AgentId, number: int) -> bool:
        self._require(agent)
        return self._db.changed(_RESTORE.format(which="number = :number"), agent=agent, number=number)

    def fact_spans(self, agent: AgentId) -> list[FactSpan]:
        return [to_span(row) for row in self._db.rows(_SPANS, agent=agent)]

    def note_found(self, agent: AgentId, numbers: Collection[int], at: datetime) -> None:
        among, listed = self._db.dialect.among("number", "numbers", int), self._db.listed(sorted(numbers))
        self._db.send(_FOUND.format(among=among), agent=agent, numbers=listed, at=micros(at))

    def unkeyed_passages(self, agent: AgentId, limit: int) -> list[Passage]:
        return [to_passage(row) for row in self._db.rows(_UNKEYED, agent=agent, limit=limit)]

    def key_passages(self, agent: AgentId, keys: Mapping[int, FactKeys]) -> None:
        self._require(agent)
        for number, each in sorted(keys.items()):
            self._db.send(_KEY, agent=agent, number=number, same=each.same, about=each.about)

    def _hand_on(self, agent: AgentId, gone: Mapping[int, int | None]) -> None:
        """Give what passages that go had superseded to their successors (number to successor); without one it
        holds again."""
        among = self._db.dialect.among("superseded", "gone", int)
        followed = self._db.rows(
            _FOLLOWED.format(among=among), agent=agent, gone=self._db.listed(sorted(gone))
        )
        for number, by in followed:
            while by is not None and by in gone:
                by = gone[by]
            if by is None:
                self.restore_passage(agent, number)
            else:
                self._db.send(_FOLLOW, agent=agent, number=number, by=by)

    def _mark_alike(self, agent: AgentId, fork: AgentId) -> None:
        """Give a copy of the agent the marks that its passages have now."""
        ours, theirs = (
            {number: tuple(mark) for number, *mark in self._db.rows(_MARKED, agent=each)}
            for each in (agent, fork)
        )
        for number in sorted(theirs.keys() - ours.keys()):
            self._db.send(_RESTORE.format(which="number = :number"), agent=fork, number=number)
        for number, (by, ended, event) in sorted(ours.items()):
            if theirs.get(number) != (by, ended, event):
                self._db.send(_SUPERSEDE, agent=fork, number=number, by=by, ended=ended, event=event)

    def _hand_back(self, agent: AgentId, events: Collection[int]) -> None:
        """Restore what was superseded in the turns of these events."""
        if events:
            which = self._db.dialect.among("marked", "events", int)
            self._db.send(_RESTORE.format(which=which), agent=agent, events=self._db.listed(sorted(events)))
