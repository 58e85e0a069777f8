"""The hold of an agent's turn, which the writes of the turn carry, and the workers that run turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from pagefault.errors import TurnHeldError, TurnLostError
from pagefault.types import AgentId

__all__ = ["SoleWorker", "TurnHold", "Workers", "ranked"]


@dataclass(eq=False, slots=True)
class TurnHold:
    """The right to run an agent's turns, from ``Store.turn_lock``; the store changes it.

    ``fence`` is a number in the agent's row, as it was when the turn was taken (None: not yet). It is raised
    when the turn passes from one holder to another, and each write of a turn compares it in its own
    transaction: a process may lose its turn and live on. ``worker``: whose lease it is now; empty: nobody's,
    and the next write takes it, if nobody has had the turn in between.
    """

    agent: AgentId
    fence: int | None = None
    worker: str = ""

    def check(self, fence: int | None) -> None:
        """Raise ``TurnLostError`` if the agent's fence, as a transaction sees it, is another holder's. None:
        the agent is gone, and the write itself will say so."""
        if fence is not None and fence != self.fence:
            raise TurnLostError(
                f"The turn of agent {self.agent} was taken over by another process after this one had lost "
                "its lock; it goes on there."
            )

    def refuse(self, fence: int | None) -> None:
        """Raise the reason why the turn could not be taken; none if the agent is gone."""
        if self.fence is not None:
            self.check(fence)
        if fence is not None:
            raise TurnHeldError(self.agent)


class Workers(Protocol):
    """The open stores of one database that hold turns, one of them this one. From any thread."""

    @property
    def me(self) -> str:
        """The name of this one; empty as long as it has taken no turn and does not serve."""
        ...

    @property
    def peers(self) -> Sequence[str]:
        """The names of those that serve, this one included, as known since the last seconds."""
        ...

    async def others(self) -> set[tuple[str, str]]:
        """The names of the other workers, each with the time until which its leases are good as they were
        last renewed. Those of one that is gone end within seconds."""
        ...

    def serve(self) -> None:
        """Be one of the peers soon, until the store is closed: this one serves what others post."""
        ...


def ranked(peers: Sequence[str], agent: AgentId) -> list[str]:
    """The workers in the order in which they come for an agent: the same wherever it is asked, and for few
    agents another when a worker comes or goes."""
    return sorted(peers, key=lambda worker: blake2b(f"{worker} {agent}".encode(), digest_size=8).digest())


class SoleWorker:
    """The ``Workers`` of a store that does not know of others."""

    me = ""
    peers = ()

    async def others(self) -> set[tuple[str, str]]:
        return set()

    def serve(self) -> None:
        pass
