"""Messages as Anthropic sends them, streamed and whole."""

from __future__ import annotations

import json
from typing import Any

from pagefault.models import Usage
from pagefault.testing.providers.turns import Body, Delivery, Refused, pieces

__all__ = ["SIGNATURE", "chunks", "refusal", "whole"]

SIGNATURE = "c2lnbmVkIGJ5IHRoZSBwcm92aWRlcg=="
"""The signature of thinking; base64, as providers send it."""

_KINDS = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error",
    403: "permission_error", 404: "not_found_error", 413: "request_too_large",
    429: "rate_limit_error", 500: "api_error", 504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip


def chunks(answer: Delivery) -> list[Body]:
    """The events of a stream."""
    said = answer.completion
    used = said.usage or Usage()
    start = _message([], None) | {"usage": _usage(used, output=1 if said.usage else 0)}
    made: list[Body] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(_blocks(answer)):
        made += _block(index, block, answer.piece)
    if answer.finish is None:
        return made
    end = {"stop_reason": _finish(answer), "stop_sequence": None}
    made.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": used.output}})
    return [*made, {"type": "message_stop"}]


def whole(answer: Delivery) -> Body:
    """Return the whole answer in one piece."""
    used = answer.completion.usage or Usage()
    made = _message([_parsed(block) for block in _blocks(answer)], _finish(answer))
    return made | {"usage": _usage(used, output=used.output)}


def refusal(refused: Refused) -> Body:
    """The body of an error, and the event of one in mid-stream."""
    kind = refused.code or _KINDS.get(refused.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": refused.message}, "request_id": "req_1"}


def _message(content: list[Body], finish: str | None) -> Body:
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test", "content": content,
        "stop_reason": finish, "stop_sequence": None,
    }  # fmt: skip


def _blocks(answer: Delivery) -> list[Body]:
    said = answer.completion
    made: list[Body] = []
    if said.thinking:
        made.append({"type": "thinking", "thinking": said.thinking, "signature": SIGNATURE})
    if said.text:
        made.append({"type": "text", "text": said.text})
    for call in said.calls:
        made.append({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments})
    return made


def _parsed(block: Body) -> Body:
    return {**block, "input": json.loads(block["input"])} if block["type"] == "tool_use" else block


def _block(index: int, block: Body, piece: int) -> list[Body]:
    """A block's beginning, its pieces and its end. The arguments of a call are text while they stream."""
    deltas: list[dict[str, Any]]
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": text} for text in pieces(block["thinking"], piece)]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
        block = {**block, "thinking": "", "signature": ""}
    elif block["type"] == "text":
        deltas = [{"type": "text_delta", "text": text} for text in pieces(block["text"], piece)]
        block = {**block, "text": ""}
    else:
        deltas = [
            {"type": "input_json_delta", "partial_json": text} for text in pieces(block["input"], piece)
        ]
        block = {**block, "input": {}}
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _usage(used: Usage, *, output: int) -> Body:
    return {
        "input_tokens": used.input - used.cached - used.written,
        "cache_creation_input_tokens": used.written,
        "cache_read_input_tokens": used.cached,
        "output_tokens": output,
    }


def _finish(answer: Delivery) -> str | None:
    if answer.finish != "":
        return answer.finish
    if answer.completion.cut:
        return "max_tokens"
    return "tool_use" if answer.completion.calls else "end_turn"
