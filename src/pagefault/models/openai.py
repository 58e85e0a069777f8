"""The OpenAI shape: chat completions, streamed, over the ``openai`` client.

It serves OpenAI itself and whatever speaks the same (vLLM, llama.cpp, LM Studio, Ollama, OpenRouter ...).
Three parts: the prompt as a request body, the stream as a completion, the client's errors as ours. Left out:
the Responses API, sampling settings, reasoning text, several choices. Neither the key nor what a server says
about the key is ever shown.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pagefault.errors import ContextLengthExceeded, ModelError, ModelSetupError
from pagefault.models import Call, Completion, Delta, Prompt, PromptMessage, StreamItem, Usage

if TYPE_CHECKING:
    from openai import APIError, AsyncOpenAI, AsyncStream
    from openai.types import CompletionUsage
    from openai.types.chat import ChatCompletionChunk
    from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall

__all__ = ["OpenAIModel", "request_body"]

DEFAULT_TIMEOUT = 300.0
"""Seconds between two pieces of an answer; a reasoning model thinks before the first."""

_NEEDS_COMPLETION_TOKENS = re.compile(r"(.*/)?(o[1-9]|gpt-5)", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size)|(prompt|input|request|messages?) (is |are )?too (long|large)"
    r"|prompt contains \d+ tokens|input token count|reduce the length",
    re.IGNORECASE,
)


class OpenAIModel:
    """A model behind a chat-completions address; ``window`` is in tokens, ``timeout`` in seconds.

    The key is ``api_key`` or ``OPENAI_API_KEY``, the address ``base_url`` or ``OPENAI_BASE_URL``; an address
    other than OpenAI's needs no key. ``ModelSetupError`` if there is neither. The client retries refused
    connections, 429 and 5xx ``max_retries`` times before ``stream`` raises. The connections belong to the
    event loop of the first ``stream``.
    """

    def __init__(
        self,
        model: str,
        window: int,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        max_retries: int = 2,
    ) -> None:
        self.name = model
        self.window = window
        self._base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
        self._key = api_key or os.environ.get("OPENAI_API_KEY") or ("none" if self._base_url else "")
        if not self._key:
            raise ModelSetupError(
                f"{model} needs a key: set OPENAI_API_KEY, or OPENAI_BASE_URL for a server that needs none."
            )
        self._timeout = timeout
        self._max_retries = max_retries
        self._made: AsyncOpenAI | None = None

    def __repr__(self) -> str:
        return f"OpenAIModel({self.name!r}, {self.window}, base_url={self._base_url!r})"

    async def aclose(self) -> None:
        """Close the connections; the next ``stream`` opens new ones."""
        if self._made:
            await self._made.close()
            self._made = None

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """Stream the answer to ``prompt``; raises ``ModelError`` and its subclasses only."""
        import openai

        answer = _Answer()
        try:
            async with await self._open(prompt) as chunks:
                async for chunk in chunks:
                    for delta in answer.take(chunk):
                        yield delta
        except openai.APIError as error:
            raise self._mapped(error, answer) from None
        except json.JSONDecodeError:
            raise ModelError(f"{self.name} sent a stream that is not JSON; try again.") from None
        yield answer.completion(self.name, prompt.max_tokens)

    async def _open(self, prompt: Prompt) -> AsyncStream[ChatCompletionChunk]:
        if not self._made:
            from openai import AsyncOpenAI

            self._made = AsyncOpenAI(
                api_key=self._key,
                base_url=self._base_url,
                timeout=self._timeout,
                max_retries=self._max_retries,
            )
        body = request_body(self.name, prompt, official=self._base_url is None)
        completions: Any = self._made.chat.completions  # its overloads want the body written out
        return await completions.create(**body)

    def _mapped(self, error: APIError, answer: _Answer) -> ModelError:
        import openai

        where = f"{self.name} at {self._base_url}" if self._base_url else self.name
        if isinstance(error, openai.APITimeoutError):
            return ModelError(f"{where} did not answer within {self._timeout:g} s; try again.")
        if isinstance(error, openai.APIConnectionError):
            if answer.begun:
                return ModelError(f"The answer of {where} was cut off; try again.")
            return ModelError(f"{where} cannot be reached; check the network and OPENAI_BASE_URL.")
        status = error.status_code if isinstance(error, openai.APIStatusError) else None
        return _refusal(where, status, error.code or "", self._shown(error))

    def _shown(self, error: APIError) -> str:
        """What the server says, on one line, shortened, without the key."""
        return " ".join(error.message.replace(self._key, "[key]").split())[:300]


def _refusal(where: str, status: int | None, code: str, said: str) -> ModelError:
    """Our error for a server that answered with ``status`` (None: in the stream)."""
    if code == "context_length_exceeded" or (status in (None, 400, 413, 422) and _TOO_LONG.search(said)):
        return ContextLengthExceeded(f"The prompt is too long for {where}: {said}")
    if status == 401:
        return ModelSetupError(f"{where} does not accept the key; set OPENAI_API_KEY to a valid one.")
    if status == 403:
        return ModelSetupError(f"The key in OPENAI_API_KEY may not use {where}; use another key or model.")
    if status == 404:
        return ModelSetupError(
            f"{where} is not there; check the model's name and OPENAI_BASE_URL (most end in /v1)."
        )
    if status == 429:
        return ModelError(f"{where} is over its rate limit or quota: {said}")
    return ModelError(f"{where} failed{f' with status {status}' if status else ''}: {said}")


# The prompt as a request body


def request_body(model: str, prompt: Prompt, *, official: bool = False) -> dict[str, Any]:
    """The arguments of ``chat.completions.create``: a prompt that goes on gives a body that goes on.

    ``official`` is OpenAI itself, which wants ``max_completion_tokens``; other servers know ``max_tokens``.
    """
    limit = "max_tokens"
    if official or _NEEDS_COMPLETION_TOKENS.match(model):
        limit = "max_completion_tokens"
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(message) for message in prompt.messages],
        limit: prompt.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if prompt.functions:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": function.name,
                    "description": function.description,
                    "parameters": function.parameters,
                },
            }
            for function in prompt.functions
        ]
    return body


def _message(message: PromptMessage) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
    if not message.calls:
        return {"role": message.role, "content": message.text}
    calls = [
        {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": _valid(c.arguments)}}
        for c in message.calls
    ]
    return {"role": message.role, "content": message.text or None, "tool_calls": calls}


def _valid(arguments: str) -> str:
    """Arguments that are JSON: some servers parse the history, and one broken call would end the talk."""
    try:
        parsed = json.loads(arguments)
    except ValueError:
        parsed = None
    return arguments if isinstance(parsed, dict) else json.dumps({"malformed": arguments}, ensure_ascii=False)


# The stream as a completion


@dataclass(slots=True)
class _PartialCall:
    id: str = ""
    name: str = ""
    arguments: str = ""

    @property
    def whole(self) -> bool:
        try:
            json.loads(self.arguments)
        except ValueError:
            return False
        return True


@dataclass(slots=True)
class _Answer:
    """What has arrived so far. Tolerates calls without index or id, two on one index, object arguments."""

    text: str = ""
    calls: list[_PartialCall] = field(default_factory=list[_PartialCall])
    begun: bool = False
    finish: str | None = None
    usage: Usage | None = None
    _at: dict[int | None, int] = field(default_factory=dict[int | None, int])  # their index: ours

    def take(self, chunk: ChatCompletionChunk) -> list[Delta]:
        """Add a chunk; returns what is new in it."""
        self.begun = True
        if chunk.usage:
            self.usage = _usage(chunk.usage)
        deltas: list[Delta] = []
        for choice in (chunk.choices or ())[:1]:
            self.finish = choice.finish_reason or self.finish
            new: Any = choice.delta  # the client does not validate: anything may be missing
            text = (new.content or new.refusal) if new else None
            if text:
                self.text += text
                deltas.append(Delta(text))
            for piece in (new.tool_calls if new else None) or ():
                deltas += self._take_call(piece)
        return deltas

    def _take_call(self, piece: ChoiceDeltaToolCall) -> list[Delta]:
        function: Any = piece.function
        name = (function.name if function else None) or ""
        arguments = (function.arguments if function else None) or ""
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        number = self._place(piece.index, piece.id or "", name)
        call = self.calls[number]
        call.id = call.id or piece.id or ""
        call.name = call.name or name
        call.arguments += arguments
        return [Delta(arguments, number, call.name)] if arguments else []

    def _place(self, index: int | None, id: str, name: str) -> int:
        """The number of the call that a piece belongs to, a new one if it begins one."""
        number = self._at.get(index)
        if number is not None:
            call = self.calls[number]
            another = id != call.id if id and call.id else bool(name) and call.whole
            if not another:
                return number
        self.calls.append(_PartialCall())
        self._at[index] = len(self.calls) - 1
        return len(self.calls) - 1

    def completion(self, model: str, limit: int) -> Completion:
        """The whole; ``ModelError`` if it did not end properly or has nothing in it."""
        if not self.finish:
            raise ModelError(f"The answer of {model} was cut off; try again.")
        if not self.text.strip() and not self.calls:
            if self.finish == "length":
                raise ModelError(f"{model} used up its {limit:,} reply tokens with no answer; reserve more.")
            if self.finish == "content_filter":
                raise ModelError(f"A content filter withheld the answer of {model}; say it another way.")
        calls: dict[str, Call] = {}  # by id: a server may give one to two calls, or none
        for call in self.calls:
            id = call.id if call.id and call.id not in calls else f"call_{uuid.uuid4().hex[:24]}"
            calls[id] = Call(id, call.name or "unnamed", call.arguments or "{}")
        return Completion(self.text, tuple(calls.values()), self.usage)


def _usage(reported: CompletionUsage) -> Usage:
    details = reported.prompt_tokens_details
    cached = details.cached_tokens if details else None
    return Usage(reported.prompt_tokens or 0, reported.completion_tokens or 0, cached or 0)
