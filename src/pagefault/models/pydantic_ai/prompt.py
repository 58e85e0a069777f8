"""A prompt in the library's parts: messages, functions, settings, and the marks of a provider's cache.

A completion is sent back to its own provider in the parts in which it came, with signed thinking, and to
another provider as text and calls. Left out: sending.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, groupby, islice
from typing import TYPE_CHECKING, Any

from pagefault.models import Call, FunctionSchema, Prompt, PromptMessage
from pagefault.models.endpoint import ModelOptions

if TYPE_CHECKING:
    from pydantic_ai import messages as ai
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.settings import ModelSettings

__all__ = ["messages", "parameters", "settings"]

_BUDGETS = {"low": 2048, "medium": 8192, "high": 24_576}  # tokens of thinking for a level
_LEAST = 1024  # of Anthropic
_LOSE_CACHE = frozenset(("anthropic", "google"))
"""The providers of which a cache does not hold the messages (Anthropic), or the functions (Google), once no
function may be called. The prompt says it there, and a call is not taken."""


def parameters(prompt: Prompt) -> ModelRequestParameters:
    from pydantic_ai.models import ModelRequestParameters

    return ModelRequestParameters(function_tools=[_tool(function) for function in prompt.functions])


def _tool(function: FunctionSchema) -> Any:
    from pydantic_ai.tools import ToolDefinition

    return ToolDefinition(
        name=function.name,
        description=function.description,
        parameters_json_schema=dict(function.parameters),
        strict=False,
    )


def settings(
    prompt: Prompt, provider: str, options: ModelOptions, profile: Mapping[str, Any]
) -> ModelSettings:
    """Return the settings of a request, with cache marks at the end of the tools, of the system text and of
    the whole. A fourth mark stands where the previous request ended (``messages``).

    ``profile`` is the library's knowledge of the model; a temperature that it would refuse is left out.
    """
    settings: dict[str, Any] = {"max_tokens": prompt.max_tokens}
    if options.temperature is not None and not profile.get("anthropic_disallows_sampling_settings"):
        settings["temperature"] = options.temperature
    if prompt.plain and prompt.functions and provider not in _LOSE_CACHE:
        settings["tool_choice"] = "none"
    if options.thinking is not None:
        settings = _thinking(settings, options.thinking, provider, profile)
    if provider == "anthropic":
        marks = ("tool_definitions", "instructions", "messages")
        settings |= {f"anthropic_cache_{where}": True for where in marks}
    return settings  # pyright: ignore[reportReturnType]  the keys are those of each provider's settings


def _thinking(
    settings: dict[str, Any], thinking: str | int, provider: str, profile: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings with a level or a budget of thinking, in the form of the model."""
    if thinking == "off":
        return settings | {"thinking": False}
    if provider == "anthropic" and not profile.get("anthropic_supports_adaptive_thinking"):
        budget = max(_LEAST, _BUDGETS[thinking] if isinstance(thinking, str) else thinking)
        settings.pop("temperature", None)  # refused with thinking
        settings["max_tokens"] += budget  # of which the budget is a part
        return settings | {"anthropic_thinking": {"type": "enabled", "budget_tokens": budget}}
    if provider == "google" and isinstance(thinking, int):
        return settings | {"google_thinking_config": {"thinking_budget": thinking, "include_thoughts": True}}
    if isinstance(thinking, int):
        thinking = next((level for level, most in _BUDGETS.items() if thinking <= most), "high")
    return settings | {"thinking": thinking}


def messages(prompt: Sequence[PromptMessage], provider: str) -> list[ai.ModelMessage]:
    """Return the prompt as requests and responses; all messages between two responses are one request."""
    from pydantic_ai.messages import CachePoint, ModelMessage, ModelRequest, UserPromptPart

    made: list[ModelMessage] = []
    for said, group in groupby(prompt, key=lambda message: message.role == "assistant"):
        if said:
            made += [_response(message, provider) for message in group]
        else:
            made.append(ModelRequest(parts=[_part(message) for message in group]))
    asked = [message for message in made if isinstance(message, ModelRequest)]
    if provider == "anthropic" and len(asked) > 1 and isinstance(made[-1], ModelRequest):
        before = asked[-2]  # where the request before this one ended
        before.parts = [*before.parts, UserPromptPart([CachePoint()])]
    return made


def _part(message: PromptMessage) -> ai.ModelRequestPart:
    from pydantic_ai.messages import SystemPromptPart, ToolReturnPart, UserPromptPart

    if message.role == "system":
        return SystemPromptPart(message.text)
    if message.role == "tool":
        return ToolReturnPart(message.name or "", _content(message), message.call_id or "")
    return UserPromptPart(_content(message))


def _content(message: PromptMessage) -> str | list[str | ai.BinaryContent]:
    from pydantic_ai.messages import BinaryContent

    if not message.images:
        return message.text
    found = [
        BinaryContent(image.data, media_type=image.media.media_type, identifier=image.media.hash[:12])
        for image in message.images
    ]
    return [message.text, *found]


def _response(message: PromptMessage, provider: str) -> ai.ModelResponse:
    """Return a response in the parts in which it came, if it came from this provider. Calls that were
    written as text have no part; they stand before the others."""
    from pydantic_ai.messages import ModelResponse, ThinkingPart

    echo: Mapping[str, Any] = message.echo or {}
    kept: Sequence[Mapping[str, Any]] = echo.get("parts", ()) if echo.get("provider") == provider else ()
    written = max(0, len(message.calls) - sum("call" in part for part in kept))
    calls = iter(message.calls[written:])
    texts = _cut(message.text, [part["text"] for part in kept if "text" in part])
    parts: list[ai.ModelResponsePart] = []
    first = 0  # place before all text and calls
    for part in kept:
        owned: dict[str, Any] = {"provider_name": provider, "provider_details": part.get("details")}
        if "thinking" in part:
            kind = part.get("id")  # of encrypted thinking
            parts.append(ThinkingPart(part["thinking"], id=kind, signature=part.get("signature"), **owned))
            first = len(parts) if len(parts) == first + 1 else first
        elif "text" in part:
            parts += _said(texts.pop(0), **owned)
        else:
            parts += [_called(call, **owned) for call in islice(calls, 1)]
    parts[first:first] = [*_said("".join(texts)), *map(_called, message.calls[:written])]
    return ModelResponse(parts=parts, provider_name=provider)


def _cut(text: str, sizes: Sequence[int]) -> list[str]:
    """Return the text in parts of these sizes; in one part if the sizes do not add up to it."""
    if sum(sizes) != len(text):
        return [text, *[""] * (len(sizes) - 1)]
    ends = list(accumulate(sizes))
    return [text[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _said(text: str, **owned: Any) -> list[ai.TextPart]:
    """Return the text as a part; none for a blank text, which a provider may refuse."""
    from pydantic_ai.messages import TextPart

    return [TextPart(text, **owned)] if text.strip() else []


def _called(call: Call, **owned: Any) -> ai.ToolCallPart:
    from pydantic_ai.messages import ToolCallPart

    return ToolCallPart(call.name, call.arguments, call.id, **owned)
