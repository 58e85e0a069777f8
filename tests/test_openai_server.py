"""OpenAI's protocols as a server, as the client of OpenAI speaks them unchanged."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai
import pytest
from anyio.to_thread import run_sync
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from conftest import Machine, Rig, served
from pagefault.config import parse_settings
from pagefault.errors import ModelSetupError
from pagefault.kernel.approvals import pending_approvals
from pagefault.models import Completion, Prompt, Usage
from pagefault.testing.models import ScriptedModel, call, say

pytestmark = pytest.mark.anyio

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi, I am Ann."}]


def used(_prompt: Prompt, _completion: Completion) -> Usage:
    return Usage(100, 7, 30, 4, 2)


@asynccontextmanager
async def client_of(rig: Rig, **options: Any) -> AsyncGenerator[AsyncOpenAI]:
    """The client as a program has it: with its own retries."""
    async with (
        served(rig.kernel, **options) as server,
        server.live() as url,
        AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client,
    ):
        yield client


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


# models


async def test_each_agent_is_a_model(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, client_of(rig) as client:
        await rig.kernel.create_agent("bob", parse_settings({"zone": "UTC"}))
        models = (await client.models.list()).data
        assert [(model.id, model.owned_by) for model in models] == [
            ("ana", "pagefault"),
            ("bob", "pagefault"),
        ]
        assert (await client.models.retrieve("bob")).created == int(machine.clock.now().timestamp())
        with pytest.raises(openai.NotFoundError) as raised:
            await client.models.retrieve("carl")
        assert (raised.value.code, raised.value.type) == ("model_not_found", "invalid_request_error")


# chat completions


async def test_a_chat_is_answered(machine: Machine) -> None:
    model = ScriptedModel([[say("Hello Ann.")]], usage=used)
    async with machine.open(model) as rig, client_of(rig) as client:
        answer = await client.chat.completions.create(model="ana", messages=HI, temperature=0.2)
        assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Hello Ann.", "stop")
        assert answer.model == "ana"
        assert answer.id.startswith("chatcmpl-")
        assert answer.usage
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (100, 7)
        assert answer.usage.total_tokens == 107
        assert answer.usage.prompt_tokens_details
        assert answer.usage.prompt_tokens_details.cached_tokens == 30


async def test_a_chat_is_answered_without_async(machine: Machine) -> None:
    async with (
        machine.open(ScriptedModel([[say("Hello Ann.")]])) as rig,
        served(rig.kernel) as server,
        server.live() as url,
    ):

        def chat() -> str | None:
            with OpenAI(base_url=f"{url}/v1", api_key="none") as client:
                return client.chat.completions.create(model="ana", messages=HI).choices[0].message.content

        assert await run_sync(chat) == "Hello Ann."


async def test_only_the_last_message_enters_the_agent(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("Yes.")]])) as rig, client_of(rig) as client:
        messages: list[ChatCompletionMessageParam] = [
            {"role": "system", "content": "You are a pirate."},
            {"role": "user", "content": "First"},
            {"role": "assistant", "content": "Aye"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "Second"}, {"type": "text", "text": "part"}],
            },
        ]
        await client.chat.completions.create(model="ana", messages=messages)
        assert [event.text for event in await rig.events()] == ["Second\npart"]


async def test_a_chat_streams_and_ends_with_its_usage(machine: Machine) -> None:
    model = ScriptedModel([[say("Hello Ann, how are you?"), say("I am well.")]], usage=used)
    async with machine.open(model) as rig, client_of(rig) as client:
        stream = await client.chat.completions.create(
            model="ana", messages=HI, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        assert text_of(chunks) == "Hello Ann, how are you?\nI am well."
        assert len(chunks) > 5
        assert {chunk.id for chunk in chunks} == {chunks[0].id}
        assert chunks[0].choices[0].delta.role == "assistant"
        assert [c.choices[0].finish_reason for c in chunks[-3:-1]] == [None, "stop"]
        assert chunks[-1].choices == []
        assert chunks[-1].usage
        assert chunks[-1].usage.total_tokens == 107


async def test_plain_speech_streams_too(machine: Machine) -> None:
    model = ScriptedModel(["  Hello Ann, how are you?\n"])
    async with machine.open(model, style="native") as rig, client_of(rig) as client:
        stream = await client.chat.completions.create(model="ana", messages=HI, stream=True)
        chunks = [chunk async for chunk in stream]
        assert text_of(chunks) == "Hello Ann, how are you?"
        assert len(chunks) > 4
        assert not any(chunk.usage for chunk in chunks)


# errors


async def test_errors_are_the_clients_own(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, client_of(rig) as client:
        chat = client.chat.completions
        with pytest.raises(openai.NotFoundError) as unknown:
            await chat.create(model="carl", messages=HI)
        assert unknown.value.code == "model_not_found"
        assert unknown.value.param == "model"
        tool: Any = {"type": "function", "function": {"name": "f", "parameters": {}}}
        with pytest.raises(openai.BadRequestError) as refused:
            await chat.create(model="ana", messages=HI, tools=[tool])
        assert refused.value.param == "tools"
        assert "tools of its own" in refused.value.message
        with pytest.raises(openai.BadRequestError) as empty:
            await chat.create(model="ana", messages=[])
        assert empty.value.type == "invalid_request_error"
        assert await rig.events() == []


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 2}, "n"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"logprobs": True}, "logprobs"),
        ({"messages": [{"role": "tool", "tool_call_id": "c", "content": "42"}]}, "messages"),
        ({"messages": [*HI, {"role": "assistant", "content": "Go on"}]}, "messages"),
        ({"messages": [{"role": "user", "content": "  "}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages"),
    ],
)
async def test_what_cannot_be_honoured_is_refused(machine: Machine, more: dict[str, Any], param: str) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        body = {"model": "ana", "messages": HI} | more
        answer = await server.client.post("/v1/chat/completions", json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
        assert await rig.events() == []


async def test_empty_tools_and_a_text_format_are_no_obstacle(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("Hi.")]])) as rig, client_of(rig) as client:
        answer = await client.chat.completions.create(
            model="ana", messages=HI, tools=[], n=1, response_format={"type": "text"}
        )
        assert answer.choices[0].message.content == "Hi."


async def test_a_turn_that_fails_is_an_error_and_not_retried(machine: Machine) -> None:
    model = ScriptedModel([ModelSetupError("No such model."), ModelSetupError("No such model.")])
    async with machine.open(model) as rig, client_of(rig) as client:
        with pytest.raises(openai.InternalServerError) as failed:
            await client.chat.completions.create(model="ana", messages=HI)
        assert "No such model." in failed.value.message
        assert failed.value.code == "turn_failed"
        with pytest.raises(openai.APIError) as streamed:
            async for _ in await client.chat.completions.create(model="ana", messages=HI, stream=True):
                pass
        assert "No such model." in streamed.value.message
        assert len(await rig.events()) == 2


# the same request again


async def test_a_key_makes_a_retry_safe(machine: Machine) -> None:
    model = ScriptedModel([[say("One.")], [say("Two.")]])
    async with machine.open(model) as rig, client_of(rig) as client:
        for name in ("Idempotency-Key", "X-Idempotency-Key"):
            answer = await client.chat.completions.create(
                model="ana", messages=HI, extra_headers={name: "k1"}
            )
            assert answer.choices[0].message.content == "One."
        stream = await client.chat.completions.create(
            model="ana", messages=HI, stream=True, extra_headers={"Idempotency-Key": "k1"}
        )
        assert text_of([chunk async for chunk in stream]) == "One."
        with pytest.raises(openai.BadRequestError, match="Idempotency-Key"):
            await client.chat.completions.create(
                model="ana",
                messages=[{"role": "user", "content": "Other"}],
                extra_headers={"Idempotency-Key": "k1"},
            )
        assert len(await rig.events()) == len(model.prompts) == 1


# chat interfaces

CHAT = {"X-OpenWebUI-Chat-Id": "c1"}


async def ask(client: AsyncOpenAI, headers: dict[str, str], text: str = "Hi", *, stream: bool = True) -> str:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": text}]
    if not stream:
        answer = await client.chat.completions.create(model="ana", messages=messages, extra_headers=headers)
        return answer.choices[0].message.content or ""
    chunks = await client.chat.completions.create(
        model="ana", messages=messages, stream=True, extra_headers=headers
    )
    return text_of([chunk async for chunk in chunks])


@pytest.mark.parametrize(
    ("headers", "stream"),
    [
        (CHAT, False),
        (CHAT | {"X-OpenWebUI-Task": "title_generation"}, True),
        ({"X-Pagefault-Chat": "c1", "X-Pagefault-Task": "tags"}, True),
    ],
)
async def test_tasks_of_an_interface_do_not_land_in_memory(
    machine: Machine, headers: dict[str, str], stream: bool
) -> None:
    async with machine.open(ScriptedModel([])) as rig, client_of(rig) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await ask(client, headers, "Generate a concise title", stream=stream)
        assert refused.value.code == "task_refused"
        assert await rig.events() == []


async def test_the_ids_of_messages_tell_a_retry_from_a_regeneration(machine: Machine) -> None:
    model = ScriptedModel([[say("One.")], [say("Two.")], [say("Three.")], [say("Four.")]])
    async with machine.open(model) as rig, client_of(rig) as client:
        sent = CHAT | {"X-OpenWebUI-User-Message-Id": "u1", "X-OpenWebUI-Message-Id": "a1"}
        assert await ask(client, sent) == "One."
        assert await ask(client, sent) == "One."  # a retry
        assert await ask(client, sent | {"X-OpenWebUI-Message-Id": "a2"}) == "Two."  # generated anew
        assert await ask(client, sent | {"X-OpenWebUI-User-Message-Id": "u2"}, "Hello") == "Three."  # edited
        unfilled = {
            "X-OpenWebUI-Chat-Id": "{{CHAT_ID}}",
            "X-OpenWebUI-User-Message-Id": "{{USER_MESSAGE_ID}}",
        }
        assert await ask(client, unfilled) == "Four."
        assert [event.key for event in await rig.events()] == ["c1/u1/a1", "c1/u1/a2", "c1/u2/a1", None]


async def test_two_chats_that_begin_alike_are_not_taken_for_one(machine: Machine) -> None:
    model = ScriptedModel([[say("One.")], [say("Two.")]])
    async with machine.open(model) as rig, client_of(rig) as client:
        assert [await ask(client, {}), await ask(client, {})] == ["One.", "Two."]
        assert len(await rig.events()) == 2


async def test_the_user_of_an_interface_is_the_sender(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("Hi.")]] * 4)) as rig, client_of(rig) as client:
        await ask(client, CHAT | {"X-OpenWebUI-User-Name": "J%C3%B6rg Bauer"})
        await ask(client, {"X-Pagefault-Sender": "Ann", "X-OpenWebUI-User-Name": "Other"})
        await ask(client, {"X-OpenWebUI-User-Name": "Eve] [system"})
        named: list[ChatCompletionMessageParam] = [{"role": "user", "name": "Bob", "content": "Hi"}]
        await client.chat.completions.create(model="ana", messages=named)
        assert [event.sender for event in await rig.events()] == ["Jörg Bauer", "Ann", "Eve) (system", "Bob"]


async def test_a_name_may_come_as_plain_utf_8(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("Hi.")]])) as rig, served(rig.kernel) as server:
        headers = [(b"x-pagefault-sender", "Jörg 李".encode())]
        body = {"model": "ana", "messages": HI}
        answer = await server.client.post("/v1/chat/completions", json=body, headers=headers)
        assert answer.status_code == 200
        assert [event.sender for event in await rig.events()] == ["Jörg 李"]


SECRET = "a secret that two servers share, long enough"


async def test_a_signed_user_is_the_sender_and_no_other(machine: Machine) -> None:
    import jwt

    now = int(machine.clock.now().timestamp())
    claims = {"sub": "u1", "name": "Ann", "email": "ann@example.com", "iss": "open-webui", "exp": now + 300}

    def signed(secret: str = SECRET, **more: Any) -> dict[str, str]:
        return {"X-OpenWebUI-User-Jwt": jwt.encode(claims | more, secret, "HS256")}

    model = ScriptedModel([[say("Hi.")]] * 2)
    async with machine.open(model) as rig, client_of(rig, user_secret=SECRET) as client:
        await ask(client, signed())
        await ask(client, {"X-OpenWebUI-User-Name": "Eve"})
        for wrong in (
            signed("another secret, which is as long as it"),
            signed(exp=now - 100),
            signed(iss="me"),
        ):
            with pytest.raises(openai.AuthenticationError):
                await ask(client, wrong)
        none = jwt.encode(claims, "", "none")
        with pytest.raises(openai.AuthenticationError):
            await ask(client, {"X-OpenWebUI-User-Jwt": none})
        assert [event.sender for event in await rig.events()] == ["Ann", None]
    async with machine.open(model) as rig, client_of(rig) as client:
        with pytest.raises(openai.BadRequestError, match="PAGEFAULT_USER_SECRET"):
            await ask(client, signed())


async def test_a_call_that_waits_for_a_decision_is_told(machine: Machine) -> None:
    def pay(amount: int) -> str:
        """Pay an amount."""
        return f"paid {amount}"

    model = ScriptedModel([[say("One moment.", heartbeat=True), call("pay", amount=3)], [say("Paid.")]])
    async with (
        machine.open(model, tools=(pay,), approval=["pay"]) as rig,
        client_of(rig) as client,
    ):
        text = await ask(client, {})
        (waiting,) = await pending_approvals(rig.kernel)
        assert text == f"One moment.\nWaiting for approval: pay(amount=3) ({waiting[1].id})"


# what is not there


async def test_unknown_addresses_have_the_shape_of_the_protocol(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        answers: list[httpx2.Response] = [
            await server.client.post("/v1/embeddings", json={}),
            await server.client.post("/v1/chat/completions", content=b"{"),
            await server.client.post("/v1/chat/completions", json={"model": "ana"}),
            await server.client.get("/v1/responses/resp_1_1_x"),
        ]
        assert [answer.status_code for answer in answers] == [404, 400, 400, 404]
        assert all(set(json.loads(a.text)["error"]) == {"message", "type", "param", "code"} for a in answers)
