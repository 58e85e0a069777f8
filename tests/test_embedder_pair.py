"""Two embedders as one choice: which makes vectors of which rows, and by which a row is compared."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pagefault.embedders import Embedder, Vectors
from pagefault.embedders.pair import EmbedderPair
from pagefault.embedders.scripts import mainly_in
from pagefault.kernel.indexer import Indexer
from pagefault.retrieval import Retriever
from pagefault.retrieval.service import EmbedderService
from pagefault.storage import Filter, Store
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.memory import MemoryStore
from pagefault.types import AgentId, AgentRecord, Message, Role

NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Told(HashEmbedder):
    """Reads these scripts, or all, and keeps what it embedded. ``words`` stand for others."""

    def __init__(self, name: str, *scripts: str, words: dict[str, str] | None = None) -> None:
        super().__init__(256)
        self.fingerprint = name
        self.scripts = scripts
        self.words = words or {}
        self.texts: list[str] = []

    def reads(self, text: str) -> bool:
        return not self.scripts or mainly_in(text, *self.scripts)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        return await super().embed([" ".join(self.words.get(w, w) for w in text.split()) for text in texts])


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SQLiteStore.open(tmp_path / "a.db")


async def filled(store: Store, *texts: str) -> AgentId:
    ana = await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))
    await store.write(lambda tx: tx.append(ana.id, [Message(Role.USER, text, NOW) for text in texts]))
    return ana.id


def service_of(store: Store, wanted: Embedder, name: str, **others: Embedder) -> EmbedderService:
    return EmbedderService(store, wanted, name, others.__getitem__)


def test_a_text_in_another_script_has_no_vector_and_no_query_one(store: Store) -> None:
    async def story() -> None:
        latin = Told("latin", "latin")
        ana = await filled(store, "a cat sleeps", "кошка спит", "собака ест")
        service = service_of(store, latin, "latin")
        await Indexer(store, service).settled()
        assert latin.texts == ["a cat sleeps"]
        assert await store.read(lambda tx: tx.embedded("latin")) == (3, 3)
        retriever = Retriever(store, service.serving)
        assert not len(await retriever.search(ana, "recall", "погода", Filter()))
        found = await retriever.search(ana, "recall", "cat", Filter())
        assert [hit.number for hit in found if "cosine" in hit.parts] == [1]
        assert latin.texts == ["a cat sleeps", "cat"]
        await store.close()

    asyncio.run(story())


def test_of_a_pair_the_first_is_compared_where_it_reads_both(store: Store) -> None:
    async def story() -> None:
        first, second = Told("first", "latin"), Told("second", words={"кошка": "cat", "feline": "cat"})
        pair = EmbedderPair(first, second)
        ana = await filled(store, "a cat", "кошка", "feline")
        service = service_of(store, pair, "pair")
        await Indexer(store, service).settled()
        assert first.texts == ["a cat", "feline"]
        assert second.texts == ["a cat", "кошка", "feline"]
        retriever = Retriever(store, service.serving)
        found = await retriever.search(ana, "recall", "cat", Filter())
        assert {hit.number: hit.parts.get("cosine", 0) > 0.9 for hit in found}[2], "by the second"
        assert 3 not in [hit.number for hit in found if hit.parts.get("cosine", 0) > 0.5], "by the first"
        found = await retriever.search(ana, "recall", "кошка", Filter())
        assert {hit.number for hit in found if hit.parts.get("cosine", 0) > 0.5} == {1, 2, 3}, "by the second"
        await store.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("query", "by"),
    [
        ("wie heißt meine Katze", {"second"}),
        ("comment s'appelle mon chat et où est-il", {"second"}),
        ("what is the name of my cat", {"first", "second"}),
        ("what does 'die Katze' mean and is it a cat", {"first", "second"}),
        ("Katze", {"first", "second"}),  # one word may be English
    ],
)
def test_a_query_in_another_latin_language_is_not_for_the_first_of_a_pair(query: str, by: set[str]) -> None:
    async def story() -> None:
        first, second = Told("first", "latin"), Told("second")
        store = MemoryStore()
        ana = await filled(store, "Die Katze heißt Mimi")
        service = service_of(store, EmbedderPair(first, second), "pair")
        await Indexer(store, service).settled()
        first.texts, second.texts = [], []
        await Retriever(store, service.serving).search(ana, "recall", query, Filter())
        assert {told.fingerprint for told in (first, second) if told.texts} == by

    asyncio.run(story())


def test_a_pair_takes_over_vectors_that_are_there_and_gives_them_back(store: Store) -> None:
    async def story() -> None:
        first, second = Told("first", "latin"), Told("second")
        pair = EmbedderPair(first, second)
        await filled(store, "a cat", "кошка")
        await Indexer(store, service_of(store, first, "first")).settled()
        await Indexer(store, service_of(store, pair, "pair", first=first)).settled()
        assert first.texts == ["a cat"], "not again"
        records = {record.name: record for record in await store.read(lambda tx: tx.embedders())}
        assert records["pair"].in_service
        assert await store.read(lambda tx: tx.embedded("first")) == (2, 2)
        await Indexer(store, service_of(store, first, "first", pair=pair)).settled()
        assert first.texts == ["a cat"]
        assert [record.name for record in await store.read(lambda tx: tx.embedders())] == ["first"]
        await store.close()

    asyncio.run(story())
