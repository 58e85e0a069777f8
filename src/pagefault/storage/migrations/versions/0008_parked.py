"""The reason why an agent, an event or a timer is parked; none: it is served."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    for table in ("agents", "inbox", "schedules"):
        op.add_column(table, sa.Column("parked", sa.Text()))
