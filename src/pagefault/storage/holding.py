"""The hold of an agent's turn, which the writes of the turn carry."""

from __future__ import annotations

from dataclasses import dataclass

from pagefault.errors import TurnLostError
from pagefault.types import AgentId

__all__ = ["TurnHold"]


@dataclass(frozen=True, slots=True)
class TurnHold:
    """The turn lock of an agent, as taken once.

    ``fence`` is a number in the agent's row. It is raised when the lock passes from one holder to another,
    and each write of a turn compares it in its own transaction: a process may lose its lock and live on.
    """

    agent: AgentId
    fence: int = 0

    def check(self, fence: int | None) -> None:
        """Raise ``TurnLostError`` if the agent's fence, as a transaction sees it, is another holder's. None:
        the agent is gone, and the write itself will say so."""
        if fence is not None and fence != self.fence:
            raise TurnLostError(
                f"The turn of agent {self.agent} was taken over by another process after this one had lost "
                "its lock; it goes on there."
            )
