"""Tenants: names in them, API keys, quotas, and the log of administrative acts. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

__all__ = ["AgentKey", "ApiKey", "AuditEntry", "KeyRole", "Quota", "QuotaKind", "TenantCounts", "has_role"]

KeyRole = Literal["read", "chat", "admin"]
"""The roles of a key: look; talk as well; change agents and their memory as well."""

_RANKS: tuple[KeyRole, ...] = ("read", "chat", "admin")


def has_role(role: KeyRole, needed: KeyRole) -> bool:
    """Return whether a role is the one that is needed, or includes it."""
    return _RANKS.index(role) >= _RANKS.index(needed)


QuotaKind = Literal["agents", "rows", "documents", "media_bytes"]
"""The things whose number a quota limits. Rows are messages and passages; media are images and files."""


class AgentKey(NamedTuple):
    """An agent, or what agents share, by the name under which it is stored in its tenant."""

    name: str
    tenant: str = ""

    def __str__(self) -> str:
        return f"{self.name} of {self.tenant}" if self.tenant else self.name


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of a tenant; its name is unique within the tenant, and its secret is not kept.

    ``agents``: the only ones it reaches, ``tag``: only those that have this tag; None: all of the tenant.
    ``speaks_for_users``: it may name the sender of a message. ``rate``: requests a minute, 0 for no limit;
    ``body``: the most bytes of a request; None: as the server has it for all.
    """

    name: str
    created: datetime
    role: KeyRole = "chat"
    agents: tuple[str, ...] | None = None
    tag: str | None = None
    speaks_for_users: bool = False
    tenant: str = ""
    rate: int | None = None
    body: int | None = None


class TenantCounts(NamedTuple):
    """A tenant that has agents, keys or a quota; ``tenant`` is empty for the default one."""

    tenant: str
    agents: int
    keys: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An administrative act: ``who`` did ``what``, and when. ``id`` counts over all tenants."""

    id: int
    at: datetime
    who: str
    what: str
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """The most that a tenant may have, and spend from midnight to midnight UTC; None: without limit.
    ``daily_cost`` is in US dollars."""

    agents: int | None = None
    rows: int | None = None
    documents: int | None = None
    daily_tokens: int | None = None
    daily_cost: float | None = None
    media_bytes: int | None = None

    def limit(self, kind: QuotaKind) -> int | None:
        """The most of a kind."""
        match kind:
            case "agents":
                return self.agents
            case "rows":
                return self.rows
            case "documents":
                return self.documents
            case "media_bytes":
                return self.media_bytes
