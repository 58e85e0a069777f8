"""The rows that wait for a vector, found without looking through all agents.

``agents.unembedded`` says since when an agent may have such rows; whatever adds rows that are to have vectors
sets it. A mark per agent, fingerprint and tier says up to which number all is done: per agent, because an
agent's numbers are given out in the order of commits, and numbers over all agents are not. An embedder that
is new walks through all agents once, in the order of their ids: ``embedders.walked`` is how far it has come,
null when it is through. Each statement is of one agent, or of a few rows of an index.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pagefault.storage import EmbedderRecord, PendingVector
from pagefault.storage.sql.part import SqlPart
from pagefault.types import AgentId, Tier

__all__ = ["TIERS", "SqlWaiting"]

TIERS: tuple[tuple[Tier, str, str], ...] = (("recall", "messages", "seq"), ("archival", "passages", "number"))
"""Each tier's table, and the column of its numbers."""

_TOGETHER = 200
"""Agents that are looked at in one transaction."""
_FAIR = 8
"""Rows of a tier that an agent gets among those pending, however many agents have some."""

_MARK = """
    SELECT done FROM vector_marks m
    WHERE m.agent = :agent AND m.fingerprint = :fingerprint AND m.tier = '{tier}'"""
# Not EXISTS: that becomes a join, whose plan, once prepared, hashes every vector of the agent for each batch.
_WAITING = f"""
    FROM {{table}} r WHERE r.agent = :agent AND r.embed AND r.{{number}} > coalesce(({_MARK}), 0)
    AND (SELECT v.number FROM vectors v WHERE v.agent = :agent AND v.tier = '{{tier}}'
        AND v.fingerprint = :fingerprint AND v.number = r.{{number}} LIMIT 1) IS NULL
    ORDER BY r.{{number}}"""
_PENDING = f"SELECT r.at, r.agent, '{{tier}}', r.{{number}}, r.text, {{title}} {_WAITING} LIMIT :limit"
_REACHED = f"""
    SELECT a.{{last}}, (SELECT r.{{number}} - 1 {_WAITING} LIMIT 1) FROM agents a WHERE a.id = :agent"""
_ADVANCE = """
    INSERT INTO vector_marks (agent, fingerprint, tier, done) VALUES (:agent, :fingerprint, :tier, :done)
    ON CONFLICT (agent, fingerprint, tier) DO UPDATE SET done = excluded.done"""
_MARKED = """
    FROM agents a
    LEFT JOIN vector_marks r ON r.agent = a.id AND r.fingerprint = :fingerprint AND r.tier = 'recall'
    LEFT JOIN vector_marks p ON p.agent = a.id AND p.fingerprint = :fingerprint AND p.tier = 'archival'"""
_BEHIND = "(a.last_seq > coalesce(r.done, 0) OR a.last_passage > coalesce(p.done, 0))"
_FLAGGED_BEHIND = f"""
    SELECT a.id {_MARKED} WHERE a.unembedded IS NOT NULL AND {_BEHIND}
    ORDER BY a.unembedded, a.id LIMIT :limit"""
_WALK = f"SELECT a.id, {_BEHIND} {_MARKED} WHERE a.id > :after ORDER BY a.id LIMIT :limit"
_FLAGGED = "SELECT id FROM agents WHERE unembedded IS NOT NULL ORDER BY unembedded, id LIMIT :limit"
_DONE = """
    ({last} = 0 OR (SELECT count(*) FROM vector_marks m WHERE m.agent = :agent AND m.tier = '{tier}'
        AND {among} AND m.done >= {last}) = :count)"""
_CLEAR = "UPDATE agents SET unembedded = NULL WHERE id = :agent AND unembedded IS NOT NULL AND {done}"
_EMBEDDERS = "SELECT fingerprint, name, dimensions, wanted, in_service, walked FROM embedders"
_WALKED = "SELECT walked FROM embedders WHERE fingerprint = :fingerprint"
_PUT_WALKED = """
    INSERT INTO embedders (fingerprint, name, dimensions, wanted, in_service, walked)
    VALUES (:fingerprint, '', 0, false, false, :walked)
    ON CONFLICT (fingerprint) DO UPDATE SET walked = excluded.walked"""
_OF = {
    "recall": {"last": "last_seq", "title": "''"},
    "archival": {"last": "last_passage", "title": "r.title"},
}
_TABLES = {
    tier: {"tier": tier, "table": table, "number": number, **_OF[tier]} for tier, table, number in TIERS
}


