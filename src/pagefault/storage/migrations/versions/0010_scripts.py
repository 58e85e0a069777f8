"""Vectors of the shipped embedder only for texts in Latin letters: of others they say nothing.

Such a row becomes one that the embedder is done with and has no vector of: its first vector gets the part -1.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from pagefault.embedders.scripts import mainly_in

revision = "0010"
down_revision = "0009"

_BATCH = 1_000  # rows
_SHIPPED = "minilm-l6-v2-int8/"
_TABLES = {"recall": ("messages", "seq"), "archival": ("passages", "number")}
_NEXT = "SELECT min(fingerprint) FROM vectors WHERE agent = :agent AND tier = :tier AND fingerprint > :name"
_ROWS = """
    SELECT r.{number}, r.text FROM {table} r WHERE r.agent = :agent AND r.{number} > :after AND EXISTS (
        SELECT 1 FROM vectors v WHERE v.agent = r.agent AND v.tier = '{tier}' AND v.fingerprint = :name
        AND v.number = r.{number}) ORDER BY r.{number} LIMIT :limit"""
_OF_ROW = "WHERE agent = :agent AND tier = :tier AND fingerprint = :name AND number = :number"
_CHANGED = """
    UPDATE agents SET {tier}_changes = {tier}_changes + 1, {tier}_rebuilds = {tier}_rebuilds + 1
    WHERE id = :agent"""
_BLOCKS = "DELETE FROM index_blocks WHERE agent = :agent AND tier = :tier AND fingerprint = :name"


def upgrade() -> None:
    for (agent,) in op.get_bind().execute(sa.text("SELECT id FROM agents")).all():
        for tier in _TABLES:
            for name in _fingerprints(agent, tier):
                if name.startswith(_SHIPPED):
                    _drop(agent, tier, name)


def _fingerprints(agent: int, tier: str) -> Iterator[str]:
    """The fingerprints of a tier's vectors, each by one look at the index."""
    of = {"agent": agent, "tier": tier}
    name = op.get_bind().execute(sa.text(_NEXT), of | {"name": ""}).scalar()
    while name:
        yield name
        name = op.get_bind().execute(sa.text(_NEXT), of | {"name": name}).scalar()


def _drop(agent: int, tier: str, name: str) -> None:
    """Drop the vectors of one tier's rows in other letters, and the blocks (made anew) that have them."""
    bind, (table, number) = op.get_bind(), _TABLES[tier]
    rows = sa.text(_ROWS.format(tier=tier, table=table, number=number))
    of, after, dropped = {"agent": agent, "tier": tier, "name": name}, 0, False
    while found := bind.execute(rows, {"agent": agent, "name": name, "after": after, "limit": _BATCH}).all():
        after = found[-1][0]
        if others := [of | {"number": number} for number, text in found if not mainly_in(text, "latin")]:
            dropped = True
            bind.execute(sa.text(f"DELETE FROM vectors {_OF_ROW} AND part > 0"), others)
            bind.execute(sa.text(f"UPDATE vectors SET part = -1 {_OF_ROW}"), others)
    if dropped:
        bind.execute(sa.text(_CHANGED.format(tier=tier)), {"agent": agent})
        bind.execute(sa.text(_BLOCKS), of)
