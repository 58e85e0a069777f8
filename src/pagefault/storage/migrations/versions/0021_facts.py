"""Facts that hold for a time, that others supersede, that were found; and the keys of facts alike.

Nothing is filled: whether a fact holds is not known, and the keys of what is there are made when facts are
stored beside it. A process of an earlier version shows what was superseded as if it held.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0019"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_COLUMNS = ("valid_from", "valid_until", "superseded", "ended", "marked", "found", "same", "about")
_LIMITED = "valid_from IS NOT NULL OR valid_until IS NOT NULL OR superseded IS NOT NULL"
_INDEXES = {
    "passages_same": ("same, number", "same IS NOT NULL"),
    "passages_about": ("about, number", "about IS NOT NULL"),
    "passages_limited": ("number", _LIMITED),
    "passages_superseded": ("superseded", "superseded IS NOT NULL"),
    "passages_unkeyed": ("number", "same IS NULL AND coalesce(document, 0) = 0"),
}
"""By name: the columns after ``agent``, and which rows."""


def upgrade() -> None:
    for column in _COLUMNS:
        op.add_column("passages", sa.Column(column, _BIG))
    for name, (column, only) in _INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON passages (agent, {column}) WHERE {only}")
