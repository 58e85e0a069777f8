"""The part of the in-memory store on media."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pagefault.media import MediaContent
from pagefault.testing.memory_tables import MemoryRows
from pagefault.types import AgentId

__all__ = ["MemoryMedia"]


class MemoryMedia(MemoryRows):
    """The part of the in-memory store on media."""

    def put_media(self, agent: AgentId, contents: Sequence[MediaContent]) -> None:
        for each in contents:
            owner = self._agent(agent)
            if each.media.hash not in owner.media:
                nameless = replace(each, media=replace(each.media, name=""))
                self._changes.put(owner.media, each.media.hash, nameless)

    def media(self, agent: AgentId, hashes: Sequence[str]) -> list[MediaContent]:
        owner = self._database.agents.get(agent)
        return [owner.media[hash] for hash in hashes if hash in owner.media] if owner else []
