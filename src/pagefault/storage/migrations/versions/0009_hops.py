"""The count of messages between agents that an event, or a timer, follows from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    for table in ("inbox", "schedules"):
        op.add_column(table, sa.Column("hops", sa.Integer(), server_default="0", nullable=False))
