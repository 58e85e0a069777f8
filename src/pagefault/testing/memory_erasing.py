"""The part of the in-memory store on what is forgotten."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from pagefault.media import Media
from pagefault.storage.forgotten import blanked
from pagefault.storage.withdrawing import Tombstone
from pagefault.testing.memory_inbox import MemoryInbox
from pagefault.testing.memory_tables import AgentTables
from pagefault.types import AgentId

__all__ = ["MemoryErasing"]


class MemoryErasing(MemoryInbox):
    """The part of the in-memory store on what is forgotten."""

    def erase_rows(self, agent: AgentId, seqs: Collection[int]) -> int:
        owner = self._agent(agent)
        rows = [owner.messages[seq] for seq in set(seqs) if seq in owner.messages]
        chosen = [row for row in rows if not row.erased]
        for row in chosen:
            self._unindex(owner, "recall", row.seq)
            self._changes.put(owner.messages, row.seq, blanked(row))
        self._drop_media(owner, (media for row in chosen for media in row.meta.media))
        return len(chosen)

    def erase_versions(self, agent: AgentId, name: str, versions: Collection[int]) -> int:
        owner = self._agent(agent)
        history = owner.sections.get(name, [])
        changed = [
            (at, replace(each, text="", description="") if each.version in versions else each)
            for at, each in history
        ]
        if history:
            self._changes.put(owner.sections, name, changed)
        return sum(each.version in versions for _, each in history)

    def erase_events(self, agent: AgentId, numbers: Collection[int]) -> int:
        owner = self._agent(agent)
        chosen = [owner.events[number] for number in set(numbers) if number in owner.events]
        for event in chosen:
            blank = replace(event, text="", key=None, sender=None, trace="", media=(), parked="")
            if event.state in ("pending", "parked"):
                blank = replace(blank, state="done", started=None)
            self._changes.put(owner.events, event.id, blank)
        self._drop_media(owner, (media for event in chosen for media in event.media))
        self.settle(agent)
        return len(chosen)

    def _drop_media(self, owner: AgentTables, media: Iterable[Media]) -> None:
        used = {each.hash for row in owner.messages.values() for each in row.meta.media}
        used |= {each.hash for event in owner.events.values() for each in event.media}
        for hash in {each.hash for each in media} & owner.media.keys() - used:
            self._changes.drop(owner.media, hash)

    def erase_schedules(self, agent: AgentId, numbers: Collection[int]) -> int:
        owner = self._agent(agent)
        there = owner.schedules.keys() & set(numbers)
        for number in there:
            self._changes.drop(owner.schedules, number)
        return len(there)

    def put_tombstone(self, agent: AgentId, stone: Tombstone) -> Tombstone:
        owner = self._agent(agent)
        stored = replace(stone, counts=dict(stone.counts), number=len(owner.tombstones) + 1)
        self._changes.put(owner.tombstones, stored.number, stored)
        return stored

    def tombstones(self, agent: AgentId) -> Sequence[Tombstone]:
        owner = self._database.agents.get(agent)
        return [stone for _, stone in sorted(owner.tombstones.items())] if owner else []

    def hold(self, agent: AgentId, why: str) -> None:
        self._set_record(agent, hold=why)
