"""Gemini by pydantic-ai over real HTTP: the suite for models, signatures, settings, errors as ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters import NAMES, AdapterConformance, adapter_at, error_of, streamed
from pagefault.errors import ModelUnavailable
from pagefault.models import Call, Completion, Prompt, PromptMessage
from pagefault.models.endpoint import ModelOptions
from pagefault.testing.models import PROMPT, end_of
from pagefault.testing.providers import KEY, Delivery, ProviderServer, RawReply, refuse
from pagefault.testing.providers.gemini import chunk

pytestmark = pytest.mark.anyio

GEMINI = NAMES["gemini"]


class TestGemini(AdapterConformance):
    __test__ = True
    shape = "gemini"
    arguments_are_text = False


async def sent(prompt: Prompt, options: ModelOptions | None = None) -> dict[str, Any]:
    with ProviderServer() as server:
        async with adapter_at(server, GEMINI, options) as model:
            assert [item async for item in model.stream(prompt)]
    return server.requests[0]


async def test_a_signature_goes_back_with_the_part_it_came_with() -> None:
    signed: dict[str, Any] = {"functionCall": {"name": "note", "args": {}}, "thoughtSignature": "Q2lnQQ=="}
    parts = ({"text": "Hm.", "thought": True}, {"text": "Let me see."}, signed)
    end = end_of(await streamed(GEMINI, [RawReply((chunk(*parts, finish="STOP"),))]))
    said = PromptMessage("assistant", end.text, (replace(end.calls[0], id="m7"),), echo=end.echo)
    result = PromptMessage("tool", "Kept.", call_id="m7", name="note")
    body = await sent(replace(PROMPT, messages=(*PROMPT.messages, said, result)))
    kept = body["contents"][1]["parts"]
    assert {"text": "Let me see."} in kept
    assert kept[-1]["thoughtSignature"] == "Q2lnQQ=="
    assert kept[-1]["functionCall"]["name"] == "note"


async def test_calls_without_ids_get_their_own() -> None:
    call: dict[str, Any] = {"functionCall": {"name": "note", "args": {"text": "字"}}}
    end = end_of(await streamed(GEMINI, [RawReply((chunk(call, call, finish="STOP"),))]))
    assert [(c.name, c.arguments) for c in end.calls] == [("note", '{"text": "字"}')] * 2
    assert len({c.id for c in end.calls} - {""}) == 2


async def test_a_call_that_gemini_gave_up_is_asked_for_again() -> None:
    error = await error_of(GEMINI, RawReply((chunk(finish="MALFORMED_FUNCTION_CALL"),)))
    assert str(error) == "gemini-2.5-flash broke off its answer; try again."


@pytest.mark.parametrize(
    ("thinking", "wanted"),
    [
        (None, None),
        ("off", {"thinking_budget": 0}),
        (4096, {"thinking_budget": 4096, "include_thoughts": True}),
        ("low", {"thinking_budget": 2048, "include_thoughts": True}),
    ],
)
async def test_thinking_is_asked_for_by_its_budget(thinking: Any, wanted: dict[str, Any] | None) -> None:
    body = await sent(PROMPT, ModelOptions(0.3, thinking))
    settings = body["generationConfig"]
    assert (settings["maxOutputTokens"], settings["temperature"]) == (100, 0.3)
    assert settings.get("thinkingConfig") == wanted


async def test_the_wait_that_stands_in_the_body_is_kept() -> None:
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    said = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded.", "details": [detail]}
    error = await error_of(GEMINI, RawReply(status=429, body={"error": said}))
    assert isinstance(error, ModelUnavailable)
    assert error.retry_after == 7


async def test_no_error_shows_the_key() -> None:
    assert "Bad header: [redacted]" in str(await error_of(GEMINI, refuse(400, f"Bad header: {KEY}")))


async def test_an_answer_that_is_cut_off_says_so() -> None:
    error = await error_of(GEMINI, Delivery(Completion("Let me see about that."), cut=True))
    assert "was cut off; try again." in str(error)


async def test_a_silent_server_is_given_up() -> None:
    with ProviderServer([RawReply(held=True)]) as server:
        async with adapter_at(server, GEMINI, seconds=0.2) as model:
            with pytest.raises(ModelUnavailable, match=r"did not answer within 0\.2 s"):
                await anext(model.stream(PROMPT))


async def test_broken_arguments_in_the_history_are_sent_as_an_object() -> None:
    said = PromptMessage("assistant", "", (Call("a", "note", '{"text": "cut'),))
    result = PromptMessage("tool", "Error: no JSON.", call_id="a", name="note")
    body = await sent(replace(PROMPT, messages=(*PROMPT.messages, said, result)))
    (part,) = body["contents"][1]["parts"]
    assert list(part["functionCall"]["args"].values()) == ['{"text": "cut']
