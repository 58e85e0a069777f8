"""Rerankers: the shape of servers, the library's cross-encoders, and search with and without one."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pagefault.assembly import Parts
from pagefault.build import make_reranker, open_kernel
from pagefault.config import AgentSettings, load_installation
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import RerankerError, UsageError
from pagefault.rerankers import Reranker
from pagefault.rerankers.fastembed import FastReranker
from pagefault.rerankers.remote import KEY, RemoteReranker
from pagefault.retrieval import Ranking, Retriever
from pagefault.retrieval.reranking import Reranking
from pagefault.storage import Filter, Store
from pagefault.testing.memory import MemoryStore
from pagefault.testing.providers import Body, ProviderServer, RawReply, refuse
from pagefault.testing.rerankers import RerankerConformance, Reranks, WordReranker
from pagefault.testing.store_opening import NOW, said
from pagefault.types import AgentId, AgentRecord, Passage, Tier
from pagefault.views import memory

SERVER = ProviderServer(Reranks())


@pytest.fixture(scope="module", autouse=True)
def serving() -> Iterator[None]:
    with SERVER:
        yield


class TestRemoteReranker(RerankerConformance):
    def reranker(self) -> Reranker:
        return RemoteReranker(f"{SERVER.url}#m", {})


class TestWordReranker(RerankerConformance):
    def reranker(self) -> Reranker:
        return WordReranker()


class CrossEncoder:
    """The library's class, as far as it is used."""

    def __init__(self, model_name: str, cache_dir: str | None = None) -> None:
        if "broken" in model_name:
            raise ValueError(f"could not download to {cache_dir}")

    @staticmethod
    def list_supported_models() -> list[dict[str, str]]:
        return [{"model": "Some/Encoder"}, {"model": "Some/broken"}]

    def rerank(self, query: str, documents: list[str]) -> Iterator[float]:
        return (float(len(set(query.split()) & set(document.split()))) for document in documents)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fastembed", "fastembed.rerank", "fastembed.rerank.cross_encoder"):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        vars(module)["TextCrossEncoder"] = CrossEncoder
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.usefixtures("library")
class TestFastReranker(RerankerConformance):
    def reranker(self) -> Reranker:
        return FastReranker("some/encoder", Path("models"))


def scores(reranker: Reranker, *texts: str) -> Sequence[float]:
    async def asked() -> Sequence[float]:
        return await reranker.scores("query", texts)

    return asyncio.run(asked())


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("model", "words"),
    [("Some/Other", "of its list, e.g. Xenova/"), ("Some/broken", r"to None\); check the")],
)
def test_a_cross_encoder_that_cannot_be_had_is_a_sentence(model: str, words: str) -> None:
    with pytest.raises(RerankerError, match=words):
        scores(FastReranker(model), "a")


def test_a_cross_encoder_without_the_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastembed", None)
    with pytest.raises(RerankerError, match=r"run: pip install 'pagefault\[fastembed\]'$"):
        scores(FastReranker("Some/Encoder"), "a")


def test_the_request_is_that_of_the_shared_shape_and_the_key_of_its_own_variable() -> None:
    with ProviderServer(Reranks()) as server:
        scores(RemoteReranker(f"{server.url}#some/model:1", {KEY: "sk-key"}), "a\0", "\ud83d")
        (request,) = server.seen
    assert request.path == "/v1/rerank"
    assert request.key == "sk-key"
    assert request.body == {"model": "some/model:1", "query": "query", "documents": ["a ", "?"], "top_n": 2}


def test_long_texts_are_cut() -> None:
    with ProviderServer(Reranks()) as server:
        scores(RemoteReranker(f"{server.url}#m", {}), "x" * 1_000_000)
        assert server.requests[0]["documents"] == ["x" * 2_000]


def results(*found: object) -> Callable[[Body], Body]:
    return lambda body: body | {"results": list(found)}


def scored(index: object, score: object) -> dict[str, object]:
    return {"index": index, "relevance_score": score}


