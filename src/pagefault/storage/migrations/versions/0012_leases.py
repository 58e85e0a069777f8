"""Leases of turns: which agents are ready for a turn, and on PostgreSQL which worker has their lease.

The fence has another name from here on, so that a process of an earlier version that still runs fails instead
of writing without a lease.

Also, so that nothing is looked for in all agents: which of them have rows that may wait for a vector, and how
far each embedder has looked through all, once from here on; marks of vectors per agent on SQLite too; indexes
of the timers that may fire and of usage by time. On PostgreSQL a secret that names the channel of signals.
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

_SIGNALS = "CREATE TABLE signals (secret text PRIMARY KEY)"
_SECRET = "INSERT INTO signals SELECT gen_random_uuid()::text"


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
        op.execute(_SIGNALS)
        op.execute(_SECRET)
        for table in ("messages", "passages"):  # nothing reads it, and every row took a number of all agents'
            op.execute(f"ALTER TABLE {table} DROP COLUMN IF EXISTS id")
    _index_what_waits()


def _index_what_waits() -> None:
    op.add_column("agents", sa.Column("unembedded", _BIG))
    op.execute("CREATE INDEX agents_unembedded ON agents (unembedded) WHERE unembedded IS NOT NULL")
    op.add_column("embedders", sa.Column("walked", _BIG, server_default="0"))
    op.execute("DROP INDEX IF EXISTS ix_schedules_due")
    op.execute("CREATE INDEX schedules_due ON schedules (due) WHERE parked IS NULL")
    op.execute("CREATE INDEX usage_totals_start ON usage_totals (start)")
    if op.get_bind().dialect.name == "sqlite":
        op.drop_table("vector_marks")
        op.create_table(
            "vector_marks",
            sa.Column("agent", _BIG, nullable=False),
            sa.Column("fingerprint", sa.Text(), nullable=False),
            sa.Column("tier", sa.Text(), nullable=False),
            sa.Column("done", _BIG, nullable=False),
            sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),
            sa.PrimaryKeyConstraint("agent", "fingerprint", "tier"),
            sqlite_with_rowid=False,
        )
