"""Timers come due: each fires once, because its event's key names the due time and the event is stored in
the transaction that moves the timer. A timer missed many times fires once, or not at all if it is set so.
One that is damaged is parked. At the same time approvals expire.

Each agent's timers fire in a transaction of its own, so that no agent that cannot be written to, and none on
a server that is away, holds up the timers of others.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import anyio

from pagefault.clock import next_due
from pagefault.containment import barrier
from pagefault.errors import PagefaultError
from pagefault.kernel.deciding import expire
from pagefault.kernel.resting import fall_asleep
from pagefault.names import system_key
from pagefault.redaction import logger_of
from pagefault.storage import Store, Transaction
from pagefault.storage.scheduling import Due
from pagefault.types import AgentId, Event, EventKind, Schedule
from pagefault.zones import zone_named

__all__ = ["BATCH", "fire", "next_at", "post_due"]

logger = logger_of(__name__)

LATE = 60.0  # seconds after which a due timer counts as missed


BATCH = 20
"""Timers that are looked at together, and those of one agent that fire in one transaction."""

_EXPIRING = 200
"""Approvals that expire at one look; the others at the next, which comes at once."""

_HELD_UP = 5.0
"""Seconds after which the timers of an agent are left to the next look: somebody holds the agent's row."""


async def post_due(store: Store, now: datetime) -> bool:
    """Post the events of all timers that are due at ``now``, and count the calls as refused on which nobody
    decided by then; return whether an agent was made ready so."""
    fired: list[AgentId] = []
    last: Due | None = None
    while due := await store.read(lambda tx, last=last: tx.due_schedules(now, BATCH, after=last)):
        async with anyio.create_task_group() as tasks:
            for agent in dict.fromkeys(agent for agent, _ in due):
                tasks.start_soon(_change, store, agent, now, fire, fired)
        last = due[-1]
    late = await store.read(lambda tx: tx.undecided(_EXPIRING, now))
    async with anyio.create_task_group() as tasks:
        for agent in dict.fromkeys(agent for agent, _ in late):
            tasks.start_soon(_change, store, agent, now, expire, fired)
    return bool(fired)


def next_at(tx: Transaction, until: datetime) -> datetime | None:
    """The time of the next timer or of the next approval that expires, if that is before ``until``."""
    timers = [schedule.due for _, schedule in tx.due_schedules(until, 1)]
    return min([*timers, *(each.expires for _, each in tx.undecided(1, until) if each.expires)], default=None)


async def _change(
    store: Store,
    agent: AgentId,
    now: datetime,
    work: Callable[[Transaction, AgentId, datetime], int],
    changed: list[AgentId],
) -> None:
    """Do the work of one agent; a failure is of that agent alone, and tried again at the next look."""
    try:
        with barrier(), anyio.fail_after(_HELD_UP):
            if await store.write(lambda tx: work(tx, agent, now)):
                changed.append(agent)
    except PagefaultError as error:
        logger.warning("timers of agent %s are late: %s", agent, error)


def fire(tx: Transaction, agent: AgentId, now: datetime) -> int:
    """Post an event for each of a batch of an agent's schedules that are due at ``now``; returns how many.
    None of them is due at that time any more."""
    posted = 0
    for _, schedule in tx.due_schedules(now, BATCH, agent=agent):
        if schedule.is_sleep:
            posted += fall_asleep(tx, agent, now)
            continue
        if why := schedule.parked or _fault(schedule, now):
            _park(tx, agent, schedule, why, now)
            posted += 1
            continue
        missed = (now - schedule.due).total_seconds() > LATE
        if not (missed and schedule.catch_up == "skip"):
            key = system_key(f"{schedule.id}@{schedule.due.astimezone(UTC).isoformat()}")
            tx.post(agent, Event(EventKind.TIMER, schedule.note, key=key, at=now, hops=schedule.hops))
            posted += 1
        if schedule.cron is None:
            tx.remove_schedule(agent, schedule.number)
        else:
            tx.move_schedule(agent, schedule.number, next_due(schedule.cron, now, zone_named(schedule.zone)))
    return posted


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
