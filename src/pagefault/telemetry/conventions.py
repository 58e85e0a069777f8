"""The names and values of OpenTelemetry's conventions for generative AI (status: development, 2026-11).

Pure: from what an observer is told to attributes. Left out: whether content may be recorded (``spans``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import cast
from urllib.parse import urlsplit

from pagefault.models import Call, Completion, Prompt, PromptMessage
from pagefault.observing import Ending, ObservedCall, ObservedRequest, ObservedSearch, ObservedTurn

__all__ = [
    "MEMORY_OPERATIONS",
    "Attributes",
    "answer_attributes",
    "call_attributes",
    "completion_content",
    "memory_attributes",
    "memory_content",
    "model_attributes",
    "prompt_content",
    "search_attributes",
    "turn_attributes",
]

Attributes = dict[str, str | int | float | bool | Sequence[str]]
"""The attributes of a span or a measurement."""

_SAVED = re.compile(r"Saved as (\S+)\.(?:\s|$)")
_PROVIDERS = {"google": "gcp.gemini", "mistral": "mistral_ai", "xai": "x_ai"}
MEMORY_OPERATIONS: Mapping[str, tuple[str, str, str]] = {
    "archival_insert": ("create_memory", "archival", ""),
    "archival_delete": ("delete_memory", "archival", "id"),
    "working_context_append": ("update_memory", "working_context", "section"),
    "working_context_replace": ("update_memory", "working_context", "section"),
    "page_in": ("update_memory", "working_context", "section"),
    "page_out": ("update_memory", "working_context", "section"),
}
"""By memory function: its operation, the part of memory, and the argument that names the record."""


def _named(setting: str) -> tuple[str, str, Attributes]:
    """The provider, the model and the server of a model's name in settings; a URL is a server of OpenAI's
    shape."""
    first = setting.partition(",")[0].strip()
    url, hash, model = first.rpartition("#")
    if hash and url.startswith(("http://", "https://")):
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return "openai", model, {"server.address": parts.hostname or "", "server.port": port}
    provider, _, model = first.partition(":")
    return _PROVIDERS.get(provider, provider), model or provider, {}


def model_attributes(setting: str) -> Attributes:
    """The model that is asked."""
    provider, model, server = _named(setting)
    return {"gen_ai.provider.name": provider, "gen_ai.request.model": model, **server}


def turn_attributes(turn: ObservedTurn) -> Attributes:
    """The turn of an agent, whose one conversation is its own."""
    return {
        "gen_ai.operation.name": "invoke_agent",
        **model_attributes(turn.model),
        "gen_ai.agent.id": str(turn.agent),
        "gen_ai.agent.name": turn.name,
        "gen_ai.conversation.id": str(turn.agent),
        "pagefault.event.id": turn.event.id,
        "pagefault.event.kind": turn.event.kind,
    }


def answer_attributes(ending: Ending) -> Attributes:
    """The answer of a model: who gave it, why it ended, its tokens."""
    made = ending.completion
    if made is None:
        return {}
    found: Attributes = {
        "gen_ai.response.finish_reasons": ("length" if made.cut else "tool_calls" if made.calls else "stop",),
        "gen_ai.response.time_to_first_chunk": ending.first,
    }
    if made.model or made.target:
        found["gen_ai.response.model"] = made.model or _named(made.target)[1]
    if usage := made.usage:
        found |= {
            "gen_ai.usage.input_tokens": usage.input,
            "gen_ai.usage.output_tokens": usage.output,
            "gen_ai.usage.cache_read.input_tokens": usage.cached,
            "gen_ai.usage.cache_creation.input_tokens": usage.written,
            "gen_ai.usage.reasoning.output_tokens": usage.thinking,
        }
    return found


def call_attributes(call: ObservedCall) -> Attributes:
    """The call of a function."""
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": call.function,
        "gen_ai.tool.type": "function" if call.kind == "tool" else "datastore",
        "gen_ai.tool.call.id": call.id,
    }


def memory_attributes(call: ObservedCall, ending: Ending) -> Attributes:
    """The memory operation that a call of a memory function is; empty for the other functions."""
    if call.function not in MEMORY_OPERATIONS or ending.error:
        return {}
    operation, part, argument = MEMORY_OPERATIONS[call.function]
    given = _object(call.arguments)
    saved = _SAVED.match(ending.text)
    record = saved[1] if saved else str(given.get(argument, ""))
    archive = str(given.get("archive") or "")
    store = f"{call.agent}/{part}" if not archive else f"archive/{archive}"
    found: Attributes = {"gen_ai.operation.name": operation, "gen_ai.memory.store.id": store}
    return found | {"gen_ai.memory.record.count": 1} | ({"gen_ai.memory.record.id": record} if record else {})


def search_attributes(search: ObservedSearch) -> Attributes:
    """A search in memory; of several storages the first is named."""
    owner = search.owners[0] if search.owners else search.agent
    return {"gen_ai.operation.name": "search_memory", "gen_ai.memory.store.id": f"{owner}/{search.tier}"}


# Content: recorded only if the program asks for it.


def prompt_content(request: ObservedRequest) -> Attributes:
    """The prompt of a request."""
    prompt: Prompt = request.prompt
    system = [message for message in prompt.messages if message.role == "system"]
    others = [message for message in prompt.messages if message.role != "system"]
    return {
        "gen_ai.system_instructions": _json([{"type": "text", "content": m.text} for m in system]),
        "gen_ai.input.messages": _json([{"role": m.role, "parts": _parts(m)} for m in others]),
    }


def completion_content(completion: Completion) -> Attributes:
    """The answer of a request."""
    parts: list[Mapping[str, object]] = []
    if completion.text:
        parts.append({"type": "text", "content": completion.text})
    parts += [_call(call) for call in completion.calls]
    reason = "length" if completion.cut else "tool_call" if completion.calls else "stop"
    answer = {"role": "assistant", "parts": parts, "finish_reason": reason}
    return {"gen_ai.output.messages": _json([answer])}


def memory_content(call: ObservedCall) -> Attributes:
    """The record that a memory function writes."""
    given = _object(call.arguments)
    text = given.get("text") or given.get("new") or ""
    return {"gen_ai.memory.records": _json([{"content": text}])} if text else {}


def _parts(message: PromptMessage) -> list[Mapping[str, object]]:
    if message.role == "tool":
        return [{"type": "tool_call_response", "id": message.call_id, "result": message.text}]
    text: list[Mapping[str, object]] = [{"type": "text", "content": message.text}] if message.text else []
    return text + [_call(call) for call in message.calls]


def _call(call: Call) -> Mapping[str, object]:
    return {"type": "tool_call", "id": call.id, "name": call.name, "arguments": _object(call.arguments)}


def _object(arguments: str) -> Mapping[str, object]:
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
