"""Row-level security: the policies by which a transaction of a tenant reaches its tenant's rows alone.

Such a transaction takes a role, to which the restrictive policies here apply, and names its tenant in a
setting. All others, the owner of the tables first, keep the rights that they have. The policy of ``agents``
is the mark of a protected database. Leaves out how a database comes to be protected (``protection``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg import errors

from pagefault.storage.postgres.connection import Driver, PostgresConnection
from pagefault.storage.postgres.dialect import OWNED_TABLES
from pagefault.types import AgentId

__all__ = [
    "BY_TENANT", "CONFINE", "PROTECTED", "SHARED", "TenantRole", "policies_of", "protect_segment", "role_of",
    "without_policies",
]  # fmt: skip

BY_TENANT = ("agents", "agent_names", "api_keys", "audit", "quotas")
PROTECTED = (*BY_TENANT, *(table for table in OWNED_TABLES if table not in BY_TENANT))
"""The tables with rows of tenants. Most have the number of an agent, whose tenant is in ``agent_names``."""
SHARED = ("embedders",)
"""Tables with nothing of a tenant in them, which transactions of tenants read."""
_POLICY, _OTHERS = "pagefault_tenant", "pagefault_others"
# Without the setting, which is empty after a transaction that had it, no row is reached: "" is a tenant.
_OF_TENANT = "'=' || {table}.tenant = current_setting('pagefault.tenant', true)"
# No EXISTS, for which the planner may read all agents first; and not from ``agents``, whose partitions are
# chosen anew for each row, which takes ten times as long.
_OF_AGENT = "(SELECT true FROM agent_names WHERE agent_names.agent = {agent})"
CONFINE = "SELECT set_config('role', :role, true), set_config('pagefault.tenant', '=' || :tenant, true)"
"""The statement after which a transaction is a tenant's; both hold until its end."""
_ROLE = f"""
    SELECT rolname::text, quote_ident(rolname) FROM pg_policy JOIN pg_roles r ON r.oid = polroles[1]
    WHERE polrelid = to_regclass('agents') AND polname = '{_POLICY}'"""


def policies_of(table: str, role: str, condition: str = "", rights: str = "") -> Iterator[str]:
    """Yield the statements that protect a table; ``role`` is quoted. ``condition``: on its rows, unless it
    has the column ``tenant`` or ``agent``; ``rights``: of the role, all by default."""
    usual = _OF_TENANT.format(table=table) if table in BY_TENANT else _OF_AGENT.format(agent=f"{table}.agent")
    yield from without_policies(table)
    yield f"CREATE POLICY {_OTHERS} ON {table} USING (true)"
    yield f"CREATE POLICY {_POLICY} ON {table} AS RESTRICTIVE TO {role} USING ({condition or usual})"
    yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
    yield f"GRANT {rights or 'SELECT, INSERT, UPDATE, DELETE'} ON {table} TO {role}"


def without_policies(table: str) -> Iterator[str]:
    """Yield the statements that take the protection of a table away; what the role may is left."""
    yield f"DROP POLICY IF EXISTS {_POLICY} ON {table}"
    yield f"DROP POLICY IF EXISTS {_OTHERS} ON {table}"
    yield f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"


def segment_policies(table: str, agent: AgentId, role: str) -> Iterator[str]:
    """Yield the statements that protect the table of a sealed segment."""
    return policies_of(table, role, _OF_AGENT.format(agent=f"{agent:d}"), "SELECT, DELETE")


def protect_segment(connection: PostgresConnection, agent: AgentId, table: str) -> None:
    """Protect the table of a sealed segment that was just made, if the database is protected."""
    if found := connection.one(_ROLE):
        for statement in segment_policies(table, agent, found[1]):
            connection.send(statement)


def role_of(driver: Driver) -> str:
    """The name of the role that transactions of tenants take; empty if the database is not protected."""
    found = driver.execute(_ROLE.encode()).fetchone()
    return found[0] if found else ""


@dataclass(slots=True)
class TenantRole:
    """The role of ``role_of`` as the newest connection of a store has found it; None: to be asked for."""

    name: str | None = None

    def read(self, driver: Driver) -> None:
        self.name = role_of(driver)

    def of(self, driver: Driver) -> str:
        if self.name is None:
            self.read(driver)
        return self.name or ""

    def may_have_changed(self, error: psycopg.Error) -> bool:
        """Return whether an error may be one of a role that is no more; then it is asked for again."""
        kinds = errors.InsufficientPrivilege, errors.InvalidParameterValue, errors.UndefinedObject
        if not self.name or not isinstance(error, kinds):
            return False
        self.name = None
        return True
