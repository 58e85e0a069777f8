"""Row-level security switched on and off: the role of tenants, its rights, and the policies of all tables.

All is one transaction: whatever interrupts it, the database is as it was. Done again, it is
complete again. Leaves out the policies themselves (``policies``), and the transactions that take the role
(``transaction``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors

from pagefault.errors import StorageError, UsageError
from pagefault.storage.postgres.connection import Driver, PostgresConnection, failure, place_of
from pagefault.storage.postgres.opening import conninfo_of, is_distributed, other_owner, prepare
from pagefault.storage.postgres.policies import (
    PROTECTED,
    SHARED,
    policies_of,
    role_of,
    segment_policies,
    without_policies,
)
from pagefault.storage.postgres.segment_faults import segment_tables
from pagefault.storage.postgres.sessions import connect, set_local
from pagefault.types import AgentId

__all__ = ["Protection", "ProtectionReport", "protect_again"]

_PATIENCE = {"lock_timeout": "10s"}
_TRIES = 5  # of a transaction that the server ended because others waited for it
_ROLE_STATE = """
    SELECT rolsuper OR rolbypassrls OR pg_has_role(r.oid, relowner, 'MEMBER'),
    pg_has_role(session_user, r.oid, 'MEMBER'), quote_ident(rolname)
    FROM pg_roles r, pg_class c WHERE rolname = %s AND c.oid = 'agents'::regclass"""
_MISSING = """
    SELECT relid::regclass::text FROM unnest(%s::regclass[]) t (relid)
    WHERE NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = relid)"""
_USUAL = "SELECT 'pagefault_tenant_' || current_database()"
_SCHEMAS = """
    SELECT quote_ident(nspname) FROM pg_namespace n WHERE NOT has_schema_privilege(%(role)s, n.oid, 'USAGE')
    AND (nspname = current_schema()
        OR n.oid IN (SELECT extnamespace FROM pg_extension WHERE extname = 'vector'))"""
_SEQUENCES = """
    SELECT DISTINCT s.oid::regclass::text FROM pg_depend d JOIN pg_class s ON s.oid = d.objid
    WHERE s.relkind = 'S' AND d.refobjid = ANY(%s::regclass[]) ORDER BY 1"""
_SESSIONS = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND application_name LIKE 'pagefault%'"""
_NO_OWNER = "This user may not protect the tables of {place}; run it as {owner}, their owner."
_DISTRIBUTED = (
    "The database {place} is distributed by Citus, where row-level security is not supported; give each "
    "tenant that needs it a database of its own."
)
_NO_RIGHT = (
    "This user may not make the role {role}; have an administrator run CREATE ROLE {role}; "
    "GRANT {role} TO {user}; and then try again."
)
_TOO_MIGHTY = (
    "The role {role} bypasses row-level security, as a superuser or as a member of the owner of the tables; "
    "drop it, or give another with --role."
)
_OTHER_ROLE = "The database {place} is protected with the role {role}; switch it off first (--off)."


@dataclass(frozen=True, slots=True)
class ProtectionReport:
    """The result of a change: the ``role`` of tenants (empty: there was none); whether it ``stays`` when
    protection is off; the tables that are, or were, protected; other open sessions of pagefault."""

    role: str
    stays: bool
    tables: int
    sessions: int


