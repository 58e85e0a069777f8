"""``/api/chat`` as Ollama sends it: one JSON value per line. Calls come whole, their arguments as objects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pagefault.models import Call
from pagefault.testing.providers.turns import Body, Delivery, Refused, pieces

__all__ = ["chunks", "line", "refusal", "whole"]


def line(*, end: Body | None = None, **message: Any) -> Body:
    """One line; ``message`` are the fields of its message, ``end`` those that only the last line has."""
    made = {"model": "test", "created_at": "2026-01-01T00:00:00Z", "done": end is not None}
    return made | {"message": {"role": "assistant", "content": "", **message}} | (end or {})


def chunks(answer: Delivery) -> list[Body]:
    """The lines of a stream."""
    said = answer.completion
    made = [line(thinking=text) for text in pieces(said.thinking, answer.piece)]
    made += [line(content=text) for text in pieces(said.text, answer.piece)]
    made += [line(tool_calls=_calls([call])) for call in said.calls]
    return made if answer.finish is None else [*made, line(end=_end(answer))]


def whole(answer: Delivery) -> Body:
    """Return the whole answer as one value."""
    said = answer.completion
    message: Body = {"content": said.text}
    if said.thinking:
        message["thinking"] = said.thinking
    if said.calls:
        message["tool_calls"] = _calls(said.calls)
    return line(**message, end=_end(answer))


def refusal(refused: Refused) -> Body:
    """The body of an error, and the line of one in mid-stream."""
    return {"error": refused.message}


def _calls(calls: Sequence[Call]) -> list[Body]:
    return [{"id": c.id, "function": {"name": c.name, "arguments": json.loads(c.arguments)}} for c in calls]


def _end(answer: Delivery) -> Body:
    said = answer.completion
    end: Body = {"done_reason": answer.finish or ("length" if said.cut else "stop"), "total_duration": 1}
    if said.usage:
        end |= {"prompt_eval_count": said.usage.input, "eval_count": said.usage.output}
    return end
