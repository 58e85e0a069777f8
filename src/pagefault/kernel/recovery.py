"""Recovery: what waits is served once, and then all rests; also what a worker left that is gone.

Left out: serving as long as the process runs (``following``).
"""

from __future__ import annotations

import anyio

from pagefault.kernel.scheduler import Scheduler
from pagefault.kernel.slot import AgentSlot

__all__ = ["recover"]

_LOOK = 0.2  # seconds between looks whether other workers are there


async def recover(scheduler: Scheduler, agent: AgentSlot | None) -> None:
    """Serve what waits for all agents, or for this one, and return when that is done. What live workers
    hold is left to them."""
    if not await _serve(scheduler, agent):
        return
    leases = await scheduler.store.workers.others()
    while leases & await scheduler.store.workers.others():  # noqa: ASYNC110  others renew or reap them
        await anyio.sleep(_LOOK)
    await _serve(scheduler, agent)  # again though there be no lease: one may just have been reaped


async def _serve(scheduler: Scheduler, agent: AgentSlot | None) -> bool:
    """Serve what nobody else holds; return whether something may wait still."""
    if agent is None:
        await scheduler.wake_waiting()
        await scheduler.idle()
        return True
    id = agent.record.id
    if agent.record.parked or not await scheduler.store.read(lambda tx: tx.next_event(id)):
        return False
    scheduler.wake(agent)
    await scheduler.idle(agent)
    return await scheduler.store.read(lambda tx: tx.next_event(id)) is not None
