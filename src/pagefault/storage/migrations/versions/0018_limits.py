"""The limits of a key: requests a minute and bytes of a body; a tenant's quota of bytes of images and files.
Nothing is filled: null is the server's limit, and no quota."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("rate", _BIG))
    op.add_column("api_keys", sa.Column("body", _BIG))
    op.add_column("quotas", sa.Column("media_bytes", _BIG))
