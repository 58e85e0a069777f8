"""The part of the in-memory store on agents, and on the archives and sections that they share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pagefault.errors import NameTakenError, NotFoundError
from pagefault.shared import Attachment, SharedKind, SharedRecord, is_shared, shared_name
from pagefault.storage.acts import settings_changed
from pagefault.testing.memory_tables import AgentTables, turned_over
from pagefault.testing.memory_tenancy import MemoryTenancy
from pagefault.types import AgentId, AgentRecord, QueueState

__all__ = ["MemoryAgents"]


class MemoryAgents(MemoryTenancy):
    """The part of the in-memory store on agents, archives, shared sections and attachments."""

    # agents
    def create_agent(self, record: AgentRecord) -> AgentRecord:
        if self.tenant is not None:
            record = replace(record, tenant=self.tenant)
        if not is_shared(record.name):
            self.check_quota("agents")
        if self._named(record.name, record.tenant):
            raise NameTakenError(record.name)
        number = AgentId(self._changes.next(self._database.last, "agent"))
        stored = replace(record, id=number, settings=turned_over(record.settings), last_seq=0)
        self._changes.put(self._database.agents, number, AgentTables(stored))
        self.note(f"made {record.name}")
        return replace(record, id=number)

    def agent(self, name: str) -> AgentRecord | None:
        return None if is_shared(name) else self._named(name, self.tenant or "")

    def agent_by_id(self, agent: AgentId) -> AgentRecord | None:
        owner = self._database.agents.get(agent)
        return owner.record if owner and self._belongs(owner.record) else None

    def agents(self, after: str = "", limit: int | None = None) -> list[AgentRecord]:
        mine = [r for r in self._records() if not is_shared(r.name) and self._belongs(r)]
        return [r for r in mine if r.name > after][:limit]

    def agent_names(self) -> list[str]:
        return [record.name for record in self.agents()]

    def delete_agent(self, agent: AgentId) -> None:
        record = self._agent(agent).record
        self._changes.drop(self._database.agents, agent)
        self.note(f"deleted {record.name}")
        for id, owner in self._attached(record.name, record.tenant).items():
            self._changes.drop(owner.attachments, record.name)
            self._count_attachment(id)

    def rename_agent(self, agent: AgentId, name: str) -> None:
        record = self._agent(agent).record
        if self._named(name, record.tenant):
            raise NameTakenError(name)
        self._set_record(agent, name=name)
        self.note(f"renamed {record.name} to {name}")
        for id, owner in self._attached(record.name, record.tenant).items():
            self._count_attachment(id)
            held = owner.attachments[record.name]
            self._changes.drop(owner.attachments, record.name)
            self._changes.put(owner.attachments, name, Attachment.to(name, held.read_only, held.at))
        for owner in self._database.agents.values():
            if owner.record.tenant == record.tenant and is_shared(record.name):
                for number, each in owner.outbox.items():
                    if each.target == record.name:
                        self._changes.put(owner.outbox, number, replace(each, target=name))

    def save_settings(self, agent: AgentId, settings: dict[str, object]) -> None:
        record = self._agent(agent).record
        self._set_record(agent, settings=turned_over(settings))
        self.note(settings_changed(record.name, record.settings, settings))

    def save_queue(self, agent: AgentId, queue: QueueState) -> None:
        self._set_record(agent, queue=queue)

    def park_agent(self, agent: AgentId, why: str) -> None:
        self._set_record(agent, parked=why)

    # what agents share
    def create_shared(self, record: SharedRecord) -> SharedRecord:
        made = self.create_agent(record.row)
        return replace(record, id=made.id, tenant=made.tenant)

    def shared(self, kind: SharedKind, name: str) -> SharedRecord | None:
        found = self._named(shared_name(kind, name), self.tenant or "")
        return SharedRecord.of(found) if found else None

    def all_shared(self, kind: SharedKind) -> list[SharedRecord]:
        return [
            SharedRecord.of(record)
            for record in self._records()
            if self._belongs(record) and record.name.startswith(f"{kind}:")
        ]

    def attach(self, agent: AgentId, attachment: Attachment) -> None:
        owner = self._agent(agent)
        if not self._belongs(owner.record):
            raise NotFoundError(f"There is no agent {agent}; it may have been deleted.")
        if self._named(attachment.target, owner.record.tenant) is None:
            raise NotFoundError(f"There is no {attachment.target}; it may have been deleted.")
        self._changes.put(owner.attachments, attachment.target, attachment)
        self._count_attachment(agent)

    def detach(self, agent: AgentId, kind: SharedKind, name: str) -> bool:
        owner, target = self._database.agents.get(agent), shared_name(kind, name)
        if owner is None or target not in owner.attachments:
            return False
        self._changes.drop(owner.attachments, target)
        self._count_attachment(agent)
        return True

    def _count_attachment(self, agent: AgentId) -> None:
        self._set_record(agent, attachment_changes=self._agent(agent).record.attachment_changes + 1)

    def attachments(self, agent: AgentId) -> list[Attachment]:
        owner = self._database.agents.get(agent)
        return [held for _, held in sorted(owner.attachments.items())] if owner else []

    def attached_to(self, kind: SharedKind, name: str) -> list[AgentId]:
        return sorted(self._attached(shared_name(kind, name), self.tenant or ""))

    def _records(self) -> Iterator[AgentRecord]:
        """All rows by name, then tenant."""
        records = [owner.record for owner in self._database.agents.values()]
        return iter(sorted(records, key=lambda record: (record.name, record.tenant)))

    def _named(self, name: str, tenant: str) -> AgentRecord | None:
        return next((r for r in self._records() if (r.tenant, r.name) == (tenant, name)), None)

    def _attached(self, target: str, tenant: str) -> dict[AgentId, AgentTables]:
        return {
            id: owner
            for id, owner in self._database.agents.items()
            if owner.record.tenant == tenant and target in owner.attachments
        }
