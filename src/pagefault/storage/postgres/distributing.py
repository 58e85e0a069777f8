"""A database spread over the nodes of a Citus cluster: its tables become distributed by agent, co-located.

All is one transaction, on every node: whatever interrupts it, the database is as it was. Each table is made
anew, without partitions, filled in batches of agents, read back and compared. Sealed vectors, which are in
tables of their own, move back among the others before, because here nothing is sealed. Tables that are small,
or asked by another key than the agent (``LOCAL``), stay on the coordinator, and so does every connection of
pagefault.
Leaves out which statements Citus takes (``storage.sql``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import psycopg

from pagefault.errors import StorageError, UsageError
from pagefault.storage.head import HEAD
from pagefault.storage.postgres.connection import Driver, PostgresConnection, failure, place_of
from pagefault.storage.postgres.dialect import OWNED_TABLES
from pagefault.storage.postgres.opening import (
    conninfo_of,
    has_citus,
    is_distributed,
    other_owner,
    prepare,
    version_of,
)
from pagefault.storage.postgres.policies import role_of
from pagefault.storage.postgres.segment_faults import segment_tables, unseal_all
from pagefault.storage.postgres.sessions import ONE_BY_ONE, connect, is_pooled, limits_of, set_local

__all__ = ["Distribution", "MovePlan", "TableSize", "complete"]

LOCAL = ("agent_names",)
"""Tables of agents that stay on the coordinator: what is asked over all agents, by another key."""

_BATCH = 1_000
"""Agents whose rows are moved by one statement, at least; never less than a hundredth of them."""
_IS_DISTRIBUTED = "SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = to_regclass(%s))"
_NODES = """
    SELECT nodename || ':' || nodeport, shouldhaveshards, success AND result = 't', success, result
    FROM pg_dist_node LEFT JOIN run_command_on_all_nodes(
        $$SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector')$$) USING (nodeid)
    WHERE noderole = 'primary' AND isactive ORDER BY 1"""
_OTHERS = """
    SELECT (SELECT count(*) FROM workers WHERE until > now()), (
        SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND application_name LIKE 'pagefault%')"""
_BYTES = """
    SELECT coalesce(sum(pg_total_relation_size(relid)), pg_total_relation_size(%(table)s::regclass))::bigint
    FROM pg_partition_tree(%(table)s::regclass)"""
_COLUMNS = """
    SELECT quote_ident(attname) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""
_CONSTRAINTS = """
    SELECT format(
        'ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN ('p', 'u') ORDER BY contype, conname"""
_INDEXES = """
    SELECT replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') FROM pg_index i
    WHERE indrelid = %s::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
    ORDER BY 1"""
_SEQUENCES = """
    SELECT format('ALTER SEQUENCE %%s OWNED BY %%s.%%I', s.oid::regclass, d.refobjid::regclass, a.attname)
    FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.refobjid = %s::regclass AND d.deptype = 'a'"""
_BOUNDS = """
    SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS n, count(*) OVER () AS of FROM agents) ids
    WHERE n %% greatest(%s, of / 100) = 0 ORDER BY id"""
_SUM = "SELECT count(*), coalesce(sum(hashtextextended(ROW({columns})::text, 0)), 0) FROM {table}"
_SETTINGS = {ONE_BY_ONE: "sequential", "client_min_messages": "warning"}
_POOLED = "{place} is a pooler; give the URL of the server itself."
_WITHOUT_CITUS = (
    "The database {place} has no Citus; install it on each node, run CREATE EXTENSION citus there in a "
    "database of this name, and add the nodes with citus_add_node."
)
_NO_COORDINATOR = "{place} is a worker node of Citus; give the URL of its coordinator."
_WITHOUT_NODES = (
    "No worker nodes are added to {place}; add each with SELECT citus_add_node('HOST', PORT), then try again."
)
_UNREACHED = (
    "The node {node} of {place} cannot be reached ({why}); start it and let this user in, or remove it with "
    "citus_remove_node."
)
_WITHOUT_VECTORS = "The node {node} of {place} has no pgvector; install it there."
_NO_OWNER = "This user may not distribute the tables of {place}; run it as {owner}, their owner."
_IN_USE = (
    "Processes of pagefault use {place} ({workers} that serve agents, {sessions} sessions); end them first, "
    "and wait six seconds after one was killed."
)
_PROTECTED = (
    "The database {place} is protected, which Citus does not support; run `pagefault db protect --off` first."
)
_OLD = "The database {place} is not at the newest version; run `pagefault db migrate` first."
_UNEQUAL = "The rows of {table} in {place} are not the same on the nodes; nothing was changed, so try again."


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table that is not distributed yet; ``bytes`` with its indexes."""

    name: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class MovePlan:
    """The nodes that hold, or will hold, the rows, as HOST:PORT, and the tables that are to be moved."""

    nodes: Sequence[str]
    tables: Sequence[TableSize]


class Distribution:
    """Distributes one database. ``driver`` is used by nothing else, in autocommit mode."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._place = place_of(driver.info.dsn)

    @classmethod
    def open(cls, url: str, *, make: bool, patience: float = 10.0) -> Distribution:
        """Connect to the coordinator; with ``make`` the tables are made or upgraded if need be.

        ``patience`` in seconds. ``StorageError`` if there is no Citus, and ``UsageError`` without ``make`` if
        the tables are not at the newest version.
        """
        conninfo = conninfo_of(url, patience)
        try:
            opened = cls(connect(conninfo))
        except psycopg.Error as error:
            raise failure(error, place_of(conninfo)) from error
        try:
            opened._check_coordinator()
            if make:
                prepare(conninfo)
            elif version_of(conninfo) != HEAD:
                raise UsageError(_OLD.format(place=opened._place))
        except BaseException:
            opened.close()
            raise
        return opened

    def plan(self) -> MovePlan:
        """Find out if it can be done and how much there is to move; ``StorageError`` says what is missing,
        ``UsageError`` that the database is protected."""
        try:
            if role_of(self._driver):
                raise UsageError(_PROTECTED.format(place=self._place))
            nodes = self._nodes()
            tables = self._waiting()
            self._refuse_others(tables)
            return MovePlan(nodes, [self._size(table) for table in tables])
        except psycopg.Error as error:
            raise failure(error, self._place) from error

    def move(self, moved: Callable[[int], None] = lambda _: None) -> None:
        """Distribute the tables that are not; ``moved`` is called with numbers of rows."""
        try:
            with self._driver.transaction():
                set_local(self._driver, limits_of(self._driver, 0) | _SETTINGS)
                tables = self._waiting()
                if tables:
                    self._run(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
                    if "segments" in tables:
                        unseal_all(PostgresConnection(self._driver))
                    bounds = [None, *(bound for (bound,) in self._rows(_BOUNDS, (_BATCH,))), None]
                    for table in tables:
                        self._distribute(table, bounds, moved)
        except psycopg.Error as error:
            raise failure(error, self._place) from error

    def close(self) -> None:
        self._driver.close()

    def _check_coordinator(self) -> None:
        if is_pooled(self._driver):
            raise UsageError(_POOLED.format(place=self._place))
        if not has_citus(self._driver):
            raise StorageError(_WITHOUT_CITUS.format(place=self._place))
        if not self._one("SELECT citus_is_coordinator()"):
            raise StorageError(_NO_COORDINATOR.format(place=self._place))

    def _nodes(self) -> list[str]:
        """The nodes that may have shards, each of them reached and with pgvector."""
        nodes = self._rows(_NODES)
        for node, _, is_ready, is_reached, said in nodes:
            if not is_ready:
                sentence = _WITHOUT_VECTORS if is_reached else _UNREACHED
                why = str(said).strip().partition("\n")[0].rstrip(".")
                raise StorageError(sentence.format(node=node, place=self._place, why=why))
        chosen = [node for node, has_shards, *_ in nodes if has_shards]
        if not chosen:
            raise StorageError(_WITHOUT_NODES.format(place=self._place))
        return chosen

    def _waiting(self) -> list[str]:
        """The tables that are not distributed, ``agents`` first, with which the others are co-located."""
        ours = ("agents", *(table for table in OWNED_TABLES if table not in LOCAL))
        return [table for table in ours if not self._one(_IS_DISTRIBUTED, (table,))]

    def _refuse_others(self, tables: Sequence[str]) -> None:
        if owner := other_owner(self._driver, tables):
            raise StorageError(_NO_OWNER.format(place=self._place, owner=owner))
        workers, sessions = self._rows(_OTHERS)[0]
        if tables and workers + sessions:
            raise StorageError(_IN_USE.format(place=self._place, workers=workers, sessions=sessions))

    def _size(self, table: str) -> TableSize:
        sealed = segment_tables(PostgresConnection(self._driver)) if table == "vectors" else []
        rows = sum(self._one(f"SELECT count(*) FROM {each}") for each in (table, *sealed))
        return TableSize(table, rows, sum(self._one(_BYTES, {"table": each}) for each in (table, *sealed)))

    def _distribute(self, table: str, bounds: Sequence[int | None], moved: Callable[[int], None]) -> None:
        key, near = ("id", "none") if table == "agents" else ("agent", "agents")
        before = f"{table}_before"
        columns = ", ".join(name for (name,) in self._rows(_COLUMNS, (table,)))
        owned = self._rows(_SEQUENCES, (table,))
        indexes = [*self._rows(_CONSTRAINTS, (table,)), *self._rows(_INDEXES, (table,))]
        self._run(f"ALTER TABLE {table} RENAME TO {before}")
        self._run(f"CREATE TABLE {table} (LIKE {before} INCLUDING ALL EXCLUDING INDEXES)")
        for (statement,) in owned:
            self._run(statement)
        self._rows("SELECT create_distributed_table(%s, %s, colocate_with => %s)", (table, key, near))
        for after, last in pairwise(bounds):
            part = " AND ".join(
                [f"{key} > {after}"] * (after is not None) + [f"{key} <= {last}"] * (last is not None)
            )
            where = f" WHERE {part}" if part else ""
            moved(self._run(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {before}{where}"))
        sums = [self._rows(_SUM.format(columns=columns, table=name)) for name in (before, table)]
        if sums[0] != sums[1]:
            raise StorageError(_UNEQUAL.format(table=table, place=self._place))
        self._run(f"DROP TABLE {before}")
        for (statement,) in indexes:
            self._run(statement)

    def _run(self, statement: str) -> int:
        return self._driver.execute(statement.encode()).rowcount

    def _rows(self, statement: str, values: Any = None) -> list[Any]:
        return self._driver.execute(statement.encode(), values).fetchall()

    def _one(self, statement: str, values: Any = None) -> Any:
        return self._rows(statement, values)[0][0]


def complete(driver: Driver) -> None:
    """Distribute the tables that an upgrade has added to a distributed database, in its transaction."""
    if is_distributed(driver):
        Distribution(driver).move()
