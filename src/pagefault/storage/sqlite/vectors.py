"""The rows of a file that wait for a vector.

A mark per fingerprint and tier says up to which row all is done, so that asking costs nothing when nothing
waits, and a new fingerprint starts from the beginning.
"""

from __future__ import annotations

from pagefault.storage.sql.vectors import TIERS, SqlVectors
from pagefault.types import AgentId, Tier

__all__ = ["SQLiteVectors"]

_TITLES = {"recall": "''", "archival": "r.title"}
_TABLES = {tier: {"tier": tier, "table": table, "number": number} for tier, table, number in TIERS}
_WAITING = """
    FROM {table} r WHERE r.embed AND r.id > coalesce(
        (SELECT done FROM vector_marks WHERE fingerprint = :fingerprint AND tier = '{tier}'), 0)
    AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.agent = r.agent AND v.tier = '{tier}'
        AND v.fingerprint = :fingerprint AND v.number = r.{number})
    ORDER BY r.id"""
_PENDING = "SELECT r.at, r.agent, '{tier}', r.{number}, r.text, {title}" + _WAITING + " LIMIT :limit"
_ADVANCE = (
    "INSERT OR REPLACE INTO vector_marks (fingerprint, tier, done) SELECT :fingerprint, '{tier}', coalesce("
    "(SELECT r.id - 1" + _WAITING + " LIMIT 1), (SELECT max(id) FROM {table}), 0)"
)


class SQLiteVectors(SqlVectors):
    """The part of a transaction on vectors."""

    def _pending(self, tier: Tier) -> str:
        return _PENDING.format(**_TABLES[tier], title=_TITLES[tier])

    def _mark(self, agent: AgentId, tier: Tier, fingerprint: str) -> None:
        del agent  # a mark is of all agents together
        self._db.send(_ADVANCE.format(**_TABLES[tier]), fingerprint=fingerprint)
