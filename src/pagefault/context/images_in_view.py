"""The bytes of the images that the queue shows, read from the store when a prompt is compiled.

They are held for one turn: what an agent between turns keeps in memory is text. An image goes with its row,
and when the newest ones are as many as a request takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pagefault.context import Queue
from pagefault.images import MOST_IMAGES
from pagefault.media import MediaContent
from pagefault.storage import Store
from pagefault.types import AgentId

__all__ = ["ImagesInView"]

_MOST_BYTES = 14_000_000  # of a request: under 20 MB in base64, which every provider takes


@dataclass(slots=True)
class ImagesInView:
    """The images of one agent's queue, by hash."""

    agent: AgentId
    store: Store
    held: Mapping[str, MediaContent] = field(default_factory=dict[str, MediaContent])

    async def load(self, queue: Queue) -> None:
        """Hold the images of the queue, the newest that fit into a request, and no others."""
        wanted = _newest(queue)
        if missing := [hash for hash in wanted if hash not in self.held]:
            found = await self.store.read(lambda tx: tx.media(self.agent, missing))
            self.held = {**self.held, **{each.media.hash: each for each in found}}
        if len(wanted) < len(self.held):
            self.held = {hash: each for hash, each in self.held.items() if hash in wanted}


def _newest(queue: Queue) -> dict[str, int]:
    """The sizes of the images to send, by hash."""
    wanted, left = dict[str, int](), _MOST_BYTES
    for row in reversed(queue.in_order):
        for media in row.meta.shown_images:
            if media.hash not in wanted:
                left -= media.size
                if left < 0 or len(wanted) == MOST_IMAGES:
                    return wanted
                wanted[media.hash] = media.size
    return wanted
