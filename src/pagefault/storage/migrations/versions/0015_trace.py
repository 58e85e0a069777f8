"""The trace of whoever posted an event, so that the turn goes on with it in whichever process."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("inbox", sa.Column("trace", sa.Text()))
