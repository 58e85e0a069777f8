"""Chat Completions as OpenAI sends them, streamed and whole."""

from __future__ import annotations

from typing import Any

from pagefault.models import Call, Usage
from pagefault.testing.providers.turns import Body, Delivery, Refused, pieces

__all__ = ["chunks", "delta", "refusal", "usage", "whole"]


def delta(finish: str | None = None, **fields: Any) -> Body:
    """One chunk; ``fields`` are those of its delta (``content``, ``tool_calls`` ...)."""
    choice = {"index": 0, "delta": fields, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 0, "choices": [choice]}


def chunks(answer: Delivery) -> list[Body]:
    """The chunks of a stream, the last one with the usage."""
    said = answer.completion
    made = [delta(role="assistant", content="")]
    made += [delta(reasoning_content=text) for text in pieces(said.thinking, answer.piece)]
    made += [delta(content=text) for text in pieces(said.text, answer.piece)]
    for index, call in enumerate(said.calls):
        made.append(delta(tool_calls=[{"index": index, **_call(call, "")}]))
        for text in pieces(call.arguments, answer.piece):
            made.append(delta(tool_calls=[{"index": index, "function": {"arguments": text}}]))
    made.append(delta(_finish(answer)))
    if said.usage:
        made.append({**delta(), "choices": [], "usage": usage(said.usage)})
    return made


def whole(answer: Delivery) -> Body:
    """Return the whole answer in one piece."""
    said = answer.completion
    message: Body = {"role": "assistant", "content": said.text or None}
    if said.thinking:
        message["reasoning_content"] = said.thinking
    if said.calls:
        message["tool_calls"] = [_call(call, call.arguments) for call in said.calls]
    choice = {"index": 0, "message": message, "finish_reason": _finish(answer)}
    body: Body = {"id": "c", "object": "chat.completion", "created": 0, "choices": [choice]}
    return body | ({"usage": usage(said.usage)} if said.usage else {})


def refusal(refused: Refused) -> Body:
    """The body of an error."""
    return {"error": {"message": refused.message, "code": refused.code or None, "type": ""}}


def usage(used: Usage) -> Body:
    """The report of tokens."""
    return {
        "prompt_tokens": used.input,
        "completion_tokens": used.output,
        "total_tokens": used.input + used.output,
        "prompt_tokens_details": {"cached_tokens": used.cached},
        "completion_tokens_details": {"reasoning_tokens": used.thinking},
    }


def _call(call: Call, arguments: str) -> Body:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _finish(answer: Delivery) -> str | None:
    if answer.finish != "":
        return answer.finish
    if answer.completion.cut:
        return "length"
    return "tool_calls" if answer.completion.calls else "stop"
