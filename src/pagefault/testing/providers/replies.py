"""Replies without a script: a fixed text, or the user's last one, in the form of speech that the prompt has.

A prompt that offers ``send_message`` gets a call of it, because plain text is no speech there; one in JSON
mode gets an object. Left out: meaning.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pagefault.models import Call, Completion, Usage
from pagefault.testing.providers.turns import Body, ProviderRequest

__all__ = ["asks_for_summary", "last_said", "offered", "spoken"]

_CHARACTERS = 4  # per token, roughly


def spoken(request: ProviderRequest, text: str) -> Completion:
    """Return the text as speech, with a rough but deterministic usage."""
    usage = Usage(len(request.raw) // _CHARACTERS, len(text) // _CHARACTERS + 1)
    if function := _of_json_mode(request):
        said = {"thoughts": "", "function": function, "arguments": {"message": text}}
        return Completion(json.dumps(said, ensure_ascii=False), usage=usage)
    if "send_message" not in offered(request):
        return Completion(text, usage=usage)
    call = Call("call_1", "send_message", json.dumps({"message": text}, ensure_ascii=False))
    return Completion(calls=(call,), usage=usage)


def _of_json_mode(request: ProviderRequest) -> str:
    """Return the function for speech if the prompt is in JSON mode; else an empty text."""
    if offered(request) or b"Answer with one JSON object" not in request.raw:
        return ""
    return "send_message" if b"- send_message(" in request.raw else "answer"


def offered(request: ProviderRequest) -> list[str]:
    """Return the names of the functions that the request offers."""
    return [str(name) for tool in request.body.get("tools") or () for name in _names(tool)]


def _names(tool: Body) -> Iterator[Any]:
    if "functionDeclarations" in tool:
        yield from (declared["name"] for declared in tool["functionDeclarations"])
    else:
        yield tool.get("function", tool)["name"]


def asks_for_summary(request: ProviderRequest) -> bool:
    """Return whether the request is for a summary, behind an agent's prompt or by a prompt of its own."""
    last = last_said(request)
    return "[summary_request] " in last or "Write the new summary in at most " in last


def last_said(request: ProviderRequest) -> str:
    """Return the last text of the user, without results of calls; empty if there is none."""
    messages: list[Body] = request.body.get("messages") or request.body.get("contents") or []
    for message in reversed(messages):
        if message["role"] == "user" and (text := _text(message.get("content") or message.get("parts"))):
            return text
    return ""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content or () if part.get("text"))
