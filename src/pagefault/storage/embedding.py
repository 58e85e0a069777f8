"""The values of embedding: rows that wait for a vector, and the embedders of a database."""

from __future__ import annotations

from dataclasses import dataclass

from pagefault.types import AgentId, Tier

__all__ = ["EmbedderRecord", "PendingVector"]


@dataclass(frozen=True, slots=True)
class PendingVector:
    """A row or passage that has no vectors of this fingerprint yet; ``title`` is the passage's."""

    agent: AgentId
    tier: Tier
    number: int
    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class EmbedderRecord:
    """An embedder that made or makes vectors here. ``name``: as the settings have it. ``dimensions``: 0 until
    its first vectors. ``wanted``: the one configured last; ``in_service``: the one that is searched."""

    fingerprint: str
    name: str
    dimensions: int = 0
    wanted: bool = False
    in_service: bool = False
