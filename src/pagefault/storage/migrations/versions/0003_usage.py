"""An index of the rows that tell what requests cost. Rows written before this do not, and cost nothing."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

_TELLS = """{}(meta, '"usage": [') > 0"""


def upgrade() -> None:
    find = "strpos" if op.get_bind().dialect.name == "postgresql" else "instr"
    op.execute(f"CREATE INDEX messages_with_usage ON messages (agent, at) WHERE {_TELLS.format(find)}")
