"""Anthropic by pydantic-ai over real HTTP: the suite for models, the prefix, signatures, settings, errors."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from adapters import NAMES, AdapterConformance, adapter_at, error_of, streamed
from pagefault.errors import ModelError, ModelSetupError, ModelUnavailable
from pagefault.models import Call, Completion, Prompt, PromptMessage
from pagefault.models.endpoint import Endpoint, ModelOptions
from pagefault.models.pydantic_ai import PydanticAIModel
from pagefault.testing.models import LATER, PROMPT, end_of
from pagefault.testing.providers import KEY, Delivery, ProviderServer, RawReply, refuse

pytestmark = pytest.mark.anyio

CLAUDE = NAMES["anthropic"]
NEWER = "anthropic:claude-opus-4-8"


class TestAnthropic(AdapterConformance):
    __test__ = True
    shape = "anthropic"
    wants_thinking_back = True


async def sent(
    *prompts: Prompt, name: str = CLAUDE, options: ModelOptions | None = None
) -> list[dict[str, Any]]:
    """The bodies of the requests for the prompts."""
    with ProviderServer() as server:
        async with adapter_at(server, name, options) as model:
            for prompt in prompts:
                assert [item async for item in model.stream(prompt)]
    return server.requests


# the prefix and its marks


def marks(body: dict[str, Any]) -> list[str]:
    """Where the marks of the cache stand, in the order in which a provider reads."""
    found = [f"tool {n}" for n, tool in enumerate(body.get("tools", ())) if "cache_control" in tool]
    found += [f"system {n}" for n, block in enumerate(body["system"]) if "cache_control" in block]
    blocks = [block for message in body["messages"] for block in message["content"]]
    return found + [f"block {n}" for n, block in enumerate(blocks) if "cache_control" in block]


async def test_the_marks_stand_at_the_end_of_tools_of_the_system_text_and_of_both_requests() -> None:
    # all of LATER's messages but the system text are one block each, but for one completion of two calls
    ends = {2: ["block 0"], 3: ["block 1"], 7: ["block 1", "block 6"], 9: ["block 6", "block 8"]}
    bodies = await sent(*[replace(LATER, messages=LATER.messages[:end]) for end in ends])
    for body, where in zip(bodies, ends.values(), strict=True):
        assert marks(body) == ["tool 0", "system 0", *where]
        assert len(marks(body)) <= 4


async def test_each_request_has_a_mark_where_the_one_before_ended() -> None:
    history = list(PROMPT.messages)
    prompts: list[Prompt] = []
    for turn in range(6):
        prompts.append(replace(PROMPT, messages=tuple(history)))
        call = Call(f"c{turn}", "note", "{}")
        history.append(PromptMessage("assistant", "", (call,)))
        history.append(PromptMessage("tool", "Kept.", call_id=call.id, name="note"))
    bodies = await sent(*prompts)
    for before, after in pairwise(bodies):
        assert marks(before)[-1] in marks(after)


# thinking


async def test_thinking_goes_back_signed_and_where_it_stood() -> None:
    parts = [
        {"thinking": "First.", "signature": "QQ=="},
        {"text": 11},
        {"thinking": "Then.", "signature": "Qg=="},
        {"call": True},
    ]
    echo = {"provider": "anthropic", "parts": parts}
    said = PromptMessage("assistant", "Let me see.", (Call("m7", "note", "{}"),), echo=echo)
    result = PromptMessage("tool", "Kept.", call_id="m7", name="note")
    (body,) = await sent(replace(PROMPT, messages=(*PROMPT.messages, said, result)))
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "First.", "signature": "QQ=="},
        {"type": "text", "text": "Let me see."},
        {"type": "thinking", "thinking": "Then.", "signature": "Qg=="},
        {"type": "tool_use", "id": "m7", "name": "note", "input": {}},
    ]


async def test_text_that_was_changed_since_stands_whole_before_the_calls() -> None:
    parts = [{"thinking": "First.", "signature": "QQ=="}, {"text": 4}, {"text": 90}, {"call": True}]
    echo = {"provider": "anthropic", "parts": parts}
    calls = (Call("m6", "note", "{}"), Call("m7", "note", "{}"))  # the first had been written as text
    said = PromptMessage("assistant", "Let me see.", calls, echo=echo)
    results = [PromptMessage("tool", "Kept.", call_id=call.id, name="note") for call in calls]
    (body,) = await sent(replace(PROMPT, messages=(*PROMPT.messages, said, *results)))
    kinds = [
        (block["type"], block.get("text") or block.get("id")) for block in body["messages"][1]["content"]
    ]
    assert kinds == [("thinking", None), ("tool_use", "m6"), ("text", "Let me see."), ("tool_use", "m7")]


async def test_encrypted_thinking_goes_back_as_it_came() -> None:
    parts = [{"thinking": "", "id": "redacted_thinking", "signature": "c2VjcmV0"}, {"text": 5}]
    said = PromptMessage("assistant", "Four.", echo={"provider": "anthropic", "parts": parts})
    (body,) = await sent(replace(PROMPT, messages=(*PROMPT.messages, said, PROMPT.messages[1])))
    assert body["messages"][1]["content"][0] == {"type": "redacted_thinking", "data": "c2VjcmV0"}


# settings


@pytest.mark.parametrize(
    ("name", "thinking", "wanted"),
    [
        (CLAUDE, None, {"max_tokens": 100, "temperature": 0.3}),
        (CLAUDE, "off", {"max_tokens": 100, "temperature": 0.3}),
        (CLAUDE, "low", {"max_tokens": 2148, "thinking": {"type": "enabled", "budget_tokens": 2048}}),
        (CLAUDE, 10, {"max_tokens": 1124, "thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (
            NEWER,
            5000,
            {
                "max_tokens": 100,
                "thinking": {"type": "adaptive"},
                "output_config": {"effort": "medium"},
            },
        ),
    ],
)
async def test_thinking_is_asked_for_as_the_model_takes_it(
    name: str, thinking: Any, wanted: dict[str, Any]
) -> None:
    (body,) = await sent(PROMPT, name=name, options=ModelOptions(0.3, thinking))
    asked = ("max_tokens", "temperature", "thinking", "output_config")
    assert {key: value for key, value in body.items() if key in asked} == wanted


async def test_a_temperature_that_is_left_out_is_said_once() -> None:
    with ProviderServer() as server:
        endpoint = Endpoint("anthropic", server.root, KEY)
        model = PydanticAIModel(CLAUDE, 8192, endpoint, ModelOptions(0.3, "low"))
        first, second = [end_of([item async for item in model.stream(PROMPT)]) for _ in range(2)]
        await model.aclose()
    assert first.notes == ("The model takes no temperature, or none with thinking; requests leave it out.",)
    assert second.notes == ()


async def test_only_the_headers_that_are_set_and_the_key_are_sent() -> None:
    with ProviderServer() as server:
        endpoint = Endpoint("anthropic", server.root, KEY, headers={"x-team": "blue"})
        model = PydanticAIModel("claude-haiku-4-5", 8192, endpoint, ModelOptions())
        assert end_of([item async for item in model.stream(PROMPT)]).text == "ok"
        await model.aclose()
    assert (server.keys, server.headers[0]["x-team"]) == ([KEY], "blue")
    assert repr(model) == "PydanticAIModel('claude-haiku-4-5', 8192, provider='anthropic')"


# errors


async def test_no_error_shows_the_key() -> None:
    error = await error_of(CLAUDE, refuse(400, f"Bad header: {KEY}"))
    assert "Bad header: [redacted]" in str(error)
    assert error.__suppress_context__


async def test_a_rate_limit_says_how_long_to_wait() -> None:
    error = await error_of(CLAUDE, refuse(429, "Slow down.", retry_after="7"))
    assert isinstance(error, ModelUnavailable)
    assert error.retry_after == 7


async def test_an_answer_in_text_that_is_cut_off_says_so() -> None:
    error = await error_of(CLAUDE, Delivery(Completion("Let me see about that."), cut=True))
    assert "The answer of claude-haiku-4-5" in str(error)
    assert "was cut off; try again." in str(error)


async def test_a_server_that_is_not_there() -> None:
    with ProviderServer() as server:
        pass
    async with adapter_at(server, CLAUDE) as model:
        with pytest.raises(ModelUnavailable, match="cannot be reached; check the network and the address"):
            await anext(model.stream(PROMPT))


async def test_a_silent_server_is_given_up() -> None:
    with ProviderServer([RawReply(held=True)]) as server:
        async with adapter_at(server, CLAUDE, seconds=0.2) as model:
            with pytest.raises(ModelUnavailable, match=r"did not answer within 0\.2 s"):
                await anext(model.stream(PROMPT))


async def test_a_filter_and_a_limit_leave_an_error_when_nothing_came() -> None:
    error = await error_of(CLAUDE, Completion(thinking="Hm.", cut=True))
    assert type(error) is ModelError
    assert str(error) == (
        "claude-haiku-4-5 used up its 100 reply tokens with no answer; "
        "increase the setting reserve, or reduce thinking."
    )


async def test_a_package_that_is_missing_is_named() -> None:
    model = PydanticAIModel("m", 8192, Endpoint("mistral"), ModelOptions())
    with pytest.raises(ModelSetupError, match=r"run: pip install 'pydantic-ai-slim\[mistral\]'"):
        await anext(model.stream(PROMPT))


async def test_a_call_without_arguments_has_none() -> None:
    end = end_of(await streamed(CLAUDE, [Completion(calls=(Call("a", "note", ""),))]))
    assert end.calls == (Call("a", "note", "{}"),)
