"""The scripted model passes the suite for models, and does what its script says."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from pagefault.errors import ContextLengthExceeded, ModelError, ModelSetupError, ModelUnavailable
from pagefault.models import (
    Call,
    Completion,
    Delta,
    FunctionSchema,
    Model,
    Prompt,
    PromptMessage,
    StreamItem,
    Usage,
)
from pagefault.testing.models import Fault, Item, ModelConformance, ScriptedModel, call, say

pytestmark = pytest.mark.anyio

PROMPT = Prompt((PromptMessage("system", "Be brief."), PromptMessage("user", "Hi")), (), 100)
SPEAKING = Prompt(PROMPT.messages, (FunctionSchema("send_message", "Speak.", {"type": "object"}),), 100)

ERRORS: dict[Fault, Exception] = {
    "too_long": ContextLengthExceeded("The prompt is too long."),
    "refused": ModelSetupError("The key is wrong; set another."),
    "overloaded": ModelUnavailable("Try again later."),
    "cut": ModelUnavailable("The stream was cut."),
}


class TestScriptedModel(ModelConformance):
    def serving(self, *turns: Completion | Fault) -> AbstractAsyncContextManager[Model]:
        @asynccontextmanager
        async def serve() -> AsyncGenerator[Model]:
            yield ScriptedModel([ERRORS[turn] if isinstance(turn, str) else turn for turn in turns])

        return serve()


async def streamed(model: Model, prompt: Prompt = PROMPT) -> list[StreamItem]:
    return [item async for item in model.stream(prompt)]


async def completed(model: Model, prompt: Prompt = PROMPT) -> Completion:
    last = (await streamed(model, prompt))[-1]
    assert isinstance(last, Completion)
    return last


async def test_a_list_is_used_up_item_by_item() -> None:
    model = ScriptedModel(
        [
            "plain text",
            [say("hello"), call("note", heartbeat=True, text="x")],
            [("note", {"text": "y"})],
            Completion("whole", (Call("mine", "note", "{"),)),
        ]
    )
    assert await completed(model) == Completion("plain text")
    assert (await completed(model)).calls == (
        Call("call_1", "send_message", '{"message": "hello"}'),
        Call("call_2", "note", '{"text": "x", "request_heartbeat": true}'),
    )
    assert (await completed(model)).calls == (Call("call_3", "note", '{"text": "y"}'),)
    assert (await completed(model)).calls == (Call("mine", "note", "{"),)


async def test_after_the_end_it_says_ok() -> None:
    model = ScriptedModel([])
    assert await completed(model) == Completion("ok")
    assert (await completed(model, SPEAKING)).calls == (Call("call_1", "send_message", '{"message": "ok"}'),)
    assert model.prompts == [PROMPT, SPEAKING]


async def test_a_function_answers_each_prompt() -> None:
    def answer(prompt: Prompt) -> Item:
        return ModelError("nothing to add") if prompt is SPEAKING else [say(prompt.messages[-1].text)]

    model = ScriptedModel(answer)
    assert (await completed(model)).calls[0].arguments == '{"message": "Hi"}'
    with pytest.raises(ModelError, match="nothing to add"):
        await completed(model, SPEAKING)


async def test_text_and_arguments_stream_in_pieces() -> None:
    whole = Completion("abcde", (Call("c", "note", "{}"),))
    assert await streamed(ScriptedModel([whole], piece=2)) == [
        Delta("ab"),
        Delta("cd"),
        Delta("e"),
        Delta("{}", 0, "note"),
        whole,
    ]


async def test_usage_is_reported_where_the_script_has_none() -> None:
    def report(prompt: Prompt, completion: Completion) -> Usage:
        return Usage(len(prompt.messages), len(completion.text))

    model = ScriptedModel(["four", Completion("own", usage=Usage(9, 9))], usage=report)
    assert (await completed(model)).usage == Usage(2, 4)
    assert (await completed(model)).usage == Usage(9, 9)
