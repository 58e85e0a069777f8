"""The texts of a pool in a store of their own, each pool once, to be searched with the product's ranker.

A turn of a conversation is a message with its speaker, another text a passage with its title. A few stores
stay open; the others are opened when they are needed. Leaves out an agent's memory: that is
``strategies.memgpt``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from urllib.parse import quote

import anyio

from pagefault.bench.tasks import Item, Text
from pagefault.build import open_store
from pagefault.config import Installation
from pagefault.context import label
from pagefault.embedders import Embedder
from pagefault.errors import UsageError
from pagefault.kernel.indexer import Indexer
from pagefault.retrieval import Retriever
from pagefault.retrieval.service import EmbedderService
from pagefault.storage import Filter, Store, Transaction
from pagefault.testing.clock import FixedClock
from pagefault.types import AgentId, AgentRecord, Message, Passage, Role, Tier

__all__ = ["Pools", "Search", "file_name", "message_of", "passage_of"]

_OPEN = 8  # stores that stay open while nobody searches them


def file_name(id: str) -> str:
    """A name for a file or folder of this item or pool."""
    return quote(id, safe=" ")


def message_of(text: Text) -> Message:
    """A turn as a row of the log, its label for the prompt with it."""
    if text.own:
        return Message(Role.ASSISTANT, text.text, text.at, "{}")
    kind = f"user {text.speaker}" if text.speaker else "user"
    return Message(Role.USER, text.text, text.at, label(kind, text.at, UTC, "{}"), speaker=text.speaker)


def passage_of(text: Text) -> Passage:
    return Passage(text.text, text.at, title=text.title)


@dataclass(frozen=True, slots=True)
class Search:
    """The texts of a pool, found as an agent would find them."""

    texts: Sequence[Text]
    agent: AgentId
    tier: Tier
    retriever: Retriever

    async def search(self, query: str, most: int) -> list[Text]:
        """The best texts for a query, best first."""
        ranking = await self.retriever.search(self.agent, self.tier, query, Filter())
        return [self.texts[hit.number - 1] for hit in ranking[:most]]


@dataclass(slots=True)
class _Pool:
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    store: Store | None = None
    users: int = 0
    search: Search | None = None


@dataclass(slots=True)
class Pools:
    """Stores in ``folder``. One embedder for all, so that no text is embedded twice."""

    folder: Path
    embedder: Embedder
    _pools: dict[str, _Pool] = field(default_factory=dict[str, _Pool])

    @asynccontextmanager
    async def searching(self, item: Item) -> AsyncGenerator[Search]:
        """The texts of an item's pool, loaded and with their vectors."""
        pool = self._pools.pop(item.pool, None) or _Pool()
        self._pools[item.pool] = pool  # used last, last
        pool.users += 1
        try:
            async with pool.lock:
                if pool.store is None or pool.search is None:
                    pool.store = open_store(self.folder / file_name(item.pool), Installation())
                    pool.search = await self._loaded(pool.store, item)
            yield pool.search
        finally:
            pool.users -= 1
            await self._close(_OPEN)

    async def aclose(self) -> None:
        """Close all stores."""
        await self._close(0)

    async def _close(self, most: int) -> None:
        idle = [pool for pool in self._pools.values() if pool.store is not None and not pool.users]
        for pool in idle[: max(0, len(idle) - most)]:
            store, pool.store, pool.search = pool.store, None, None
            if store is not None:
                with anyio.CancelScope(shield=True):
                    await store.close()

    async def _loaded(self, store: Store, item: Item) -> Search:
        tier: Tier = "recall" if item.form == "conversation" else "archival"
        service = EmbedderService(store, self.embedder, "", _no_other)
        record = await store.read(lambda tx: tx.agent(_AGENT))
        agent = record.id if record else await store.write(lambda tx: _load(tx, item))
        await Indexer(store, service).settled()
        retriever = Retriever(store, service.serving, FixedClock(item.asked))
        return Search(item.texts, agent, tier, retriever)


_AGENT = "pool"


def _load(tx: Transaction, item: Item) -> AgentId:
    agent = tx.create_agent(AgentRecord(_AGENT, {}, item.asked)).id
    if item.form == "conversation":
        tx.append(agent, [message_of(text) for text in item.texts])
    else:
        tx.insert_passages(agent, [passage_of(text) for text in item.texts])
    return agent


def _no_other(name: str) -> Embedder:
    raise UsageError(f"There is no embedder {name!r} here.")
