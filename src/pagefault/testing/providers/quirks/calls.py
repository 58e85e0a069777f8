"""Malformed calls: ids, indices, arguments and names. Left out: servers without functions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pagefault.models import Call, Completion
from pagefault.testing.providers.openai import delta
from pagefault.testing.providers.quirks.quirk import ONE_CALL, Quirk, changed, stream_of
from pagefault.testing.providers.shapes import WIRES
from pagefault.testing.providers.turns import Body, Delivery, ProviderRequest, RawReply, Turn

__all__ = ["CALLS"]

Pieces = Callable[[int, Call], list[Body]]
"""The pieces of a call in ``tool_calls``, by its number."""


def _said_in(pieces: Pieces, finish: str = "tool_calls") -> Callable[[Completion, ProviderRequest], Turn]:
    """OpenAI's stream with calls in other pieces."""

    def make(said: Completion, request: ProviderRequest) -> Turn:
        chunks = stream_of(replace(said, calls=()), request)
        made = [
            delta(tool_calls=[piece])
            for number, call in enumerate(said.calls)
            for piece in pieces(number, call)
        ]
        last = 2 if said.usage else 1
        return RawReply((*chunks[:-last], *made, delta(finish), *chunks[len(chunks) - last + 1 :]))

    return make


def _cuts(call: Call) -> tuple[str, str]:
    half = len(call.arguments) // 2
    return call.arguments[:half], call.arguments[half:]


def _piece(number: int, call: Call, arguments: Any, **fields: Any) -> Body:
    function = {"name": call.name, "arguments": arguments}
    return {"index": number, "id": call.id, "type": "function", "function": function, **fields}


def _without(*names: str) -> Pieces:
    def pieces(number: int, call: Call) -> list[Body]:
        first, rest = _cuts(call)
        made = [_piece(number, call, first), {"index": number, "function": {"arguments": rest}}]
        return [{key: value for key, value in piece.items() if key not in names} for piece in made]

    return pieces


def _cumulative(number: int, call: Call) -> list[Body]:
    ends = (4, 9, len(call.arguments), len(call.arguments))
    return [_piece(number, call, call.arguments[:end]) for end in ends]


def _altered(change: Callable[[int, Call], Call]) -> Callable[[Completion, ProviderRequest], Turn]:
    """Return the calls changed, in any shape."""
    return lambda said, _: replace(said, calls=tuple(change(n, call) for n, call in enumerate(said.calls)))


def _named(rename: Callable[[str], str]) -> Callable[[Completion, ProviderRequest], Turn]:
    return _altered(lambda _, call: replace(call, name=rename(call.name)))


def _argued(rewrite: Callable[[str], str]) -> Callable[[Completion, ProviderRequest], Turn]:
    return _altered(lambda _, call: replace(call, arguments=rewrite(call.arguments)))


def _with_key(key: str, change: Callable[[Body], Body]) -> Callable[[Completion, ProviderRequest], Turn]:
    """The chunks of any shape with the objects under a key changed, wherever they are."""

    def under(name: str, value: Body) -> Body:
        return change(value) if name == key else value

    return lambda said, request: RawReply(tuple(changed(chunk, under) for chunk in stream_of(said, request)))


def _no_ids(said: Completion, request: ProviderRequest) -> Turn:
    if request.shape == "openai":
        return _said_in(_without("id"))(said, request)
    key = "functionCall" if request.shape == "gemini" else "message"

    def drop(value: Body) -> Body:
        calls = [{k: v for k, v in call.items() if k != "id"} for call in value.get("tool_calls", ())]
        kept = {k: v for k, v in value.items() if k != "id"}
        return kept | ({"tool_calls": calls} if calls else {})

    return _with_key(key, drop)(said, request)


def _as_text(value: Body) -> Body:
    return {**value, "arguments": json.dumps(value["arguments"])}


def _lost(said: Completion, request: ProviderRequest) -> Turn:
    if not request.stream:
        return said
    return RawReply((delta(role="assistant"), delta("tool_calls")))


def _ignored(said: Completion, request: ProviderRequest) -> Turn:
    return RawReply(body=WIRES[request.shape].whole(Delivery(said)))


def _cut_short(said: Completion, _: ProviderRequest) -> Turn:
    calls = tuple(replace(call, arguments=call.arguments[:16]) for call in said.calls[:1])
    return replace(said, calls=calls, cut=True)


def _legacy(said: Completion, _: ProviderRequest) -> Turn:
    """In the old form, which has one call and no more."""
    if len(said.calls) != 1:
        return said
    (call,) = said.calls
    first, rest = _cuts(call)
    pieces = (
        delta(function_call={"name": call.name, "arguments": first}),
        delta(function_call={"arguments": rest}),
    )
    usage = {"prompt_tokens": 70, "completion_tokens": 9}
    return RawReply(
        (delta(content=said.text), *pieces, delta("function_call"), {"choices": [], "usage": usage})
    )


_TEXT_ARGUMENTS = ("openai", "anthropic")

