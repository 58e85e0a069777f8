"""The part of the transaction protocol on what agents share, and on effects that are on their way to it."""

from __future__ import annotations

from typing import Protocol

from pagefault.shared import Attachment, Outgoing, SharedKind, SharedRecord
from pagefault.types import AgentId

__all__ = ["SharingTransaction"]


class SharingTransaction(Protocol):
    """The work on archives, shared sections and the outbox. Wherever an agent's id stands, the id of an
    archive or a shared section can: each is stored as an agent is."""

    # archives, shared sections, attachments
    def create_shared(self, record: SharedRecord) -> SharedRecord:
        """Store a new archive or shared section and return it with its id; ``NameTakenError`` if its tenant
        has one of this kind and name."""
        ...

    def shared(self, kind: SharedKind, name: str) -> SharedRecord | None: ...
    def all_shared(self, kind: SharedKind) -> list[SharedRecord]:
        """All of a kind by name, then tenant."""
        ...

    def attach(self, agent: AgentId, attachment: Attachment) -> None:
        """Attach the agent, or change its attachment. ``NotFoundError`` if its tenant has no such target."""
        ...

    def detach(self, agent: AgentId, kind: SharedKind, name: str) -> bool: ...
    def attachments(self, agent: AgentId) -> list[Attachment]:
        """The agent's attachments by kind and name."""
        ...

    def attached_to(self, kind: SharedKind, name: str) -> list[AgentId]:
        """The agents that are attached, by id."""
        ...

    # effects on their way to what agents share
    @property
    def reaches_others(self) -> bool:
        """Return whether a write of an agent's turn may change what it shares in its own transaction. If
        not, as where agents are spread over servers, a change goes by the outbox."""
        ...

    def put_outgoing(self, sender: AgentId, outgoing: Outgoing) -> Outgoing:
        """Store an effect in the sender's outbox, not parked, and return it with its number."""
        ...

    def outgoing(self, sender: AgentId) -> list[Outgoing]:
        """The effects in the sender's outbox by number, those that are parked included."""
        ...

    def outboxes(self) -> list[AgentId]:
        """All that have something in their outbox, by id."""
        ...

    def park_outgoing(self, sender: AgentId, number: int, why: str) -> None: ...
    def remove_outgoing(self, sender: AgentId, number: int) -> bool: ...
    def delivered(self, target: AgentId, sender: AgentId) -> int:
        """The number of the sender's last effect that was applied to the target, 0 for none. The target stays
        as it is until the end of the transaction; ``NotFoundError`` if it is gone."""
        ...

    def set_delivered(self, target: AgentId, sender: AgentId, number: int) -> None: ...
