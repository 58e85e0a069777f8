"""Calls that wait for a decision, functions that are allowed for good, and agents whose turn waits so.

Nothing is filled: no turn waits yet. A process of an earlier version that finds a turn that waits parks its
event: it runs no call that nobody decided on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pagefault.storage.migrations.postgres_base import has_partitions, partitions_of

revision = "0014"
down_revision = "0013"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TABLES = {
    "approvals": (
        ("agent", "number"),
        ("number", _BIG, False),
        ("event", _BIG, False),
        ("name", sa.Text(), False),
        ("arguments", sa.Text(), False),
        ("asked", _BIG, False),
        ("expires", _BIG, True),
        ("decision", sa.Text(), False),
        ("note", sa.Text(), False),
        ("changed", sa.Text(), True),
        ("decided", _BIG, True),
        ("person", sa.Text(), False),
    ),
    "grants": (
        ("agent", "name"),
        ("name", sa.Text(), False),
        ("at", _BIG, False),
        ("person", sa.Text(), False),
    ),
}
"""By name: the primary key, then the columns after ``agent``, with whether they may be null."""


def upgrade() -> None:
    op.add_column("agents", sa.Column("undecided", _BIG))
    postgres = op.get_bind().dialect.name == "postgresql"
    partitioned = postgres and has_partitions()
    owner = () if postgres else (sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),)
    for name, (key, *columns) in _TABLES.items():
        op.create_table(
            name,
            sa.Column("agent", _BIG, nullable=False),
            *(sa.Column(column, kind, autoincrement=False, nullable=null) for column, kind, null in columns),
            sa.PrimaryKeyConstraint(*key),
            *owner,
            sqlite_with_rowid=False,
            postgresql_partition_by="HASH (agent)" if partitioned else None,
        )
        for statement in partitions_of(name) if partitioned else ():
            op.execute(statement)
    op.execute("CREATE INDEX approvals_undecided ON approvals (expires) WHERE decision = ''")
