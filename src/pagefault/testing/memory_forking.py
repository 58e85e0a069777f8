"""The part of the in-memory store on forks: all is copied when the fork is finished."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pagefault.errors import InTurnError, NameTakenError, QuotaError
from pagefault.shared import draft_name
from pagefault.storage.forking import ForkPlace
from pagefault.tenancy import QuotaKind
from pagefault.testing.memory_agents import MemoryAgents
from pagefault.testing.memory_tables import AgentTables
from pagefault.types import AgentId, AgentRecord, Event, EventKind

__all__ = ["MemoryForking"]

_QUOTAS: tuple[QuotaKind, ...] = ("agents", "rows", "documents", "media_bytes")


class MemoryForking(MemoryAgents):
    """The part of the in-memory store on forks."""

    def drafts(self) -> list[AgentRecord]:
        return [r for r in self._records() if r.name.startswith(draft_name("")) and self._belongs(r)]

    def begin_fork(self, agent: AgentId, name: str, at: datetime) -> AgentRecord:
        owner = self._agent(agent)
        self.check_quota("agents")
        if self._named(name, owner.record.tenant):
            raise NameTakenError(name)
        self._check_room("rows", owner.record.last_seq + owner.last.get("passage", 0))
        return self.create_agent(replace(owner.record, name=draft_name(name), created=at, hold=""))

    def _check_room(self, kind: QuotaKind, more: int = 0) -> None:
        limit = quota.limit(kind) if self.tenant and (quota := self.quota()) else None
        if limit is not None and self.count(kind) + more > limit:
            raise QuotaError(self.tenant or "", kind, limit)

    def copy_next(self, agent: AgentId, fork: AgentId, place: ForkPlace) -> ForkPlace | None:
        for each in (agent, fork):
            self._agent(each)
        return ForkPlace(place.part + 1) if place.part < 2 else None

    def finish_fork(self, agent: AgentId, fork: AgentId, name: str) -> AgentRecord | None:
        owner, draft = self._agent(agent), self._agent(fork)
        if any(event.state in ("active", "waiting") for event in owner.events.values()):
            raise InTurnError(owner.record.name)
        if self._named(name, owner.record.tenant):
            raise NameTakenError(name)
        record = replace(
            owner.record,
            name=name,
            id=fork,
            created=draft.record.created,
            parked="",
            hold="",
            attachment_changes=0,
        )
        self._changes.put(self._database.agents, fork, self._copied(owner, record))
        for (fingerprint, tier, number), windows in owner.vectors.items():
            self._changes.put(self._agent(fork).vectors, (fingerprint, tier, number), windows)
        for kind in _QUOTAS:
            self._check_room(kind)
        self.note(f"forked {owner.record.name} as {name}")
        return record

    @staticmethod
    def _copied(owner: AgentTables, record: AgentRecord) -> AgentTables:
        return AgentTables(
            record,
            last={**owner.last, "outgoing": 0},
            messages={seq: replace(row, usage=()) for seq, row in owner.messages.items()},
            passages=dict(owner.passages),
            marked=dict(owner.marked),
            documents=dict(owner.documents),
            pages=dict(owner.pages),
            sections={name: list(versions) for name, versions in owner.sections.items()},
            events={n: _over(e) for n, e in owner.events.items() if e.state in ("done", "parked")},
            attachments=dict(owner.attachments),
            grants=dict(owner.grants),
            media=dict(owner.media),
            deliveries=dict(owner.deliveries),
            units={place: list(units) for place, units in owner.units.items()},
        )


def _over(event: Event) -> Event:
    key = event.key if event.kind == EventKind.APPENDED else None
    return replace(event, state="done", key=key, parked="")
