"""Messages as Letta stores them, in its files and its databases, as values.

Each is read by itself, so that one that is damaged costs that one. Left out: what becomes of them
(``messages``). Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from pagefault.errors import UsageError
from pagefault.importers.letta.messages import StoredCall, StoredMessage, StoredReturn
from pagefault.importers.reading import objects
from pagefault.quoting import inline

__all__ = ["message_of", "time_of_row"]

JsonObject = dict[str, Any]

_REASONING = ("reasoning", "summarized_reasoning")


def message_of(value: object) -> StoredMessage:
    """The message of a file; ``UsageError`` says what is wrong with it."""
    if not isinstance(value, dict):
        raise UsageError("it is no object")
    values = cast("Mapping[str, Any]", value)
    role = values.get("role")
    if not isinstance(role, str):
        raise UsageError("it has no role")
    parts = _parts(values.get("content"))
    text = ("\n" if role == "user" else "\n\n").join(_texts(parts))
    has_returns = role in ("tool", "function")
    return StoredMessage(
        "assistant" if role == "approval" else role,
        text,
        time_of_row(values.get("created_at")),
        _speaker(values, role),
        tuple(_thoughts(parts)),
        tuple(_calls(values) or _called(parts)),
        tuple(_returns(values, "\n".join(_texts(parts))) or _returned(parts)) if has_returns else (),
        sum(part.get("type") == "image" for part in parts),
    )


def _texts(parts: Sequence[JsonObject]) -> list[str]:
    return [
        part["text"] for part in parts if part.get("type") == "text" and isinstance(part.get("text"), str)
    ]


def _thoughts(parts: Sequence[JsonObject]) -> list[str]:
    found = [part.get("reasoning") or part.get("summary") for part in parts if part.get("type") in _REASONING]
    return [each for each in found if isinstance(each, str)]


def _parts(content: object) -> list[JsonObject]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return objects(content)


def _speaker(values: Mapping[str, Any], role: str) -> str:
    name = values.get("name")
    return name if isinstance(name, str) and role in ("user", "tool") else ""


def time_of_row(given: object) -> datetime | None:
    """The time of a stored row, in UTC if it names no zone; ``UsageError`` if it is none."""
    if given is None:
        return None
    try:
        at = datetime.fromisoformat(str(given))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"its time {inline(str(given), 40)!r} is none") from None


def _calls(values: Mapping[str, Any]) -> list[StoredCall]:
    found = list[StoredCall]()
    for each in objects(values.get("tool_calls")):
        function = each.get("function")
        if isinstance(function, dict):
            named = cast("JsonObject", function)
            id, name, arguments = each.get("id"), named.get("name"), named.get("arguments")
            if isinstance(name, str):
                text = arguments if isinstance(arguments, str) else "{}"
                found.append(StoredCall(id if isinstance(id, str) else "", name, text))
    return found


def _called(parts: Sequence[JsonObject]) -> list[StoredCall]:
    """The calls among the parts of a message, which newer files have there."""
    return [
        StoredCall(
            str(each.get("id") or ""), each["name"], json.dumps(each.get("input") or {}, ensure_ascii=False)
        )
        for each in parts
        if each.get("type") == "tool_call" and isinstance(each.get("name"), str)
    ]


def _returned(parts: Sequence[JsonObject]) -> list[StoredReturn]:
    return [
        StoredReturn(str(each.get("tool_call_id") or ""), said, each.get("is_error") is True)
        for each in parts
        if each.get("type") == "tool_return" and (said := _response(each.get("content")))
    ]


def _returns(values: Mapping[str, Any], text: str) -> list[StoredReturn]:
    """The returns of a row: each of those listed; the row's text, if that is all there is."""
    own = values.get("tool_call_id")
    call = own if isinstance(own, str) else ""
    listed = objects(values.get("tool_returns"))
    found = [
        StoredReturn(
            id if isinstance(id := each.get("tool_call_id"), str) else call,
            said,
            each.get("status") == "error",
        )
        for each in listed
        if (said := _response(each.get("func_response")))
    ]
    if text and len(listed) <= 1:  # the row's text is the whole of it, a response may be a word
        failed = bool(listed) and listed[0].get("status") == "error"
        return [StoredReturn(call, text, failed)]
    return found


def _response(value: object) -> str:
    if isinstance(value, str):
        return value
    parts = objects(value)
    return "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))
