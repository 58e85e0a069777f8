"""The texts of a pool in a store of their own, each pool once, to be searched with the product's ranker.

A turn of a conversation is a message of an agent's log, with its speaker; documents are an archive, which is
loaded once and stays, so that a run on a server's database finds it there again. A few stores stay open; the
others are opened when they are needed. Leaves out an agent's memory: that is ``strategies.memgpt``.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import TypeVar
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
from pagefault.shared import SharedRecord
from pagefault.storage import Filter, Match, Store, Transaction, TurnHold, Workers
from pagefault.storage.signals import Signals
from pagefault.testing.clock import FixedClock
from pagefault.types import AgentId, AgentRecord, Message, Passage, Role, Tier

__all__ = ["KeptOpen", "Pools", "Search", "file_name", "message_of", "passage_of"]

T = TypeVar("T")

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


@dataclass(frozen=True, slots=True)
class KeptOpen:
    """A pool's store for a kernel that runs on it: closing it is left to the pool."""

    store: Store

    @property
    def signals(self) -> Signals:
        return self.store.signals

    @property
    def workers(self) -> Workers:
        return self.store.workers

    async def write(self, work: Callable[[Transaction], T], hold: TurnHold | None = None) -> T:
        return await self.store.write(work, hold)

    async def read(self, work: Callable[[Transaction], T]) -> T:
        return await self.store.read(work)

    async def build(self, work: Callable[[Transaction], T]) -> T:
        return await self.store.build(work)

    def turn_lock(self, agent: AgentId) -> AbstractAsyncContextManager[TurnHold]:
        return self.store.turn_lock(agent)

    async def close(self) -> None:
        """Leave the store open."""


@dataclass(slots=True)
class _Pool:
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    store: Store | None = None
    users: int = 0
    search: Search | None = None


@dataclass(slots=True)
class Pools:
    """Stores in ``folder``; of documents in the database of the URL ``documents``, if there is one. One
    embedder for all, so that no text is embedded twice."""

    folder: Path
    embedder: Embedder
    documents: str = ""
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
                    database = self.documents if item.form == "passages" else ""
                    pool.store = open_store(
                        self.folder / file_name(item.pool), Installation(database=database)
                    )
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
        load = _load_archive if item.form == "passages" else _load_agent
        owner = await load(store, item)
        await Indexer(store, service).settled()
        retriever = Retriever(store, service.serving, FixedClock(item.asked))
        return Search(item.texts, owner, tier, retriever)


_AGENT = "pool"
_TOGETHER = 1000  # documents in one transaction


async def _load_agent(store: Store, item: Item) -> AgentId:
    """The agent that has the texts, made if it is not there."""

    def work(tx: Transaction) -> AgentId:
        agent = tx.create_agent(AgentRecord(_AGENT, {}, item.asked)).id
        if item.form == "conversation":
            tx.append(agent, [message_of(text) for text in item.texts])
        else:
            tx.insert_passages(agent, [passage_of(text) for text in item.texts])
        return agent

    record = await store.read(lambda tx: tx.agent(_AGENT))
    return record.id if record else await store.write(work)


async def _load_archive(store: Store, item: Item) -> AgentId:
    """The archive that has the texts as documents, with what it lacks of them."""
    about = f"{len(item.texts):,} documents, {_digest(item.texts)}"

    def archive(tx: Transaction) -> SharedRecord:
        new = SharedRecord("archive", item.pool, item.asked, about)
        return tx.shared("archive", item.pool) or tx.create_shared(new)

    record = await store.write(archive)
    if record.description != about:
        raise UsageError(
            f"That database has an archive {item.pool} of other documents; give one of its own to each set."
        )
    every = await store.read(lambda tx: tx.search(record.id, "archival", Match(), Filter(), ""))
    done = int(every.number[-1]) if len(every.number) else 0
    for first in range(done, len(item.texts), _TOGETHER):
        passages = [passage_of(text) for text in item.texts[first : first + _TOGETHER]]
        await store.write(lambda tx, passages=passages: tx.insert_passages(record.id, passages))
    return record.id


def _digest(texts: Sequence[Text]) -> str:
    found = hashlib.sha256()
    for text in texts:
        found.update(f"{text.title}\0{text.text}\0".encode("utf-8", "surrogatepass"))
    return found.hexdigest()[:8]


def _no_other(name: str) -> Embedder:
    raise UsageError(f"There is no embedder {name!r} here.")