HOSTILE: list[RawReply | Callable[[Body], Body]] = [
    results(),
    results(scored(0, 0.5)),
    results(scored(0, 0.5), scored(0, 0.6)),
    results(scored(0, 0.5), scored(2, 0.5)),
    results(scored(-1, 0.5), scored(0, 0.5)),
    results(scored(0, 0.5), scored(1, 0.5), scored(2, 0.1)),
    results(scored(0, float("nan")), scored(1, 0.5)),
    results(scored(0, float("inf")), scored(1, 0.5)),
    results(scored(0, 10**400), scored(1, 0.5)),
    results(scored(0, "0.9"), scored(1, 0.5)),
    results(scored(0, None), scored(1, 0.5)),
    results(scored(0, True), scored(1, 0.5)),
    results(scored(False, 0.1), scored(True, 0.5)),
    results(scored("0", 0.1), scored("1", 0.5)),
    results(scored([0], 0.1), scored(1, 0.5)),
    results({"index": 0, "score": 1}, {"index": 1, "score": 1}),
    results(1, None),
    lambda body: {"data": body["results"]},
    lambda body: body | {"results": {"0": 0.1}},
    RawReply(body=b"[]"),
    RawReply(body=b"null"),
    RawReply(body=b"<html>"),
    RawReply(body=b"[" * 100_000),
    RawReply(body=b'{"results": ' + b"9" * 10_000 + b"}"),
    RawReply(body=b"\xff\xfe"),
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_an_answer_that_does_not_score_each_text_is_refused(number: int) -> None:
    with (
        ProviderServer(Reranks([HOSTILE[number]])) as server,
        pytest.raises(RerankerError, match="did not send one score for each text"),
    ):
        scores(RemoteReranker(f"{server.url}#m", {}), "a", "b")


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    huge = RawReply(body=json.dumps({"results": "x" * 5_000_000}).encode())
    with ProviderServer(Reranks([huge])) as server, pytest.raises(RerankerError, match="more than scores"):
        scores(RemoteReranker(f"{server.url}#m", {}), "a")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, f"does not accept the key; set {KEY} to one that is valid"),
        (404, "is not there; check the model's name and the address"),
        (500, "failed with status 500: .*slow .redacted. down"),
    ],
)
def test_a_refusal_is_a_sentence_without_the_key(status: int, words: str) -> None:
    with (
        ProviderServer(Reranks([refuse(status, "slow sk-key-123 down")])) as server,
        pytest.raises(RerankerError, match=words) as caught,
    ):
        scores(RemoteReranker(f"{server.url}#m", {KEY: "sk-key-123"}), "a")
    assert "sk-key-123" not in str(caught.value)


def test_a_server_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(RerankerError, match=r"m at http://127\.0\.0\.1:9/v1 cannot be reached"):
        scores(RemoteReranker("http://127.0.0.1:9/v1#m", {}), "a")


def test_the_key_is_not_carried_to_another_server() -> None:
    with ProviderServer(Reranks()) as other:
        moved = RawReply(status=307, body=b"{}", headers={"location": f"{other.url}/rerank"})
        with ProviderServer(Reranks([moved])) as server, pytest.raises(RerankerError):
            scores(RemoteReranker(f"{server.url}#m", {KEY: "sk-key"}), "a")
        assert other.seen == []


@pytest.mark.parametrize("name", ["bm25", "fastembed:", "openai:rerank", "fastembed"])
def test_a_name_that_means_no_reranker_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="write URL#MODEL or fastembed:MODEL"):
        make_reranker(name)


@pytest.mark.parametrize("name", ["http://127.0.0.1:8080/v1", "http://a:b@127.0.0.1/v1#m", "http://#m"])
def test_an_address_that_cannot_be_used_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        make_reranker(name)


def test_a_name_means_a_reranker_and_none_is_set_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make_reranker(load_installation(tmp_path).reranker) is None
    monkeypatch.setenv("PAGEFAULT_RERANKER", "http://127.0.0.1:1/v1#m")
    names = [load_installation(tmp_path).reranker, "fastembed:Some/Encoder"]
    assert [reranker.name for name in names if (reranker := make_reranker(name, tmp_path))] == names
    assert list(tmp_path.iterdir()) == []


# search

TEXTS = [*(f"lemon number {number}" for number in range(40)), "lemon tart is what Clara bakes", "nothing"]


class Scripted:
    """A reranker that answers as the function says for so many texts."""

    name = "scripted"

    def __init__(self, answer: Callable[[int], Any]) -> None:
        self.answer = answer
        self.calls = 0

    async def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        assert query == "lemon"
        self.calls += 1
        answer = self.answer(len(texts))
        return await answer if asyncio.iscoroutine(answer) else answer


def equal(count: int) -> list[float]:
    return [1.0] * count


def search(
    reranking: Reranking | None, tier: Tier = "recall", query: str = "lemon", again: int = 1
) -> list[list[int]]:
    async def story() -> list[list[int]]:
        store = MemoryStore()
        agent = await filled(store)
        retriever = Retriever(store, serving_none, reranking=reranking)
        found = [await retriever.search(agent, tier, query, Filter()) for _ in range(again)]
        for ranking in found:
            scores = [hit.score for hit in ranking]
            assert scores == sorted(scores, reverse=True)
        return [[hit.number for hit in ranking] for ranking in found]

    return asyncio.run(story())


async def serving_none() -> NullEmbedder:
    return NullEmbedder()


