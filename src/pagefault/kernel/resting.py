"""Falling asleep: an agent to which nothing has happened for a while tidies its memory.

Left out: the turn itself (``agent.sleeping``).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pagefault.config import settings_of
from pagefault.names import system_key
from pagefault.storage import Transaction
from pagefault.types import SLEEP_TIMER, AgentId, Event, EventKind

__all__ = ["fall_asleep"]


def fall_asleep(tx: Transaction, agent: AgentId, now: datetime) -> int:
    """Post the event by which a rested agent sleeps, and return 1. One that is busy, or was, rests first
    from then on; one that is set never to sleep does not."""
    record = tx.agent_by_id(agent)
    after = settings_of(record).sleep_after if record else None
    if record is None or after is None:
        tx.remove_schedule(agent, SLEEP_TIMER)
        return 0
    newest = tx.messages(agent, newest=1, appended=False)
    rested = (newest[0].at if newest else now) + timedelta(seconds=after)
    if tx.next_event(agent) or tx.events(agent, state="waiting"):
        rested = now + timedelta(seconds=after)
    if rested > now:
        tx.move_schedule(agent, SLEEP_TIMER, rested)
        return 0
    tx.remove_schedule(agent, SLEEP_TIMER)
    key = system_key(f"sleep@{now.astimezone(UTC).isoformat()}")
    tx.post(agent, Event(EventKind.SLEEP, key=key, at=now))
    return 1
