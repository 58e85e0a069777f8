"""Rows, passages and timers that were undone, rows that were forgotten, tombstones, legal holds.

Nothing is filled: nothing was undone yet, and when what is there was stored, in whose turn, is not known. A
process of an earlier version shows rows that were undone, and timers of theirs fire in it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pagefault.storage.migrations.postgres_base import has_partitions, partitions_of

revision = "0019"
down_revision = "0018"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_COLUMNS = {
    "agents": (("hold", sa.Text()),),
    "messages": (("withdrawn", _BIG),),
    "passages": (("born", _BIG), ("event", _BIG), ("withdrawn", _BIG)),
    "section_versions": (("born", _BIG),),
    "schedules": (("event", _BIG), ("withdrawn", _BIG)),
}
_TABLES = {
    "recall_deletions": (("agent", "change", "number"), ("change", _BIG), ("number", _BIG)),
    "tombstones": (
        ("agent", "number"),
        ("number", _BIG),
        ("at", _BIG),
        ("person", sa.Text()),
        ("counts", sa.Text()),
    ),
}
"""By name: the primary key, then the columns after ``agent``."""


def upgrade() -> None:
    for table, columns in _COLUMNS.items():
        for column, kind in columns:
            op.add_column(table, sa.Column(column, kind))
    op.add_column("messages", sa.Column("erased", sa.Boolean(), nullable=False, server_default=sa.false()))
    postgres = op.get_bind().dialect.name == "postgresql"
    partitioned = postgres and has_partitions()
    owner = () if postgres else (sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),)
    for name, (key, *columns) in _TABLES.items():
        op.create_table(
            name,
            sa.Column("agent", _BIG, nullable=False),
            *(sa.Column(column, kind, autoincrement=False, nullable=False) for column, kind in columns),
            sa.PrimaryKeyConstraint(*key),
            *owner,
            sqlite_with_rowid=False,
            postgresql_partition_by="HASH (agent)" if partitioned else None,
        )
        for statement in partitions_of(name) if partitioned else ():
            op.execute(statement)
    op.execute("CREATE INDEX messages_withdrawn ON messages (agent, at) WHERE withdrawn IS NOT NULL")
    op.execute("CREATE INDEX passages_of_event ON passages (agent, event) WHERE event IS NOT NULL")
