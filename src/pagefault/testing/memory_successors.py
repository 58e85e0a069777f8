"""The part of the in-memory store on facts alike, and on those that others supersede."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from pagefault.storage.tidying import FactKeys, FactSpan
from pagefault.testing.memory_tables import AgentTables
from pagefault.testing.memory_tenancy import MemoryTenancy
from pagefault.types import AgentId, Passage

__all__ = ["MemorySuccessors"]

_MOST = 100


class MemorySuccessors(MemoryTenancy):
    """The part of the in-memory store on facts alike, and on those that others supersede."""

    def alike_passages(self, agent: AgentId, keys: FactKeys) -> list[Passage]:
        facts = [each for each in _facts(self._agent(agent)) if each.superseded is None][::-1]
        same = [each for each in facts if each.same == keys.same][:_MOST]
        about = [each for each in facts if keys.about is not None and each.about == keys.about][:_MOST]
        numbered = {each.number: each for each in (*same, *about)}
        return [each for _, each in sorted(numbered.items(), reverse=True)]

    def supersede_passage(
        self, agent: AgentId, number: int, by: int, ended: datetime | None, event: int | None = None
    ) -> bool:
        owner = self._agent(agent)
        facts = {each.number: each for each in _facts(owner)}
        if number == by or not {number, by} <= facts.keys():
            return False
        self._changes.put(owner.passages, number, replace(facts[number], superseded=by, ended=ended))
        self._changes.put(owner.marked, number, event)
        return True

    def restore_passage(self, agent: AgentId, number: int) -> bool:
        owner = self._agent(agent)
        passage = owner.passages.get(number)
        if passage is None or passage.superseded is None:
            return False
        self._changes.put(owner.passages, number, replace(passage, superseded=None, ended=None))
        self._changes.put(owner.marked, number, None)
        return True

    def fact_spans(self, agent: AgentId) -> list[FactSpan]:
        owner = self._database.agents.get(agent)
        passages = sorted(owner.passages.values(), key=lambda each: each.number) if owner else []
        return [
            FactSpan(each.number, each.valid_from, each.valid_until, each.superseded, each.ended)
            for each in passages
            if each.withdrawn is None and (each.valid_from or each.valid_until or each.superseded)
        ]

    def note_found(self, agent: AgentId, numbers: Collection[int], at: datetime) -> None:
        owner = self._agent(agent)
        for number in owner.passages.keys() & set(numbers):
            self._changes.put(owner.passages, number, replace(owner.passages[number], found=at))

    def unkeyed_passages(self, agent: AgentId, limit: int) -> list[Passage]:
        return [each for each in _facts(self._agent(agent)) if each.same is None][:limit]

    def key_passages(self, agent: AgentId, keys: Mapping[int, FactKeys]) -> None:
        owner = self._agent(agent)
        for number in owner.passages.keys() & keys.keys():
            keyed = replace(owner.passages[number], same=keys[number].same, about=keys[number].about)
            self._changes.put(owner.passages, number, keyed)

    def _hand_on(self, owner: AgentTables, gone: Mapping[int, int | None]) -> None:
        """Give what passages that go had superseded to their successors; without one it holds again."""
        for passage in list(owner.passages.values()):
            by = passage.superseded
            if by in gone:
                while by is not None and by in gone:
                    by = gone[by]
                if by is None:
                    self.restore_passage(owner.record.id, passage.number)
                else:
                    self._changes.put(owner.passages, passage.number, replace(passage, superseded=by))


def _facts(owner: AgentTables) -> list[Passage]:
    """The passages that count and are no chunks of documents, by number."""
    passages = sorted(owner.passages.values(), key=lambda each: each.number)
    return [each for each in passages if each.withdrawn is None and each.place is None]