class SqlWaiting(SqlPart):
    """The part of a transaction on rows that wait for a vector."""

    def pending_vectors(self, fingerprint: str, limit: int) -> list[PendingVector]:
        agents: list[int] = [
            a for (a,) in self._db.rows(_FLAGGED_BEHIND, fingerprint=fingerprint, limit=limit)
        ]
        walked = self._db.one(_WALKED, fingerprint=fingerprint) or (0,)
        if len(agents) < limit and walked[0] is not None:
            window = self._db.rows(_WALK, fingerprint=fingerprint, after=walked[0], limit=_TOGETHER)
            agents += [agent for agent, is_behind in window if is_behind]
        chosen, found = list(dict.fromkeys(agents)), list[Any]()
        share = max(_FAIR, limit // max(1, len(chosen)))
        either = " UNION ALL ".join(
            f"SELECT * FROM ({_PENDING.format(**_TABLES[tier])}) {tier}" for tier, _, _ in TIERS
        )
        for agent in chosen:
            if len(found) >= limit:
                break
            found += self._db.rows(either, agent=agent, fingerprint=fingerprint, limit=share)
        return [PendingVector(*row[1:]) for row in sorted(found)[:limit]]

    def settle_vectors(self, fingerprints: Collection[str]) -> bool:
        used = self._used(fingerprints)
        if any(walked is not None for walked in used.values()):
            # One walks at a time: another must not pass an agent that is taken here for one still to come.
            used = self._used(fingerprints, self._db.dialect.lock)
        more = [self._walk(name, used) for name in fingerprints if used[name] is not None]
        # As ever, agents are locked in the order of their ids.
        flagged = sorted(AgentId(agent) for (agent,) in self._db.rows(_FLAGGED, limit=_TOGETHER))
        behind = [self._behind(agent, used) for agent in flagged]
        more += [not names.isdisjoint(fingerprints) for names in behind]
        return any(more) or (len(flagged) == _TOGETHER and not all(behind))

    def _embedder_rows(self, lock: str = "") -> list[tuple[EmbedderRecord, int | None]]:
        """The embedders with how far each has walked."""
        rows = self._db.rows(f"{_EMBEDDERS} ORDER BY fingerprint{lock}")
        return [
            (EmbedderRecord(fingerprint, name, dimensions, bool(wanted), bool(in_service)), walked)
            for fingerprint, name, dimensions, wanted, in_service, walked in rows
        ]

    def _used(self, fingerprints: Collection[str], lock: str = "") -> dict[str, int | None]:
        """The embedders in use, here or by another process, with how far each has walked."""
        rows = self._embedder_rows(lock)
        chosen = {
            e.fingerprint: at for e, at in rows if e.wanted or e.in_service or e.fingerprint in fingerprints
        }
        return {**dict.fromkeys(fingerprints, 0), **chosen}

    def _walk(self, fingerprint: str, used: dict[str, int | None]) -> bool:
        """Walk on over agents that have all vectors of an embedder; return whether any may be ahead."""
        walked = used[fingerprint]
        window: Sequence[tuple[int, bool]] = self._db.rows(
            _WALK, fingerprint=fingerprint, after=walked, limit=_TOGETHER
        )
        more = len(window) == _TOGETHER
        for agent, is_behind in window:
            if is_behind and not self._is_done(AgentId(agent), fingerprint):
                more = True
                break
            walked = agent
        used[fingerprint] = walked if more else None
        self._db.send(_PUT_WALKED, fingerprint=fingerprint, walked=used[fingerprint])
        return more

    def _behind(self, agent: AgentId, used: Mapping[str, int | None]) -> set[str]:
        """The embedders that an agent's rows wait for; if there are none, its flag is taken away."""
        names = [name for name, walked in used.items() if walked is None or walked >= agent]
        if self._clear(agent, names):
            return set()
        behind = {name for name in names if not self._is_done(agent, name)}
        if not behind:
            self._clear(agent, names)
        return behind

    def _clear(self, agent: AgentId, fingerprints: Sequence[str]) -> bool:
        """Take the flag from an agent if the marks of these embedders are at its end; return whether so."""
        among = self._db.dialect.among("m.fingerprint", "names", str)
        done = " AND ".join(_DONE.format(**_TABLES[tier], among=among) for tier, _, _ in TIERS)
        listed = self._db.listed(list(fingerprints))
        return self._db.changed(_CLEAR.format(done=done), agent=agent, names=listed, count=len(fingerprints))

    def _is_done(self, agent: AgentId, fingerprint: str) -> bool:
        return min([self._mark(agent, tier, fingerprint) for tier, _, _ in TIERS])  # each is to be marked

    def _mark(self, agent: AgentId, tier: Tier, fingerprint: str) -> bool:
        """Bring the mark of an embedder to where it may be: what is before it has vectors. Return whether
        that is the end."""
        reached = self._db.one(_REACHED.format(**_TABLES[tier]), agent=agent, fingerprint=fingerprint)
        if reached is None:
            return True
        last, before = reached
        done = last if before is None else before
        self._db.send(_ADVANCE, agent=agent, fingerprint=fingerprint, tier=tier, done=done)
        return before is None
