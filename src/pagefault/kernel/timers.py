"""Timers come due: each fires once, because its event's key names the due time and the event is stored in
the transaction that moves the timer. A timer missed many times fires once, or not at all if it is set so.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pagefault.clock import next_due
from pagefault.storage import Transaction
from pagefault.types import AgentId, Event, EventKind
from pagefault.zones import zone_named

LATE = 60.0  # seconds after which a due timer counts as missed


def fire(tx: Transaction, now: datetime) -> list[AgentId]:
    """Post an event for each schedule that is due at ``now``; returns whose."""
    fired: list[AgentId] = []
    for agent, schedule in tx.due_schedules(now):
        missed = (now - schedule.due).total_seconds() > LATE
        if not (missed and schedule.catch_up == "skip"):
            key = f"{schedule.id}@{schedule.due.astimezone(UTC).isoformat()}"
            tx.post(agent, Event(EventKind.TIMER, schedule.note, key=key, at=now))
            fired.append(agent)
        if schedule.cron is None:
            tx.remove_schedule(agent, schedule.number)
        else:
            tx.move_schedule(agent, schedule.number, next_due(schedule.cron, now, zone_named(schedule.zone)))
    return fired
