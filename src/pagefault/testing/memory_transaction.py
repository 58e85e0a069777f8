"""What can be done inside a transaction of the in-memory store; every change is logged to be undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pagefault.errors import NotFoundError, StorageError, UsageError
from pagefault.storage import EmbedderRecord, Filter, Found, Match, PendingVector, Spent
from pagefault.storage.rows import speakers_of
from pagefault.storage.terms import message_terms, passage_terms
from pagefault.testing.memory_search import (
    Row,
    document_of,
    find_rows,
    passes,
    session_numbers,
    title_of,
)
from pagefault.testing.memory_tables import AgentTables, Changes, MemoryDatabase, turned_over
from pagefault.types import (
    SEARCHED_BY_DEFAULT,
    AgentId,
    AgentRecord,
    Document,
    Event,
    EventKind,
    EventState,
    Message,
    Page,
    Passage,
    Place,
    QueueState,
    Role,
    Schedule,
    Section,
    Tier,
)

__all__ = ["MemoryTransaction"]


class MemoryTransaction:
    """``pagefault.storage.Transaction`` on dictionaries."""

    def __init__(self, database: MemoryDatabase, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    # agents
    def create_agent(self, record: AgentRecord) -> AgentRecord:
        if self.agent(record.name):
            raise UsageError(f"There is already an agent named {record.name!r}; choose another name.")
        number = AgentId(self._changes.next(self._database.last_agent, "agent"))
        stored = replace(record, id=number, settings=turned_over(record.settings), last_seq=0)
        self._changes.put(self._database.agents, number, AgentTables(stored))
        return replace(record, id=number)

    def agent(self, name: str) -> AgentRecord | None:
        return next((a.record for a in self._database.agents.values() if a.record.name == name), None)

    def agent_by_id(self, agent: AgentId) -> AgentRecord | None:
        owner = self._database.agents.get(agent)
        return owner.record if owner else None

    def agents(self) -> list[AgentRecord]:
        return sorted((a.record for a in self._database.agents.values()), key=lambda record: record.name)

    def delete_agent(self, agent: AgentId) -> None:
        self._agent(agent)
        self._changes.drop(self._database.agents, agent)

    def save_settings(self, agent: AgentId, settings: dict[str, object]) -> None:
        self._set_record(agent, settings=turned_over(settings))

    def save_queue(self, agent: AgentId, queue: QueueState) -> None:
        self._set_record(agent, queue=queue)

    # recall storage
    def append(self, agent: AgentId, rows: Sequence[Message]) -> list[Message]:
        owner = self._agent(agent)
        first = owner.record.last_seq + 1
        stored: list[Message] = []
        for seq, row in enumerate(rows, first):
            completion = first if row.completion == 0 else row.completion
            message = replace(row, seq=seq, completion=completion, meta=turned_over(row.meta))
            self._changes.put(owner.messages, seq, message)
            self._index(owner, "recall", seq, message_terms(row.role, row.text, row.meta))
            stored.append(message)
        self._set_record(agent, last_seq=first + len(rows) - 1)
        return stored

    def speakers(self, agent: AgentId) -> list[str]:
        owner = self._database.agents.get(agent)
        return speakers_of(owner.messages.values()) if owner else []

    def message(self, agent: AgentId, seq: int) -> Message | None:
        owner = self._database.agents.get(agent)
        return owner.messages.get(seq) if owner else None

    def messages(
        self,
        agent: AgentId,
        *,
        first: int = 1,
        last: int | None = None,
        roles: Sequence[Role] | None = None,
        event: int | None = None,
        newest: int | None = None,
    ) -> list[Message]:
        owner = self._database.agents.get(agent)
        if owner is None:
            return []
        end = owner.record.last_seq if last is None else min(last, owner.record.last_seq)
        found = [
            message
            for message in map(owner.messages.__getitem__, range(max(first, 1), end + 1))
            if (roles is None or message.role in roles) and (event is None or message.event == event)
        ]
        return found if newest is None else found[max(len(found) - newest, 0) :]

    def spent(
        self,
        agent: AgentId,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        model: str | None = None,
        newest: int | None = None,
    ) -> list[Spent]:
        found = [
            Spent(row.seq, row.at, row.event, row.role, tuple(usage))
            for row in self.messages(agent)
            if (usage := row.meta.get("usage"))
            and (since is None or row.at >= since)
            and (until is None or row.at < until)
            and (model is None or model in [entry["model"] for entry in usage])
        ]
        found.sort(key=lambda spent: (spent.at, spent.seq))
        return found if newest is None else found[max(len(found) - newest, 0) :]

    # working context
    def sections(self, agent: AgentId) -> list[Section]:
        owner = self._database.agents.get(agent)
        return [versions[-1][1] for versions in owner.sections.values()] if owner else []

    def put_section(self, agent: AgentId, section: Section, at: datetime) -> Section:
        owner = self._agent(agent)
        versions = owner.sections.get(section.name, [])
        stored = replace(section, version=len(versions) + 1)
        self._changes.put(owner.sections, section.name, [*versions, (at, stored)])
        return stored

    def section_history(self, agent: AgentId, name: str) -> list[tuple[datetime, Section]]:
        owner = self._database.agents.get(agent)
        return list(owner.sections.get(name, ())) if owner else []

    # archival storage
    def insert_passage(self, agent: AgentId, passage: Passage) -> Passage:
        owner = self._agent(agent)
        stored = replace(passage, number=self._changes.next(owner.last, "passage"))
        self._changes.put(owner.passages, stored.number, stored)
        self._index(owner, "archival", stored.number, passage_terms(stored.title, stored.text))
        return stored

    def insert_passages(self, agent: AgentId, passages: Sequence[Passage]) -> list[Passage]:
        self._agent(agent)
        return [self.insert_passage(agent, passage) for passage in passages]

    def passage(self, agent: AgentId, number: int) -> Passage | None:
        owner = self._database.agents.get(agent)
        return owner.passages.get(number) if owner else None

    def passages(self, agent: AgentId, numbers: Sequence[int]) -> list[Passage]:
        return [found for number in numbers if (found := self.passage(agent, number))]

    def delete_passage(self, agent: AgentId, number: int) -> bool:
        if self.passage(agent, number) is None:
            return False
        owner = self._agent(agent)
        self._changes.drop(owner.passages, number)
        if ("archival", number) in owner.units:  # a text without units is not indexed
            self._changes.drop(owner.units, ("archival", number))
        for key in [key for key in owner.vectors if key[1:] == ("archival", number)]:
            self._changes.drop(owner.vectors, key)
        return True

    # documents
    def put_document(
        self, agent: AgentId, document: Document, pages: Sequence[Page], chunks: Sequence[Passage]
    ) -> Document:
        owner = self._agent(agent)
        if known := self.document_by_source(agent, document.source):
            self.delete_document(agent, known.number)
        number = known.number if known else self._changes.next(owner.last, "document")
        stored = replace(document, number=number, pages=len(pages))
        self._changes.put(owner.documents, number, stored)
        self._changes.put(owner.pages, number, tuple(pages))
        for chunk in chunks:
            place = replace(chunk.place or Place(number, 1), document=number)
            self.insert_passage(agent, replace(chunk, place=place))
        return stored

    def documents(self, agent: AgentId) -> list[Document]:
        owner = self._database.agents.get(agent)
        return [owner.documents[number] for number in sorted(owner.documents)] if owner else []

    def document(self, agent: AgentId, number: int) -> Document | None:
        owner = self._database.agents.get(agent)
        return owner.documents.get(number) if owner else None

    def document_by_source(self, agent: AgentId, source: str) -> Document | None:
        return next((known for known in self.documents(agent) if known.source == source), None)

    def document_page(self, agent: AgentId, number: int, page: int) -> Page | None:
        return next(iter(self.document_pages(agent, number, page, page)), None)

    def document_pages(self, agent: AgentId, number: int, first: int, last: int) -> list[Page]:
        owner = self._database.agents.get(agent)
        pages = owner.pages.get(number, ()) if owner else ()
        return sorted((p for p in pages if first <= p.number <= last), key=lambda page: page.number)

    def delete_document(self, agent: AgentId, number: int) -> bool:
        if self.document(agent, number) is None:
            return False
        owner = self._agent(agent)
        for passage in list(owner.passages.values()):
            if passage.place and passage.place.document == number:
                self.delete_passage(agent, passage.number)
        self._changes.drop(owner.documents, number)
        self._changes.drop(owner.pages, number)
        return True

    # inbox
    def post(self, agent: AgentId, event: Event) -> Event:
        owner = self._agent(agent)
        if event.key is not None:
            for known in owner.events.values():
                if known.key == event.key:
                    return known
        stored = replace(event, id=self._changes.next(owner.last, "event"), state="pending", started=None)
        self._changes.put(owner.events, stored.id, stored)
        return stored

    def event(self, agent: AgentId, event: int) -> Event | None:
        owner = self._database.agents.get(agent)
        return owner.events.get(event) if owner else None

    def next_event(self, agent: AgentId) -> Event | None:
        waiting = [event for event in self.events(agent) if event.state != "done"]
        order = {event.id: (event.state != "active", event.kind != EventKind.PRESSURE) for event in waiting}
        return min(waiting, key=lambda event: (order[event.id], event.id), default=None)

    def set_event(self, agent: AgentId, event: int, state: EventState, started: int | None = None) -> None:
        owner = self._agent(agent)
        if event not in owner.events:
            raise NotFoundError(f"There is no event {event}; it may have been deleted.")
        self._changes.put(owner.events, event, replace(owner.events[event], state=state, started=started))

    def events(self, agent: AgentId, *, state: EventState | None = None) -> list[Event]:
        owner = self._database.agents.get(agent)
        events = owner.events.values() if owner else ()
        return [event for event in events if state is None or event.state == state]

    def waiting(self) -> list[AgentRecord]:
        return [record for record in self.agents() if self.next_event(record.id)]

    # schedules
    def add_schedule(self, agent: AgentId, schedule: Schedule) -> Schedule:
        owner = self._agent(agent)
        stored = replace(schedule, number=self._changes.next(owner.last, "schedule"))
        self._changes.put(owner.schedules, stored.number, stored)
        return stored

    def schedules(self, agent: AgentId) -> list[Schedule]:
        owner = self._database.agents.get(agent)
        return [owner.schedules[number] for number in sorted(owner.schedules)] if owner else []

    def move_schedule(self, agent: AgentId, number: int, due: datetime) -> None:
        owner = self._agent(agent)
        if number not in owner.schedules:
            raise NotFoundError(f"There is no schedule {number}; it may have been deleted.")
        self._changes.put(owner.schedules, number, replace(owner.schedules[number], due=due))

    def remove_schedule(self, agent: AgentId, number: int) -> bool:
        owner = self._database.agents.get(agent)
        if owner is None or number not in owner.schedules:
            return False
        self._changes.drop(owner.schedules, number)
        return True

    def due_schedules(self, now: datetime) -> list[tuple[AgentId, Schedule]]:
        every = [(a, s) for a, owner in self._database.agents.items() for s in owner.schedules.values()]
        due = [(agent, schedule) for agent, schedule in every if schedule.due <= now]
        return sorted(due, key=lambda found: (found[1].due, found[0], found[1].number))

    def next_due(self) -> datetime | None:
        every = (s.due for owner in self._database.agents.values() for s in owner.schedules.values())
        return min(every, default=None)

    # search
    def search(self, agent: AgentId, tier: Tier, match: Match, filter: Filter, fingerprint: str) -> Found:
        owner = self._database.agents.get(agent)
        if owner is None:
            return find_rows([], match)
        items = list((owner.messages if tier == "recall" else owner.passages).items())
        default = [isinstance(item, Passage) or item.role in SEARCHED_BY_DEFAULT for _, item in items]
        times = [(item.at, known) for (_, item), known in zip(items, default, strict=True)]
        sessions = session_numbers(times) if tier == "recall" else [document_of(item) for _, item in items]
        rows = [
            Row(
                number,
                item.at,
                item.text,
                owner.units.get((tier, number), []),
                owner.vectors.get((fingerprint, tier, number)),
                item.speaker if isinstance(item, Message) else "",
                isinstance(item, Message) and item.role == Role.ASSISTANT,
                session,
                known,
                passes(item, number, session, filter),
            )
            for (number, item), session, known in zip(items, sessions, default, strict=True)
        ]
        return find_rows(rows, match)

    # vectors
    def pending_vectors(self, fingerprint: str, limit: int) -> list[PendingVector]:
        tiers: tuple[Tier, ...] = ("recall", "archival")
        found = [
            (item.at, PendingVector(agent, tier, number, item.text, title_of(item)))
            for agent, owner in self._database.agents.items()
            for tier in tiers
            for number, item in (owner.messages if tier == "recall" else owner.passages).items()
            if item.text.strip() and (fingerprint, tier, number) not in owner.vectors
            if isinstance(item, Passage) or item.role in SEARCHED_BY_DEFAULT
        ]
        return [pending for _, pending in sorted(found, key=lambda one: one[0])[:limit]]

    def put_vectors(
        self, fingerprint: str, items: Sequence[PendingVector], vectors: Sequence[NDArray[np.float32]]
    ) -> None:
        for item, windows in zip(items, vectors, strict=True):
            known = self._database.embedders.get(fingerprint) or EmbedderRecord(fingerprint, "")
            if known.dimensions not in (0, windows.shape[1]):
                raise StorageError(f"Vectors of {fingerprint} have {known.dimensions} dimensions.")
            record = replace(known, dimensions=windows.shape[1])
            self._changes.put(self._database.embedders, fingerprint, record)
            owner = self._database.agents.get(item.agent)
            if owner is None:
                continue
            row = (owner.messages if item.tier == "recall" else owner.passages).get(item.number)
            if row is not None and row.text == item.text:
                kept = windows.astype(np.float16).astype(np.float32)
                self._changes.put(owner.vectors, (fingerprint, item.tier, item.number), kept)

    def forget_vectors(self, fingerprint: str, limit: int) -> int:
        gone = 0
        for owner in self._database.agents.values():
            for key in [key for key in owner.vectors if key[0] == fingerprint][: limit - gone]:
                gone += len(owner.vectors[key])
                self._changes.drop(owner.vectors, key)
        if gone < limit and fingerprint in self._database.embedders:
            self._changes.drop(self._database.embedders, fingerprint)
        return gone

    def embedded(self, fingerprint: str) -> tuple[int, int]:
        done = sum(key[0] == fingerprint for a in self._database.agents.values() for key in a.vectors)
        return done, done + len(self.pending_vectors(fingerprint, 1 << 62))

    def embedders(self) -> list[EmbedderRecord]:
        return [record for _, record in sorted(self._database.embedders.items())]

    def put_embedder(self, record: EmbedderRecord) -> None:
        for other in self.embedders():
            wanted = other.wanted and not record.wanted
            in_service = other.in_service and not record.in_service
            changed = replace(other, wanted=wanted, in_service=in_service)
            self._changes.put(self._database.embedders, other.fingerprint, changed)
        self._changes.put(self._database.embedders, record.fingerprint, record)

    def _agent(self, agent: AgentId) -> AgentTables:
        if agent not in self._database.agents:
            raise NotFoundError(f"There is no agent {agent}; it may have been deleted.")
        return self._database.agents[agent]

    def _set_record(self, agent: AgentId, **changes: Any) -> None:
        owner = self._agent(agent)
        self._changes.set_record(owner, replace(owner.record, **changes))

    def _index(self, owner: AgentTables, tier: Tier, number: int, units: list[str]) -> None:
        if units:
            self._changes.put(owner.units, (tier, number), units)
