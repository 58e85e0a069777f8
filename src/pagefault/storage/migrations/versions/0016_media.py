"""Media: the bytes of images and files, once for each agent, and the events that refer to them.

Nothing is filled: no row refers to media yet. A process of an earlier version serves an event with images as
one without.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pagefault.storage.migrations.postgres_base import has_partitions, partitions_of

revision = "0016"
down_revision = "0015"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("inbox", sa.Column("media", sa.Text()))
    postgres = op.get_bind().dialect.name == "postgresql"
    partitioned = postgres and has_partitions()
    owner = () if postgres else (sa.ForeignKeyConstraint(["agent"], ["agents.id"], ondelete="CASCADE"),)
    op.create_table(
        "media",
        sa.Column("agent", _BIG, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        *(sa.Column(name, _BIG, nullable=False) for name in ("size", "width", "height")),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("agent", "hash"),
        *owner,
        postgresql_partition_by="HASH (agent)" if partitioned else None,
    )
    for statement in partitions_of("media") if partitioned else ():
        op.execute(statement)
