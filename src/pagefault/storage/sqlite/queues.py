"""The inbox and the schedules in SQL: what waits for an agent, and in what order it is served."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from pagefault.errors import NotFoundError
from pagefault.storage.rows import micros, moment, to_agent, to_event, to_schedule
from pagefault.storage.sqlite.connection import Connection
from pagefault.types import (
    AgentId,
    AgentRecord,
    Event,
    EventKind,
    EventState,
    Schedule,
)

__all__ = ["AGENT", "TAKE_NUMBER", "QueueRows"]

AGENT = """
    SELECT name, settings, created, id, last_seq, start, summary, pinned, head, warned, ratio, tenant
    FROM agents"""
_EVENT = "SELECT kind, text, key, sender, at, number, state, started, attempts FROM inbox"
_POST = """
    INSERT INTO inbox (agent, number, kind, text, key, sender, at, state, rank)
    VALUES (:agent, :number, :kind, :text, :key, :sender, :at, 'pending', :rank)"""
_SET_EVENT = """
    UPDATE inbox SET state = :state, started = :started, rank = CASE :state WHEN 'active' THEN 0
    WHEN 'pending' THEN CASE kind WHEN :pressure THEN 1 ELSE 2 END END
    WHERE agent = :agent AND number = :number"""
_SCHEDULE = "SELECT note, due, zone, cron, catch_up, number, agent FROM schedules"
_ADD_SCHEDULE = """
    INSERT INTO schedules (agent, number, due, cron, zone, catch_up, note)
    VALUES (:agent, :number, :due, :cron, :zone, :catch_up, :note)"""
_MOVE_SCHEDULE = "UPDATE schedules SET due = :due WHERE agent = :agent AND number = :number"
_REMOVE_SCHEDULE = "DELETE FROM schedules WHERE agent = :agent AND number = :number"
TAKE_NUMBER = "UPDATE agents SET last_{what} = last_{what} + 1 WHERE id = :agent RETURNING last_{what}"


class QueueRows:
    """The part of a transaction that is about events and schedules."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    # inbox
    def post(self, agent: AgentId, event: Event) -> Event:
        if event.key is not None:
            known = self._db.one(f"{_EVENT} WHERE agent = :agent AND key = :key", agent=agent, key=event.key)
            if known:
                return to_event(known)
        number = self._take(TAKE_NUMBER.format(what="event"), agent)
        self._db.run(
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
        row = self._db.one(f"{_EVENT} WHERE agent = :agent AND number = :number", agent=agent, number=event)
        return to_event(row) if row else None

    def next_event(self, agent: AgentId) -> Event | None:
        first = f"{_EVENT} WHERE agent = :agent AND rank IS NOT NULL ORDER BY rank, number LIMIT 1"
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
        chosen = " AND state = :state" if state else ""
        # Open events have a rank, and the ranked are indexed: a long history is not read to find them.
        chosen += " AND rank IS NOT NULL" if state in ("pending", "active") else ""
        found = f"{_EVENT} WHERE agent = :agent{chosen} ORDER BY number"
        return [to_event(row) for row in self._db.rows(found, agent=agent, state=state)]

    def waiting(self) -> list[AgentRecord]:
        waiting = f"{AGENT} WHERE id IN (SELECT agent FROM inbox WHERE rank IS NOT NULL) ORDER BY name"
        return [to_agent(row) for row in self._db.rows(waiting)]

    # schedules
    def add_schedule(self, agent: AgentId, schedule: Schedule) -> Schedule:
        number = self._take(TAKE_NUMBER.format(what="schedule"), agent)
        self._db.run(
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
        found = f"{_SCHEDULE} WHERE agent = :agent ORDER BY number"
        return [to_schedule(row) for row in self._db.rows(found, agent=agent)]

    def move_schedule(self, agent: AgentId, number: int, due: datetime) -> None:
        self._change(_MOVE_SCHEDULE, f"schedule {number}", agent=agent, number=number, due=micros(due))

    def remove_schedule(self, agent: AgentId, number: int) -> bool:
        return self._db.run(_REMOVE_SCHEDULE, agent=agent, number=number) > 0

    def due_schedules(self, now: datetime) -> list[tuple[AgentId, Schedule]]:
        found = f"{_SCHEDULE} WHERE due <= :now ORDER BY due, agent, number"
        return [(AgentId(row[-1]), to_schedule(row)) for row in self._db.rows(found, now=micros(now))]

    def next_due(self) -> datetime | None:
        (due,) = self._db.one("SELECT min(due) FROM schedules")
        return None if due is None else moment(due)

    def _take(self, statement: str, agent: AgentId, **values: Any) -> int:
        """Take the agent's next number; ``NotFoundError`` if there is no such agent."""
        taken = self._db.one(statement, agent=agent, **values)
        if taken is None:
            raise NotFoundError(f"There is no agent {agent}; it may have been deleted.")
        return taken[0]

    def _change(self, statement: str, what: str, **values: Any) -> None:
        """Change one row; ``NotFoundError`` if it is not there."""
        if not self._db.run(statement, **values):
            raise NotFoundError(f"There is no {what}; it may have been deleted.")
