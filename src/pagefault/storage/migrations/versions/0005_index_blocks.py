"""Blocks of rows and of quantized vectors, read at the first search. They are filled when this has run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pagefault.storage.migrations.postgres_base import has_partitions, partitions_of

revision = "0005"
down_revision = "0004"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    partitioned = postgres and has_partitions()
    owner = () if postgres else (sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),)
    op.create_table(
        "index_blocks",
        sa.Column("agent", _BIG, nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("block", _BIG, autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("names", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("agent", "tier", "fingerprint", "block"),
        *owner,
        postgresql_partition_by="HASH (agent)" if partitioned else None,
    )
    for statement in partitions_of("index_blocks") if partitioned else ():
        op.execute(statement)
    if postgres:
        # Quantized vectors do not get smaller by compression.
        op.execute("ALTER TABLE index_blocks ALTER COLUMN data SET STORAGE EXTERNAL")
