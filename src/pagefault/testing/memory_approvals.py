"""The part of the in-memory store on calls that wait for a decision, and on what is allowed for good."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pagefault.approvals import Approval, Grant
from pagefault.testing.memory_tables import MemoryRows
from pagefault.types import AgentId

__all__ = ["MemoryApprovals"]


class MemoryApprovals(MemoryRows):
    """The part of the in-memory store on approvals and grants."""

    def put_approvals(self, agent: AgentId, approvals: Sequence[Approval]) -> None:
        owner = self._agent(agent)
        for each in approvals:
            self._changes.put(owner.approvals, each.number, each)

    def approvals(self, agent: AgentId, *, lock: bool = False) -> list[Approval]:
        del lock  # one transaction at a time
        owner = self._database.agents.get(agent)
        return [owner.approvals[number] for number in sorted(owner.approvals)] if owner else []

    def remove_approvals(self, agent: AgentId, event: int) -> None:
        owner = self._database.agents.get(agent)
        for each in self.approvals(agent):
            if owner and each.event == event:
                self._changes.drop(owner.approvals, each.number)

    def undecided(self, limit: int, due: datetime | None = None) -> list[tuple[AgentId, Approval]]:
        def place(found: tuple[AgentId, Approval]) -> tuple[datetime, AgentId, int]:
            agent, approval = found
            at = approval.asked if due is None or approval.expires is None else approval.expires
            return at, agent, approval.number

        agents = [id for id, owner in self._database.agents.items() if self._belongs(owner.record)]
        every = [(agent, each) for agent in agents for each in self.approvals(agent)]
        open_ones = [found for found in every if not found[1].decision]
        if due is not None:
            open_ones = [found for found in open_ones if found[1].expires and found[1].expires <= due]
        return sorted(open_ones, key=place)[:limit]

    def put_grant(self, agent: AgentId, grant: Grant) -> None:
        self._changes.put(self._agent(agent).grants, grant.name, grant)

    def grants(self, agent: AgentId) -> list[Grant]:
        owner = self._database.agents.get(agent)
        return [owner.grants[name] for name in sorted(owner.grants)] if owner else []

    def revoke(self, agent: AgentId, name: str) -> bool:
        owner = self._database.agents.get(agent)
        if owner is None or name not in owner.grants:
            return False
        self._changes.drop(owner.grants, name)
        return True
