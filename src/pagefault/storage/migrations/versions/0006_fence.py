"""The fence of an agent's turns on SQLite; PostgreSQL has had it from the beginning."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.add_column("agents", sa.Column("fence", _BIG, server_default="0", nullable=False))
