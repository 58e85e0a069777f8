"""The part of the in-memory store on effects that are on their way to what agents share."""

from __future__ import annotations

from dataclasses import replace

from pagefault.errors import NotFoundError
from pagefault.shared import Outgoing
from pagefault.testing.memory_tables import MemoryRows
from pagefault.types import AgentId

__all__ = ["MemoryOutbox"]


class MemoryOutbox(MemoryRows):
    """The part of the in-memory store on the outbox."""

    @property
    def reaches_others(self) -> bool:
        return not self._database.is_distributed

    def put_outgoing(self, sender: AgentId, outgoing: Outgoing) -> Outgoing:
        owner = self._agent(sender)
        number = self._changes.next(owner.last, "outgoing")
        stored = replace(outgoing, number=number, parked="")
        self._changes.put(owner.outbox, number, stored)
        return stored

    def outgoing(self, sender: AgentId) -> list[Outgoing]:
        owner = self._database.agents.get(sender)
        return [each for _, each in sorted(owner.outbox.items())] if owner else []

    def outboxes(self) -> list[AgentId]:
        return sorted(id for id, owner in self._database.agents.items() if owner.outbox)

    def park_outgoing(self, sender: AgentId, number: int, why: str) -> None:
        owner = self._database.agents.get(sender)
        if owner is None or number not in owner.outbox:
            raise NotFoundError(f"There is no outgoing effect {number}; it may have been deleted.")
        self._changes.put(owner.outbox, number, replace(owner.outbox[number], parked=why))

    def remove_outgoing(self, sender: AgentId, number: int) -> bool:
        owner = self._database.agents.get(sender)
        if owner is None or number not in owner.outbox:
            return False
        self._changes.drop(owner.outbox, number)
        return True

    def delivered(self, target: AgentId, sender: AgentId) -> int:
        return self._agent(target).deliveries.get(sender, 0)

    def set_delivered(self, target: AgentId, sender: AgentId, number: int) -> None:
        self._changes.put(self._agent(target).deliveries, sender, number)
