"""The OpenAI shape over real HTTP: the suite for models, the request body, odd streams, errors as ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

import anyio
import pytest

from pagefault.errors import (
    ContextLengthExceeded,
    ModelError,
    ModelSetupError,
    ModelUnavailable,
)
from pagefault.models import (
    Call,
    Completion,
    Delta,
    FunctionSchema,
    Prompt,
    PromptMessage,
    StreamItem,
    Usage,
)
from pagefault.models.endpoint import Endpoint, ModelOptions
from pagefault.models.openai import OpenAIModel
from pagefault.models.openai.body import BodyBuilder
from pagefault.testing.model_requests import RequestConformance, ServedModel
from pagefault.testing.models import Fault
from pagefault.testing.providers import Delivery, ProviderServer, RawReply, Turn, delta, refuse

pytestmark = pytest.mark.anyio

NOTE = FunctionSchema("note", "Keep a note.", {"type": "object", "properties": {"text": {"type": "string"}}})
PROMPT = Prompt((PromptMessage("system", "Be brief."), PromptMessage("user", "你好")), (NOTE,), 100)
KEY = "sk-secret-0123456789"
TOO_LONG = "This model's maximum context length is 8192 tokens. However, you requested 9000."

FAULTS: dict[Fault, Turn] = {
    "too_long": refuse(400, TOO_LONG, code="context_length_exceeded"),
    "refused": refuse(401, f"Incorrect API key provided: {KEY}."),
    "overloaded": refuse(503, "The server is\noverloaded."),
    "cut": Delivery(Completion("never to be finished"), cut=True),
}


@asynccontextmanager
async def model_at(
    server: ProviderServer, name: str = "test-1", **options: Any
) -> AsyncGenerator[OpenAIModel]:
    model = OpenAIModel(
        name, 8192, Endpoint("openai", server.url, KEY, "OPENAI_API_KEY", **options), ModelOptions()
    )
    try:
        yield model
    finally:
        await model.aclose()


async def streamed(turn: Turn, prompt: Prompt = PROMPT) -> list[StreamItem]:
    with ProviderServer([turn]) as server:
        async with model_at(server) as model:
            return [item async for item in model.stream(prompt)]


async def completed(turn: Turn) -> Completion:
    items = await streamed(turn)
    assert isinstance(items[-1], Completion)
    return items[-1]


async def error_of(turn: Turn) -> ModelError:
    with pytest.raises(ModelError) as raised:
        await streamed(turn)
    return raised.value


def request_body(model: str, prompt: Prompt, *, official: bool = False, **options: Any) -> dict[str, Any]:
    endpoint = Endpoint("openai", "" if official else "http://127.0.0.1:9/v1")
    body = BodyBuilder(model, endpoint, ModelOptions(**options)).build(prompt, stream=True)
    return json.loads(body)


class TestOpenAIModel(RequestConformance):
    def wired(self, *turns: Completion | Fault) -> AbstractAsyncContextManager[ServedModel]:
        @asynccontextmanager
        async def serve() -> AsyncGenerator[ServedModel]:
            scripted = [FAULTS[turn] if isinstance(turn, str) else turn for turn in turns]
            with ProviderServer(scripted) as server:
                async with model_at(server) as model:
                    yield ServedModel(model, lambda: server.requests)

        return serve()


# The request


def test_the_body_is_the_prompt_in_the_openai_shape() -> None:
    talk = (
        *PROMPT.messages,
        PromptMessage("assistant", "", (Call("a", "note", '{"text":"x"}'),)),
        PromptMessage("tool", "Kept.", call_id="a", name="note"),
        PromptMessage("assistant", "Done."),
    )
    assert request_body("m", replace(PROMPT, messages=talk)) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "你好"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "note", "arguments": '{"text":"x"}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "Kept."},
            {"role": "assistant", "content": "Done."},
        ],
        "max_tokens": 100,
        "stream": True,
        "stream_options": {"include_usage": True},
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


def test_without_functions_no_tools_are_sent() -> None:
    assert "tools" not in request_body("m", replace(PROMPT, functions=()))


def test_broken_arguments_in_the_history_are_sent_as_json() -> None:
    broken = PromptMessage("assistant", "", (Call("a", "note", '{"text": "cut'), Call("b", "note", "[1]")))
    (message,) = request_body("m", Prompt((broken,), (), 10))["messages"]
    sent = [json.loads(call["function"]["arguments"]) for call in message["tool_calls"]]
    assert sent == [{"malformed": '{"text": "cut'}, {"malformed": "[1]"}]


@pytest.mark.parametrize(
    ("model", "official", "limit"),
    [
        ("gpt-4o", True, "max_completion_tokens"),
        ("o3-mini", False, "max_completion_tokens"),
        ("openai/gpt-5-mini", False, "max_completion_tokens"),
        ("gpt-oss-20b", False, "max_tokens"),
        ("meta-llama/Llama-3.1-8B", False, "max_tokens"),
    ],
)
def test_the_reply_is_bounded_by_the_name_the_server_knows(model: str, official: bool, limit: str) -> None:
    body = request_body(model, PROMPT, official=official)
    assert {key for key in body if key.startswith("max_")} == {limit}


async def test_a_prompt_that_goes_on_is_sent_as_bytes_that_go_on() -> None:
    longer = replace(
        PROMPT, messages=(*PROMPT.messages, PromptMessage("assistant", "Hi."), PROMPT.messages[1])
    )
    with ProviderServer() as server:
        async with model_at(server) as model:
            for prompt in (PROMPT, PROMPT, longer):
                assert [item async for item in model.stream(prompt)][-1] == Completion("ok")
    first, again, further = server.bodies
    assert first == again
    ends = first.index(b'"}],"max')  # the end of the last message; the tools stand before the messages
    assert further[: ends + 2] == first[: ends + 2]


# The stream


async def test_text_and_calls_come_in_pieces_then_whole() -> None:
    turn = Delivery(Completion("Noting.", (Call("a", "note", "{}"),), Usage(70, 9, 64)), piece=4)
    assert await streamed(turn) == [
        Delta("Noti"),
        Delta("ng."),
        Delta("{}", 0, "note"),
        Completion("Noting.", (Call("a", "note", "{}"),), Usage(70, 9, 64)),
    ]


def piece(**fields: Any) -> dict[str, Any]:
    """A piece of a tool call: ``name`` and ``arguments`` go into its function."""
    function = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    return {**fields, "function": function} if function else fields


ODD: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str]]]] = {
    "no index": (
        [
            piece(id="a", name="f", arguments="{"),
            piece(arguments="}"),
            piece(id="b", name="g", arguments="{}"),
        ],
        [("f", "{}"), ("g", "{}")],
    ),
    "no id": (
        [piece(index=0, name="f", arguments="{}"), piece(index=1, name="g", arguments="{}")],
        [("f", "{}"), ("g", "{}")],
    ),
    "two calls on one index": (
        [piece(index=0, id="a", name="f", arguments="{}"), piece(index=0, id="b", name="g", arguments="{}")],
        [("f", "{}"), ("g", "{}")],
    ),
    "two calls on one index without ids": (
        [piece(index=0, name="f", arguments='{"x":1}'), piece(index=0, name="f", arguments='{"x":2}')],
        [("f", '{"x":1}'), ("f", '{"x":2}')],
    ),
    "one id for two calls": (
        [piece(index=0, id="a", name="f", arguments="{}"), piece(index=1, id="a", name="g", arguments="{}")],
        [("f", "{}"), ("g", "{}")],
    ),
    "id and name repeated in each piece": (
        [
            piece(index=0, id="a", name="f", arguments='{"x":'),
            piece(index=0, id="a", name="f", arguments="1}"),
        ],
        [("f", '{"x":1}')],
    ),
    "arguments as an object": (
        [piece(index=0, id="a", name="f", arguments={"x": "字"})],
        [("f", '{"x": "字"}')],
    ),
    "no arguments": ([piece(index=0, id="a", name="f")], [("f", "{}")]),
    "no name": ([piece(index=0, id="a", arguments="{}")], [("unnamed", "{}")]),
    "pieces of two calls in turns": (
        [
            piece(index=0, id="a", name="f", arguments='{"x"'),
            piece(index=1, id="b", name="g", arguments='{"y"'),
            piece(index=0, arguments=":1}"),
            piece(index=1, arguments=":2}"),
        ],
        [("f", '{"x":1}'), ("g", '{"y":2}')],
    ),
}


@pytest.mark.parametrize("case", ODD)
async def test_odd_calls_are_understood(case: str) -> None:
    pieces, expected = ODD[case]
    chunks = [delta(tool_calls=[p]) for p in pieces]
    got = await completed(RawReply((*chunks, delta(finish="tool_calls"))))
    assert [(call.name, call.arguments) for call in got.calls] == expected
    ids = [call.id for call in got.calls]
    assert all(ids)
    assert len(set(ids)) == len(ids)


async def test_a_refusal_is_text_and_empty_chunks_are_nothing() -> None:
    empty: dict[str, Any] = {**delta(), "choices": []}
    no_delta: dict[str, Any] = {**delta(), "choices": [{"index": 0, "delta": None}]}
    turn = RawReply((empty, no_delta, delta(refusal="I can't."), delta(finish="stop")))
    assert await streamed(turn) == [Delta("I can't."), Completion("I can't.")]


async def test_a_stream_without_a_finish_reason_was_cut() -> None:
    error = await error_of(Delivery(Completion("Half an ans"), finish=None))
    assert str(error) == "The answer of test-1 was cut off; try again."


async def test_a_reply_that_ran_out_of_tokens_keeps_what_there_is() -> None:
    assert await completed(Delivery(Completion("Half"), finish="length")) == Completion("Half", cut=True)
    error = await error_of(Delivery(Completion(), finish="length"))
    assert str(error) == (
        "test-1 used up its 100 reply tokens with no answer; "
        "increase the setting reserve, or reduce thinking."
    )


async def test_a_withheld_answer_says_so() -> None:
    assert "content filter" in str(await error_of(Delivery(Completion(), finish="content_filter")))


async def test_leaving_or_cancelling_closes_the_stream() -> None:
    held = replace(Delivery(Completion("One piece and then silence"), finish=None), held=True)
    with ProviderServer([held, held, Delivery(Completion("after"))]) as server:
        async with model_at(server) as model:
            async with aclosing(cast("Any", model.stream(PROMPT))) as left:
                assert await anext(left) == Delta("One piec")
            assert await anyio.to_thread.run_sync(server.left.acquire, True, 5)
            seen = anyio.Event()

            async def listen() -> None:
                async for _ in model.stream(PROMPT):
                    seen.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen)
                await seen.wait()
                tasks.cancel_scope.cancel()
            assert await anyio.to_thread.run_sync(server.left.acquire, True, 5)
            assert [item async for item in model.stream(PROMPT)][-1] == Completion("after")


# Errors


@pytest.mark.parametrize(
    "message",
    [
        TOO_LONG,
        "the request exceeds the available context size, try increasing it",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "The input token count (40000) exceeds the maximum number of tokens allowed (32768).",
        "Please reduce the length of the messages or completion.",
    ],
)
async def test_every_way_to_say_too_long_is_one_error(message: str) -> None:
    assert isinstance(await error_of(refuse(400, message)), ContextLengthExceeded)


async def test_too_long_may_also_come_in_the_stream() -> None:
    turn = RawReply((delta(content="x"), {"error": {"message": TOO_LONG, "code": "context_length_exceeded"}}))
    assert isinstance(await error_of(turn), ContextLengthExceeded)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (429, "Request too large for gpt-4o on tokens per min (TPM): Limit 10000, Requested 12000."),
        (400, "max_tokens is too large: 5000. This model supports at most 4096 completion tokens."),
    ],
)
async def test_other_things_too_large_are_not_the_window(status: int, message: str) -> None:
    error = await error_of(refuse(status, message))
    assert not isinstance(error, ContextLengthExceeded)
    assert message in str(error)


@pytest.mark.parametrize(
    ("status", "mend"),
    [
        (401, "set OPENAI_API_KEY"),
        (403, "another key or model"),
        (404, "check the model's name and the address"),
    ],
)
async def test_what_retrying_cannot_help_says_the_mend_and_not_the_key(status: int, mend: str) -> None:
    error = await error_of(refuse(status, f"No: {KEY}"))
    assert isinstance(error, ModelSetupError)
    assert mend in str(error)
    assert KEY not in str(error)


async def test_no_error_and_no_repr_shows_the_key() -> None:
    error = await error_of(refuse(400, f"Bad header: Bearer {KEY}"))
    assert "Bearer [redacted]" in str(error)
    assert error.__suppress_context__
    model = OpenAIModel("m", 8192, Endpoint("openai", "http://127.0.0.1:9/v1", KEY), ModelOptions())
    assert repr(model) == "OpenAIModel('m', 8192, base_url='http://127.0.0.1:9/v1')"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after_ms": "250"}, 0.25),
        ({}, None),
        ({"retry_after": "soon"}, None),
    ],
)
async def test_a_rate_limit_says_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    error = await error_of(refuse(429, "Slow down.", **headers))
    assert isinstance(error, ModelUnavailable)
    assert error.retry_after == seconds


async def test_a_server_may_ask_to_wait_until_a_time() -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    error = await error_of(refuse(503, "Back soon.", retry_after=until))
    assert isinstance(error, ModelUnavailable)
    assert error.retry_after == pytest.approx(90, abs=60)


async def test_a_silent_server_is_given_up() -> None:
    with ProviderServer([RawReply(held=True)]) as server:
        async with model_at(server, timeout=0.2) as model:
            with pytest.raises(ModelError, match=r"did not answer within 0\.2 s"):
                await anext(model.stream(PROMPT))


async def test_a_server_that_is_not_there() -> None:
    with ProviderServer() as server:
        pass
    async with model_at(server) as model:
        with pytest.raises(ModelError, match="cannot be reached; check the network and the address"):
            await anext(model.stream(PROMPT))


async def test_a_stream_that_is_not_json() -> None:
    with ProviderServer([RawReply(("{oops",))]) as server:
        async with model_at(server) as model:
            with pytest.raises(ModelError, match="not JSON"):
                await anext(model.stream(PROMPT))


# Setting up


def test_a_missing_key_is_said_at_once() -> None:
    with pytest.raises(ModelSetupError, match="set OPENAI_API_KEY"):
        OpenAIModel("gpt-4o", 128_000, Endpoint("openai", key_variable="OPENAI_API_KEY"), ModelOptions())


async def test_a_server_of_ones_own_needs_no_key_and_gets_the_headers_that_are_set() -> None:
    with ProviderServer() as server:
        endpoint = Endpoint("mine", server.url, headers={"x-team": "blue"})
        model = OpenAIModel("local", 8192, endpoint, ModelOptions())
        assert [item async for item in model.stream(PROMPT)][-1] == Completion("ok")
        await model.aclose()
    assert server.keys == ["none"]
    assert server.headers[0]["x-team"] == "blue"


# What servers do otherwise


async def test_thinking_comes_apart_and_is_counted() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 30,
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    for name in ("reasoning_content", "reasoning"):
        turn = RawReply(
            (
                delta(**{name: "Let me"}),
                delta(**{name: " see."}),
                delta(content="Four."),
                delta("stop"),
                {"usage": usage},
            )
        )
        items = await streamed(turn)
        assert items[:3] == [Delta("Let me", thinking=True), Delta(" see.", thinking=True), Delta("Four.")]
        assert items[3] == Completion("Four.", usage=Usage(9, 30, thinking=20), thinking="Let me see.")


async def test_what_a_provider_wants_back_goes_back_to_it_and_to_no_other() -> None:
    details = [{"type": "reasoning.encrypted", "data": "xyz"}]
    turn = RawReply((delta(reasoning_details=details, content="Hm."), delta("stop")))
    with ProviderServer([turn, turn, turn]) as server:
        for provider in ("openrouter", "openai"):
            model = OpenAIModel("m", 8192, Endpoint(provider, server.url), ModelOptions())
            first = [item async for item in model.stream(PROMPT)][-1]
            assert isinstance(first, Completion)
            echo = {"provider": "openrouter", "reasoning_details": details}
            history = (*PROMPT.messages, PromptMessage("assistant", "Hm.", echo=echo), PROMPT.messages[1])
            [item async for item in model.stream(replace(PROMPT, messages=history))]
            await model.aclose()
    sent = [body["messages"][2] for body in server.requests if len(body["messages"]) > 2]
    assert sent == [
        {"role": "assistant", "content": "Hm.", "reasoning_details": details},
        {"role": "assistant", "content": "Hm."},
    ]


async def test_deepseek_gets_its_thinking_back_within_a_chain_of_calls() -> None:
    call = {"index": 0, "id": "a", "function": {"name": "note", "arguments": "{}"}}
    turn = RawReply((delta(reasoning_content="Hm."), delta(tool_calls=[call]), delta("tool_calls")))
    with ProviderServer([turn]) as server:
        model = OpenAIModel("m", 8192, Endpoint("deepseek", server.url), ModelOptions())
        end = [item async for item in model.stream(PROMPT)][-1]
        await model.aclose()
    assert isinstance(end, Completion)
    assert end.echo == {"provider": "deepseek", "reasoning_content": "Hm."}


async def test_arguments_that_are_sent_again_and_again_are_taken_once() -> None:
    def piece(arguments: str) -> dict[str, Any]:
        return delta(
            tool_calls=[{"index": 0, "id": "a", "function": {"name": "note", "arguments": arguments}}]
        )

    turn = RawReply(
        (piece('{"te'), piece('{"text": "x'), piece('{"text": "xx"}'), piece('{"text": "xx"}'), delta("stop"))
    )
    items = await streamed(turn)
    assert [item.text for item in items if isinstance(item, Delta)] == ['{"te', 'xt": "x', 'x"}']
    end = items[-1]
    assert isinstance(end, Completion)
    assert [c.arguments for c in end.calls] == ['{"text": "xx"}']


async def test_a_call_in_the_old_form_is_a_call() -> None:
    legacy = {"name": "note", "arguments": "{}"}
    end = await completed(RawReply((delta(function_call=legacy), delta("function_call"))))
    assert [(c.name, c.arguments) for c in end.calls] == [("note", "{}")]


async def test_calls_that_were_lost_while_streaming_are_asked_for_in_one_piece() -> None:
    message = {"content": None, "tool_calls": [{"id": "a", "function": {"name": "note", "arguments": "{}"}}]}
    whole = RawReply(body={"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    with ProviderServer([RawReply((delta("tool_calls"),)), whole]) as server:
        async with model_at(server) as model:
            end = [item async for item in model.stream(PROMPT)][-1]
    assert isinstance(end, Completion)
    assert [c.name for c in end.calls] == ["note"]
    assert "lost while streaming" in end.notes[0]
    assert [body["stream"] for body in server.requests] == [True, False]


async def test_a_cut_completion_says_so() -> None:
    end = await completed(Delivery(Completion("It is"), finish="length"))
    assert end.cut


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        ("response_format", "'response_format.type' must be 'text' or 'json_object'"),
        ("stream_options", "[{'loc': ['body', 'stream_options'], 'msg': 'Extra inputs are not permitted'}]"),
        ("temperature", "Unsupported value: 'temperature' does not support 0.2 with this model."),
        ("reasoning_effort", "Unrecognized request argument supplied: reasoning_effort"),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
async def test_what_a_server_refuses_is_left_out_from_then_on_and_said(
    refused: str, said: str, status: int
) -> None:
    asked = replace(PROMPT, functions=(), answer_schema={"type": "object"})
    with ProviderServer([refuse(status, said)]) as server:
        options = ModelOptions(temperature=0.2, thinking="low")
        model = OpenAIModel("m", 8192, Endpoint("openai", server.url, KEY), options)
        first, second = [[item async for item in model.stream(asked)][-1] for _ in range(2)]
        await model.aclose()
    assert [refused in body for body in server.requests] == [True, False, False]
    assert first == Completion("ok", notes=(f"The server refuses {refused}; requests leave it out.",))
    assert second == Completion("ok")


async def test_the_limit_of_the_reply_is_sent_under_the_name_that_the_server_takes() -> None:
    said = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
    with ProviderServer([refuse(400, said)]) as server:
        async with model_at(server) as model:
            done = [item async for item in model.stream(PROMPT)][-1]
    assert [body.get("max_completion_tokens") for body in server.requests] == [None, 100]
    assert "max_tokens" not in server.requests[1]
    assert isinstance(done, Completion)
    assert done.notes == ("The server refuses max_tokens; it is sent max_completion_tokens.",)


async def test_a_server_that_refuses_a_field_for_ever_is_not_asked_for_ever() -> None:
    refusal = refuse(400, "Unknown parameter: max_tokens, max_completion_tokens, stream_options")
    with ProviderServer([refusal] * 9) as server:
        async with model_at(server) as model:
            with pytest.raises(ModelError, match="Unknown parameter"):
                _ = [item async for item in model.stream(PROMPT)]
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("thinking", "effort"),
    [(None, None), ("off", "none"), ("low", "low"), (1024, "low"), (8192, "medium"), (9999, "high")],
)
def test_how_much_may_be_thought_is_a_level_of_effort(thinking: Any, effort: str | None) -> None:
    assert request_body("m", PROMPT, thinking=thinking).get("reasoning_effort") == effort


def test_nothing_is_set_that_nobody_asked_for() -> None:
    assert not {"temperature", "reasoning_effort", "response_format", "strict"} & set(
        request_body("m", PROMPT)
    )
    assert request_body("m", PROMPT, temperature=0.2)["temperature"] == 0.2


def test_importing_the_adapter_does_not_import_the_client() -> None:
    code = "import sys, pagefault.models.openai; sys.exit('openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
