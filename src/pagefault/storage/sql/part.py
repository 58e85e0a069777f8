"""The base of the parts of a transaction: numbers of an agent, changes of one row, a database's own work."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from pagefault.errors import NotFoundError
from pagefault.storage.index.blocks import BlockStore
from pagefault.storage.sql.dialect import SqlConnection
from pagefault.types import AgentId, Tier

__all__ = ["EVER", "RAISED", "SqlPart", "now_micros"]

EVER = 2**62
"""More than any number or time; without a limit, this is the limit."""

RAISED = f"coalesce(nullif(lease_fence, {2**63 - 1}), 0) + 1"
"""The fence of the next holder; after the last number, which only damage reaches, it begins again."""

_FIND_AGENT = "SELECT id FROM agents WHERE id = :agent"
_LAST_SEQ = "SELECT last_seq FROM agents WHERE id = :agent"
_FENCE = "SELECT lease_fence FROM agents WHERE id = :agent"
_FIRST = "(SELECT min(rank) FROM inbox WHERE agent = :agent AND rank IS NOT NULL)"
_SETTLE = f"""
    UPDATE agents SET ready = CASE WHEN {_FIRST} >= 0 THEN CAST(:now AS bigint) END,
    undecided = CASE WHEN {_FIRST} < 0 THEN CAST(:now AS bigint) END,
    holder = CASE WHEN {_FIRST} >= 0 THEN holder ELSE nullif(holder, CAST(:worker AS text)) END
    WHERE id = :agent RETURNING ready"""


def now_micros() -> int:
    """The time of this process, for the order of waiting: in an UPDATE that is sent on to another
    server, none of its conditions can ask the server for the time."""
    return time.time_ns() // 1000


class SqlPart(ABC):
    """A part of a transaction, on a connection inside it. The abstract methods are a database's own."""

    def __init__(self, connection: SqlConnection) -> None:
        self._db = connection
        self.tenant: str | None = None  # None: all
        self.by = ""  # who acts, for the log of administrative acts
        self._fences: dict[AgentId, int] = {}  # as this transaction has seen them
        self.leases: dict[AgentId, str] = {}
        """The workers under whose leases this transaction writes; empty once it has freed the lease."""

    @abstractmethod
    def _enter(self, agent: AgentId, tier: Tier, rows: Sequence[tuple[int, Sequence[str]]]) -> None:
        """Enter rows (number, units) into the lexical index; a row without units is not entered."""

    @abstractmethod
    def _unenter(self, agent: AgentId, tier: Tier, rows: Mapping[int, Sequence[str]]) -> None:
        """Take rows (number to units) out of the lexical index and of sealed segments; the agent is
        locked."""

    @abstractmethod
    def _purge(self) -> None:
        """See that nothing of what this transaction overwrites stays in the database's files."""

    @abstractmethod
    def _register(self, agent: AgentId, tenant: str, name: str) -> bool:
        """Make an agent known by a new name; False if the name is taken."""

    @abstractmethod
    def _source(self) -> BlockStore:
        """The reads of an index in memory, and its blocks."""

    def _belongs(self, tenant: str) -> bool:
        """Return whether what is of this tenant is seen."""
        return self.tenant is None or self.tenant == tenant

    def _take(self, statement: str, agent: AgentId, **values: Any) -> int:
        """Run an UPDATE of ``agents`` that returns a number; the agent stays locked. ``NotFoundError`` if
        there is no such agent."""
        return self._taken(statement, agent, **values)[0]

    def _taken(self, statement: str, agent: AgentId, **values: Any) -> Sequence[int]:
        """As ``_take``, of a statement that returns several numbers."""
        taken = self._db.one(f"{statement}, lease_fence", agent=agent, **values)
        if taken is None:
            raise NotFoundError(f"There is no agent {agent}; it may have been deleted.")
        self._fences[agent] = taken[-1]
        return taken[:-1]

    def fence(self, agent: AgentId) -> int | None:
        """The agent's fence, which stays what it is until the end of the transaction. None: no such agent."""
        if agent not in self._fences and (row := self._db.one(_FENCE + self._db.dialect.lock, agent=agent)):
            self._fences[agent] = row[0]
        return self._fences.get(agent)

    def settle(self, agent: AgentId) -> bool:
        """As ``storage.Transaction.settle``."""
        self.fence(agent)  # locked: nobody can be about to post, which a snapshot from before would not show
        worker = self.leases.get(agent, "")
        settled = self._db.one(_SETTLE, agent=agent, now=now_micros(), worker=worker)
        if rests := settled is None or settled[0] is None:
            self.leases[agent] = ""
        return rests

    def _next(self, what: str, agent: AgentId, *, also: str = "", **values: Any) -> int:
        """Take the agent's next number of a kind: event, schedule, document. ``also``: what else is set."""
        take = (
            f"UPDATE agents SET last_{what} = last_{what} + 1{also} WHERE id = :agent RETURNING last_{what}"
        )
        return self._take(take, agent, **values)

    def _lock(self, agent: AgentId) -> None:
        """Lock the agent, where more than one transaction writes at a time."""
        if lock := self._db.dialect.lock:
            self._db.send(_FIND_AGENT + lock, agent=agent)

    def _require(self, agent: AgentId) -> int:
        """Lock the agent, and return the last number of its log; ``NotFoundError`` if there is none."""
        if (found := self._db.one(_LAST_SEQ + self._db.dialect.lock, agent=agent)) is None:
            raise NotFoundError(f"There is no agent {agent}; it may have been deleted.")
        return found[0]

    def _change(self, statement: str, what: str, **values: Any) -> None:
        """Change one row; ``NotFoundError`` if it is not there."""
        if not self._db.changed(statement, **values):
            raise NotFoundError(f"There is no {what}; it may have been deleted.")
