"""PostgreSQL's own part of a transaction: names of agents, the lexical index, deletions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Self

from pagefault.storage import TurnHold
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.postgres import hnsw, postings
from pagefault.storage.postgres.connection import PostgresConnection
from pagefault.storage.postgres.dialect import OWNED_TABLES
from pagefault.storage.postgres.hnsw import HnswSegments
from pagefault.storage.postgres.policies import CONFINE
from pagefault.storage.postgres.sessions import WITHOUT_LIMIT
from pagefault.storage.postgres.source import PostgresSource
from pagefault.storage.postgres.word_segments import WordSegments, unseal
from pagefault.storage.segments import SegmentKind
from pagefault.storage.sql.part import RAISED, SqlPart
from pagefault.storage.sql.transaction import SqlTransaction
from pagefault.storage.sql.transfer import SqlTransfer
from pagefault.types import AgentId, AgentRecord, Tier

__all__ = ["OutOfOrderError", "PostgresPart", "PostgresTransaction"]

_REGISTER = """
    INSERT INTO agent_names (tenant, name, agent) VALUES (:tenant, :name, :agent) ON CONFLICT DO NOTHING"""
# A lease is taken anew by the hold that had it last only if nobody has had it since.
_TAKE_LEASE = f"""
    UPDATE agents SET holder = :worker, lease_fence = {RAISED}
    WHERE id = :agent AND (holder IS NULL OR holder = :worker)
    AND (CAST(:fence AS bigint) IS NULL OR lease_fence = :fence) RETURNING lease_fence"""
_SEALING = 0x7067 << 48
"""An advisory lock, with the agent's id: one process seals for it at a time."""


class OutOfOrderError(Exception):
    """The transaction is to be run again, with these agents locked first."""

    def __init__(self, agents: Collection[AgentId]) -> None:
        super().__init__()
        self.agents = agents


class PostgresPart(SqlPart):
    """The base of transactions and of transfers of rows."""

    _db: PostgresConnection

    def _enter(self, agent: AgentId, tier: Tier, rows: Sequence[tuple[int, Sequence[str]]]) -> None:
        postings.index(self._db, agent, tier, rows)

    def _unenter(self, agent: AgentId, tier: Tier, rows: Mapping[int, Sequence[str]]) -> None:
        for number, units in rows.items():
            postings.unindex(self._db, agent, tier, number, units)
        unseal(self._db, agent, tier, rows)
        hnsw.take_out(self._db, agent, tier, rows)

    def _purge(self) -> None:
        """Dead rows have what is overwritten until the server vacuums them."""

    def _source(self) -> PostgresSource:
        return PostgresSource(self._db)

    def _register(self, agent: AgentId, tenant: str, name: str) -> bool:
        self._db.send("DELETE FROM agent_names WHERE agent = :agent", agent=agent)
        return self._db.changed(_REGISTER, agent=agent, tenant=tenant, name=name)


class PostgresTransaction(PostgresPart, SqlTransaction):
    """``pagefault.storage.Transaction`` on one connection, inside a transaction that the store opened.

    Agents are locked in the order of their ids, so that no two transactions wait for each other crosswise:
    ``first`` at once. ``OutOfOrderError`` is raised for a further one that should have been among them.
    ``role``: of tenants, if the database is protected.
    """

    _db: PostgresConnection

    def __init__(
        self,
        connection: PostgresConnection,
        cache: IndexCache | None,
        first: Collection[AgentId] = (),
        *,
        reaches_others: bool = True,
        role: str = "",
    ) -> None:
        super().__init__(connection, cache)
        self._role = role
        self._confined_to: str | None = None
        self.reaches_others = reaches_others
        self._locked = set(first)  # changed in place, as ``within`` shares it
        self._made: set[AgentId] = set()  # nobody else can see them yet, and so wait for them
        for agent in sorted(first):
            super()._lock(agent)

    def confined(self, tenant: str, by: str = "") -> Self:
        bound = self.within(tenant, by)
        if self._role:
            self._db.send(CONFINE, role=self._role, tenant=tenant)
            bound._confined_to = tenant
        return bound

    def create_agent(self, record: AgentRecord) -> AgentRecord:
        made = super().create_agent(record)
        self._made.add(made.id)
        return made

    def take_lease(self, hold: TurnHold, worker: str) -> Callable[[], int | None]:
        """Take the lease of a turn for a worker, without waiting for it; return a call that waits for the new
        fence. Its None: the lease is another's, or the agent is gone."""
        taking = self._db.ask(_TAKE_LEASE, agent=hold.agent, worker=worker, fence=hold.fence)

        def taken() -> int | None:
            if row := taking():
                self._fences[hold.agent] = row[0]
            return row and row[0]

        return taken

    def _taken(self, statement: str, agent: AgentId, **values: Any) -> Sequence[int]:
        self._come_to(agent)
        return super()._taken(statement, agent, **values)

    def _lock(self, agent: AgentId) -> None:
        self._come_to(agent)
        super()._lock(agent)

    def _require(self, agent: AgentId) -> int:
        self._come_to(agent)
        return super()._require(agent)

    def fence(self, agent: AgentId) -> int | None:
        if agent not in self._fences:
            self._come_to(agent)
        return super().fence(agent)

    def _come_to(self, agent: AgentId) -> None:
        """Lock the agent whose turn it is before another one; refuse one that is locked too late."""
        if agent in self._locked | self._made:
            return
        before = self._locked | self.leases.keys()
        if before and agent < max(before):
            raise OutOfOrderError(before | {agent})
        for own in before - self._locked - {agent}:
            super()._lock(own)
        self._locked |= {*before, agent}

    def _raw(self) -> SqlTransfer:
        from pagefault.storage.postgres.transfer import PostgresTransferRows  # it is made of parts of this

        return PostgresTransferRows(self._db)

    def _segment_kinds(self) -> Sequence[SegmentKind]:
        return (HnswSegments(self._db), WordSegments(self._db)) if self.reaches_others else ()

    def _claim(self, agent: AgentId) -> bool:
        return self._db.one("SELECT pg_try_advisory_xact_lock(:key::bigint)", key=_SEALING + agent)[0]

    def forget_vectors(self, fingerprint: str, limit: int) -> int:
        return hnsw.delete_tables(self._db, fingerprint=fingerprint) or super().forget_vectors(
            fingerprint, limit
        )

    def _delete_owned(self, agent: AgentId) -> None:
        self._db.send(WITHOUT_LIMIT)
        if self._confined_to is not None:  # a tenant does not see rows of an agent that is no more
            self._db.send("RESET ROLE")
        hnsw.delete_tables(self._db, agent=agent)
        for table in OWNED_TABLES:
            self._db.send(f"DELETE FROM {table} WHERE agent = :agent", agent=agent)
        if self._confined_to is not None:
            self.confined(self._confined_to)
