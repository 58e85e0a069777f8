"""A server's own tokenizer: asked once for a few texts, and the counter is fitted to what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.directory.tokenizers import SAMPLES, fitted
from pagefault.models.tokens import Counter, HeuristicCounter, counter_for
from pagefault.testing.providers import ProviderServer
from pagefault.testing.providers.turns import Body
from test_tokens import CALL, CHINESE, CODE, ENGLISH, JAPANESE, UUID

pytestmark = pytest.mark.anyio

TEXTS = (ENGLISH, CALL, CHINESE, JAPANESE, UUID, CODE, "Напомни мне, пожалуйста, купить подарок.", "🎉 ok ✅")


def of_bytes(text: str) -> int:
    """The tokens of a tokenizer that knows bytes only."""
    return len(text.encode())


def of_characters(text: str) -> int:
    return len(text)


def of_words(text: str) -> int:
    return max(1, len(text.split()))


TOKENIZERS: Mapping[str, Callable[[str], int]] = {
    "bytes": of_bytes,
    "characters": of_characters,
    **{f: HeuristicCounter(f).count for f in ("cl100k", "o200k", "large", "small")},
}


def llama_cpp(count: Callable[[str], int]) -> Callable[[Body], Body]:
    def answer(posted: Any) -> Any:
        assert posted["add_special"] is False
        return {"tokens": list(range(count(posted["content"])))}

    return answer


def vllm(count: Callable[[str], int]) -> Callable[[Body], Body]:
    def answer(posted: Any) -> Any:
        assert (posted["model"], posted["add_special_tokens"]) == ("m", False)
        tokens = count(posted["prompt"])
        return {"count": tokens, "max_model_len": 4096, "tokens": list(range(tokens))}

    return answer


async def learnt(serves: Any, name: str = "llamacpp:m", times: int = 1) -> tuple[Counter, ProviderServer]:
    with ProviderServer(serves={} if serves is None else {"/tokenize": serves}) as server:
        catalogue = Catalogue(server.environment)
        name = name.replace("URL", server.url)
        for _ in range(times):
            await catalogue.window(name, 4096)
        counter = catalogue.counter(name)
        await catalogue.aclose()
    return counter, server


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", ["cl100k", "o200k", "large", "small"])
def test_a_counter_that_is_fitted_is_near_its_tokenizer(kind: str, text: str) -> None:
    count = TOKENIZERS[kind]
    counter = fitted([count(sample) for _, sample in SAMPLES])
    assert -0.10 <= counter.count(text) / count(text) - 1 <= 0.35


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_whatever_the_tokenizer_no_text_is_free(kind: str) -> None:
    counter = fitted([TOKENIZERS[kind](sample) for _, sample in SAMPLES])
    for text in TEXTS:
        assert counter.count(text) > 0
        assert set(counter.by_class(text)) <= set(HeuristicCounter().by_class(text))


@pytest.mark.parametrize(
    ("kind", "name"), [(llama_cpp, "llamacpp:m"), (llama_cpp, "URL#m"), (vllm, "vllm:m"), (vllm, "openai:m")]
)
async def test_the_server_is_asked_once_with_our_texts_and_nothing_else(kind: Any, name: str) -> None:
    seen: list[str] = []

    def count(text: str) -> int:
        seen.append(text)
        return of_characters(text)

    counter, _ = await learnt(kind(count), name, times=3)
    assert seen == [text for _, text in SAMPLES]
    assert counter.count(ENGLISH) > 3 * HeuristicCounter("small").count(ENGLISH)


@pytest.mark.parametrize("name", ["lmstudio:m", "ollama:m"])
async def test_servers_that_count_nothing_are_not_asked(name: str) -> None:
    counter, server = await learnt(llama_cpp(of_bytes), name)
    assert "/tokenize" not in server.looked_up
    assert counter is counter_for("small")


NONSENSE: Mapping[str, Any] = {
    "another object": {"error": "no"},
    "a list": [1, 2],
    "a text": {"tokens": "abc"},
    "none": {"tokens": []},
}


@pytest.mark.parametrize("kind", NONSENSE)
async def test_what_is_no_count_leaves_the_family(kind: str) -> None:
    counter, server = await learnt(NONSENSE[kind], "llamacpp:qwen3", times=3)
    assert counter is counter_for("large")
    assert server.looked_up.count("/tokenize") == 1


async def test_a_server_without_a_tokenizer_leaves_the_family() -> None:
    counter, _ = await learnt(None, "openai:gpt-4o", times=2)
    assert counter is counter_for("o200k")


async def test_a_server_that_does_not_answer_leaves_the_family_and_is_left_alone_for_a_while() -> None:
    catalogue = Catalogue({"LLAMACPP_BASE_URL": "http://127.0.0.1:1/v1"})
    await catalogue.window("llamacpp:m", 4096)
    assert catalogue.counter("llamacpp:m") is counter_for("small")


async def test_counts_that_cannot_be_are_not_believed() -> None:
    counter, _ = await learnt({"tokens": [0] * 100_000})
    assert counter.count(ENGLISH) <= 4 * HeuristicCounter("cl100k").count(ENGLISH) + 1
