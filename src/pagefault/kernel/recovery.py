"""Recovery: what waits is served once, and then all rests; also what a worker left that is gone.

Left out: serving as long as the process runs (``following``).
"""

from __future__ import annotations

import anyio

from pagefault.kernel.scheduler import Scheduler
from pagefault.storage import Store

__all__ = ["recover"]

_LOOK = 0.2  # seconds between looks whether other workers are there


async def recover(store: Store, scheduler: Scheduler, name: str | None) -> None:
    """Serve what waits for all agents, or for the one of this name, and return when that is done. What live
    workers hold is left to them."""
    if not await _serve(store, scheduler, name):
        return
    leases = await store.workers.others()
    if leases:
        while leases & await store.workers.others():  # noqa: ASYNC110  others renew or reap them
            await anyio.sleep(_LOOK)
        await _serve(store, scheduler, name)


async def _serve(store: Store, scheduler: Scheduler, name: str | None) -> bool:
    """Serve what nobody else holds; return whether something may wait still."""
    if name is None:
        await scheduler.wake_waiting()
        await scheduler.idle()
        return True
    agent = await scheduler.find(name)
    id = agent.record.id
    if agent.record.parked or not await store.read(lambda tx: tx.next_event(id)):
        return False
    scheduler.wake(agent)
    await scheduler.idle(agent)
    return await store.read(lambda tx: tx.next_event(id)) is not None
