"""The forgetting that agents have asked for by a call, which a person approved: done between their turns.

A call cannot do it itself: its own arguments have the text, and its turn goes on. So it is sent, in the
outbox of the agent, and survives a crash. Left out: what is forgotten (``kernel.forgetting``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from pagefault.containment import barrier
from pagefault.errors import InTurnError, PagefaultError
from pagefault.functions.sharing import FORGET
from pagefault.shared import Outgoing
from pagefault.types import AgentId, AgentRecord

__all__ = ["AskedForgetting"]

_Waiting = dict[tuple[AgentId, int], tuple[AgentRecord, Outgoing]]


@dataclass(slots=True)
class AskedForgetting:
    """The requests of a kernel's agents, as they stand in their outboxes; ``forget`` does one."""

    forget: Callable[[AgentRecord, Outgoing], Awaitable[None]] | None = None
    waiting: _Waiting = field(default_factory=_Waiting)
    _runs: bool = False

    def taken(self, sender: AgentRecord, rows: Sequence[Outgoing]) -> list[Outgoing]:
        """Take the requests among what an agent has sent; return the rest."""
        self.waiting |= {(sender.id, row.number): (sender, row) for row in rows if row.kind == FORGET}
        return [row for row in rows if row.kind != FORGET]

    async def run(self, park: Callable[[AgentRecord, Outgoing, str], Awaitable[None]]) -> bool:
        """Do what can be done now; False if an agent is in a turn still. What cannot be done is parked."""
        if self._runs or self.forget is None:  # whatever forgets delivers first
            return True
        self._runs, done = True, True
        try:
            for key, (sender, row) in list(self.waiting.items()):
                try:
                    with barrier():
                        await self.forget(sender, row)
                except InTurnError:
                    done = False
                    continue
                except PagefaultError as error:
                    await park(sender, row, str(error))
                self.waiting.pop(key, None)
        finally:
            self._runs = False
        return done
