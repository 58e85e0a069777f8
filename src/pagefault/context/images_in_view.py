"""The bytes of the images that the queue shows, read from the store when a prompt is compiled.

They are held for one turn: what an agent between turns keeps in memory is text. An image goes with its row.
If the images are more than a request takes, the older ones go, down to half of it: each time the prompt
begins anew, and so it does that seldom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pagefault.context import Queue
from pagefault.images import MOST_BYTES, MOST_IMAGES
from pagefault.media import MediaContent
from pagefault.storage import Store
from pagefault.types import AgentId, Message

__all__ = ["ImagesInView"]


@dataclass(slots=True)
class ImagesInView:
    """The images of one agent's queue, by the number of the row that shows them."""

    agent: AgentId
    store: Store
    held: Mapping[int, tuple[MediaContent, ...]] = field(default_factory=dict[int, tuple[MediaContent, ...]])

    async def load(self, queue: Queue) -> None:
        """Hold the images of the queue, the newest that fit into a request, and no others."""
        rows = _sent(queue)
        if [row.seq for row in rows] == [*self.held]:
            return
        known = {each.media.hash: each for images in self.held.values() for each in images}
        missing = {media.hash for row in rows for media in row.meta.shown_images} - known.keys()
        if missing:
            found = await self.store.read(lambda tx: tx.media(self.agent, sorted(missing)))
            known |= {each.media.hash: each for each in found}
        self.held = {row.seq: _images_of(row, known) for row in rows}


def _images_of(row: Message, known: Mapping[str, MediaContent]) -> tuple[MediaContent, ...]:
    found = ((each, known.get(each.hash)) for each in row.meta.shown_images)
    return tuple(replace(each, media=replace(each.media, name=media.name)) for media, each in found if each)


def _sent(queue: Queue) -> Sequence[Message]:
    """The rows whose images are sent. Which these are follows from the queue alone, after a restart too."""
    sent = list[Message]()
    for row in queue.in_order:
        if not row.meta.shown_images:
            continue
        sent.append(row)
        if not _fits(sent, 1):
            while len(sent) > 1 and not _fits(sent, 2):
                del sent[0]
    return sent


def _fits(rows: Sequence[Message], parts: int) -> bool:
    """Return whether the images of rows are no more than a request takes, divided by ``parts``."""
    images = [media for row in rows for media in row.meta.shown_images]
    return len(images) * parts <= MOST_IMAGES and sum(each.size for each in images) * parts <= MOST_BYTES
