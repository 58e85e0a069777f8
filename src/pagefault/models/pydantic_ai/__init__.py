"""Anthropic, Gemini and the other providers of pydantic-ai, through its model layer.

Only that layer is used: a prompt in its parts, one streamed request, typed errors. Its agents are not used,
and its JSON is never stored: the parts that a provider wants back with a completion (signed thinking) are
kept as ``echo``. Left out: its retries (``wrappers.retrying`` has them), files, tools of providers.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace
from inspect import signature
from typing import TYPE_CHECKING, Any, cast

from pagefault.errors import ModelError, ModelSetupError, ModelUnavailable, RequestRefused
from pagefault.models import Completion, Prompt, StreamItem
from pagefault.models.endpoint import Endpoint, ModelOptions
from pagefault.models.lazy_client import LazyClient
from pagefault.models.provider_errors import (
    ErrorResponse,
    cut_off,
    filtered,
    model_error,
    shortened,
    timed_out,
    unanswered,
    unreachable,
)
from pagefault.models.pydantic_ai.answer import completion, deltas
from pagefault.models.pydantic_ai.prompt import messages, parameters, settings

if TYPE_CHECKING:
    from httpx2 import AsyncClient
    from pydantic_ai import messages as ai
    from pydantic_ai.exceptions import ModelAPIError
    from pydantic_ai.models import Model as LibraryModel
    from pydantic_ai.providers import Provider

__all__ = ["PydanticAIModel"]

# the library would take any delta that is <think> for the beginning of thinking (``function_calling`` knows)
_NO_TAGS = ("<pagefault:thinking>", "</pagefault:thinking>")
_NO_TEMPERATURE = "The model takes no temperature, or none with thinking; requests leave it out."


class PydanticAIModel:
    """A model of the provider ``endpoint.provider``, as pydantic-ai names it; ``window`` is in tokens.

    ``ModelSetupError`` at the first ``stream`` if a package is missing. The connections belong to the event
    loop of the first ``stream``.
    """

    def __init__(self, model: str, window: int, endpoint: Endpoint, options: ModelOptions) -> None:
        self.name = model
        self.window = window
        self._endpoint = endpoint
        self._options = options
        self._client: LazyClient[_Client] = LazyClient(self._make, lambda client: client.close())
        self._noted = False  # a completion has the note that the temperature is left out

    def __repr__(self) -> str:
        return f"PydanticAIModel({self.name!r}, {self.window}, provider={self._endpoint.provider!r})"

    async def aclose(self) -> None:
        """Close the connections; the next ``stream`` opens new ones."""
        await self._client.aclose()

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """Stream the answer to ``prompt``; raises ``ModelError`` and its subclasses only."""
        model = (await self._client.get()).model
        from pydantic_ai.direct import model_request_stream
        from pydantic_ai.exceptions import AgentRunError, UserError

        provider, profile = self._endpoint.provider, cast("dict[str, Any]", model.profile)
        asked = settings(prompt, provider, self._options, profile)
        numbers: dict[int, tuple[int, str]] = {}  # part of the library: our call
        begun = False
        try:
            async with model_request_stream(
                model,
                messages(prompt.messages, provider),
                model_settings=asked,
                model_request_parameters=parameters(prompt),
                instrument=False,
            ) as answer:
                async for event in answer:
                    begun = True
                    for delta in deltas(event, numbers):
                        yield delta
                response = answer.get()
        except AgentRunError as error:
            raise self._mapped(error, begun=begun) from None
        except (UserError, NotImplementedError) as error:  # the library itself refuses a part of the prompt
            raise RequestRefused(f"{self.name}: {shortened(str(error))}") from None
        except (AssertionError, AttributeError, ValueError):  # the libraries expect a stream as documented
            raise ModelUnavailable(f"{self.name} sent a stream that cannot be read; try again.") from None
        made = self._checked(response, prompt)
        if self._options.temperature is not None and "temperature" not in asked and not self._noted:
            self._noted = True
            made = replace(made, notes=(*made.notes, _NO_TEMPERATURE))
        yield made

    def _make(self) -> _Client:
        try:
            return _MAKERS.get(self._endpoint.provider, _other)(self.name, self._endpoint)
        except ImportError:
            extra = self._endpoint.provider
            what = f"'pagefault[{extra}]'" if extra in _MAKERS else f"'pydantic-ai-slim[{extra}]'"
            raise ModelSetupError(f"{self.name} needs a package; run: pip install {what}") from None

    def _checked(self, response: ai.ModelResponse, prompt: Prompt) -> Completion:
        """Return the completion; ``ModelError`` if it did not end properly, or is empty without a reason."""
        finish, made = response.finish_reason, completion(response, self._endpoint.provider)
        if finish is None:  # the library takes a cut stream for a whole one
            raise cut_off(self.name)
        if finish == "error":
            raise ModelUnavailable(f"{self.name} broke off its answer; try again.")
        if error := unanswered(self.name, made, finish, prompt.max_tokens):
            raise error
        return made

    def _mapped(self, error: Exception, *, begun: bool) -> ModelError:
        from pydantic_ai import exceptions as ai_errors

        base = self._endpoint.base_url
        where = f"{self.name} at {base}" if base else self.name
        if isinstance(error, ai_errors.ModelHTTPError):
            return self._refused(error, where)
        if isinstance(error, ai_errors.ModelTimeoutError | ai_errors.ModelRequestTimeout):
            return timed_out(where, self._endpoint.timeout)
        if isinstance(error, ai_errors.ModelConnectionError):
            return cut_off(where) if begun else unreachable(where, error)
        said = shortened(str(error), self._endpoint.key)
        if isinstance(error, ai_errors.ContentFilterError):
            return filtered(where)
        return ModelUnavailable(f"{where} broke off: {said}")

    def _refused(self, error: ModelAPIError, where: str) -> ModelError:
        from pydantic_ai.exceptions import ModelQuotaExceededError

        body: Any = error.body
        fields = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        if isinstance(fields.get("error"), dict):
            fields = cast("dict[str, Any]", fields["error"])
        said = str(fields.get("message") or cast("object", body) or error)
        status: int | None = getattr(error, "status_code", None)
        headers: dict[str, str] = {}
        if error.retry_after is not None and not isinstance(error, ModelQuotaExceededError):
            headers["retry-after"] = str(error.retry_after)  # Gemini has it in the body
        code = f"{fields.get('type') or ''} {fields.get('status') or ''}"
        return model_error(ErrorResponse(where, status, code, said, headers), self._endpoint)


@dataclass(frozen=True, slots=True)
class _Client:
    """A model of the library, and the function that closes its connections."""

    model: LibraryModel
    close: Callable[[], Awaitable[None]]


def _anthropic(name: str, endpoint: Endpoint) -> _Client:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    from pagefault.connections.client import http_client

    client = AsyncAnthropic(
        api_key=endpoint.key, base_url=endpoint.base_url or None, timeout=endpoint.timeout,
        max_retries=0, default_headers=dict(endpoint.headers),
        http_client=http_client(timeout=endpoint.timeout, saw=endpoint.saw),
    )  # fmt: skip
    return _Client(AnthropicModel(name, provider=AnthropicProvider(anthropic_client=client)), client.close)


def _google(name: str, endpoint: Endpoint) -> _Client:
    from google.genai import Client
    from google.genai.types import HttpOptions, HttpRetryOptions
    from httpx2 import Client as UnusedClient
    from httpx2 import MockTransport, Response
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    from pagefault.connections.client import http_client

    http = http_client(timeout=endpoint.timeout, saw=endpoint.saw)  # pydantic-ai knows its errors
    # Without these the library makes its own, and fails on proxies and certificates that cannot be used.
    unused = UnusedClient(transport=MockTransport(lambda _: Response(501)), trust_env=False)
    no_trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    options = HttpOptions(
        base_url=endpoint.base_url or None, headers=dict(endpoint.headers),
        timeout=int(endpoint.timeout * 1e3), retry_options=HttpRetryOptions(attempts=1),
        httpx_async_client=http, httpx_client=unused,
        async_client_args={"verify": no_trust, "ssl": no_trust},
    )  # fmt: skip
    client = Client(vertexai=False, api_key=endpoint.key, http_options=options)
    return _Client(GoogleModel(name, provider=GoogleProvider(client=client)), http.aclose)


def _other(name: str, endpoint: Endpoint) -> _Client:
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.models import infer_model

    from pagefault.connections.client import http_client

    http = http_client(timeout=endpoint.timeout, saw=endpoint.saw)
    try:
        model = infer_model(f"{endpoint.provider}:{name}", lambda kind: _provider_over(http, kind))
    except (UserError, ValueError) as error:
        raise ModelSetupError(f"{name}: {shortened(str(error))}") from None
    except (
        ImportError,
        OSError,
    ) as error:  # a library that makes its own client, over what the environment has
        if isinstance(error, ImportError) and "socksio" not in str(error):
            raise
        said = shortened(str(error))
        fix = "correct or unset the variables of proxies (HTTPS_PROXY) and certificates (SSL_CERT_FILE)"
        raise ModelSetupError(f"{name} cannot be reached: {said}; {fix}.") from None
    vars(model)["profile"] = {**model.profile, "thinking_tags": _NO_TAGS}
    return _Client(model, http.aclose)


def _provider_over(http: AsyncClient, kind: str) -> Provider[Any]:
    """Return a provider of the library that sends by our client, if it takes one of this kind."""
    from pydantic_ai.providers import infer_provider, infer_provider_class

    if not kind.startswith("gateway/"):
        made = infer_provider_class(kind)
        taken = signature(made).parameters.get("http_client")
        if taken is not None and not str(taken.annotation).startswith("httpx."):
            return cast("Any", made)(http_client=http)
    return infer_provider(kind)


_MAKERS = {"anthropic": _anthropic, "google": _google}
