"""Ollama's own protocol over real HTTP: the suite for models, the request, odd lines, errors as ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters import NAMES, AdapterConformance, adapter_at, error_of, streamed
from pagefault.errors import ModelError, ModelSetupError, ModelUnavailable, ToolsUnsupported
from pagefault.models import Call, Completion, Delta, Prompt, PromptMessage
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.endpoint import Endpoint, ModelOptions
from pagefault.models.ollama import OllamaModel
from pagefault.testing.models import LATER, PROMPT, end_of
from pagefault.testing.providers import Delivery, ProviderServer, RawReply, refuse
from pagefault.testing.providers.ollama import line

pytestmark = pytest.mark.anyio

QWEN = NAMES["ollama"]
END = {"done_reason": "stop"}


class TestOllama(AdapterConformance):
    __test__ = True
    shape = "ollama"
    arguments_are_text = False
    reports_cached = False


async def sent(prompt: Prompt, options: ModelOptions | None = None) -> dict[str, Any]:
    with ProviderServer() as server:
        async with adapter_at(server, QWEN, options) as model:
            assert [item async for item in model.stream(prompt)]
    return server.requests[0]


# the request


async def test_the_body_says_which_window_it_needs() -> None:
    assert await sent(replace(LATER, messages=LATER.messages[:6])) == {
        "model": "qwen-test",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "user", "content": "Are you there?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"function": {"name": "note", "arguments": {}}},
                    {"function": {"name": "note", "arguments": {"malformed": '{"text": "cut'}}},
                ],
            },
            {"role": "tool", "content": "Kept it.", "tool_name": "note"},
            {"role": "tool", "content": "Error: that is no JSON.", "tool_name": "note"},
        ],
        "stream": True,
        "options": {"num_ctx": 8192, "num_predict": 100},
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "note",
                    "description": "Keep a note.",
                    "parameters": {"type": "object", "properties": {"text": {"type": "string"}}},
                },
            }
        ],
    }


@pytest.mark.parametrize(
    ("thinking", "think"), [(None, None), ("off", False), ("low", "low"), ("high", "high"), (2048, True)]
)
async def test_how_much_may_be_thought_is_a_level_or_a_switch(thinking: Any, think: object) -> None:
    body = await sent(PROMPT, ModelOptions(0.3, thinking))
    assert body["options"]["temperature"] == 0.3
    assert body.get("think") == think


async def test_the_schema_of_an_answer_is_its_format_and_no_functions_are_no_tools() -> None:
    body = await sent(replace(PROMPT, functions=(), answer_schema={"type": "object"}))
    assert body["format"] == {"type": "object"}
    assert "tools" not in body


async def test_a_key_and_headers_are_sent_where_they_are_set() -> None:
    with ProviderServer() as server:
        model = OllamaModel(
            "m", 8192, Endpoint("ollama", server.root, "k", headers={"x-team": "blue"}), ModelOptions()
        )
        assert end_of([item async for item in model.stream(PROMPT)]).text == "ok"
        await model.aclose()
    assert (server.keys, server.headers[0]["x-team"]) == (["k"], "blue")
    assert repr(model) == f"OllamaModel('m', 8192, base_url='{server.root}')"


# the stream


async def test_thinking_text_and_calls_come_as_they_are_said() -> None:
    call = {"function": {"name": "note", "arguments": {"text": "字"}}}
    lines = (line(thinking="Hm."), line(content="I note it."), line(tool_calls=[call, call]), line(end=END))
    items = await streamed(QWEN, [RawReply(lines)])
    assert items[:4] == [
        Delta("Hm.", thinking=True),
        Delta("I note it."),
        Delta('{"text": "字"}', 0, "note"),
        Delta('{"text": "字"}', 1, "note"),
    ]
    end = end_of(items)
    assert [(c.name, c.arguments) for c in end.calls] == [("note", '{"text": "字"}')] * 2
    assert len({c.id for c in end.calls} - {""}) == 2
    assert (end.thinking, end.model) == ("Hm.", "test")


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        ({"name": "note", "arguments": '{"text": "x"}'}, ("note", '{"text": "x"}')),
        ({"name": "note"}, ("note", "{}")),
        ({"name": "note", "arguments": None}, ("note", "{}")),
        ({"arguments": {"text": "x"}}, ("unnamed", '{"text": "x"}')),
    ],
)
async def test_odd_calls_are_understood(function: dict[str, Any], wanted: tuple[str, str]) -> None:
    lines = (line(tool_calls=[{"function": function}]), line(end=END))
    (made,) = end_of(await streamed(QWEN, [RawReply(lines)])).calls
    assert (made.name, made.arguments) == wanted


async def test_an_id_that_two_calls_have_is_given_to_one() -> None:
    call: dict[str, Any] = {"id": "call_1", "function": {"name": "note", "arguments": {}}}
    end = end_of(await streamed(QWEN, [RawReply((line(tool_calls=[call, call]), line(end=END)))]))
    assert end.calls[0].id == "call_1"
    assert end.calls[1].id not in ("", "call_1")


# errors


async def test_a_model_that_is_not_there_is_pulled() -> None:
    error = await error_of(QWEN, refuse(404, "model 'qwen-test' not found"))
    assert isinstance(error, ModelSetupError)
    assert "run `ollama pull qwen-test`" in str(error)


async def test_a_model_without_functions_says_so() -> None:
    said = "registry.ollama.ai/library/qwen-test:latest does not support tools"
    assert isinstance(await error_of(QWEN, refuse(400, said)), ToolsUnsupported)


async def test_a_server_that_is_not_started_is() -> None:
    with ProviderServer() as server:
        pass
    async with adapter_at(server, QWEN) as model:
        with pytest.raises(ModelUnavailable, match="start it with `ollama serve`, or check OLLAMA_HOST"):
            await anext(model.stream(PROMPT))


async def test_a_silent_server_is_given_up() -> None:
    with ProviderServer([RawReply(held=True)]) as server:
        async with adapter_at(server, QWEN, seconds=0.2) as model:
            with pytest.raises(ModelUnavailable, match=r"did not answer within 0\.2 s"):
                await anext(model.stream(PROMPT))


@pytest.mark.parametrize(
    "turn", [Delivery(Completion("Let me see."), finish=None), RawReply(()), RawReply(cut=True)]
)
async def test_an_answer_that_does_not_end_was_cut(turn: Delivery | RawReply) -> None:
    error = await error_of(QWEN, turn)
    assert isinstance(error, ModelUnavailable)


async def test_an_error_that_is_no_json_is_shown_as_it_is() -> None:
    error = await error_of(QWEN, RawReply(status=500, body=b"<p>Proxy\n error</p>"))
    assert str(error).endswith("failed with status 500; try again later: <p>Proxy error</p>")


async def test_an_answer_of_nothing_but_thinking_that_was_cut_is_none() -> None:
    error = await error_of(QWEN, Completion(thinking="Hm.", cut=True))
    assert type(error) is ModelError
    assert "used up its 100 reply tokens" in str(error)


async def test_a_call_in_the_history_needs_no_text() -> None:
    said = PromptMessage("assistant", "", (Call("a", "note", "[1]"),))
    body = await sent(replace(PROMPT, messages=(*PROMPT.messages, said)))
    assert body["messages"][2]["tool_calls"][0]["function"]["arguments"] == {"malformed": "[1]"}


# what it serves


async def test_the_window_with_which_a_model_is_loaded_is_read() -> None:
    loaded = {"models": [{"name": "qwen-test:latest", "context_length": 4096}]}
    with ProviderServer(serves={"/api/ps": loaded}) as server:
        catalogue = Catalogue(server.environment)
        assert await catalogue.served_window(QWEN) == 4096
        server.serves["/api/ps"] = {"models": []}
        assert await catalogue.served_window(QWEN) is None
    assert server.looked_up == ["/api/ps"] * 2
