"""The in-memory store's data, and changing it so that it can be undone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pagefault.approvals import Approval, Grant
from pagefault.errors import NotFoundError
from pagefault.media import MediaContent
from pagefault.shared import Attachment, Outgoing
from pagefault.storage import EmbedderRecord
from pagefault.storage.signals import SignalArrivals
from pagefault.storage.withdrawing import Tombstone
from pagefault.tenancy import ApiKey, AuditEntry, Quota
from pagefault.types import (
    AgentId,
    AgentRecord,
    Document,
    Event,
    Message,
    Page,
    Passage,
    Schedule,
    Section,
    Tier,
)

__all__ = ["AgentTables", "Changes", "MemoryDatabase", "MemoryRows", "turned_over"]

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class AgentTables:
    """The rows that one agent owns. Changed only through ``Changes``."""

    record: AgentRecord
    ready: int | None = None  # since when something waits in its inbox, by a clock that ticks when asked
    last: dict[str, int] = field(default_factory=dict[str, int])  # the last number given out, by kind
    messages: dict[int, Message] = field(default_factory=dict[int, Message])
    passages: dict[int, Passage] = field(default_factory=dict[int, Passage])
    marked: dict[int, int | None] = field(default_factory=dict[int, "int | None"])  # the event, by passage
    documents: dict[int, Document] = field(default_factory=dict[int, Document])
    pages: dict[int, tuple[Page, ...]] = field(default_factory=dict[int, "tuple[Page, ...]"])  # by document
    sections: dict[str, list[tuple[datetime, Section]]] = field(
        default_factory=dict[str, "list[tuple[datetime, Section]]"]
    )
    events: dict[int, Event] = field(default_factory=dict[int, Event])
    schedules: dict[int, Schedule] = field(default_factory=dict[int, Schedule])
    attachments: dict[str, Attachment] = field(default_factory=dict[str, Attachment])  # by stored name
    outbox: dict[int, Outgoing] = field(default_factory=dict[int, Outgoing])
    approvals: dict[int, Approval] = field(default_factory=dict[int, Approval])
    grants: dict[str, Grant] = field(default_factory=dict[str, Grant])
    media: dict[str, MediaContent] = field(default_factory=dict[str, MediaContent])  # by hash
    tombstones: dict[int, Tombstone] = field(default_factory=dict[int, Tombstone])
    deliveries: dict[AgentId, int] = field(default_factory=dict[AgentId, int])  # by sender
    units: dict[tuple[Tier, int], list[str]] = field(default_factory=dict[tuple[Tier, int], "list[str]"])
    vectors: dict[tuple[str, Tier, int], NDArray[np.float32]] = field(
        default_factory=dict[tuple[str, Tier, int], "NDArray[np.float32]"]
    )


@dataclass(slots=True)
class MemoryDatabase:
    """The data, apart from the store that has it open: open it again after a crash. ``is_distributed``: as if
    agents were spread over servers."""

    agents: dict[AgentId, AgentTables] = field(default_factory=dict[AgentId, AgentTables])
    last: dict[str, int] = field(default_factory=dict[str, int])
    embedders: dict[str, EmbedderRecord] = field(default_factory=dict[str, EmbedderRecord])
    turns: dict[AgentId, object] = field(default_factory=dict[AgentId, object])  # which store runs its turn
    fences: dict[AgentId, int] = field(default_factory=dict[AgentId, int])  # times its turn lock was taken
    keys: dict[str, ApiKey] = field(default_factory=dict[str, ApiKey])  # by digest
    acts: dict[int, AuditEntry] = field(default_factory=dict[int, AuditEntry])
    quotas: dict[str, Quota] = field(default_factory=dict[str, Quota])
    is_distributed: bool = False
    ears: list[SignalArrivals] = field(default_factory=list[SignalArrivals])  # of stores that are connected


class Changes:
    """Changes to tables, and the log of how to undo them."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []

    def undo(self) -> None:
        while self._undo:
            self._undo.pop()()

    def set_record(self, owner: AgentTables, record: AgentRecord) -> None:
        before = owner.record
        self._undo.append(lambda: setattr(owner, "record", before))
        owner.record = record

    def set_ready(self, owner: AgentTables, ready: int | None) -> None:
        before = owner.ready
        self._undo.append(lambda: setattr(owner, "ready", before))
        owner.ready = ready

    def next(self, last: dict[str, int], kind: str) -> int:
        """Take the next number of a kind."""
        number = last.get(kind, 0) + 1
        self.put(last, kind, number)
        return number

    def put(self, table: dict[K, V], key: K, value: V) -> None:
        if key in table:
            before = table[key]
            self._undo.append(lambda: table.__setitem__(key, before))
        else:
            self._undo.append(lambda: table.__delitem__(key))
        table[key] = value

    def drop(self, table: dict[K, V], key: K) -> None:
        before = table.pop(key)
        self._undo.append(lambda: table.__setitem__(key, before))


def turned_over(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """As a database would give it back: JSON values."""
    return json.loads(json.dumps(dict(value)))


class MemoryRows:
    """The tables inside one transaction, and the helpers that the parts of a transaction share."""

    def __init__(self, database: MemoryDatabase, changes: Changes) -> None:
        self._database = database
        self._changes = changes
        self.tenant: str | None = None  # None: all
        self.by = ""

    def _belongs(self, record: AgentRecord) -> bool:
        """Return whether what is of this tenant is seen."""
        return self.tenant is None or self.tenant == record.tenant

    def _agent(self, agent: AgentId) -> AgentTables:
        if agent not in self._database.agents:
            raise NotFoundError(f"There is no agent {agent}; it may have been deleted.")
        return self._database.agents[agent]

    def _rows(self, owner: AgentTables, tier: Tier) -> list[tuple[int, Message | Passage]]:
        """The rows of a tier by number."""
        return [*(owner.messages if tier == "recall" else owner.passages).items()]

    def _set_record(self, agent: AgentId, **changes: Any) -> None:
        owner = self._agent(agent)
        self._changes.set_record(owner, replace(owner.record, **changes))

    def _index(self, owner: AgentTables, tier: Tier, number: int, units: list[str]) -> None:
        if units:
            self._changes.put(owner.units, (tier, number), units)

    def _unindex(self, owner: AgentTables, tier: Tier, number: int) -> None:
        if (tier, number) in owner.units:  # a text without units is not indexed
            self._changes.drop(owner.units, (tier, number))
        for key in [key for key in owner.vectors if key[1:] == (tier, number)]:
            self._changes.drop(owner.vectors, key)
