"""Timers come due: each fires once, because its event's key names the due time and the event is stored in
the transaction that moves the timer. A timer missed many times fires once, or not at all if it is set so.
One that is damaged is parked.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pagefault.clock import next_due
from pagefault.errors import PagefaultError
from pagefault.storage import Transaction
from pagefault.types import AgentId, Event, EventKind, Schedule
from pagefault.zones import zone_named

LATE = 60.0  # seconds after which a due timer counts as missed


BATCH = 20
"""Timers that fire in one transaction: what others write waits for no more of them."""


def fire(tx: Transaction, now: datetime) -> list[AgentId]:
    """Post an event for each of a batch of schedules that are due at ``now``; returns whose. None of them is
    due at that time any more."""
    fired: list[AgentId] = []
    for agent, schedule in tx.due_schedules(now, BATCH):
        if why := schedule.parked or _fault(schedule, now):
            _park(tx, agent, schedule, why, now)
            fired.append(agent)
            continue
        missed = (now - schedule.due).total_seconds() > LATE
        if not (missed and schedule.catch_up == "skip"):
            key = f"{schedule.id}@{schedule.due.astimezone(UTC).isoformat()}"
            tx.post(agent, Event(EventKind.TIMER, schedule.note, key=key, at=now, hops=schedule.hops))
            fired.append(agent)
        if schedule.cron is None:
            tx.remove_schedule(agent, schedule.number)
        else:
            tx.move_schedule(agent, schedule.number, next_due(schedule.cron, now, zone_named(schedule.zone)))
    return fired


def _fault(schedule: Schedule, now: datetime) -> str:
    """The reason why the schedule cannot go on, empty if it can."""
    if schedule.cron is None:
        return ""
    try:
        next_due(schedule.cron, now, zone_named(schedule.zone))
    except PagefaultError as error:
        return str(error)
    return ""


def _park(tx: Transaction, agent: AgentId, schedule: Schedule, why: str, now: datetime) -> None:
    """Set one timer aside; the agent goes on, and gets an alert."""
    tx.park_schedule(agent, schedule.number, why)
    text = f"The timer {schedule.id} is parked and will not fire: {why} Remove it and set it anew."
    tx.post(agent, Event(EventKind.ALERT, text, at=now))