class Protection:
    """The protection of one database. ``driver`` is used by nothing else, in autocommit mode."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._place = place_of(driver.info.dsn)

    @classmethod
    def open(cls, url: str, *, patience: float = 10.0) -> Protection:
        """Connect to a database and bring it up to date; ``patience`` in seconds."""
        conninfo = conninfo_of(url, patience)
        prepare(conninfo)
        try:
            return cls(connect(conninfo))
        except psycopg.Error as error:
            raise failure(error, place_of(conninfo)) from error

    def switch_on(self, role: str = "") -> ProtectionReport:
        """Protect all tables; ``role``: of tenants, made if there is none of this name.

        ``StorageError`` if this user may not, ``UsageError`` for a role or a database that will not do.
        """
        if is_distributed(self._driver):
            raise UsageError(_DISTRIBUTED.format(place=self._place))
        return self._tried(lambda: self._switch_on(role))

    def switch_off(self) -> ProtectionReport:
        """Take all policies and the role away; the role stays where another database has it, or this user
        may not drop it."""
        return self._tried(self._switch_off)

    def close(self) -> None:
        self._driver.close()

    def _tried(self, change: Callable[[], ProtectionReport]) -> ProtectionReport:
        try:
            if owner := other_owner(self._driver, PROTECTED):
                raise StorageError(_NO_OWNER.format(place=self._place, owner=owner))
            for _ in range(_TRIES):
                with suppress(errors.DeadlockDetected), self._driver.transaction():
                    return change()
            with self._driver.transaction():
                return change()
        except psycopg.Error as error:
            raise failure(error, self._place) from error

    def _switch_on(self, wanted: str) -> ProtectionReport:
        segments, found = self._locked(), role_of(self._driver)
        if found and wanted and found != wanted:
            raise UsageError(_OTHER_ROLE.format(place=self._place, role=found))
        role = found or wanted or str(self._one(_USUAL))[:63]
        quoted = self._made_role(role)
        for table in PROTECTED:
            self._run(policies_of(table, quoted))
        for agent, table in segments:
            self._run(segment_policies(table, agent, quoted))
        self._grant_rest(role)
        schemas = self._driver.execute(_SCHEMAS.encode(), {"role": role}).fetchall()
        self._run(f"GRANT USAGE ON SCHEMA {schema} TO {quoted}" for (schema,) in schemas)
        return self._report(role, stays=True, segments=segments)

    def extend(self, role: str) -> None:
        """Protect the tables that are not, in the transaction that has made them."""
        for (table,) in self._driver.execute(_MISSING.encode(), (list(PROTECTED),)).fetchall():
            self._run(policies_of(table, self._quoted(role)))
        self._grant_rest(role)

    def _grant_rest(self, role: str) -> None:
        quoted = self._quoted(role)
        self._run(f"GRANT SELECT ON {table} TO {quoted}" for table in SHARED)
        self._run(f"GRANT USAGE ON SEQUENCE {sequence} TO {quoted}" for sequence in self._sequences())

    def _switch_off(self) -> ProtectionReport:
        segments, role = self._locked(), role_of(self._driver)
        tables = [*PROTECTED, *(table for _, table in segments)]
        for table in tables:
            self._run(without_policies(table))
        if role:
            quoted, schema = self._quoted(role), self._one("SELECT quote_ident(current_schema())")
            self._run(f"REVOKE ALL ON {table} FROM {quoted}" for table in (*tables, *SHARED))
            self._run(f"REVOKE ALL ON SEQUENCE {each} FROM {quoted}" for each in self._sequences())
            self._run([f"REVOKE ALL ON SCHEMA {schema} FROM {quoted}"])
        return self._report(role, stays=bool(role) and not self._dropped(role), segments=segments)

    def _locked(self) -> list[tuple[AgentId, str]]:
        """Lock all tables, and so wait for segments that are being built; the tables of segments."""
        set_local(self._driver, _PATIENCE)
        self._run([f"LOCK TABLE {', '.join(PROTECTED)} IN ACCESS EXCLUSIVE MODE"])
        tables = segment_tables(PostgresConnection(self._driver))
        return [(AgentId(int(table.split("_")[1])), table) for table in tables]

    def _made_role(self, role: str) -> str:
        """Make the role unless it is there, and let this user take it; its name quoted."""
        quoted, user = self._quoted(role), self._one("SELECT quote_ident(session_user)")
        state = self._driver.execute(_ROLE_STATE.encode(), (role,)).fetchone()
        if state and state[0]:
            raise UsageError(_TOO_MIGHTY.format(role=quoted))
        try:
            self._run([] if state else [f"CREATE ROLE {quoted}"])
            self._run([] if state and state[1] else [f"GRANT {quoted} TO {user}"])
        except errors.InsufficientPrivilege:
            raise StorageError(_NO_RIGHT.format(role=quoted, user=user)) from None
        return quoted

    def _dropped(self, role: str) -> bool:
        """Drop the role, if nothing else depends on it; whether it is gone."""
        try:
            with self._driver.transaction():
                self._run([f"DROP ROLE {self._quoted(role)}"])
        except (errors.DependentObjectsStillExist, errors.InsufficientPrivilege):
            return False
        return True

    def _quoted(self, name: str) -> str:
        return str(self._one("SELECT quote_ident(%s)", (name,)))

    def _sequences(self) -> list[str]:
        rows = self._driver.execute(_SEQUENCES.encode(), (list(PROTECTED),)).fetchall()
        return [sequence for (sequence,) in rows]

    def _report(self, role: str, *, stays: bool, segments: Sequence[object]) -> ProtectionReport:
        return ProtectionReport(role, stays, len(PROTECTED) + len(segments), self._one(_SESSIONS))

    def _run(self, statements: Iterable[str]) -> None:
        for statement in statements:
            self._driver.execute(statement.encode())

    def _one(self, statement: str, values: Any = None) -> Any:
        row = self._driver.execute(statement.encode(), values).fetchone()
        return row and row[0]


def protect_again(driver: Driver) -> None:
    """Protect the tables that an upgrade has added to a protected database, in its transaction."""
    if role := role_of(driver):
        Protection(driver).extend(role)