async def filled(store: Store) -> AgentId:
    def work(tx: Any) -> AgentId:
        agent = tx.create_agent(AgentRecord("ana", {}, NOW)).id
        tx.append(agent, [said(text) for text in TEXTS])
        for text in TEXTS:
            tx.insert_passage(agent, Passage(text, NOW, title="Kitchen"))
        return agent

    return await store.write(work)


@pytest.mark.parametrize("tier", ["recall", "archival"])
def test_the_best_rows_are_put_in_order_and_the_rest_keeps_its_own(tier: Tier) -> None:
    (plain,) = search(None, tier)
    (turned,) = search(Reranking(Scripted(range), best=10), tier)
    assert turned == [*reversed(plain[:10]), *plain[10:]]


def test_equal_scores_leave_the_order() -> None:
    assert search(Reranking(Scripted(equal))) == search(None)


def test_the_texts_have_their_speaker_or_title_before_them() -> None:
    words = WordReranker()
    search(Reranking(words, best=2), "archival")
    assert words.asked[0][0] == "lemon"
    assert all(text.startswith("Kitchen. lemon number ") for text in words.asked[0][1])
    assert len(words.asked[0][1]) == 2


def test_no_query_and_no_rows_ask_nobody() -> None:
    scripted = Scripted(equal)
    search(Reranking(scripted), query=" ")
    search(Reranking(scripted), query="unheard")
    assert scripted.calls == 0


def fails(_count: int) -> list[float]:
    raise RerankerError("The server is away; start it.")


async def sleeps(_count: int) -> list[float]:
    await asyncio.sleep(60)
    return []


def dies(_count: int) -> list[float]:
    raise SystemExit(3)


def too_few(count: int) -> list[float]:
    return [1.0] * (count - 1)


def not_numbers(count: int) -> list[float]:
    return [1.0] * (count - 1) + [float("nan")]


def letters(count: int) -> list[str]:
    return ["a"] * count


def nothing(_count: int) -> None: ...


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (fails, "search goes on without the reranker scripted: The server is away; start it."),
        (dies, "SystemExit"),
        (sleeps, "no answer within 0.01 s"),
        (too_few, "not one finite score for each of 30 texts"),
        (not_numbers, "not one finite score for each of 30 texts"),
        (letters, "could not convert"),
        (nothing, "NoneType"),
    ],
)
def test_a_reranker_that_fails_is_one_warning_and_the_ranking_as_it_was(
    answer: Callable[[int], Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    scripted = Scripted(answer)
    reranking = Reranking(scripted, seconds=0.01 if answer is sleeps else 3.0)
    with caplog.at_level(logging.WARNING, "pagefault"):
        found = search(reranking, again=3)
    assert found == search(None) * 3
    assert scripted.calls == 1  # then it is left alone
    assert [words in record.getMessage() for record in caplog.records] == [True]


def test_one_that_comes_back_is_used_again_and_its_next_failure_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers: Iterator[Callable[[int], Any]] = iter([fails, fails, range, fails])
    reranking = Reranking(Scripted(lambda count: next(answers)(count)), rest=0.0)
    with caplog.at_level(logging.WARNING, "pagefault"):
        first, second, third, fourth = search(reranking, again=4)
    assert first == second == fourth
    assert third == [*reversed(first[:30]), *first[30:]]
    assert len(caplog.records) == 2


def test_the_search_of_an_agent_uses_the_reranker_of_the_installation(tmp_path: Path) -> None:
    async def searched(name: str, reranker: Reranker | None) -> list[str]:
        async with open_kernel(tmp_path, Parts(embedder=NullEmbedder(), reranker=reranker)) as kernel:
            record = await kernel.create_agent(name, AgentSettings())
            await kernel.store.write(lambda tx: tx.append(record.id, [said(text) for text in TEXTS[:5]]))
            page = await memory.search(kernel, name, "lemon", tier="recall")
        return [hit.id for hit in page.results]

    plain = asyncio.run(searched("ana", None))
    assert asyncio.run(searched("ben", Scripted(range))) == plain[::-1]


def test_further_pages_are_of_the_ranking_that_the_first_one_had() -> None:
    async def story() -> tuple[Ranking, Ranking]:
        store = MemoryStore()
        agent = await filled(store)
        signs = iter([1, -1])  # another order at each call

        def turned(count: int) -> list[int]:
            sign = next(signs)
            return [sign * number for number in range(count)]

        retriever = Retriever(store, serving_none, reranking=Reranking(Scripted(turned)))
        first = await retriever.search(agent, "recall", "lemon", Filter())
        return first, await retriever.search(agent, "recall", "lemon", Filter(), again=True)

    first, again = asyncio.run(story())
    assert [hit.number for hit in first] == [hit.number for hit in again]
