"""Thinking and calls in the text of an answer, in the marks of chat templates."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pagefault.models import Call, Completion
from pagefault.testing.providers.openai import delta
from pagefault.testing.providers.quirks.quirk import ONE_CALL, SAMPLE, Quirk, stream_of
from pagefault.testing.providers.turns import Delivery, ProviderRequest, RawReply, Shape, Turn

__all__ = ["TEXTS"]

_LOCAL: tuple[Shape, ...] = ("openai", "ollama")
_THOUGHT = replace(SAMPLE, thinking="Tea, then.\nWhich one?")
_SAID = Completion("It is green.", usage=SAMPLE.usage, thinking=_THOUGHT.thinking)
_THINKING: dict[str, tuple[str, str]] = {
    "<think>": ("<think>", "</think>\n\n"),
    "<thinking>": ("<thinking>", "</thinking>\n"),
    "[THINK]": ("[THINK]", "[/THINK]"),
    "harmony": (
        "<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
}  # fmt: skip


def _marked(begin: str, end: str) -> Callable[[Completion, ProviderRequest], Turn]:
    return lambda said, _: replace(said, thinking="", text=f"{begin}{said.thinking}{end}{said.text}")


def _object(call: Call, arguments: str = "arguments") -> dict[str, Any]:
    return {"name": call.name, arguments: json.loads(call.arguments)}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _hermes(calls: Sequence[Call]) -> str:
    return "\n".join(f"<tool_call>\n{_json(_object(call))}\n</tool_call>" for call in calls)


def _qwen_coder(calls: Sequence[Call]) -> str:
    def parameters(call: Call) -> str:
        given = json.loads(call.arguments).items()
        return "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in given)

    return "\n".join(
        f"<tool_call>\n<function={call.name}>\n{parameters(call)}</function>\n</tool_call>" for call in calls
    )


def _glm(calls: Sequence[Call]) -> str:
    def pairs(call: Call) -> str:
        given = json.loads(call.arguments).items()
        return "".join(f"<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n" for key, value in given)

    return "\n".join(f"<tool_call>{call.name}\n{pairs(call)}</tool_call>" for call in calls)


def _llama(calls: Sequence[Call]) -> str:
    return "<|python_tag|>" + "; ".join(_json(_object(call, "parameters")) for call in calls)


def _llama_tag(calls: Sequence[Call]) -> str:
    return "".join(f"<function={call.name}>{call.arguments}</function>" for call in calls)


def _mistral(calls: Sequence[Call]) -> str:
    return f"[TOOL_CALLS] {_json([_object(call) for call in calls])}"


def _mistral_new(calls: Sequence[Call]) -> str:
    return "".join(f"[TOOL_CALLS]{call.name}[ARGS]{call.arguments}" for call in calls)


def _deepseek(calls: Sequence[Call]) -> str:
    made = (
        f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{call.name}\n```json\n{call.arguments}\n```<｜tool▁call▁end｜>"
        for call in calls
    )
    return f"<｜tool▁calls▁begin｜>{''.join(made)}<｜tool▁calls▁end｜>"


def _kimi(calls: Sequence[Call]) -> str:
    made = (
        f"<|tool_call_begin|>functions.{call.name}:{number}<|tool_call_argument_begin|>{call.arguments}"
        "<|tool_call_end|>"
        for number, call in enumerate(calls)
    )
    return f"<|tool_calls_section_begin|>{''.join(made)}<|tool_calls_section_end|>"


def _fence(calls: Sequence[Call]) -> str:
    return "\n".join(f"```json\n{_json(_object(call))}\n```" for call in calls)


def _bare(calls: Sequence[Call]) -> str:
    return "\n".join(_json(_object(call, "parameters")) for call in calls)


_FORMS: dict[str, tuple[str, Callable[[Sequence[Call]], str]]] = {
    "Hermes": ("Hermes and Qwen behind a server that does not know their marks.", _hermes),
    "Qwen-Coder": ("Qwen-Coder: parameters in tags.", _qwen_coder),
    "GLM": ("GLM: keys and values in tags.", _glm),
    "Llama": ("Llama, after its python tag.", _llama),
    "Llama tags": ("Llama, as a function in tags.", _llama_tag),
    "Mistral": ("Mistral, older: a list.", _mistral),
    "Mistral, new": ("Mistral, newer: name and arguments.", _mistral_new),
    "DeepSeek": ("DeepSeek, with its own bars and blocks.", _deepseek),
    "Kimi": ("Kimi, in a section of its own, names with prefix and number.", _kimi),
    "fence": ("Models not trained on calls: a fenced object.", _fence),
    "bare": ("The same without a fence.", _bare),
}


def _written(form: Callable[[Sequence[Call]], str]) -> Callable[[Completion, ProviderRequest], Turn]:
    def make(said: Completion, _: ProviderRequest) -> Turn:
        if not said.calls:
            return said
        return replace(said, calls=(), text=f"{said.text}\n{form(said.calls)}".strip())

    return make


def _late(said: Completion, _: ProviderRequest) -> Turn:
    return replace(said, thinking="", text=f"{said.thinking}</think>\n\n{said.text}")


def _reasoning(said: Completion, request: ProviderRequest) -> Turn:
    thought = delta(reasoning=said.thinking, reasoning_content=None)
    return RawReply((thought, *stream_of(replace(said, thinking=""), request)))


def _details(said: Completion, request: ProviderRequest) -> Turn:
    details = [{"type": "reasoning.text", "text": said.thinking, "signature": "s", "index": 0}]
    thought = delta(reasoning=said.thinking, reasoning_details=details)
    return RawReply((thought, *stream_of(replace(said, thinking=""), request)))


def _redacted(said: Completion, request: ProviderRequest) -> Turn:
    block = {"type": "redacted_thinking", "data": "c2VjcmV0"}
    first, *rest = stream_of(said, request)
    moved = [{**chunk, "index": chunk["index"] + 1} if "index" in chunk else chunk for chunk in rest]
    start = {"type": "content_block_start", "index": 0, "content_block": block}
    return RawReply((first, start, {"type": "content_block_stop", "index": 0}, *moved))


def _form(name: str) -> Quirk:
    about, form = _FORMS[name]
    one = replace(ONE_CALL, text="")
    outcome = "noted, executor" if name == "Kimi" else "noted"
    sample = one if name in ("fence", "bare") else SAMPLE
    return Quirk(
        f"call as text, {name}", about, _written(form), outcome, _LOCAL, sample=sample, calling="text"
    )


def _unchecked(name: str) -> Quirk:
    about, form = _FORMS[name]
    sample = replace(ONE_CALL, text="")
    return Quirk(f"call as text, {name}, unchecked", about, _written(form), "as text", _LOCAL, sample=sample)


TEXTS = (
    *(
        Quirk(
            f"thinking in the text, {name}",
            "A server that does not know the model's marks.",
            _marked(*marks),
            sample=_SAID,
        )
        for name, marks in _THINKING.items()
    ),
    Quirk(
        "</think> without a beginning",
        "DeepSeek, Qwen: the chat template wrote the beginning.",
        _late,
        "retracted",
        sample=replace(_SAID, thinking="Tea, then."),
        late_thinking=True,
    ),
    Quirk(
        "</think> without a beginning, unchecked",
        "The same, of a model that `models check` was not run for.",
        _late,
        "as text",
        sample=replace(_SAID, thinking="Tea, then."),
    ),
    Quirk(
        "separate thinking",
        "Reasoning models: in a field, a block or a part of its own.",
        lambda said, _: said,
        sample=_THOUGHT,
    ),
    Quirk(
        "thinking as reasoning",
        "OpenRouter, vLLM, Groq: the field is called reasoning.",
        _reasoning,
        shapes=("openai",),
        sample=_THOUGHT,
    ),
    Quirk(
        "reasoning_details",
        "OpenRouter: signed thinking, to be sent back.",
        _details,
        shapes=("openai",),
        sample=_THOUGHT,
    ),
    Quirk("redacted thinking", "Anthropic: encrypted thinking.", _redacted, shapes=("anthropic",)),
    Quirk(
        "only thinking",
        "A reasoning model that reached its limit while thinking.",
        lambda said, _: Delivery(Completion(thinking=said.thinking, usage=said.usage, cut=True)),
        "unanswered",
        sample=_THOUGHT,
    ),
    *map(_form, _FORMS),
    _unchecked("Hermes"),
    _unchecked("bare"),
)
