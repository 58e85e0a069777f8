"""Images and files of an agent's log, with their bytes."""

from __future__ import annotations

from pagefault.errors import NotFoundError
from pagefault.kernel import Kernel
from pagefault.media import MediaContent

__all__ = ["media"]


async def media(kernel: Kernel, name: str, hash: str) -> MediaContent:
    """The media of this hash, without their name; ``NotFoundError`` if the agent has none."""
    agent = (await kernel.record(name)).id
    for found in await kernel.store.read(lambda tx: tx.media(agent, [hash])):
        return found
    raise NotFoundError(
        f"Agent {name} has no media of the hash {hash[:64]!r}; replies and outputs have them."
    )
