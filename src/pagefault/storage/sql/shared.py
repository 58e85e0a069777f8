"""The part on what agents share: archives, shared sections, and the agents that are attached to them.

Each is a row of ``agents`` with a name of its own kind; what is in it is stored as an agent's.
"""

from __future__ import annotations

from dataclasses import replace

from pagefault.errors import NotFoundError
from pagefault.shared import Attachment, SharedKind, SharedRecord, is_shared, shared_name
from pagefault.storage.rows import micros, moment
from pagefault.storage.sql.agents import SqlAgents
from pagefault.storage.sql.tenancy import KIND
from pagefault.types import AgentId, AgentRecord

__all__ = ["SqlShared"]

_ATTACH = """
    INSERT INTO attachments (agent, target, read_only, at) VALUES (:agent, :target, :read_only, :at)
    ON CONFLICT (agent, target) DO UPDATE SET read_only = excluded.read_only, at = excluded.at"""
_COUNT = "UPDATE agents SET attachment_changes = attachment_changes + 1 WHERE id = :agent"
_DETACH = "DELETE FROM attachments WHERE agent = :agent AND target = :target"
_MOVE = "UPDATE attachments SET target = :new WHERE agent = :agent AND target = :target"
_MOVE_OUTGOING = "UPDATE outbox SET target = :new WHERE agent = :agent AND target = :target"
_SENDERS = """
    SELECT DISTINCT o.agent FROM outbox o JOIN agents a ON a.id = o.agent
    WHERE o.target = :target AND a.tenant = :tenant"""
_ATTACHED = """
    SELECT t.agent FROM attachments t JOIN agents a ON a.id = t.agent
    WHERE t.target = :target AND a.tenant = :tenant ORDER BY t.agent"""


class SqlShared(SqlAgents):
    """The part of a transaction on archives, shared sections and attachments."""

    def create_shared(self, record: SharedRecord) -> SharedRecord:
        made = self.create_agent(record.row)
        return replace(record, id=made.id, tenant=made.tenant)

    def shared(self, kind: SharedKind, name: str) -> SharedRecord | None:
        found = self._named(shared_name(kind, name), self.tenant or "")
        return SharedRecord.of(found) if found else None

    def all_shared(self, kind: SharedKind) -> list[SharedRecord]:
        return [SharedRecord.of(record) for record in self._listed(f"{KIND} = :kind", kind=f"{kind}:")]

    def attach(self, agent: AgentId, attachment: Attachment) -> None:
        owner, target = self._owner(agent), attachment.target
        found = self._named(target, owner.tenant)
        for locked in sorted({agent, found.id} if found else ()):
            self._lock(locked)
        if self._named(target, self._owner(agent).tenant) is None:  # perhaps only since it is locked
            raise NotFoundError(f"There is no {target}; it may have been deleted.")
        read_only = attachment.read_only
        self._db.send(_ATTACH, agent=agent, target=target, read_only=read_only, at=micros(attachment.at))
        self._db.send(_COUNT, agent=agent)

    def _owner(self, agent: AgentId) -> AgentRecord:
        if (record := self.agent_by_id(agent)) is None:
            raise NotFoundError(f"There is no agent {agent}; it may have been deleted.")
        return record

    def detach(self, agent: AgentId, kind: SharedKind, name: str) -> bool:
        self._lock(agent)
        was_attached = self._db.changed(_DETACH, agent=agent, target=shared_name(kind, name))
        if was_attached:
            self._db.send(_COUNT, agent=agent)
        return was_attached

    def attachments(self, agent: AgentId) -> list[Attachment]:
        order = self._db.dialect.by_code_point
        found = self._db.rows(
            f"SELECT target, read_only, at FROM attachments WHERE agent = :agent ORDER BY target{order}",
            agent=agent,
        )
        return [Attachment.to(target, bool(read_only), moment(at)) for target, read_only, at in found]

    def attached_to(self, kind: SharedKind, name: str) -> list[AgentId]:
        return self._attached(shared_name(kind, name), self.tenant or "")

    def delete_agent(self, agent: AgentId) -> None:
        record = self._owner(agent)
        attached = self._lock_attached(record)
        super().delete_agent(agent)
        self._db.many(_DETACH, [{"agent": each, "target": record.name} for each in attached])
        self._db.many(_COUNT, [{"agent": each} for each in attached])

    def rename_agent(self, agent: AgentId, name: str) -> None:
        record = self._owner(agent)
        attached = self._lock_attached(record)
        super().rename_agent(agent, name)
        if is_shared(record.name):
            moved = {"target": record.name, "new": name}
            self._db.many(_MOVE, [{"agent": each, **moved} for each in attached])
            self._db.many(_COUNT, [{"agent": each} for each in attached])
            senders = self._db.rows(_SENDERS, target=record.name, tenant=record.tenant)
            self._db.many(_MOVE_OUTGOING, [{"agent": each, **moved} for (each,) in senders])

    def _lock_attached(self, record: AgentRecord) -> list[AgentId]:
        """Lock what is about to be changed and the agents attached to it, who are returned."""
        attached = self._attached(record.name, record.tenant) if is_shared(record.name) else []
        for each in sorted([*attached, record.id]):
            self._lock(each)
        return attached

    def _attached(self, target: str, tenant: str) -> list[AgentId]:
        return [AgentId(id) for (id,) in self._db.rows(_ATTACHED, target=target, tenant=tenant)]
