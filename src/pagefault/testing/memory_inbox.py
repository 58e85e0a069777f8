"""The part of the in-memory store on events and schedules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pagefault.errors import NotFoundError
from pagefault.shared import is_shared
from pagefault.storage.scheduling import Due
from pagefault.testing.memory_media import MemoryMedia
from pagefault.types import (
    SLEEP_TIMER,
    AgentId,
    AgentRecord,
    Event,
    EventKind,
    EventState,
    Schedule,
)

__all__ = ["MemoryInbox"]


class MemoryInbox(MemoryMedia):
    """The part of the in-memory store on events and schedules."""

    # inbox
    def post(self, agent: AgentId, event: Event) -> Event:
        owner = self._agent(agent)
        if event.key is not None and (known := self.event_of_key(agent, event.key)):
            return known
        number = self._changes.next(owner.last, "event")
        stored = replace(event, id=number, state="pending", started=None, attempts=0, contents=())
        self.put_media(agent, event.contents)
        self._changes.put(owner.events, stored.id, stored)
        if owner.ready is None:
            self.settle(agent)
        return stored

    def event(self, agent: AgentId, event: int) -> Event | None:
        owner = self._database.agents.get(agent)
        return owner.events.get(event) if owner else None

    def event_of_key(self, agent: AgentId, key: str) -> Event | None:
        owner = self._database.agents.get(agent)
        events = owner.events.values() if owner else ()
        return next((event for event in events if event.key == key), None)

    def next_event(self, agent: AgentId) -> Event | None:
        if self.events(agent, state="waiting"):
            return None
        waiting = [event for event in self.events(agent) if event.state in ("active", "pending")]
        order = {event.id: (event.state != "active", event.kind != EventKind.PRESSURE) for event in waiting}
        return min(waiting, key=lambda event: (order[event.id], event.id), default=None)

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
        owner = self._agent(agent)
        if event not in owner.events:
            raise NotFoundError(f"There is no event {event}; it may have been deleted.")
        old = owner.events[event]
        tried = old.attempts if attempts is None else attempts
        changed = replace(old, state=state, started=started, attempts=tried, parked=parked)
        self._changes.put(owner.events, event, changed)
        if state != "active":
            self.settle(agent)

    def finish_event(self, agent: AgentId, event: int) -> bool:
        self.set_event(agent, event, "done")
        return self.settle(agent)

    def settle(self, agent: AgentId) -> bool:
        empty = self.next_event(agent) is None
        now = None if empty else self._changes.next(self._database.last, "ready")
        self._changes.set_ready(self._agent(agent), now)
        return empty

    def events(self, agent: AgentId, *, state: EventState | None = None) -> list[Event]:
        owner = self._database.agents.get(agent)
        events = owner.events.values() if owner else ()
        return [event for event in events if state is None or event.state == state]

    def waiting(self, limit: int, after: str | None = None, but: Sequence[AgentId] = ()) -> list[AgentRecord]:
        ready = [
            (owner.ready, id, owner.record)
            for id, owner in self._database.agents.items()
            if owner.ready is not None
            and not owner.record.parked
            and id not in but
            and self._belongs(owner.record)
            and not is_shared(owner.record.name)
        ]
        turns: dict[AgentId, tuple[int, bool, str]] = {}  # rounds until its own, then the order of tenants
        rounds: dict[str, int] = {}
        for _, id, record in sorted(ready, key=lambda found: found[:2]):
            rounds[record.tenant] = rounds.get(record.tenant, 0) + 1
            behind = after is None or record.tenant > after
            turns[id] = (rounds[record.tenant], not behind, record.tenant)
        return [self._database.agents[id].record for id in sorted(turns, key=turns.__getitem__)[:limit]]

    def count_sent(self, agent: AgentId, sender: str, since: datetime) -> int:
        sent = (e.at for e in self.events(agent) if (e.kind, e.sender) == (EventKind.AGENT, sender))
        return sum(at is not None and at > since for at in sent)

    # schedules
    def add_schedule(self, agent: AgentId, schedule: Schedule) -> Schedule:
        owner = self._agent(agent)
        stored = replace(schedule, number=self._changes.next(owner.last, "schedule"))
        self._changes.put(owner.schedules, stored.number, stored)
        return stored

    def add_sleep(self, agent: AgentId, due: datetime) -> None:
        owner = self._agent(agent)
        if SLEEP_TIMER not in owner.schedules:
            self._changes.put(owner.schedules, SLEEP_TIMER, Schedule("", due, "UTC", number=SLEEP_TIMER))

    def schedules(self, agent: AgentId, *, withdrawn: bool = False) -> list[Schedule]:
        return [each for each in self._all(agent, withdrawn) if not each.is_sleep]

    def _all(self, agent: AgentId, withdrawn: bool = False) -> list[Schedule]:
        owner = self._database.agents.get(agent)
        every = [owner.schedules[number] for number in sorted(owner.schedules)] if owner else []
        return [each for each in every if withdrawn or each.withdrawn is None]

    def _schedule(self, agent: AgentId, number: int) -> Schedule | None:
        return next((each for each in self._all(agent) if each.number == number), None)

    def move_schedule(self, agent: AgentId, number: int, due: datetime) -> None:
        owner = self._agent(agent)
        if self._schedule(agent, number) is None:
            raise NotFoundError(f"There is no schedule {number}; it may have been deleted.")
        self._changes.put(owner.schedules, number, replace(owner.schedules[number], due=due))

    def remove_schedule(self, agent: AgentId, number: int) -> bool:
        if self._schedule(agent, number) is None:
            return False
        self._changes.drop(self._agent(agent).schedules, number)
        return True

    def park_schedule(self, agent: AgentId, number: int, why: str) -> None:
        owner = self._agent(agent)
        if self._schedule(agent, number) is None:
            raise NotFoundError(f"There is no schedule {number}; it may have been deleted.")
        self._changes.put(owner.schedules, number, replace(owner.schedules[number], parked=why))

    def due_schedules(
        self, now: datetime, limit: int, *, agent: AgentId | None = None, after: Due | None = None
    ) -> list[Due]:
        def place(found: Due) -> tuple[datetime, AgentId, int]:
            return found[1].due, found[0], found[1].number

        every = [(of, each) for of in self._database.agents for each in self._all(of)]
        due = [found for found in every if found[1].due <= now and not found[1].parked]
        chosen = [f for f in due if agent in (None, f[0]) and (after is None or place(f) > place(after))]
        return sorted(chosen, key=place)[:limit]
