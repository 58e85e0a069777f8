"""The in-memory store: the protocol in dictionaries, for tests and as a second opinion on the SQL ones.

Simple on purpose: search reads every row. What a caller hands in is kept as a database would keep it (JSON
turned over once), so that a test which passes here does not fail on a file. Leaves out durability: the data
is as long-lived as its ``MemoryDatabase``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import TypeVar

from pagefault.errors import StorageError, TurnHeldError
from pagefault.storage import TurnHold
from pagefault.storage.holding import SoleWorker
from pagefault.storage.signals import Signal, SignalArrivals, Signals, SilentSignals
from pagefault.testing.memory_tables import Changes, MemoryDatabase
from pagefault.testing.memory_transaction import MemoryTransaction
from pagefault.types import AgentId

__all__ = ["MemoryDatabase", "MemorySignals", "MemoryStore"]

T = TypeVar("T")


class MemorySignals:
    """The signals between the connected stores of one database. ``lost``: none of them arrives."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._arrivals = SignalArrivals()
        self._ears = database.ears
        self._ears.append(self._arrivals)
        self.lost = False

    @property
    def alive(self) -> bool:
        return self._arrivals in self._ears

    def send(self, signal: Signal) -> None:
        if self.alive and not self.lost:
            for ear in self._ears:
                if ear is not self._arrivals:
                    ear.put([signal])

    async def received(self) -> Sequence[Signal]:
        return await self._arrivals.take()

    def close(self) -> None:
        """Neither send nor receive any more."""
        if self.alive:
            self._ears.remove(self._arrivals)


class MemoryStore:
    """``pagefault.storage.Store`` in memory. Several stores on one database stand for several processes;
    those that are ``connected`` get one another's signals."""

    workers = SoleWorker()

    def __init__(self, database: MemoryDatabase | None = None, *, connected: bool = False) -> None:
        self.database = database or MemoryDatabase()
        self.signals: Signals = MemorySignals(self.database) if connected else SilentSignals()
        self._open = True

    async def write(self, work: Callable[[MemoryTransaction], T], hold: TurnHold | None = None) -> T:
        if hold:
            hold.check(self.database.fences.get(hold.agent))
        changes = Changes()
        with ExitStack() as undoing:
            undoing.callback(changes.undo)
            result = work(self._begin(changes))
            undoing.pop_all()
        return result

    async def read(self, work: Callable[[MemoryTransaction], T]) -> T:
        return work(self._begin(Changes()))

    async def build(self, work: Callable[[MemoryTransaction], T]) -> T:
        return await self.write(work)

    @asynccontextmanager
    async def turn_lock(self, agent: AgentId) -> AsyncGenerator[TurnHold]:
        turns = self.database.turns
        if agent in turns:
            raise TurnHeldError(agent)
        turns[agent] = self
        fence = self.database.fences[agent] = self.database.fences.get(agent, 0) + 1
        try:
            yield TurnHold(agent, fence)
        finally:
            if turns.get(agent) is self:  # not after a crash, when it may be another's
                del turns[agent]

    async def close(self) -> None:
        self._end()

    def crash(self) -> None:
        """As if the process had died: its turn locks are free, and it does nothing more."""
        self._end()
        turns = self.database.turns
        for agent in [agent for agent, owner in turns.items() if owner is self]:
            del turns[agent]

    def _end(self) -> None:
        self._open = False
        if isinstance(self.signals, MemorySignals):
            self.signals.close()

    def _begin(self, changes: Changes) -> MemoryTransaction:
        if not self._open:
            raise StorageError("The store is closed; open it again.")
        return MemoryTransaction(self.database, changes)
