"""The window that a server reports, which may be smaller than the largest one of its model.

Each kind of server reports it in its own place: vLLM, SGLang, OpenRouter and Groq in the list of models,
llama.cpp in ``/props``, LM Studio in its own list, Ollama in the list of loaded models. A server on the
internet is asked for its list of models only. Left out: the largest windows of models (``known_windows``),
and OpenAI itself, which reports none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from pagefault.models.directory.server_facts import facts_client, json_from
from pagefault.models.endpoint import Endpoint

if TYPE_CHECKING:
    from httpx2 import AsyncClient

__all__ = ["served_window"]

_NAMES = ("max_model_len", "loaded_context_length", "context_length", "context_window")


async def served_window(endpoint: Endpoint, model: str) -> int | None:
    """Return the tokens of prompt and reply that a request may take; None if the server reports none.

    For Ollama it is the window with which the model is loaded, None if it is not loaded.
    """
    base = endpoint.base_url.rstrip("/")
    async with facts_client(endpoint) as client:
        if endpoint.provider == "ollama":
            return _of(await _get(client, f"{base}/api/ps"), model)
        if window := _of(await _get(client, f"{base}/models"), model):
            return window
        if base.startswith("https:"):
            return None
        root = base.removesuffix("/v1")
        settings = _dict(_dict(await _get(client, f"{root}/props")).get("default_generation_settings"))
        return _tokens(settings.get("n_ctx")) or _of(await _get(client, f"{root}/api/v0/models"), model)


async def _get(client: AsyncClient, url: str) -> object:
    return (await json_from(client, url))[1]


def _of(listed: object, model: str) -> int | None:
    """Return the window of a model in a list of models; the only model of a list is always meant."""
    entries = list(_entries(listed))
    named = [entry for entry in entries if model in (entry.get("id"), entry.get("name"), entry.get("model"))]
    tagged = [entry for entry in entries if entry.get("name") == f"{model}:latest"]
    for entry in named or tagged or (entries if len(entries) == 1 else []):
        for values in (entry, _dict(entry.get("meta"))):
            for name in (*_NAMES, "n_ctx"):
                if window := _tokens(values.get(name)):
                    return window
    return None


def _entries(listed: object) -> Iterator[Mapping[str, Any]]:
    found = _dict(listed)
    for entry in cast("list[object]", found.get("data") or found.get("models") or []):
        if isinstance(entry, dict):
            yield cast("dict[str, Any]", entry)


def _dict(value: object) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _tokens(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
