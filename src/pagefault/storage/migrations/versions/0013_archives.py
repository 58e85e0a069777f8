"""Archives and shared sections, which are rows of ``agents`` with a name of their own kind.

The tables say which agents are attached to what, what an agent has sent to a target on another server and how
far that has come, and which ranges of an owner's numbers are sealed in an index of their own. Nothing is
filled: what there is, is sealed in the background.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pagefault.storage.migrations.postgres_base import has_partitions, partitions_of

revision = "0013"
down_revision = "0012"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TABLES = {
    "attachments": (("agent", "target"), ("target", sa.Text()), ("read_only", sa.Boolean()), ("at", _BIG)),
    "outbox": (
        ("agent", "number"),
        ("number", _BIG),
        ("target", sa.Text()),
        ("kind", sa.Text()),
        ("payload", sa.Text()),
        ("at", _BIG),
    ),
    "deliveries": (("agent", "sender"), ("sender", _BIG), ("number", _BIG)),
    "segments": (
        ("agent", "number"),
        ("number", _BIG),
        ("tier", sa.Text()),
        ("fingerprint", sa.Text()),
        ("first", _BIG),
        ("last", _BIG),
        ("state", sa.Text()),
        ("rows", _BIG),
        ("dead", _BIG),
    ),
    "word_blocks": (
        ("agent", "segment", "unit", "block"),
        ("segment", _BIG),
        ("block", _BIG),
        ("count", sa.Integer()),
        ("unit", sa.Text()),
        ("data", sa.LargeBinary()),
    ),
}
"""By name: the primary key, then the columns after ``agent``."""


def upgrade() -> None:
    for counter in ("last_outgoing", "last_segment", "attachment_changes"):
        op.add_column("agents", sa.Column(counter, _BIG, nullable=False, server_default="0"))
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
    op.add_column("outbox", sa.Column("parked", sa.Text()))
    op.execute("CREATE INDEX attachments_of_target ON attachments (target, agent)")
    if postgres:  # a block is small, and what is in it does not get smaller
        op.execute("ALTER TABLE word_blocks ALTER COLUMN data SET STORAGE PLAIN")
