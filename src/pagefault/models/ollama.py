"""Ollama by its own protocol: ``/api/chat``, one JSON value per line.

Its OpenAI-shaped address is not used: a request there cannot say which window it needs, and Ollama silently
truncates longer prompts. Here each request says it (``num_ctx``). Left out: pulling models.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from pagefault.errors import ModelError, ModelUnavailable
from pagefault.models import (
    Call,
    Completion,
    Delta,
    Prompt,
    PromptMessage,
    StreamItem,
    Usage,
    object_of,
    own_id,
)
from pagefault.models.answer_schemas import SchemaFallback
from pagefault.models.endpoint import Endpoint, ModelOptions
from pagefault.models.image_parts import as_base64, images_apart
from pagefault.models.json_text import read_json
from pagefault.models.lazy_client import LazyClient
from pagefault.models.openai.body import tool
from pagefault.models.provider_errors import (
    ErrorResponse,
    cut_off,
    model_error,
    timed_out,
    unanswered,
    unreachable,
)

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response

__all__ = ["OllamaModel"]


class OllamaModel:
    """A model of an Ollama server, which is asked to serve ``window`` tokens.

    The connections belong to the event loop of the first ``stream``.
    """

    def __init__(self, model: str, window: int, endpoint: Endpoint, options: ModelOptions) -> None:
        self.name = model
        self.window = window
        self._endpoint = endpoint
        self._options = options
        self._schemas = SchemaFallback()
        self._client: LazyClient[AsyncClient] = LazyClient(self._make, lambda client: client.aclose())

    def __repr__(self) -> str:
        return f"OllamaModel({self.name!r}, {self.window}, base_url={self._endpoint.base_url!r})"

    async def aclose(self) -> None:
        """Close the connections; the next ``stream`` opens new ones."""
        await self._client.aclose()

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """Stream the answer to ``prompt``; raises ``ModelError`` and its subclasses only."""
        client = await self._client.get()
        import httpx2

        answer, where = _PartialCompletion(), f"{self.name} at {self._endpoint.base_url}"
        try:
            async with aclosing(await self._open(client, prompt, answer, where)) as response:
                async for line in _lines(response.aiter_bytes()):
                    for delta in answer.take(line, where, self._endpoint):
                        yield delta
        except httpx2.TimeoutException:
            raise timed_out(where, self._endpoint.timeout) from None
        except httpx2.HTTPError as error:
            fix = "start it with `ollama serve`, or check OLLAMA_HOST"
            raise (cut_off(where) if answer.begun else unreachable(where, error, fix)) from None
        if not answer.done:
            raise cut_off(where)
        made = answer.completion()
        if error := unanswered(self.name, made, "length" if made.cut else "", prompt.max_tokens):
            raise error
        yield made

    async def _open(
        self, client: AsyncClient, prompt: Prompt, answer: _PartialCompletion, where: str
    ) -> Response:
        """Send the request; again with a simpler schema of the answer, or none, if the server refuses it."""
        while True:
            body = self._body(prompt)
            response = await client.send(client.build_request("POST", "/api/chat", json=body), stream=True)
            if response.is_success:
                return response
            async with aclosing(response):
                said = (await response.aread()).decode("utf-8", "replace")
            if body.get("format") != self._body(prompt).get("format"):
                continue  # another request was refused meanwhile
            if response.status_code == 429 or self._schemas.adapt(said, prompt.answer_schema) is None:
                raise self._refused(response, said, where)
            answer.notes = (
                "The server refuses the schema of the answer; it is sent a simpler one, or none.",
            )

    def _make(self) -> AsyncClient:
        from pagefault.connections.client import http_client

        headers = dict(self._endpoint.headers)
        if self._endpoint.key:
            headers["authorization"] = f"Bearer {self._endpoint.key}"
        endpoint = self._endpoint
        return http_client(endpoint.base_url, headers=headers, timeout=endpoint.timeout, saw=endpoint.saw)

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        options: dict[str, Any] = {"num_ctx": self.window, "num_predict": prompt.max_tokens}
        if self._options.temperature is not None:
            options["temperature"] = self._options.temperature
        body: dict[str, Any] = {
            "model": self.name,
            "messages": [_message(message) for message in images_apart(prompt.messages)],
            "stream": True,
            "options": options,
        }
        if prompt.functions:
            body["tools"] = [tool(function) for function in prompt.functions]
        if prompt.answer_schema is not None and (schema := self._schemas.form(prompt.answer_schema)[0]):
            body["format"] = schema
        if (thinking := self._options.thinking) is not None:
            body["think"] = thinking if isinstance(thinking, str) and thinking != "off" else thinking != "off"
        return body

    def _refused(self, response: Response, text: str, where: str) -> ModelError:
        said = str(_read(text).get("error") or text)
        if response.status_code == 404:
            said = f"{said}; run `ollama pull {self.name}`"
        headers = dict(response.headers)
        return model_error(ErrorResponse(where, response.status_code, "", said, headers), self._endpoint)


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncGenerator[str]:
    """Yield lines that end in a line feed only: JSON may hold the other line ends of Unicode."""
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace")
    yield rest.decode("utf-8", "replace")


def _message(message: PromptMessage) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.role == "tool":
        fields["tool_name"] = message.name
    elif message.images:
        fields["images"] = [as_base64(image) for image in message.images]
    if message.calls:
        fields["tool_calls"] = [
            {"function": {"name": call.name, "arguments": object_of(call.arguments)}}
            for call in message.calls
        ]
    return fields


def _read(text: str) -> Mapping[str, Any]:
    try:
        value = read_json(text)
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


@dataclass(slots=True)
class _PartialCompletion:
    """The completion as received so far."""

    text: str = ""
    thinking: str = ""
    calls: list[Call] = field(default_factory=list[Call])
    begun: bool = False
    done: bool = False
    cut: bool = False
    usage: Usage | None = None
    model: str = ""
    notes: tuple[str, ...] = ()

    def take(self, line: str, where: str, endpoint: Endpoint) -> Iterator[Delta]:
        """Add a line; yield its deltas. Raises an error that comes in the middle of the stream."""
        if not line.strip():
            return
        self.begun = True
        value = _read(line)
        if error := value.get("error"):
            raise model_error(ErrorResponse(where, None, "", str(error)), endpoint)
        if not value:
            raise ModelUnavailable(f"{where} sent a line that is not JSON; try again.")
        self.model = str(value.get("model") or self.model)
        yield from self._take_message(value.get("message") or {})
        if value.get("done"):
            self._end(value)

    def _take_message(self, message: Mapping[str, Any]) -> Iterator[Delta]:
        if thought := message.get("thinking"):
            self.thinking += thought
            yield Delta(thought, thinking=True)
        if text := message.get("content"):
            self.text += text
            yield Delta(text)
        for made in message.get("tool_calls") or ():
            yield self._take_call(made.get("function") or {}, str(made.get("id") or ""))

    def _end(self, value: Mapping[str, Any]) -> None:
        self.done, self.cut = True, value.get("done_reason") == "length"
        if "prompt_eval_count" in value:
            self.usage = Usage(value["prompt_eval_count"] or 0, value.get("eval_count") or 0)

    def _take_call(self, function: Mapping[str, Any], id: str) -> Delta:
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments or {}, ensure_ascii=False)
        taken = {call.id for call in self.calls}
        self.calls.append(Call(own_id(id, taken), str(function.get("name") or "unnamed"), arguments))
        return Delta(arguments, len(self.calls) - 1, self.calls[-1].name)

    def completion(self) -> Completion:
        return Completion(
            self.text, tuple(self.calls), self.usage, self.thinking, cut=self.cut, model=self.model,
            notes=self.notes,
        )  # fmt: skip
