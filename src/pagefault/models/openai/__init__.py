"""The OpenAI shape: chat completions, streamed, over the ``openai`` client.

For OpenAI itself and every server with the same protocol (vLLM, llama.cpp, LM Studio, OpenRouter ...). The
client's connections, stream parsing and errors are used. Its typed requests and responses are not: their
cost grows with the queue, and they hold only what OpenAI itself sends. The body goes through its low-level
``post`` as bytes, and the stream comes as plain JSON values. Left out: the Responses API, several choices.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, cast

from pagefault.errors import ModelError, ModelSetupError, ModelUnavailable
from pagefault.models import Completion, Prompt, StreamItem
from pagefault.models.endpoint import Endpoint, ModelOptions
from pagefault.models.lazy_client import LazyClient
from pagefault.models.openai.answer import PartialCompletion
from pagefault.models.openai.body import BodyBuilder
from pagefault.models.provider_errors import (
    ErrorResponse,
    cut_off,
    model_error,
    timed_out,
    unanswered,
    unreachable,
)

if TYPE_CHECKING:
    from openai import APIError, AsyncOpenAI

__all__ = ["OpenAIModel"]

_NO_KEY = "none"  # the client requires one
_PATH = "/chat/completions"
_HEADERS = {"content-type": "application/json"}
_LOST = "Content that was lost while streaming was asked for again in one piece."


class OpenAIModel:
    """A model behind a chat-completions address; ``window`` is in tokens.

    ``ModelSetupError`` if OpenAI itself is meant and there is no key. The connections belong to the event
    loop of the first ``stream``. Agents that share a model share its connections.
    """

    def __init__(self, model: str, window: int, endpoint: Endpoint, options: ModelOptions) -> None:
        self.name = model
        self.window = window
        self._endpoint = endpoint
        if not endpoint.key and not endpoint.base_url:
            raise ModelSetupError(
                f"{model} needs a key: set {endpoint.key_variable or 'OPENAI_API_KEY'}, "
                "or the address of a server that needs none."
            )
        self._body = BodyBuilder(model, endpoint, options)
        self._client: LazyClient[AsyncOpenAI] = LazyClient(self._make, lambda client: client.close())

    def __repr__(self) -> str:
        return f"OpenAIModel({self.name!r}, {self.window}, base_url={self._endpoint.base_url!r})"

    async def aclose(self) -> None:
        """Close the connections; the next ``stream`` opens new ones."""
        await self._client.aclose()

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """Stream the answer to ``prompt``; raises ``ModelError`` and its subclasses only."""
        client, answer = await self._client.get(), PartialCompletion(self._endpoint.provider)
        import openai

        try:
            async with await self._open(client, prompt, answer, stream=True) as chunks:
                async for chunk in chunks:
                    for delta in answer.take(chunk):
                        yield delta
            if answer.has_lost_calls() or not answer.begun:
                answer = answer.restarted(_LOST)
                for delta in answer.take(await self._open(client, prompt, answer, stream=False)):
                    yield delta
        except openai.APIError as error:
            raise self._mapped(error, answer) from None
        except json.JSONDecodeError:
            raise ModelUnavailable(f"{self.name} sent a stream that is not JSON; try again.") from None
        yield self._checked(answer, prompt)

    async def _open(
        self, client: AsyncOpenAI, prompt: Prompt, answer: PartialCompletion, *, stream: bool
    ) -> Any:
        """Send the request; again without an optional field if the server refuses that. Returns an
        ``AsyncStream`` of JSON values, or the whole answer as one."""
        import openai

        post = cast("Any", client.post)  # its overloads want the type of a response
        while True:
            body, before = self._body.build(prompt, stream=stream), self._body.adapted
            try:
                return await post(
                    _PATH, cast_to=object, content=body, options={"headers": _HEADERS}, stream=stream,
                    stream_cls=openai.AsyncStream[object] if stream else None,
                )  # fmt: skip
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                adapted = self._body.adapt(error.message, prompt, before)
                if adapted is None:
                    raise
                answer.notes += [adapted] if adapted else []

    def _make(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        from pagefault.connections.client import http_client

        endpoint = self._endpoint
        return AsyncOpenAI(
            http_client=http_client(timeout=endpoint.timeout, saw=endpoint.saw),
            api_key=endpoint.key or _NO_KEY, base_url=endpoint.base_url or None, timeout=endpoint.timeout,
            max_retries=0, default_headers=dict(endpoint.headers),
        )  # fmt: skip

    def _checked(self, answer: PartialCompletion, prompt: Prompt) -> Completion:
        """Return the completion; ``ModelError`` if it did not end properly, or is empty without a reason."""
        if not answer.finish:
            raise cut_off(self.name)
        made = answer.completion()
        if error := unanswered(self.name, made, answer.finish, prompt.max_tokens):
            raise error
        return made

    def _mapped(self, error: APIError, answer: PartialCompletion) -> ModelError:
        import openai

        where = f"{self.name} at {self._endpoint.base_url}" if self._endpoint.base_url else self.name
        if isinstance(error, openai.APITimeoutError):
            return timed_out(where, self._endpoint.timeout)
        if isinstance(error, openai.APIConnectionError):
            return cut_off(where) if answer.begun else unreachable(where, error)
        status, headers, said = None, {}, error.message
        if isinstance(error, openai.APIStatusError):
            status, headers = error.status_code, dict(error.response.headers)
        body: Any = error.body
        if isinstance(body, dict):  # the client puts its own words before those of the server
            said = str(cast("dict[str, Any]", body).get("message") or said)
        return model_error(
            ErrorResponse(where, status, f"{error.code or ''} {error.type or ''}", said, headers),
            self._endpoint,
        )
