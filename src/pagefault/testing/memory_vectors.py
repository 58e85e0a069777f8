"""The part of the in-memory store on vectors and embedders."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pagefault.errors import EmbedderError
from pagefault.storage import EmbedderRecord, PendingVector
from pagefault.storage.segments import SealStep, SegmentSizes
from pagefault.testing.memory_search import is_indexed, title_of
from pagefault.testing.memory_tables import MemoryRows
from pagefault.types import (
    SEARCHED_BY_DEFAULT,
    AgentId,
    Passage,
    Tier,
)

__all__ = ["MemoryVectors"]


class MemoryVectors(MemoryRows):
    """The part of the in-memory store on vectors and embedders."""

    # vectors
    def pending_vectors(self, fingerprint: str, limit: int) -> list[PendingVector]:
        tiers: tuple[Tier, ...] = ("recall", "archival")
        found = [
            (item.at, PendingVector(agent, tier, number, item.text, title_of(item)))
            for agent, owner in self._database.agents.items()
            for tier in tiers
            for number, item in self._rows(owner, tier)
            if item.text.strip() and is_indexed(item) and (fingerprint, tier, number) not in owner.vectors
            if isinstance(item, Passage) or item.role in SEARCHED_BY_DEFAULT
        ]
        return [pending for _, pending in sorted(found, key=lambda one: one[0])[:limit]]

    def settle_vectors(self, fingerprints: Collection[str]) -> bool:
        return any(self.pending_vectors(fingerprint, 1) for fingerprint in fingerprints)

    def put_vectors(
        self, fingerprint: str, items: Sequence[PendingVector], vectors: Sequence[NDArray[np.float32]]
    ) -> None:
        for item, windows in zip(items, vectors, strict=True):
            if len(windows):
                self._know(fingerprint, windows.shape[1])
            owner = self._database.agents.get(item.agent)
            if owner is None:
                continue
            row = (owner.messages if item.tier == "recall" else owner.passages).get(item.number)
            if row is not None and is_indexed(row) and row.text == item.text:
                kept = windows.astype(np.float16).astype(np.float32)
                self._changes.put(owner.vectors, (fingerprint, item.tier, item.number), kept)

    def _know(self, fingerprint: str, dimensions: int) -> None:
        known = self._database.embedders.get(fingerprint) or EmbedderRecord(fingerprint, "")
        if known.dimensions not in (0, dimensions):
            raise EmbedderError(f"Vectors of {fingerprint} have {known.dimensions} dimensions.")
        record = replace(known, dimensions=dimensions)
        self._changes.put(self._database.embedders, fingerprint, record)

    def forget_vectors(self, fingerprint: str, limit: int) -> int:
        gone = 0
        for owner in self._database.agents.values():
            for key in [key for key in owner.vectors if key[0] == fingerprint][: limit - gone]:
                gone += max(1, len(owner.vectors[key]))
                self._changes.drop(owner.vectors, key)
        if gone < limit and fingerprint in self._database.embedders:
            self._changes.drop(self._database.embedders, fingerprint)
        return gone

    def sealable(self, sizes: SegmentSizes) -> list[AgentId]:
        del sizes
        return []

    def seal(self, agent: AgentId, sizes: SegmentSizes) -> SealStep:
        del agent, sizes
        return ""

    def embedded(self, fingerprint: str) -> tuple[int, int]:
        done = sum(key[0] == fingerprint for a in self._database.agents.values() for key in a.vectors)
        return done, done + len(self.pending_vectors(fingerprint, 1 << 62))

    def embedders(self) -> list[EmbedderRecord]:
        return [record for _, record in sorted(self._database.embedders.items())]

    def put_embedder(self, record: EmbedderRecord) -> None:
        for other in self.embedders():
            wanted = other.wanted and not record.wanted
            in_service = other.in_service and not record.in_service
            changed = replace(other, wanted=wanted, in_service=in_service)
            self._changes.put(self._database.embedders, other.fingerprint, changed)
        self._changes.put(self._database.embedders, record.fingerprint, record)
