"""The steps by which an owner's rows are sealed, merged and built anew (``storage.segments``).

Each is one transaction that decides by what the database says, so whatever a process that was killed had
begun, the next step goes on from there. Leaves out when steps are made (``kernel.sealer``).
"""

from __future__ import annotations

from collections.abc import Sequence

from pagefault.storage.segments import SealStep, Segment, SegmentKind, SegmentSizes, planned
from pagefault.storage.sql.part import SqlPart
from pagefault.types import AgentId, Tier

__all__ = ["SEGMENT", "SqlSegments"]

SEGMENT = "SELECT number, tier, fingerprint, first, last, state, rows, dead FROM segments"
_PLAN = """
    INSERT INTO segments (agent, number, tier, fingerprint, first, last, state, rows, dead)
    VALUES (:agent, :number, :tier, :fingerprint, :first, :last, 'building', 0, 0)"""
_BUILT = """
    UPDATE segments SET state = 'built', rows = :rows
    WHERE agent = :agent AND number = :number AND state = 'building'"""
_REPLACE = """
    UPDATE segments SET state = 'replaced'
    WHERE agent = :agent AND tier = :tier AND fingerprint = :fingerprint AND state = 'sealed'
    AND first >= :first AND last <= :last"""
_PUBLISH = """
    UPDATE segments SET state = 'sealed', dead = :dead WHERE agent = :agent AND number = :number"""
_CHANGED = "UPDATE agents SET {tier}_changes = {tier}_changes + 1 WHERE id = :agent"
_REMOVE = "DELETE FROM segments WHERE agent = :agent AND number = :number"
_SEALABLE = """
    SELECT id FROM agents WHERE last_seq > :small OR last_passage > :small
    UNION SELECT agent FROM segments ORDER BY 1"""


class SqlSegments(SqlPart):
    """The part of a transaction on sealed segments."""

    def _segment_kinds(self) -> Sequence[SegmentKind]:
        """The kinds of index that this database seals."""
        return ()

    def _claim(self, agent: AgentId) -> bool:
        """Keep other processes from sealing for the agent until the end of the transaction; False if one
        does."""
        del agent
        return True

    def sealable(self, sizes: SegmentSizes) -> list[AgentId]:
        if not self._segment_kinds():
            return []
        return [AgentId(agent) for (agent,) in self._db.rows(_SEALABLE, small=sizes.small)]

    def seal(self, agent: AgentId, sizes: SegmentSizes) -> SealStep:
        kinds = self._segment_kinds()
        if not kinds or not self._claim(agent):
            return ""
        rows = self._db.rows(f"{SEGMENT} WHERE agent = :agent ORDER BY first", agent=agent)
        segments = [Segment(*row) for row in rows]
        for kind in kinds:
            for tier, fingerprint in kind.indexes(agent):
                own = [s for s in segments if (s.tier, s.fingerprint) == (tier, fingerprint)]
                sealed = [s for s in own if s.state == "sealed"]
                step = (
                    self._complete(kind, agent, own, sealed)
                    or self._clean(kind, agent, own, sealed)
                    or self._plan(kind, agent, tier, fingerprint, sealed, sizes)
                )
                if step:
                    return step
        return ""

    def _complete(
        self, kind: SegmentKind, agent: AgentId, own: Sequence[Segment], sealed: Sequence[Segment]
    ) -> SealStep:
        """Build the segment that was planned, or publish the one that is built."""
        for segment in own:
            if segment.state == "building":
                within = [s for s in sealed if segment.first <= s.first and s.last <= segment.last]
                rows = kind.build(agent, segment, within)
                built = {"agent": agent, "number": segment.number, "rows": rows}
                if rows is not None and not self._db.changed(_BUILT, **built):
                    kind.drop(agent, segment)  # the agent, or the embedder, was deleted meanwhile
                return "build"
            if segment.state == "built":
                self._publish(kind, agent, segment)
                return "publish"
        return ""

    def _publish(self, kind: SegmentKind, agent: AgentId, segment: Segment) -> None:
        self._lock(agent)
        dead = kind.publish(agent, segment)
        of = {"agent": agent, "tier": segment.tier, "fingerprint": segment.fingerprint}
        self._db.send(_REPLACE, **of, first=segment.first, last=segment.last)
        self._db.send(_PUBLISH, agent=agent, number=segment.number, dead=dead)
        self._db.send(_CHANGED.format(tier=segment.tier), agent=agent)

    def _clean(
        self, kind: SegmentKind, agent: AgentId, own: Sequence[Segment], sealed: Sequence[Segment]
    ) -> SealStep:
        """Delete some of what sealed segments have replaced."""
        if sealed and kind.clean(agent, sealed[-1].tier, sealed[-1].fingerprint, sealed[-1].last):
            return "clean"
        for segment in own:
            if segment.state == "replaced" and (more := kind.drop(agent, segment)) is not None:
                if not more:
                    self._db.send(_REMOVE, agent=agent, number=segment.number)
                return "drop"
        return ""

    def _plan(
        self,
        kind: SegmentKind,
        agent: AgentId,
        tier: Tier,
        fingerprint: str,
        sealed: Sequence[Segment],
        sizes: SegmentSizes,
    ) -> SealStep:
        def measure(first: int, last: int) -> int:
            return kind.measure(agent, tier, fingerprint, first, last)

        reach = kind.reach(agent, tier, fingerprint)
        found = planned(sealed, reach, measure, sizes, kind.most(fingerprint))
        if found is None:
            return ""
        first, last = found
        number = self._next("segment", agent)
        of = {"agent": agent, "tier": tier, "fingerprint": fingerprint}
        self._db.send(_PLAN, **of, number=number, first=first, last=last)
        return "plan"
