"""A request for plain text that continues an agent's prompt, as each provider receives it: the same tools,
head and messages, so that its cache serves them, and no field that would lose it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from adapters import NAMES, adapter_at
from pagefault.models import Completion, Prompt, PromptMessage
from pagefault.testing.models import LATER
from pagefault.testing.prompt_cache import PromptCache
from pagefault.testing.providers import ProviderServer, Shape, Turn, refuse

pytestmark = pytest.mark.anyio

SHAPES = tuple(NAMES)

CLOSING = PromptMessage("user", "[summary_request] Now write the summary.")
CONTINUED = replace(LATER, messages=(*LATER.messages, CLOSING), plain=True)
CUT = replace(LATER, messages=(*LATER.messages[:6], CLOSING), plain=True)


async def sent(shape: Shape, *prompts: Prompt, turns: list[Turn] | None = None) -> list[dict[str, Any]]:
    """The bodies of the requests for the prompts."""
    with ProviderServer(turns or []) as server:
        async with adapter_at(server, NAMES[shape]) as model:
            for prompt in prompts:
                assert [item async for item in model.stream(prompt)]
    return server.requests


def parts_of(body: dict[str, Any]) -> list[str]:
    """Tools, system text and messages in the order in which they are cached, without the marks."""
    body = _bare(body)
    messages: list[dict[str, Any]] = body.get("messages") or body.get("contents") or []
    head = [body.get("tools"), body.get("system") or body.get("systemInstruction")]
    each = [part for message in messages for part in _parts(message)]
    return [json.dumps(part, sort_keys=True) for part in (*head, *each)]


def _parts(message: dict[str, Any]) -> list[Any]:
    content: str | list[Any] = message.get("parts") or message["content"] or ""
    return [message] if isinstance(content, str) else [[message["role"], part] for part in content]


def _bare(body: dict[str, Any]) -> dict[str, Any]:
    """The body without the marks of Anthropic's cache, which move."""
    return json.loads(json.dumps(body), object_hook=lambda made: _without(made, "cache_control"))


def _without(made: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in made.items() if key != name}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("plain", [CONTINUED, CUT], ids=["whole", "cut"])
async def test_it_begins_as_the_request_before(shape: Shape, plain: Prompt) -> None:
    before, body = await sent(shape, LATER, plain)
    *shown, closing = parts_of(body)
    assert "[summary_request]" in closing
    assert shown == parts_of(before)[: len(shown)]
    assert len(shown) > 6


@pytest.mark.parametrize("shape", SHAPES)
async def test_the_field_that_forbids_calls_is_sent_where_the_cache_outlives_it(shape: Shape) -> None:
    (before, body) = await sent(shape, LATER, CONTINUED)
    if shape == "openai":
        assert "tool_choice" not in before
        assert body["tool_choice"] == "none"
    else:
        assert body.get("tool_choice") == before.get("tool_choice")
        assert body.get("toolConfig") == before.get("toolConfig")


async def test_a_server_that_refuses_the_field_is_asked_without_it() -> None:
    turns: list[Turn] = [refuse(400, "Unknown parameter: tool_choice"), Completion("ok")]
    first, second = await sent("openai", CONTINUED, turns=turns)
    assert "tool_choice" in first
    assert "tool_choice" not in second
    assert second["tools"] == first["tools"]


async def test_anthropics_cache_serves_all_of_it_but_the_instruction() -> None:
    before, body = await sent("anthropic", LATER, CONTINUED)
    cache = PromptCache(0)
    written = cache.ask(before).input
    assert cache.ask(body).cached == written
