"""The part of the transaction protocol on calls that wait for a decision, and on what is allowed for good."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from pagefault.approvals import Approval, Grant
from pagefault.types import AgentId

__all__ = ["ApprovalTransaction"]


class ApprovalTransaction(Protocol):
    """The work on approvals and grants of agents."""

    def put_approvals(self, agent: AgentId, approvals: Sequence[Approval]) -> None:
        """Store approvals, each in place of the one of its number."""
        ...

    def approvals(self, agent: AgentId, *, lock: bool = False) -> list[Approval]:
        """The approvals of the agent's open turn by number, decided ones included. ``lock``: the agent stays
        as it is until the end of the transaction."""
        ...

    def remove_approvals(self, agent: AgentId, event: int) -> None:
        """Remove those of an event whose turn is over."""
        ...

    def undecided(self, limit: int, due: datetime | None = None) -> list[tuple[AgentId, Approval]]:
        """Up to ``limit`` approvals of all agents that wait for a decision, the oldest first; only those that
        expire until ``due``, the first to expire first."""
        ...

    def put_grant(self, agent: AgentId, grant: Grant) -> None:
        """Store a grant, in place of the one of its name."""
        ...

    def grants(self, agent: AgentId) -> list[Grant]:
        """The agent's grants by name."""
        ...

    def revoke(self, agent: AgentId, name: str) -> bool: ...
