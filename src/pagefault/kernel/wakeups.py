"""Wake-ups: which of the agents that others say are ready are served here, and when.

Of the workers that serve, one comes first for an agent and looks at once. The second looks a little later, in
case the first is gone, paused or full; after that polling finds it. Left out: how turns of others are
followed (``following``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio

from pagefault.clock import Clock
from pagefault.kernel.slot import AgentSlot, Slots
from pagefault.storage import Store, Transaction
from pagefault.storage.holding import ranked
from pagefault.storage.signals import AgentReady
from pagefault.types import AgentId, AgentRecord

__all__ = ["Wakeups"]

_MOST = 100  # agents that are read at once because others say that they are ready


@dataclass(slots=True)
class Wakeups:
    """Serves agents by ``wake``. ``second``: those that this worker comes second for, until it looks;
    ``many``: set when more are ready than are read at once."""

    store: Store
    slots: Slots
    clock: Clock
    wake: Callable[[AgentSlot], None]
    serves: bool = False
    second: set[AgentId] = field(default_factory=set[AgentId])
    many: anyio.Event = field(default_factory=anyio.Event)

    async def serve_first(self, signals: Sequence[AgentReady]) -> None:
        """Serve the agents for which this worker comes first, or which it follows, if anything waits in their
        inboxes."""
        places = [(signal.agent, self._place(signal)) for signal in signals]
        mine = list(dict.fromkeys(id for id, place in places if place == 0))
        self.second.update(id for id, place in places if place == 1)
        if len(mine) > _MOST:
            self.many.set()
            return

        def read(tx: Transaction) -> list[AgentRecord]:
            found = [tx.agent_by_id(id) for id in mine]
            return [each for each in found if each and not each.parked and tx.next_event(each.id)]

        for record in await self.store.read(read) if mine else ():
            self._serve(record)

    async def serve_second(self) -> None:
        """Serve those that still wait though another worker comes first for them."""
        ids, self.second = self.second, set()
        records = await self.store.read(lambda tx: tx.waiting(_MOST))
        if len(records) == _MOST:
            self.many.set()
        for record in records:
            if record.id in ids:
                self._serve(record)

    def _serve(self, record: AgentRecord) -> None:
        agent = self.slots.of(record)
        if agent.news:
            agent.news.set()
        rests = agent.rest_until is not None and self.clock.now() < agent.rest_until
        if agent.serving or (self.serves and not rests):
            self.wake(agent)

    def _place(self, signal: AgentReady) -> int | None:
        """Return the place of this worker among those that serve the agent, 0 if it follows the agent."""
        known, me = self.slots.known_by_id(signal.agent), self.store.workers.me
        peers = [worker for worker in self.store.workers.peers if worker != signal.full]
        if (known and known.news) or (self.serves and not peers):
            return 0
        return ranked(peers, signal.agent).index(me) if self.serves and me in peers else None
