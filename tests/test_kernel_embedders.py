"""A change of embedder: the former one serves until the new one has made vectors of everything."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pagefault.embedders import Embedder, Scale, Vectors
from pagefault.errors import EmbedderError, PagefaultError, UsageError
from pagefault.kernel.indexer import Indexer
from pagefault.retrieval import Retriever
from pagefault.retrieval.service import EmbedderService
from pagefault.storage import EmbedderRecord, Filter, Store
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.memory import MemoryStore
from pagefault.testing.store_opening import NOW, said
from pagefault.types import AgentId, AgentRecord

STORES = ("memory", "sqlite")


class Counting(HashEmbedder):
    """Says how many texts it embedded; ``broken`` makes it fail."""

    def __init__(self, name: str, dimensions: int = 32) -> None:
        super().__init__(dimensions)
        self.fingerprint = name
        self.texts: list[str] = []
        self.broken = False

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if self.broken:
            raise EmbedderError("The embedder is broken; mend it.")
        self.texts += texts
        return await super().embed(texts)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SQLiteStore.open(tmp_path / "a.db")


def service_of(store: Store, wanted: Embedder, *others: Embedder) -> EmbedderService:
    known = {embedder.fingerprint: embedder for embedder in others}

    def make(name: str) -> Embedder:
        if name not in known:
            raise UsageError(f"There is no embedder {name}.")
        return known[name]

    return EmbedderService(store, wanted, wanted.fingerprint, make)


async def filled(store: Store, *texts: str) -> AgentId:
    ana = (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))).id
    await store.write(lambda tx: tx.append(ana, [said(text) for text in texts]))
    return ana


async def records(store: Store) -> dict[str, tuple[bool, bool]]:
    known = await store.read(lambda tx: tx.embedders())
    return {record.fingerprint: (record.wanted, record.in_service) for record in known}


def test_the_former_embedder_serves_until_the_new_one_has_made_everything(store: Store) -> None:
    async def story() -> None:
        old, new = Counting("old"), Counting("new", 48)
        ana = await filled(store, "one", "two", "three")
        await Indexer(store, service_of(store, old)).settled()
        assert await records(store) == {"old": (True, True)}

        service = service_of(store, new, old)
        indexer = Indexer(store, service)
        assert (await service.serving()).fingerprint == "old"
        assert await records(store) == {"old": (False, True), "new": (True, False)}
        await store.write(lambda tx: tx.append(ana, [said("four")]))
        new.broken = True  # so it stops half way, as with the end of the process
        with pytest.raises(EmbedderError):
            await indexer.settled()
        assert old.texts[3:] == ["four"]  # what is new is found by vector meanwhile
        found = await Retriever(store, service.serving).search(ana, "recall", "four", Filter())
        assert found[0].parts["cosine"] == 1.0

        new.broken = False
        await indexer.settled()
        assert new.texts == ["one", "two", "three", "four"]
        assert await records(store) == {"new": (True, True)}
        assert (await service.serving()).fingerprint == "new"
        assert await store.read(lambda tx: tx.embedded("new")) == (4, 4)
        assert (await store.read(lambda tx: tx.embedded("old")))[0] == 0
        found = await Retriever(store, service.serving).search(ana, "recall", "four", Filter())
        assert found[0].parts["cosine"] == 1.0
        await store.close()

    asyncio.run(story())


def test_a_former_embedder_that_cannot_be_made_leaves_search_to_words(store: Store) -> None:
    async def story() -> None:
        old, new = Counting("old"), Counting("new")
        ana = await filled(store, "one", "two")
        await Indexer(store, service_of(store, old)).settled()
        service = service_of(store, new)
        found = await Retriever(store, service.serving).search(ana, "recall", "two", Filter())
        assert [hit.number for hit in found] == [2, 1]  # the row with the word, then the one beside it
        await Indexer(store, service).settled()
        assert (await store.read(lambda tx: tx.embedded("new"))) == (2, 2)
        await store.close()

    asyncio.run(story())


class Confused(Counting):
    """Breaks where it is asked for its members."""

    def reads(self, text: str) -> bool:
        raise RuntimeError(text)


class Unmeasured(Counting):
    @property
    def scale(self) -> Scale:
        raise RuntimeError("not measured")

    @scale.setter
    def scale(self, _: Scale) -> None: ...


@pytest.mark.parametrize("other", [Counting("only", 16), Confused("only"), Unmeasured("only")])
def test_an_embedder_that_is_another_now_leaves_search_to_words(store: Store, other: Counting) -> None:
    """Another model is served under the same name, or a member of the class breaks."""

    async def story() -> None:
        ana = await filled(store, "one", "two")
        await Indexer(store, service_of(store, Counting("only"))).settled()
        await store.write(lambda tx: tx.append(ana, [replace(said("three"), seq=3)]))
        service = service_of(store, other)
        found = await Retriever(store, service.serving).search(ana, "recall", "two", Filter())
        assert [(hit.number, "cosine" in hit.parts) for hit in found][:1] == [(2, False)]
        with pytest.raises(PagefaultError):
            await Indexer(store, service).settled()
        await store.close()

    asyncio.run(story())


def test_a_failing_embedder_leaves_search_to_words(store: Store) -> None:
    async def story() -> None:
        embedder = Counting("only")
        ana = await filled(store, "one", "two")
        service = service_of(store, embedder)
        await Indexer(store, service).settled()
        embedder.broken = True
        found = await Retriever(store, service.serving).search(ana, "recall", "two", Filter())
        assert [(hit.number, "cosine" in hit.parts) for hit in found] == [(2, False), (1, False)]
        await store.close()

    asyncio.run(story())


def test_vectors_of_two_lengths_cannot_stand_under_one_fingerprint(store: Store) -> None:
    async def story() -> None:
        await filled(store, "one", "two")
        one, two = await store.read(lambda tx: tx.pending_vectors("f", 9))
        await store.write(lambda tx: tx.put_vectors("f", [one], [np.ones((1, 3), np.float32)]))
        with pytest.raises(EmbedderError, match="have 3 dimensions"):
            await store.write(lambda tx: tx.put_vectors("f", [two], [np.ones((1, 4), np.float32)]))
        assert await store.read(lambda tx: tx.pending_vectors("f", 9)) == [two]
        await store.close()

    asyncio.run(story())


def test_one_embedder_is_wanted_and_one_in_service(store: Store) -> None:
    async def story() -> None:
        for record in (EmbedderRecord("a", "x", 3, True, True), EmbedderRecord("b", "y", 4, True)):
            await store.write(lambda tx, record=record: tx.put_embedder(record))
        assert await records(store) == {"a": (False, True), "b": (True, False)}
        await store.close()

    asyncio.run(story())
