"""Memory that agents share: archives, sections of the working context, and their attachments. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from pagefault.types import AgentId, AgentRecord

__all__ = [
    "Archive",
    "Attachment",
    "Outgoing",
    "SharedKind",
    "SharedRecord",
    "StorageOwner",
    "archive_of",
    "draft_name",
    "is_shared",
    "shared_name",
]

SharedKind = Literal["archive", "section"]
"""The kinds: archival storage with a name of its own, and a section of the working context."""


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive of this name, where the name of an agent may stand as well."""

    name: str


StorageOwner: TypeAlias = "str | Archive"
"""The owner of archival storage: an agent, by its name, or an archive."""


@dataclass(frozen=True, slots=True)
class SharedRecord:
    """An archive or a shared section, as stored; its name is unique within its kind and ``tenant``.

    ``id`` stands where an agent's id does: the archive's passages and documents are stored under it as an
    agent's own are.
    """

    kind: SharedKind
    name: str
    created: datetime
    description: str = ""
    id: AgentId = field(default=AgentId(0))
    tenant: str = ""

    @property
    def stored_name(self) -> str:
        """The name of its row in the database, which no agent can have: ``archive:manuals``."""
        return shared_name(self.kind, self.name)

    @property
    def row(self) -> AgentRecord:
        """The row of it among the agents."""
        return AgentRecord(
            self.stored_name, {"description": self.description}, self.created, id=self.id, tenant=self.tenant
        )

    @classmethod
    def of(cls, row: AgentRecord) -> SharedRecord:
        """The archive or shared section of such a row; a description that is none is left out."""
        kind, _, name = row.name.partition(":")
        text = row.settings.get("description", "")
        return cls(
            "archive" if kind == "archive" else "section",
            name,
            row.created,
            text if isinstance(text, str) else "",
            row.id,
            row.tenant,
        )


@dataclass(frozen=True, slots=True)
class Attachment:
    """An agent's hold on an archive or a shared section of this name. ``read_only``: it cannot change it."""

    kind: SharedKind
    name: str
    at: datetime
    read_only: bool = False

    @property
    def target(self) -> str:
        """The stored name of what the agent is attached to."""
        return shared_name(self.kind, self.name)

    @classmethod
    def to(cls, target: str, read_only: bool, at: datetime) -> Attachment:
        """The attachment to what has this stored name."""
        kind, _, name = target.partition(":")
        return cls("archive" if kind == "archive" else "section", name, at, read_only)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An effect in the outbox of an agent, or of a shared section, on its way to ``target`` (a stored name).

    ``payload`` is JSON as it is stored, ``number`` counts per sender from 1; ``parked``: why it is not
    applied.
    """

    target: str
    kind: str
    payload: str
    at: datetime
    number: int = 0
    parked: str = ""


def shared_name(kind: SharedKind, name: str) -> str:
    """The stored name of an archive or shared section."""
    return f"{kind}:{name}"


def archive_of(row: AgentRecord) -> str:
    """The name of the archive whose row this is, empty for an agent's."""
    return row.name.removeprefix("archive:") if is_shared(row.name) else ""


def is_archive(row: AgentRecord) -> bool:
    """Return whether this is the row of an archive."""
    return row.name.startswith("archive:")


def draft_name(name: str) -> str:
    """The stored name of a fork while it is made, which no agent has."""
    return f"forking:{name}"


def is_shared(name: str) -> bool:
    """Return True for the stored name of an archive or shared section, or of a fork that is not whole yet,
    which no agent has."""
    return name.startswith(("archive:", "section:", "forking:"))
