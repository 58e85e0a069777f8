"""The rows of a database that wait for a vector.

A mark per agent, fingerprint and tier says up to which number all is done, so that asking reads only what was
added since. It is per agent because an agent's numbers are given out under a lock, in the order of commits;
what counts over all agents is not: a smaller id may be committed after a larger one.
"""

from __future__ import annotations

from pagefault.storage.sql.vectors import TIERS, SqlVectors
from pagefault.types import AgentId, Tier

__all__ = ["PostgresVectors"]

_REST = {
    "recall": {"last": "last_seq", "title": "''"},
    "archival": {"last": "last_passage", "title": "r.title"},
}
_TABLES = {
    tier: {"tier": tier, "table": table, "number": number, **_REST[tier]} for tier, table, number in TIERS
}
# Not EXISTS: that becomes a join, whose plan, once prepared, hashes every vector of the agent for each batch.
_WAITING = """
    FROM {table} r WHERE r.agent = a.id AND r.embed AND r.{number} > coalesce(m.done, 0)
    AND (SELECT v.number FROM vectors v WHERE v.agent = r.agent AND v.tier = '{tier}'
        AND v.fingerprint = :fingerprint AND v.number = r.{number} LIMIT 1) IS NULL
    ORDER BY r.{number}"""
_MARKED = """
    FROM agents a LEFT JOIN vector_marks m
    ON m.agent = a.id AND m.fingerprint = :fingerprint AND m.tier = '{tier}'"""
_PENDING = f"""
    SELECT w.at, a.id, '{{tier}}', w.number, w.text, w.title {_MARKED} CROSS JOIN LATERAL (
        SELECT r.at, r.{{number}} AS number, r.text, {{title}} AS title {_WAITING} LIMIT :limit) w
    WHERE a.{{last}} > coalesce(m.done, 0) LIMIT :limit"""
_ADVANCE = f"""
    INSERT INTO vector_marks (agent, fingerprint, tier, done) SELECT a.id, :fingerprint, '{{tier}}',
    coalesce((SELECT r.{{number}} - 1 {_WAITING} LIMIT 1), a.{{last}}) {_MARKED} WHERE a.id = :agent
    ON CONFLICT (agent, fingerprint, tier) DO UPDATE SET done = excluded.done"""


class PostgresVectors(SqlVectors):
    """The part of a transaction on vectors."""

    def _pending(self, tier: Tier) -> str:
        return _PENDING.format(**_TABLES[tier])

    def _mark(self, agent: AgentId, tier: Tier, fingerprint: str) -> None:
        self._db.send(_ADVANCE.format(**_TABLES[tier]), agent=agent, fingerprint=fingerprint)
