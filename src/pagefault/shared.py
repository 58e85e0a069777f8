"""Memory that agents share: archives, sections of the working context, and their attachments. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pagefault.types import AgentId

__all__ = ["Attachment", "SharedKind", "SharedRecord"]

SharedKind = Literal["archive", "section"]
"""The kinds: archival storage with a name of its own, and a section of the working context."""


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
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Attachment:
    """An agent's hold on an archive or a shared section of this name. ``read_only``: it cannot change it."""

    kind: SharedKind
    name: str
    at: datetime
    read_only: bool = False
