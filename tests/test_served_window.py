"""The window that a server says it serves: each kind of server has its own place for it."""

from __future__ import annotations

from typing import Any

import pytest

from pagefault.models.directory.catalogue import Catalogue
from pagefault.testing.providers import ProviderServer

pytestmark = pytest.mark.anyio

PLACES: dict[str, tuple[str, dict[str, Any], int | None]] = {
    "vLLM": ("vllm:m", {"/v1/models": {"data": [{"id": "m", "max_model_len": 4096}]}}, 4096),
    "OpenRouter": ("openai:m", {"/v1/models": {"data": [{"id": "m", "context_length": 9000}]}}, 9000),
    "Groq": ("openai:m", {"/v1/models": {"data": [{"id": "m", "context_window": 9000}]}}, 9000),
    "llama.cpp, new": (
        "llamacpp:m",
        {"/v1/models": {"data": [{"id": "gemma.gguf", "meta": {"n_ctx_train": 131_072, "n_ctx": 8192}}]}},
        8192,
    ),
    "llama.cpp": (
        "llamacpp:m",
        {"/v1/models": {"data": [{"id": "m"}]}, "/props": {"default_generation_settings": {"n_ctx": 2048}}},
        2048,
    ),
    "LM Studio": (
        "lmstudio:m",
        {
            "/v1/models": {"data": [{"id": "m"}, {"id": "n"}]},
            "/api/v0/models": {
                "data": [
                    {"id": "n", "loaded_context_length": 1024},
                    {"id": "m", "max_context_length": 32_768, "loaded_context_length": 4096},
                ]
            },
        },
        4096,
    ),
    "Ollama": ("ollama:m", {"/api/ps": {"models": [{"name": "m:latest", "context_length": 4096}]}}, 4096),
    "another model": (
        "vllm:m",
        {"/v1/models": {"data": [{"id": "a", "max_model_len": 1}, {"id": "b", "max_model_len": 2}]}},
        None,
    ),
    "who does not say": ("openai:m", {"/v1/models": {"data": [{"id": "m"}]}}, None),
    "who has no such place": ("openai:m", {}, None),
    "an odd answer": ("openai:m", {"/v1/models": {"data": ["m", None]}, "/props": {"n": []}}, None),
}


@pytest.mark.parametrize("kind", PLACES)
async def test_a_server_is_asked_where_its_kind_says_it(kind: str) -> None:
    name, serves, window = PLACES[kind]
    with ProviderServer(serves=serves) as server:
        assert await Catalogue(server.environment).served_window(name) == window
    assert set(serves) <= set(server.looked_up)


async def test_the_smallest_of_several_models_counts_and_a_server_is_not_asked_each_time() -> None:
    models = {"data": [{"id": "m", "max_model_len": 4096}, {"id": "n", "max_model_len": 2048}]}
    with ProviderServer(serves={"/v1/models": models}) as server:
        catalogue = Catalogue(server.environment)
        assert (await catalogue.window("vllm:m,vllm:n", None))[0] == 2048
        window, told = await catalogue.window("vllm:m", 100_000)
        assert (window, "serves a window of 4,096 tokens, not 100,000" in told) == (4096, True)
        assert server.looked_up == ["/v1/models"] * 2


async def test_a_server_that_is_not_there_says_nothing() -> None:
    with ProviderServer() as server:
        pass
    assert await Catalogue(server.environment).served_window("vllm:m") is None
