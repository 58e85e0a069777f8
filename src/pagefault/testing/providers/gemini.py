"""``generateContent`` as Gemini sends it, streamed and whole. Calls come whole, arguments as objects."""

from __future__ import annotations

import json
from typing import Any

from pagefault.models import Usage
from pagefault.testing.providers.turns import Body, Delivery, Refused, pieces

__all__ = ["chunk", "chunks", "refusal", "whole"]

_STATUSES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip


def chunk(*parts: Body, finish: str | None = None, **fields: Any) -> Body:
    """Return one chunk of parts; ``fields`` are next to its candidate."""
    candidate: Body = {"index": 0, "content": {"role": "model", "parts": list(parts)}}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "gemini-test", "responseId": "r1", **fields}


def chunks(answer: Delivery) -> list[Body]:
    """The chunks of a stream, the last one with the finish reason and the usage."""
    said = answer.completion
    made = [chunk({"text": text, "thought": True}) for text in pieces(said.thinking, answer.piece)]
    made += [chunk({"text": text}) for text in pieces(said.text, answer.piece)]
    made += [chunk(part) for part in _calls(answer)]
    if answer.finish is None:
        return made
    return [*made, chunk({"text": ""}, finish=_finish(answer), **_usage(said.usage))]


def whole(answer: Delivery) -> Body:
    """Return the whole answer in one piece."""
    said = answer.completion
    thought: list[Body] = [{"text": said.thinking, "thought": True}] if said.thinking else []
    text: list[Body] = [{"text": said.text}] if said.text else []
    return chunk(*thought, *text, *_calls(answer), finish=_finish(answer), **_usage(said.usage))


def refusal(refused: Refused) -> Body:
    """The body of an error."""
    status = refused.code or _STATUSES.get(refused.status, "UNKNOWN")
    return {"error": {"code": refused.status, "message": refused.message, "status": status}}


def _calls(answer: Delivery) -> list[Body]:
    return [
        {"functionCall": {"id": call.id, "name": call.name, "args": json.loads(call.arguments)}}
        for call in answer.completion.calls
    ]


def _usage(used: Usage | None) -> Body:
    if not used:
        return {}
    return {
        "usageMetadata": {
            "promptTokenCount": used.input,
            "candidatesTokenCount": used.output - used.thinking,
            "thoughtsTokenCount": used.thinking,
            "cachedContentTokenCount": used.cached,
            "totalTokenCount": used.input + used.output,
        }
    }


def _finish(answer: Delivery) -> str | None:
    return (
        (answer.finish or None) if answer.finish != "" else "MAX_TOKENS" if answer.completion.cut else "STOP"
    )
