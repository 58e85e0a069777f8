"""The body of a request: bytes of a conversation that are built once and extended.

Between two flushes each prompt begins with the whole of the one before, and so do the bytes of its messages:
they are rendered once and kept, and the next request renders its new messages only. Left out: sending.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from pagefault.models import FunctionSchema, Prompt, PromptMessage, object_of
from pagefault.models.answer_schemas import SchemaFallback
from pagefault.models.endpoint import Endpoint, ModelOptions
from pagefault.models.image_parts import as_base64, images_apart
from pagefault.text_caches import holds_texts

__all__ = ["BodyBuilder", "tool"]

_KEPT = 64 * 2**20  # bytes of messages kept for next requests, over all conversations
_OPENING = 3  # messages at the beginning that identify a conversation
_NEEDS_COMPLETION_TOKENS = re.compile(r"(.*/)?(o[1-9]|gpt-5)", re.IGNORECASE)
_LEVELS = ((2048, "low"), (8192, "medium"))  # a budget of thinking tokens as a level of effort

_REFUSED = re.compile(
    r"un(supported|recogni[sz]ed|known|expected)|not (supported|permitted)|extra (inputs?|fields?)",
    re.IGNORECASE,
)
_OPTIONAL = {  # optional fields of a request, and other words for them
    "tool_choice": ("tool_choice",),
    "stream_options": ("stream_options",),
    "temperature": ("temperature",),
    "reasoning_effort": ("reasoning_effort", "reasoning.effort"),
    "reasoning": ("reasoning",),
}
_LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}

_Key = tuple[tuple[str, str], ...]


class BodyBuilder:
    """Builds the bodies of one model at one endpoint."""

    def __init__(self, model: str, endpoint: Endpoint, options: ModelOptions) -> None:
        self._model = model
        self._provider = endpoint.provider
        self._options = options
        official = not endpoint.base_url  # OpenAI has a new name for it; other servers know the old one
        new = official or _NEEDS_COMPLETION_TOKENS.match(model)
        self._limit = "max_completion_tokens" if new else "max_tokens"
        self._renamed = False
        self._left_out: set[str] = set()  # fields that the server refuses
        self._schemas = SchemaFallback(is_openai=official)
        self.adapted = 0  # how often requests were adapted to the server
        self._kept: OrderedDict[_Key, tuple[tuple[PromptMessage, ...], bytes]] = OrderedDict()
        self._size = 0
        self._tools: dict[int, tuple[Sequence[FunctionSchema], bytes]] = {}
        holds_texts(self)

    def forget_texts(self) -> None:
        """Drop the bytes of all conversations; they are built anew."""
        self._kept.clear()
        self._size = 0

    def adapt(self, said: str, prompt: Prompt, adapted: int) -> str | None:
        """Leave out an optional field that the server refused, from now on; ``said`` is its sentence,
        ``adapted`` as it was when the request was built.

        Returns a note on it, empty if another request has led to it meanwhile; None if the server refused no
        optional field.
        """
        if adapted != self.adapted:
            return ""
        note = self._adapt(said, prompt)
        self.adapted += note is not None
        return note

    def _adapt(self, said: str, prompt: Prompt) -> str | None:
        if (simpler := self._schemas.adapt(said, prompt.answer_schema)) is not None:
            what = "it is sent a simpler one" if simpler else "requests leave it out"
            refused = "the schema of the answer" if simpler else "response_format"
            return f"The server refuses {refused}; {what}."
        if self._limit in said and _REFUSED.search(said) and not self._renamed:
            refused, self._limit, self._renamed = self._limit, _LIMITS[self._limit], True
            return f"The server refuses {refused}; it is sent {self._limit}."
        sent = self._rest(prompt, stream=True)
        for field, words in _OPTIONAL.items():
            if field in sent and any(word in said for word in words):
                self._left_out.add(field)
                return f"The server refuses {field}; requests leave it out."
        return None

    def build(self, prompt: Prompt, *, stream: bool) -> bytes:
        """Return the body as JSON: model and tools, messages, then fields that differ between requests."""
        head = b'{"model":' + _json(self._model) + self._functions(prompt.functions)
        rest = _json(self._rest(prompt, stream=stream))
        return head + b',"messages":[' + self._messages(prompt.messages) + b"]," + rest[1:]

    def _rest(self, prompt: Prompt, *, stream: bool) -> dict[str, Any]:
        rest: dict[str, Any] = {self._limit: prompt.max_tokens, "stream": stream, **self._settings()}
        if stream:
            rest["stream_options"] = {"include_usage": True}
        if prompt.plain and prompt.functions:
            rest["tool_choice"] = "none"
        if prompt.answer_schema is not None:
            schema, is_strict = self._schemas.form(prompt.answer_schema)
            named = {"name": "answer", "schema": schema, **({"strict": True} if is_strict else {})}
            if schema is not None:
                rest["response_format"] = {"type": "json_schema", "json_schema": named}
        return {field: value for field, value in rest.items() if field not in self._left_out}

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {}
        if self._options.temperature is not None:
            settings["temperature"] = self._options.temperature
        thinking = self._options.thinking
        if thinking is None:
            return settings
        if self._provider == "openrouter" and isinstance(thinking, int):
            return settings | {"reasoning": {"max_tokens": thinking}}
        if isinstance(thinking, int):
            thinking = next((level for most, level in _LEVELS if thinking <= most), "high")
        return settings | {"reasoning_effort": "none" if thinking == "off" else thinking}

    def _functions(self, functions: Sequence[FunctionSchema]) -> bytes:
        if not functions:
            return b""
        kept, rendered = self._tools.get(id(functions), ((), b""))
        if kept is not functions:
            rendered = b',"tools":' + _json([tool(function) for function in functions])
            if len(self._tools) >= 256:
                self._tools.clear()
            self._tools[id(functions)] = (functions, rendered)
        return rendered

    def _messages(self, messages: tuple[PromptMessage, ...]) -> bytes:
        key = tuple((message.role, message.text) for message in messages[:_OPENING])
        kept, rendered = self._kept.pop(key, ((), b""))
        self._size -= len(rendered)
        if not kept or messages[: len(kept)] != kept:
            kept, rendered = (), b""
        fresh = b",".join(map(self._message, images_apart(messages[len(kept) :])))
        rendered = b",".join(part for part in (rendered, fresh) if part)
        self._kept[key] = (messages, rendered)
        self._size += len(rendered)
        while self._size > _KEPT and len(self._kept) > 1:
            _, (_, oldest) = self._kept.popitem(last=False)
            self._size -= len(oldest)
        return rendered

    def _message(self, message: PromptMessage) -> bytes:
        if message.role == "tool":
            return _json({"role": "tool", "tool_call_id": message.call_id, "content": message.text})
        fields: dict[str, Any] = {"role": message.role, "content": _content(message)}
        if message.calls:
            fields["content"] = message.text or None
            fields["tool_calls"] = [
                {
                    "id": c.id,
                    "type": "function",
                    "function": {"name": c.name, "arguments": _valid(c.arguments)},
                }
                for c in message.calls
            ]
        if message.echo and message.echo.get("provider") == self._provider:
            fields |= {name: value for name, value in message.echo.items() if name != "provider"}
        return _json(fields)


def _content(message: PromptMessage) -> str | list[dict[str, Any]]:
    """Return the text, or a list of text and images. ``high`` bounds what an image takes in tokens: newer
    models read it as it is by default, at up to 36,000."""
    if not message.images:
        return message.text
    parts: list[dict[str, Any]] = [{"type": "text", "text": message.text}]
    for image in message.images:
        url = f"data:{image.media.media_type};base64,{as_base64(image)}"
        parts.append({"type": "image_url", "image_url": {"url": url, "detail": "high"}})
    return parts


def tool(function: FunctionSchema) -> dict[str, Any]:
    """Return a function in the form of OpenAI and Ollama."""
    described = {
        "name": function.name,
        "description": function.description,
        "parameters": function.parameters,
    }
    return {"type": "function", "function": described}


def _valid(arguments: str) -> str:
    """Return arguments that are JSON; valid ones unchanged, byte for byte."""
    parsed = object_of(arguments)
    return _ENCODER.encode(parsed) if "malformed" in parsed or not arguments else arguments


# made once: ``json.dumps`` with these settings would make one for each value
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def _json(value: Any) -> bytes:
    return _ENCODER.encode(value).encode()
