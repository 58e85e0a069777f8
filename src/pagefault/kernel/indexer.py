"""The vector indexer: gives rows their vectors in the background, off every turn's critical path.

Search never waits for it: a row without a vector is found by its words. A text that an embedder does not
read is recorded as done, without a vector. Vectors of the embedder in service are made first, then those of
the one that is to take over (``retrieval.service``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from math import inf
from time import monotonic

import anyio

from pagefault.containment import barrier
from pagefault.embedders import Embedder
from pagefault.embedders.pair import members_of, reads
from pagefault.errors import EmbedderSetupError, PagefaultError
from pagefault.redaction import logger_of
from pagefault.retrieval import windows
from pagefault.retrieval.service import EmbedderService, scale_in_use, vectors_of
from pagefault.storage import Store

logger = logger_of(__name__)

_BATCH = 64  # rows at a time
_GATHER = 0.25  # seconds in which further rows may come before a batch is begun
_RETRIES = (2.0, 10.0, 60.0)  # seconds before each retry after the embedder or the store has failed


@dataclass(slots=True)
class Indexer:
    """Embeds what ``Transaction.pending_vectors`` lists, oldest first, whenever it is woken; ``made`` is
    called when nothing is left."""

    store: Store
    service: EmbedderService
    made: Callable[[], None] = lambda: None
    _woken: anyio.Event = field(default_factory=anyio.Event)
    _one: anyio.Lock = field(default_factory=anyio.Lock)

    def wake(self) -> None:
        """There may be new rows."""
        self._woken.set()

    async def run(self) -> None:
        """Index until cancelled, or until the embedder reports that it cannot work as configured."""
        failures = 0
        while True:
            try:
                with barrier():
                    await self.settled()
            except EmbedderSetupError as error:
                logger.warning("searching by words alone: %s", error)
                return
            except PagefaultError as error:  # whatever it is, search by words goes on
                delay = _RETRIES[min(failures, len(_RETRIES) - 1)]
                logger.warning("vectors are late, retry in %.0f s: %s", delay, error)
                failures += 1
                await anyio.sleep(delay)
                continue
            failures = 0
            self.made()
            await self._woken.wait()
            await anyio.sleep(_GATHER)
            self._woken = anyio.Event()

    async def settled(self, seconds: float = inf) -> bool:
        """Make all pending vectors, then return True; ``EmbedderError`` if one cannot be made. After
        ``seconds`` no further batch is begun, and False is returned."""
        until = monotonic() + seconds
        while await self._batch():
            if monotonic() >= until:
                return False
        return True

    async def _batch(self) -> bool:
        """Give the next rows their vectors; False if none are pending."""
        async with self._one:
            embedders = await self.service.embedders()
            members = [member for embedder in embedders for member in members_of(embedder)]
            for member in members:
                if member.dimensions != 0 and await self._embed(member):
                    return True
            names = [member.fingerprint for member in members if member.dimensions != 0]
            if names and await self.store.write(lambda tx: tx.settle_vectors(names)):
                return True
            if len(embedders) > 1:
                await self.service.switch(*embedders)
                return embedders[1] is not await self.service.serving()
            return False

    async def _embed(self, embedder: Embedder) -> int:
        name = embedder.fingerprint
        pending = await self.store.read(lambda tx: tx.pending_vectors(name, _BATCH))
        if pending:
            await scale_in_use(embedder)  # before its vectors can be searched
            texts = [
                [text for text in windows(item.text, item.title) if reads(embedder, text)] for item in pending
            ]
            embedded = await vectors_of(embedder, [text for each in texts for text in each])
            ends = accumulate(map(len, texts), initial=0)
            vectors = [embedded[first:last] for first, last in pairwise(ends)]
            await self.store.write(lambda tx: tx.put_vectors(name, pending, vectors))
        return len(pending)
