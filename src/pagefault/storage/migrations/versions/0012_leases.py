"""Leases of turns: which agents are ready for a turn, and on PostgreSQL which worker has their lease.

The fence has another name from here on, so that a process of an earlier version that still runs fails instead
of writing without a lease.
"""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_FILL = "UPDATE agents SET ready = :now WHERE id IN (SELECT agent FROM inbox WHERE rank IS NOT NULL)"
_WORKERS = """
    CREATE TABLE workers (
        id text PRIMARY KEY,
        until timestamptz NOT NULL,
        serves boolean NOT NULL
    )"""


def upgrade() -> None:
    op.execute("ALTER TABLE agents RENAME COLUMN fence TO lease_fence")
    op.add_column("agents", sa.Column("ready", _BIG))
    op.add_column("agents", sa.Column("holder", sa.Text()))
    op.get_bind().execute(sa.text(_FILL), {"now": time.time_ns() // 1000})
    free = "ready IS NOT NULL AND holder IS NULL AND parked IS NULL"
    op.execute(f"CREATE INDEX agents_ready ON agents (tenant, ready) WHERE {free}")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE INDEX agents_held ON agents (holder) WHERE holder IS NOT NULL")
        op.execute(_WORKERS)
