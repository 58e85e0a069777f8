"""Servers without functions, and JSON mode, which takes their place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from pagefault.models import Completion
from pagefault.testing.providers.quirks.quirk import ONE_CALL, Quirk
from pagefault.testing.providers.replies import offered
from pagefault.testing.providers.turns import ProviderRequest, Turn, refuse

__all__ = ["NO_FUNCTIONS"]


def _no_functions(status: int, message: str) -> Callable[[Completion, ProviderRequest], Turn]:
    """A server that refuses functions, and answers with a JSON object when it is asked for one."""

    def make(said: Completion, request: ProviderRequest) -> Turn:
        return refuse(status, message) if offered(request) else _as_object(said)

    return make


def _as_object(said: Completion) -> Completion:
    if len(said.calls) != 1:
        return said
    (call,) = said.calls
    arguments = json.loads(call.arguments)
    made = {"thoughts": said.text, "function": call.name, "arguments": arguments}
    return replace(said, text=json.dumps(made, ensure_ascii=False), calls=())


def _no_schema(said: Completion, request: ProviderRequest) -> Turn:
    if "response_format" in request.body:
        return refuse(400, "'response_format.type' must be 'text'; json_schema is not supported")
    return _as_object(said)


def _no_exact_schema(said: Completion, request: ProviderRequest) -> Turn:
    if "anyOf" in json.dumps(request.body.get("response_format")):
        return refuse(400, "Failed to initialize samplers: failed to parse grammar")
    return _as_object(said)


NO_FUNCTIONS = (
    Quirk(
        "no functions, vLLM",
        "vLLM without its flags.",
        _no_functions(
            400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
        ),
        "JSON mode",
        ("openai",),
        lasting=True,
        sample=ONE_CALL,
    ),
    Quirk(
        "no functions, llama.cpp",
        "llama-server without --jinja.",
        _no_functions(500, "tools param requires --jinja flag"),
        "JSON mode",
        ("openai",),
        lasting=True,
        sample=ONE_CALL,
    ),
    Quirk(
        "no functions, OpenRouter",
        "OpenRouter, for models without them.",
        _no_functions(404, "No endpoints found that support tool use."),
        "JSON mode",
        ("openai",),
        lasting=True,
        sample=ONE_CALL,
    ),
    Quirk(
        "no functions, Ollama",
        "Ollama, for models without them; LM Studio alike.",
        _no_functions(400, "registry.ollama.ai/library/qwen-test does not support tools"),
        "JSON mode",
        ("openai", "ollama"),
        lasting=True,
        sample=ONE_CALL,
    ),
    Quirk(
        "no JSON schema",
        "Servers without schemas for answers, in JSON mode.",
        _no_schema,
        "noted",
        ("openai",),
        lasting=True,
        sample=ONE_CALL,
        calling="json",
    ),
    Quirk(
        "no exact JSON schema",
        "Servers that take simple schemas only, in JSON mode.",
        _no_exact_schema,
        "noted",
        ("openai",),
        lasting=True,
        sample=ONE_CALL,
        calling="json",
    ),
    Quirk(
        "broken JSON mode",
        "A weak model in JSON mode: the end of the object is missing.",
        lambda said, _: replace(_as_object(said), text=_as_object(said).text[:-2]),
        "noted",
        sample=ONE_CALL,
        calling="json",
    ),
)
