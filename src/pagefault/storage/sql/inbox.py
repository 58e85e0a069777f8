"""The inbox and the schedules: what waits for an agent, and in what order it is served."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pagefault.media import dumped
from pagefault.storage.rows import micros, to_event, to_schedule
from pagefault.storage.scheduling import Due
from pagefault.storage.sql.media import SqlMedia
from pagefault.storage.sql.part import now_micros
from pagefault.types import SLEEP_TIMER, AgentId, Event, EventKind, EventState, Schedule

__all__ = ["SCHEDULE", "SqlInbox"]

_EVENT = """
    SELECT kind, text, key, sender, at, number, state, started, attempts, parked, hops, trace, media
    FROM inbox WHERE agent = :agent"""
_POST = """
    INSERT INTO inbox (agent, number, kind, text, key, sender, at, state, rank, hops, trace, media)
    VALUES (:agent, :number, :kind, :text, :key, :sender, :at, 'pending', :rank, :hops, :trace, :media)"""
# Of a long history only the newest are looked through.
_COUNT_SENT = """
    SELECT count(*) FROM (
        SELECT kind, sender, at FROM inbox WHERE agent = :agent ORDER BY number DESC LIMIT 1000) newest
    WHERE kind = :kind AND sender = :sender AND at > :since"""
# The order of service: an event that is done or parked has no rank, one whose turn waits for a decision comes
# first, so that it is found, and keeps the others waiting. Written with conditions, because a value
# that a CASE begins with loses its type where statements are sent on to other servers.
_SET_EVENT = """
    UPDATE inbox SET state = :state, started = :started, parked = :parked,
    attempts = coalesce(CAST(:attempts AS integer), attempts),
    rank = CASE WHEN CAST(:state AS text) = 'active' THEN 0
        WHEN CAST(:state AS text) = 'waiting' THEN -1
        WHEN CAST(:state AS text) = 'pending' THEN CASE WHEN kind = :pressure THEN 1 ELSE 2 END END
    WHERE agent = :agent AND number = :number"""
_FINISH = """
    UPDATE inbox SET state = 'done', started = NULL, rank = NULL WHERE agent = :agent AND number = :number"""
# All of the agent's own row: others that write to it at the moment are waited for, and seen.
_SINCE_NOW = ", ready = CASE WHEN undecided IS NULL THEN coalesce(ready, :now) END"
_RANKS = {
    "active": "rank = 0",
    "waiting": "rank <= 0 AND state = 'waiting'",
    "pending": "rank > 0",
    "done": "rank IS NULL AND state <> 'parked'",
    "parked": "rank IS NULL AND state = 'parked'",
}
SCHEDULE = """
    SELECT note, due, zone, cron, catch_up, number, parked, hops, event, withdrawn, agent FROM schedules"""
_COUNTS = " AND withdrawn IS NULL"
_ADD_SCHEDULE = """
    INSERT INTO schedules (agent, number, due, cron, zone, catch_up, note, hops, event)
    VALUES (:agent, :number, :due, :cron, :zone, :catch_up, :note, :hops, :event)"""
_ADD_SLEEP = """
    INSERT INTO schedules (agent, number, due, zone, catch_up, note)
    VALUES (:agent, :number, :due, 'UTC', 'once', '')
    ON CONFLICT (agent, number) DO NOTHING"""
_MOVE_SCHEDULE = f"UPDATE schedules SET due = :due WHERE agent = :agent AND number = :number{_COUNTS}"
_PARK_SCHEDULE = f"UPDATE schedules SET parked = :why WHERE agent = :agent AND number = :number{_COUNTS}"
_REMOVE_SCHEDULE = f"DELETE FROM schedules WHERE agent = :agent AND number = :number{_COUNTS}"


class SqlInbox(SqlMedia):
    """The part of a transaction on events and schedules."""

    # inbox
    def post(self, agent: AgentId, event: Event) -> Event:
        if event.key is not None:
            self._lock(agent)  # nobody else can be about to store the same key
            if known := self.event_of_key(agent, event.key):
                return known
        number = self._next("event", agent, also=_SINCE_NOW, now=now_micros())
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
            hops=event.hops,
            trace=event.trace or None,
            media=dumped(event.media),
        )
        self.put_media(agent, event.contents)
        return replace(event, id=number, state="pending", started=None, attempts=0, contents=())

    def event(self, agent: AgentId, event: int) -> Event | None:
        row = self._db.one(f"{_EVENT} AND number = :number", agent=agent, number=event)
        return to_event(row) if row else None

    def event_of_key(self, agent: AgentId, key: str) -> Event | None:
        row = self._db.one(f"{_EVENT} AND key = :key", agent=agent, key=key)
        return to_event(row) if row else None

    def next_event(self, agent: AgentId) -> Event | None:
        first = f"{_EVENT} AND rank IS NOT NULL ORDER BY rank, number LIMIT 1"
        row = self._db.one(first, agent=agent)
        event = to_event(row) if row else None
        return None if event and event.state == "waiting" else event

    def set_event(
        self,
        agent: AgentId,
        event: int,
        state: EventState,
        started: int | None = None,
        *,
        attempts: int | None = None,
        parked: str = "",
    ) -> None:
        if state != "active":
            self.fence(agent)  # locked: nobody else can be about to post, or to set another
        self._change(
            _SET_EVENT,
            f"event {event}",
            agent=agent,
            number=event,
            state=state,
            started=started,
            attempts=attempts,
            parked=parked or None,
            pressure=EventKind.PRESSURE.value,
        )
        if state != "active":
            self.settle(agent)

    def finish_event(self, agent: AgentId, event: int) -> bool:
        self._change(_FINISH, f"event {event}", agent=agent, number=event)
        return self.settle(agent)

    def events(self, agent: AgentId, *, state: EventState | None = None) -> list[Event]:
        # Open events have a rank, and the ranked are indexed: a long history is not read to find them.
        chosen = f" AND {_RANKS[state]}" if state else ""
        found = [to_event(row) for row in self._db.rows(_EVENT + chosen, agent=agent)]
        return sorted(found, key=lambda event: event.id)

    def count_sent(self, agent: AgentId, sender: str, since: datetime) -> int:
        (count,) = self._db.one(
            _COUNT_SENT, agent=agent, sender=sender, since=micros(since), kind=EventKind.AGENT.value
        )
        return count

    # schedules
    def add_schedule(self, agent: AgentId, schedule: Schedule) -> Schedule:
        number = self._next("schedule", agent)
        self._db.send(
            _ADD_SCHEDULE,
            agent=agent,
            number=number,
            due=micros(schedule.due),
            cron=schedule.cron,
            zone=schedule.zone,
            catch_up=schedule.catch_up,
            note=schedule.note,
            hops=schedule.hops,
            event=schedule.event,
        )
        return replace(schedule, number=number)

    def add_sleep(self, agent: AgentId, due: datetime) -> None:
        self._db.send(_ADD_SLEEP, agent=agent, number=SLEEP_TIMER, due=micros(due))

    def schedules(self, agent: AgentId, *, withdrawn: bool = False) -> list[Schedule]:
        found = (
            f"{SCHEDULE} WHERE agent = :agent AND number > 0{'' if withdrawn else _COUNTS} ORDER BY number"
        )
        return [to_schedule(row) for row in self._db.rows(found, agent=agent)]

    def move_schedule(self, agent: AgentId, number: int, due: datetime) -> None:
        self._change(_MOVE_SCHEDULE, f"schedule {number}", agent=agent, number=number, due=micros(due))

    def remove_schedule(self, agent: AgentId, number: int) -> bool:
        return self._db.changed(_REMOVE_SCHEDULE, agent=agent, number=number)

    def park_schedule(self, agent: AgentId, number: int, why: str) -> None:
        self._change(_PARK_SCHEDULE, f"schedule {number}", agent=agent, number=number, why=why or None)

    def due_schedules(
        self, now: datetime, limit: int, *, agent: AgentId | None = None, after: Due | None = None
    ) -> list[Due]:
        due = f"{SCHEDULE} WHERE due <= :now AND parked IS NULL{_COUNTS}"
        due += "" if agent is None else " AND agent = :agent"
        due += "" if after is None else " AND (due, agent, number) > (:due, :owner, :number)"
        behind = {"due": micros(after[1].due), "owner": after[0], "number": after[1].number} if after else {}
        order = " ORDER BY due, agent, number LIMIT :limit"
        found = self._db.rows(due + order, now=micros(now), limit=limit, agent=agent, **behind)
        return [(AgentId(row[-1]), to_schedule(row)) for row in found]
