"""Blocks of rows and of quantized vectors, read at the first search. They are filled when this has run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_PARTITIONS = 8


def upgrade() -> None:
    partitioned = op.get_bind().dialect.name == "postgresql"
    owner = () if partitioned else (sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),)
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
        postgresql_partition_by="HASH (agent)",
    )
    if partitioned:
        for n in range(_PARTITIONS):
            op.execute(
                f"CREATE TABLE index_blocks_{n} PARTITION OF index_blocks "
                f"FOR VALUES WITH (MODULUS {_PARTITIONS}, REMAINDER {n})"
            )
        # Quantized vectors do not get smaller by compression.
        op.execute("ALTER TABLE index_blocks ALTER COLUMN data SET STORAGE EXTERNAL")
