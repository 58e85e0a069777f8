"""The inbox and the schedules in PostgreSQL: what waits for an agent, and in what order it is served."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from pagefault.errors import NotFoundError
from pagefault.storage.postgres.connection import Connection
from pagefault.storage.rows import micros, moment, to_agent, to_event, to_schedule
from pagefault.types import (
    AgentId,
    AgentRecord,
    Event,
    EventKind,
    EventState,
    Schedule,
)

__all__ = ["AGENT", "LOCK_AGENT", "TAKE_NUMBER", "QueueRows"]

AGENT = """
    SELECT name, settings, created, id, last_seq, start, summary, pinned, head, warned, ratio, tenant
    FROM agents"""
LOCK_AGENT = "SELECT id FROM agents WHERE id = %(agent)s FOR NO KEY UPDATE"
_EVENT = "SELECT kind, text, key, sender, at, number, state, started, attempts FROM inbox"
_EVENT_OF_KEY = f"{_EVENT} WHERE agent = %(agent)s AND key = %(key)s"
_POST = """
    INSERT INTO inbox (agent, number, kind, text, key, sender, at, state, rank) VALUES (%(agent)s,
    %(number)s, %(kind)s, %(text)s, %(key)s, %(sender)s, %(at)s, 'pending', %(rank)s)"""
_SET_EVENT = """
    UPDATE inbox SET state = %(state)s, started = %(started)s, rank = CASE %(state)s
    WHEN 'active' THEN 0 WHEN 'pending' THEN CASE kind WHEN %(pressure)s THEN 1 ELSE 2 END END
    WHERE agent = %(agent)s AND number = %(number)s"""
_WAITING = f"""
    {AGENT} WHERE id IN (SELECT agent FROM inbox WHERE rank IS NOT NULL) ORDER BY name COLLATE "C" """
_SCHEDULE = "SELECT note, due, zone, cron, catch_up, number, agent FROM schedules"
_ADD_SCHEDULE = """
    INSERT INTO schedules (agent, number, due, cron, zone, catch_up, note) VALUES (%(agent)s, %(number)s,
    %(due)s, %(cron)s, %(zone)s, %(catch_up)s, %(note)s)"""
_MOVE_SCHEDULE = "UPDATE schedules SET due = %(due)s WHERE agent = %(agent)s AND number = %(number)s"
_REMOVE_SCHEDULE = "DELETE FROM schedules WHERE agent = %(agent)s AND number = %(number)s"
TAKE_NUMBER = "UPDATE agents SET last_{what} = last_{what} + 1 WHERE id = %(agent)s RETURNING last_{what}"


class QueueRows:
    """The part of a transaction that is about events and schedules."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    # inbox
    def post(self, agent: AgentId, event: Event) -> Event:
        if event.key is not None:
            # With the agent locked nobody else can be about to store the same key.
            self._db.send(LOCK_AGENT, agent=agent)
            if known := self._db.one(_EVENT_OF_KEY, agent=agent, key=event.key):
                return to_event(known)
        number = self._take(TAKE_NUMBER.format(what="event"), agent)
        self._db.send(
            _POST,
            agent=agent,
            number=number,
            kind=event.kind,
            text=event.text,
            key=event.key,
            sender=event.sender,
            at=event.at and micros(event.at),
            rank=1 if event.kind == EventKind.PRESSURE else 2,
        )
        return replace(event, id=number, state="pending", started=None, attempts=0)

    def event(self, agent: AgentId, event: int) -> Event | None:
        found = f"{_EVENT} WHERE agent = %(agent)s AND number = %(number)s"
        row = self._db.one(found, agent=agent, number=event)
        return to_event(row) if row else None

    def next_event(self, agent: AgentId) -> Event | None:
        first = f"{_EVENT} WHERE agent = %(agent)s AND rank IS NOT NULL ORDER BY rank, number LIMIT 1"
        row = self._db.one(first, agent=agent)
        return to_event(row) if row else None

    def set_event(self, agent: AgentId, event: int, state: EventState, started: int | None = None) -> None:
        self._change(
            _SET_EVENT,
            f"event {event}",
            agent=agent,
            number=event,
            state=state,
            started=started,
            pressure=EventKind.PRESSURE,
        )

    def events(self, agent: AgentId, *, state: EventState | None = None) -> list[Event]:
        chosen = " AND state = %(state)s" if state else ""
        # Open events have a rank, and the ranked are indexed: a long history is not read to find them.
        chosen += " AND rank IS NOT NULL" if state in ("pending", "active") else ""
        found = f"{_EVENT} WHERE agent = %(agent)s{chosen} ORDER BY number"
        return [to_event(row) for row in self._db.rows(found, agent=agent, state=state)]

    def waiting(self) -> list[AgentRecord]:
        return [to_agent(row) for row in self._db.rows(_WAITING)]

    # schedules
    def add_schedule(self, agent: AgentId, schedule: Schedule) -> Schedule:
        number = self._take(TAKE_NUMBER.format(what="schedule"), agent)
        self._db.send(
            _ADD_SCHEDULE,
            agent=agent,
            number=number,
            due=micros(schedule.due),
            cron=schedule.cron,
            zone=schedule.zone,
            catch_up=schedule.catch_up,
            note=schedule.note,
        )
        return replace(schedule, number=number)

    def schedules(self, agent: AgentId) -> list[Schedule]:
        found = f"{_SCHEDULE} WHERE agent = %(agent)s ORDER BY number"
        return [to_schedule(row) for row in self._db.rows(found, agent=agent)]

    def move_schedule(self, agent: AgentId, number: int, due: datetime) -> None:
        self._change(_MOVE_SCHEDULE, f"schedule {number}", agent=agent, number=number, due=micros(due))

    def remove_schedule(self, agent: AgentId, number: int) -> bool:
        return self._db.changed(_REMOVE_SCHEDULE, agent=agent, number=number)

    def due_schedules(self, now: datetime) -> list[tuple[AgentId, Schedule]]:
        found = f"{_SCHEDULE} WHERE due <= %(now)s ORDER BY due, agent, number"
        return [(AgentId(row[-1]), to_schedule(row)) for row in self._db.rows(found, now=micros(now))]

    def next_due(self) -> datetime | None:
        (due,) = self._db.one("SELECT min(due) FROM schedules")
        return None if due is None else moment(due)

    def _take(self, statement: str, agent: AgentId, **values: Any) -> int:
        """Take the agent's next number, and lock the agent; ``NotFoundError`` if there is no such agent."""
        taken = self._db.one(statement, agent=agent, **values)
        if taken is None:
            raise NotFoundError(f"There is no agent {agent}; it may have been deleted.")
        return taken[0]

    def _change(self, statement: str, what: str, **values: Any) -> None:
        """Change one row; ``NotFoundError`` if it is not there."""
        if not self._db.changed(statement, **values):
            raise NotFoundError(f"There is no {what}; it may have been deleted.")
