"""The server that stands for providers: each shape by its path, whole and streamed, and what it is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from pagefault.models import Call, Completion, Usage
from pagefault.testing.providers import (
    KEY,
    Delivery,
    ProviderRequest,
    ProviderServer,
    RawReply,
    Turn,
    delta,
    refuse,
)
from pagefault.testing.providers.replies import last_said, spoken

SAID = Completion("Noting it.", (Call("c1", "note", '{"text": "字"}'),), Usage(70, 9, 64, 0, 4), "Hm.")
STREAMED: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"stream": True}),
    "anthropic": ("/v1/messages", {"stream": True}),
    "ollama": ("/api/chat", {}),
    "gemini": ("/v1beta/models/m:streamGenerateContent?alt=sse", {}),
}
WHOLE: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {}),
    "anthropic": ("/v1/messages", {}),
    "ollama": ("/api/chat", {"stream": False}),
    "gemini": ("/v1beta/models/m:generateContent", {}),
}


def post(server: ProviderServer, place: tuple[str, dict[str, Any]], **headers: str) -> httpx2.Response:
    path, body = place
    return httpx2.post(server.root + path, json=body, headers=headers)


def chunks(answer: httpx2.Response) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
            yield from leaves(inner)
    else:
        yield value


@pytest.mark.parametrize("shape", STREAMED)
def test_one_script_serves_every_shape(shape: str) -> None:
    with ProviderServer([SAID, SAID, SAID]) as server:
        streamed, whole = post(server, STREAMED[shape]), post(server, WHOLE[shape])
    assert streamed.headers["transfer-encoding"] == "chunked"
    assert [request.shape for request in server.seen] == [shape, shape]
    assert [request.stream for request in server.seen] == [True, False]
    assert len(chunks(streamed)) > 3
    values = [str(leaf) for leaf in leaves(whole.json())]
    for value in ("Noting it.", "note", "Hm.", "c1"):
        assert value in values
    assert "字" in whole.json().__str__()


@pytest.mark.parametrize("shape", STREAMED)
def test_a_refusal_is_in_the_words_of_the_shape(shape: str) -> None:
    with ProviderServer([refuse(429, "Slow down.", retry_after="3")]) as server:
        answer = post(server, STREAMED[shape])
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert "Slow down." in list(leaves(answer.json()))


@pytest.mark.parametrize("shape", STREAMED)
@pytest.mark.parametrize(
    "turn", [Delivery(SAID, cut=True), RawReply((delta(),), reset=True), RawReply(reset=True)]
)
def test_a_stream_can_break_off(shape: str, turn: Turn) -> None:
    with ProviderServer([turn, SAID]) as server:
        with pytest.raises(httpx2.TransportError):
            post(server, STREAMED[shape])
        assert post(server, STREAMED[shape]).status_code == 200


@pytest.mark.parametrize("shape", STREAMED)
def test_a_stream_can_end_without_saying_why(shape: str) -> None:
    with ProviderServer([SAID, Delivery(SAID, finish=None)]) as server:
        whole, endless = (post(server, STREAMED[shape]).text for _ in range(2))
    word = {"openai": '"tool_calls"', "anthropic": "stop_reason", "ollama": "done_reason"}.get(shape, "STOP")
    assert whole.count(word) > endless.count(word)


def test_a_function_of_the_request_may_answer_with_any_turn() -> None:
    def turn(request: ProviderRequest) -> Turn:
        return refuse(400, "no") if request.body.get("bad") else lambda _: Completion("fine")

    with ProviderServer(turn) as server:
        assert post(server, ("/api/chat", {"bad": 1})).status_code == 400
        assert "fine" in post(server, WHOLE["ollama"]).text


def test_it_keeps_what_it_was_sent() -> None:
    with ProviderServer() as server:
        post(server, WHOLE["openai"], authorization=f"Bearer {KEY}")
        post(server, WHOLE["anthropic"], **{"x-api-key": KEY, "x-team": "blue"})
        post(server, WHOLE["gemini"], **{"x-goog-api-key": KEY})
    assert server.keys == [KEY] * 3
    assert server.headers[1]["x-team"] == "blue"
    assert server.bodies[0] == b"{}"
    assert server.requests == [{}, {}, {}]


def test_it_says_of_itself_what_it_is_told_to() -> None:
    with ProviderServer(serves={"/props": {"n_ctx": 4096}}) as server:
        assert httpx2.get(f"{server.root}/props").json() == {"n_ctx": 4096}
        assert httpx2.get(f"{server.root}/api/ps").status_code == 404
        assert post(server, ("/v1/nothing", {})).status_code == 404
    assert server.looked_up == ["/props", "/api/ps"]
    assert server.seen == []


def test_speech_is_a_call_where_plain_text_is_none() -> None:
    texts = {"role": "user", "content": "Say it."}
    bodies: dict[str, dict[str, Any]] = {
        "openai": {
            "messages": [texts],
            "tools": [{"type": "function", "function": {"name": "send_message"}}],
        },
        "anthropic": {
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Say it."}]}],
            "tools": [{"name": "send_message"}],
        },
        "gemini": {
            "contents": [{"role": "user", "parts": [{"text": "Say it."}]}],
            "tools": [{"functionDeclarations": [{"name": "send_message"}]}],
        },
    }
    with ProviderServer(lambda request: spoken(request, last_said(request))) as server:
        for shape, body in bodies.items():
            answer = post(server, (WHOLE[shape][0], body)).text
            assert "send_message" in answer
            assert "Say it." in answer
        assert post(server, (WHOLE["openai"][0], {"messages": [texts]})).json()["choices"][0]["message"] == {
            "role": "assistant",
            "content": "Say it.",
        }


@contextmanager
def process(*options: str) -> Generator[str]:
    """The server as a process of its own; yields the address of chat completions."""
    command = [sys.executable, "-m", "pagefault.testing.providers", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        try:
            yield f"{running.stdout.readline().strip()}/v1/chat/completions"
        finally:
            running.terminate()


def test_it_runs_as_a_process_of_its_own() -> None:
    with process("--reply", "Hello.") as url:
        answer = httpx2.post(url, json={"messages": []}).json()
    assert answer["choices"][0]["message"]["content"] == "Hello."


def test_it_answers_amiss_at_a_rate_and_the_same_way_for_the_same_seed() -> None:
    def statuses() -> list[int]:
        options = ("--echo", "--quirk", "server error", "--quirk", "pings", "--rate", "0.5", "--seed", "7")
        with process(*options) as url, httpx2.Client() as client:
            return [client.post(url, json={"messages": []}).status_code for _ in range(20)]

    first = statuses()
    assert set(first) == {200, 500}
    assert first == statuses()


def test_json_mode_is_answered_with_an_object() -> None:
    asked = {
        "role": "system",
        "content": "Answer with one JSON object ...\n- send_message(message: string)",
    }
    with ProviderServer(lambda request: spoken(request, "Hi.")) as server:
        answer = post(server, (WHOLE["openai"][0], {"messages": [asked]})).json()
    said = json.loads(answer["choices"][0]["message"]["content"])
    assert said == {"thoughts": "", "function": "send_message", "arguments": {"message": "Hi."}}
