"""The part of the in-memory store on what was undone, and on what is to be forgotten."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from pagefault.testing.memory_archive import MemoryArchive
from pagefault.types import AgentId, Passage, Schedule

__all__ = ["MemoryWithdrawing"]


class MemoryWithdrawing(MemoryArchive):
    """The part of the in-memory store on what was undone, and on what is to be forgotten."""

    # undone
    def withdraw_rows(self, agent: AgentId, first: int, by: int) -> int:
        owner = self._agent(agent)
        rows = [row for seq, row in owner.messages.items() if first <= seq < by]
        chosen = [row for row in rows if row.withdrawn is None and not row.is_appended]
        for row in chosen:
            self._changes.put(owner.messages, row.seq, replace(row, withdrawn=by))
            self._unindex(owner, "recall", row.seq)
        return len(chosen)

    def withdraw_passages(
        self, agent: AgentId, by: int, *, events: Collection[int] = (), numbers: Collection[int] = ()
    ) -> list[int]:
        owner = self._agent(agent)
        chosen = [p for p in owner.passages.values() if p.event in events or p.number in numbers]
        withdrawn = [passage for passage in chosen if passage.withdrawn is None]
        for passage in withdrawn:
            self._changes.put(owner.passages, passage.number, replace(passage, withdrawn=by))
            self._unindex(owner, "archival", passage.number)
        self._hand_on(owner, {passage.number: passage.superseded for passage in withdrawn})
        for number in [number for number, event in owner.marked.items() if event in events]:
            self.restore_passage(agent, number)
        return sorted(passage.number for passage in withdrawn)

    def withdraw_schedules(self, agent: AgentId, events: Collection[int], by: int) -> list[Schedule]:
        owner = self._agent(agent)
        chosen = [each for _, each in sorted(owner.schedules.items()) if each.event in events]
        withdrawn = [replace(each, withdrawn=by) for each in chosen if each.withdrawn is None]
        for each in withdrawn:
            self._changes.put(owner.schedules, each.number, each)
        return withdrawn

    def stored_passages(self, agent: AgentId, after: int = 0, limit: int = 1000) -> list[Passage]:
        owner = self._database.agents.get(agent)
        passages = sorted(owner.passages.items()) if owner else []
        return [passage for number, passage in passages if number > after][:limit]
