"""Setting an event aside whose turn fails again and again: it is closed, not run.

Left out: when that is, and events that cannot even be read (``kernel.inbox``).
"""

from __future__ import annotations

from pagefault.agent import Process
from pagefault.agent.turn import read_turn
from pagefault.types import Event, Output

__all__ = ["park_event"]


async def park_event(process: Process, event: Event, why: str) -> Output:
    """Close what there is of the event's turn, with an alert that says why, and park it. Returns ``done``."""
    id, store = process.writer.record.id, process.program.store
    if event.state == "pending":
        await process.writer.open(event, [process.rows.opening(event, process.memory.pressure())])
    elif process.event is None:
        process.turn.begin(event, *await store.read(lambda tx: read_turn(tx, id, event)))
    done = await process.stop(f"The event is parked: {why}")
    await store.write(lambda tx: tx.set_event(id, event.id, "parked", parked=why), process.memory.hold)
    return done or Output("done", "", event.id, process.memory.last_seq)
