"""The part of the transaction protocol on media: bytes of images and files, once for each agent by hash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pagefault.media import MediaContent
from pagefault.types import AgentId

__all__ = ["MediaTransaction"]


class MediaTransaction(Protocol):
    """The work on media. They are never changed, and go with their agent."""

    def put_media(self, agent: AgentId, contents: Sequence[MediaContent]) -> None:
        """Store the bytes that are not there yet. Their names are not stored: they are in the rows that refer
        to them."""
        ...

    def media(self, agent: AgentId, hashes: Sequence[str]) -> list[MediaContent]:
        """The media of these hashes that are there, in the order asked; without names."""
        ...
