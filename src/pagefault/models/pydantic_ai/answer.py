"""An answer of the library as ours: its events as deltas, its response as a completion.

The parts that a provider wants back are kept as an echo, in their order: thinking with its signature, text
as a number of characters, calls as marks. Left out: checking that the answer is whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pagefault.models import Call, Completion, Delta, Usage, own_id

if TYPE_CHECKING:
    from pydantic_ai import messages as ai

__all__ = ["completion", "deltas"]


def completion(response: ai.ModelResponse, provider: str) -> Completion:
    """Return the whole completion."""
    from pydantic_ai.messages import TextPart, ThinkingPart, ToolCallPart

    parts, cut = response.parts, response.finish_reason == "length"
    text = "".join(part.content for part in parts if isinstance(part, TextPart))
    thinking = "".join(part.content for part in parts if isinstance(part, ThinkingPart))
    calls: dict[str, Call] = {}
    for part in parts:
        if isinstance(part, ToolCallPart):
            id = own_id(part.tool_call_id, calls)
            calls[id] = Call(id, part.tool_name, _arguments(part.args) or "{}")
    made, model = tuple(calls.values()), response.model_name or ""
    return Completion(text, made, _usage(response), thinking, _echo(parts, provider), cut, model)


def deltas(event: object, numbers: dict[int, tuple[int, str]]) -> Iterator[Delta]:
    """Yield the deltas of an event; ``numbers`` maps a part of the library to our call and its name."""
    from pydantic_ai.messages import PartDeltaEvent, PartStartEvent

    if isinstance(event, PartStartEvent):
        yield from _begun(event.index, event.part, numbers)
    elif isinstance(event, PartDeltaEvent):
        yield from _gone_on(event.index, event.delta, numbers)


def _begun(index: int, part: object, numbers: dict[int, tuple[int, str]]) -> Iterator[Delta]:
    from pydantic_ai.messages import TextPart, ThinkingPart, ToolCallPart

    if isinstance(part, ToolCallPart):
        number, name = numbers.setdefault(index, (len(numbers), part.tool_name))
        if part.args:
            yield Delta(_arguments(part.args), number, name)
    elif isinstance(part, TextPart | ThinkingPart) and part.content:
        yield Delta(part.content, thinking=isinstance(part, ThinkingPart))


def _gone_on(index: int, delta: object, numbers: dict[int, tuple[int, str]]) -> Iterator[Delta]:
    from pydantic_ai.messages import TextPartDelta, ThinkingPartDelta, ToolCallPartDelta

    if isinstance(delta, TextPartDelta) and delta.content_delta:
        yield Delta(delta.content_delta)
    elif isinstance(delta, ThinkingPartDelta) and delta.content_delta:
        yield Delta(delta.content_delta, thinking=True)
    elif isinstance(delta, ToolCallPartDelta) and delta.args_delta:
        args = delta.args_delta
        yield Delta(_arguments(args), *numbers[index])


def _arguments(args: str | Mapping[str, Any] | None) -> str:
    """Return arguments as they were written, if they came as text."""
    return args if isinstance(args, str) else json.dumps(args, ensure_ascii=False) if args else ""


def _echo(parts: Sequence[ai.ModelResponsePart], provider: str) -> dict[str, Any] | None:
    kept = [part for part in map(_kept, parts) if part]
    signed = any(part.get("signature") or part.get("details") for part in kept)
    return {"provider": provider, "parts": kept} if signed else None


def _kept(part: ai.ModelResponsePart) -> dict[str, Any] | None:
    """Return the entry of a part in the echo."""
    from pydantic_ai.messages import TextPart, ThinkingPart, ToolCallPart

    if isinstance(part, ThinkingPart):
        kept = {"thinking": part.content, "id": part.id, "signature": part.signature}
    elif isinstance(part, TextPart):
        kept = {"text": len(part.content)}
    elif isinstance(part, ToolCallPart):
        kept = {"call": True}
    else:
        return None
    kept |= {"details": part.provider_details}
    return {name: value for name, value in kept.items() if value is not None}


def _usage(response: ai.ModelResponse) -> Usage | None:
    used = response.usage
    if not used.input_tokens and not used.output_tokens:
        return None
    thinking = used.details.get("thoughts_tokens") or used.details.get("reasoning_tokens") or 0
    return Usage(
        used.input_tokens, used.output_tokens, used.cache_read_tokens, used.cache_write_tokens, thinking
    )
