"""A store as one tenant has it: whatever a transaction finds by name, lists or makes is the tenant's.

Left out: how a transaction is kept within a tenant (``storage.Transaction.confined``).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeVar

from pagefault.storage import Store, Transaction, TurnHold, Workers
from pagefault.storage.signals import Signals
from pagefault.types import AgentId

__all__ = ["TenantStore"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TenantStore:
    """``pagefault.storage.Store`` for one tenant, over the store of all. ``by``: who acts, for the log of
    administrative acts."""

    every: Store
    tenant: str
    by: str = ""

    @property
    def signals(self) -> Signals:
        return self.every.signals

    @property
    def workers(self) -> Workers:
        return self.every.workers

    async def write(self, work: Callable[[Transaction], T], hold: TurnHold | None = None) -> T:
        return await self.every.write(lambda tx: work(tx.confined(self.tenant, self.by)), hold)

    async def read(self, work: Callable[[Transaction], T]) -> T:
        return await self.every.read(lambda tx: work(tx.confined(self.tenant, self.by)))

    async def build(self, work: Callable[[Transaction], T]) -> T:
        return await self.every.build(lambda tx: work(tx.confined(self.tenant, self.by)))

    def turn_lock(self, agent: AgentId) -> AbstractAsyncContextManager[TurnHold]:
        return self.every.turn_lock(agent)

    async def close(self) -> None:
        await self.every.close()