CALLS = (
    Quirk("missing id", "llama.cpp, older Ollama, Gemini.", _no_ids, shapes=("openai", "ollama", "gemini")),
    Quirk(
        "missing index",
        "Gemini's address of OpenAI's shape.",
        _said_in(_without("index")),
        shapes=("openai",),
    ),
    Quirk("missing type", "Older vLLM and proxies.", _said_in(_without("type")), shapes=("openai",)),
    Quirk(
        "missing id, index and type",
        "Hand-written servers.",
        _said_in(_without("id", "index", "type")),
        shapes=("openai",),
    ),
    Quirk(
        "same id twice",
        "Proxies that start their numbers again.",
        _altered(lambda _, call: replace(call, id="id_1")),
    ),
    Quirk(
        "index as text",
        "Proxies.",
        _said_in(lambda n, call: [_piece(n, call, call.arguments, index=str(n))]),
        shapes=("openai",),
    ),
    Quirk(
        "two calls on one index",
        "Gemini's and other addresses of OpenAI's shape.",
        _said_in(lambda _, call: [_piece(0, call, call.arguments)]),
        shapes=("openai",),
    ),
    Quirk(
        "two calls on one index without ids",
        "The same servers, also without ids.",
        _said_in(lambda _, call: [_piece(0, call, call.arguments, id=None)]),
        shapes=("openai",),
    ),
    Quirk(
        "whole calls in one chunk",
        "Servers that parse calls at their end: vLLM, llama.cpp.",
        _said_in(lambda n, call: [_piece(n, call, call.arguments)]),
        shapes=("openai",),
    ),
    Quirk(
        "id and name in each piece",
        "SGLang, some proxies.",
        _said_in(lambda n, call: [_piece(n, call, part) for part in _cuts(call)]),
        shapes=("openai",),
    ),
    Quirk(
        "arguments as an object",
        "Servers that parse what they generated.",
        _said_in(lambda n, call: [_piece(n, call, json.loads(call.arguments))]),
        shapes=("openai",),
    ),
    Quirk(
        "arguments as text",
        "Proxies of Ollama.",
        _with_key("function", _as_text),
        shapes=("ollama",),
    ),
    Quirk(
        "arguments as text of text",
        "Models that encode their JSON twice.",
        _argued(json.dumps),
        shapes=_TEXT_ARGUMENTS,
    ),
    Quirk(
        "cumulative arguments",
        "Each piece repeats all arguments so far.",
        _said_in(_cumulative),
        shapes=("openai",),
    ),
    Quirk(
        "broken arguments",
        "Weak models: the end of the JSON is missing.",
        _argued(lambda text: text[:-1]),
        "executor",
        shapes=_TEXT_ARGUMENTS,
    ),
    Quirk(
        "arguments with single quotes",
        "Weak models write Python.",
        lambda said, request: _argued(lambda text: str(json.loads(text)))(said, request),
        "executor",
        shapes=_TEXT_ARGUMENTS,
        sample=ONE_CALL,
    ),
    Quirk(
        "arguments cut by the limit",
        "The reply's limit ends within a call.",
        _cut_short,
        "cut, executor",
        shapes=_TEXT_ARGUMENTS,
        sample=ONE_CALL,
    ),
    Quirk(
        "arguments under arguments",
        "Models that copy the form of the schema.",
        _argued(lambda text: json.dumps({"arguments": json.loads(text)})),
        "executor",
    ),
    Quirk(
        "no arguments",
        "A required argument is missing.",
        _argued(lambda _: "{}"),
        "reported to the model",
    ),
    Quirk(
        "null for optional arguments",
        "Models that fill in every parameter.",
        _argued(lambda text: json.dumps({**json.loads(text), "loud": None})),
    ),
    Quirk("name in capitals", "Weak models.", _named(str.upper), "executor"),
    Quirk(
        "name with a prefix",
        "Models trained on other protocols: functions.note.",
        _named("functions.{}".format),
        "executor",
    ),
    Quirk("misspelt name", "A misspelt name.", _named(lambda name: f"{name}s"), "executor"),
    Quirk(
        "unknown name",
        "An invented function.",
        _named(lambda _: "fly_to_the_moon"),
        "reported to the model",
    ),
    Quirk(
        "calls lost while streaming",
        "Older Ollama and vLLM at their addresses of OpenAI's shape.",
        _lost,
        "noted",
        ("openai",),
        lasting=True,
    ),
    Quirk(
        "stream ignored",
        "A whole answer although a stream was asked for.",
        _ignored,
        "noted",
        ("openai",),
        lasting=True,
    ),
    Quirk(
        "stop with calls",
        "Gemini, Ollama, llama.cpp: the finish reason is not that of calls.",
        lambda said, request: Delivery(
            said,
            finish={"openai": "stop", "anthropic": "end_turn", "ollama": "stop", "gemini": "STOP"}[
                request.shape
            ],
        ),
    ),
    Quirk("legacy function_call", "Servers from before tools.", _legacy, shapes=("openai",), sample=ONE_CALL),
)
