"""The vector indexer: gives rows their vectors in the background, off every turn's critical path.

Search never waits for it: a row without a vector is found lexically.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import anyio

from pagefault.embedders import Embedder
from pagefault.retrieval import windows
from pagefault.storage import Store

_BATCH = 16  # texts embedded at a time


@dataclass(slots=True)
class Indexer:
    """Embeds what ``Store.pending_vectors`` lists, oldest first, whenever it is woken."""

    store: Store
    embedder: Embedder
    _woken: anyio.Event = field(default_factory=anyio.Event)
    _one: anyio.Lock = field(default_factory=anyio.Lock)

    def wake(self) -> None:
        """There may be new rows."""
        self._woken.set()

    async def run(self) -> None:
        """Index until cancelled."""
        while self.embedder.dimensions:
            await self.settled()
            await self._woken.wait()
            self._woken = anyio.Event()

    async def settled(self) -> None:
        """Return when nothing is pending."""
        while self.embedder.dimensions and await self._batch():
            pass

    async def _batch(self) -> int:
        async with self._one:
            name = self.embedder.fingerprint
            pending = await self.store.read(lambda tx: tx.pending_vectors(name, _BATCH))
            if pending:
                texts = [windows(item.text, item.title) for item in pending]
                embedded = await self.embedder.embed([text for each in texts for text in each])
                ends = accumulate(map(len, texts), initial=0)
                vectors = [embedded[first:last] for first, last in pairwise(ends)]
                await self.store.write(lambda tx: tx.put_vectors(name, pending, vectors))
            return len(pending)
