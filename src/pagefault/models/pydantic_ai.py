"""Anthropic, Gemini and whatever else pydantic-ai knows, through its model layer.

Only that layer is used: a prompt in its parts, one streamed request, typed errors. Nothing of its agents, and
no row of ours is ever its JSON: what a provider wants back with a completion (signed thinking) is kept as
``echo``. Left out: its retries (``patience`` has them), files, tools that providers run themselves.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

from pagefault.errors import ModelError, ModelSetupError, ModelUnavailable
from pagefault.models import Call, Completion, Delta, FunctionSchema, Prompt, PromptMessage, StreamItem, Usage
from pagefault.models.endpoint import Endpoint, Options
from pagefault.models.refusal import Refusal, model_error

if TYPE_CHECKING:
    from pydantic_ai import messages as ai
    from pydantic_ai.exceptions import ModelAPIError
    from pydantic_ai.models import Model as LibraryModel
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.settings import ModelSettings

__all__ = ["PydanticAIModel"]

_BUDGETS = {"low": 2048, "medium": 8192, "high": 24_576}  # tokens of thinking for a level


class PydanticAIModel:
    """A model of the provider ``endpoint.provider``, by pydantic-ai's name for it; ``window`` is in tokens.

    ``ModelSetupError`` at the first ``stream`` if a package is missing. The connections belong to the event
    loop of the first ``stream``.
    """

    def __init__(self, model: str, window: int, endpoint: Endpoint, options: Options) -> None:
        self.name = model
        self.window = window
        self._endpoint = endpoint
        self._options = options
        self._made: LibraryModel | None = None

    def __repr__(self) -> str:
        return f"PydanticAIModel({self.name!r}, {self.window}, provider={self._endpoint.provider!r})"

    async def aclose(self) -> None:
        """Close the connections; the next ``stream`` opens new ones."""
        if self._made:
            client: Any = getattr(self._made, "client", None)
            close: Any = getattr(getattr(client, "aio", None), "aclose", None) or getattr(
                client, "close", None
            )
            if close:
                await close()
            self._made = None

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """Stream the answer to ``prompt``; raises ``ModelError`` and its subclasses only."""
        model = self._model()
        from pydantic_ai.direct import model_request_stream
        from pydantic_ai.exceptions import AgentRunError, UserError

        numbers: dict[int, tuple[int, str]] = {}  # their part: our call
        try:
            async with model_request_stream(
                model,
                _messages(prompt.messages, self._endpoint.provider),
                model_settings=_settings(prompt, self._endpoint.provider, self._options),
                model_request_parameters=_parameters(prompt),
                instrument=False,
            ) as answer:
                async for event in answer:
                    for delta in _deltas(event, numbers):
                        yield delta
                response = answer.get()
        except AgentRunError as error:
            raise self._mapped(error, began=bool(numbers)) from None
        except UserError as error:
            raise ModelError(f"{self.name}: {' '.join(str(error).split())[:300]}") from None
        yield self._completion(response, prompt)

    def _model(self) -> LibraryModel:
        if self._made is None:
            try:
                self._made = self._make()
            except ImportError:
                extra = self._endpoint.provider
                what = f"'pagefault[{extra}]'" if extra in _EXTRAS else f"'pydantic-ai-slim[{extra}]'"
                raise ModelSetupError(f"{self.name} needs a package; run: pip install {what}") from None
        return self._made

    def _make(self) -> LibraryModel:
        endpoint = self._endpoint
        if endpoint.provider == "anthropic":
            from anthropic import AsyncAnthropic
            from pydantic_ai.models.anthropic import AnthropicModel
            from pydantic_ai.providers.anthropic import AnthropicProvider

            client = AsyncAnthropic(
                api_key=endpoint.key, base_url=endpoint.base_url or None, timeout=endpoint.timeout,
                max_retries=0, default_headers=dict(endpoint.headers),
            )  # fmt: skip
            return AnthropicModel(self.name, provider=AnthropicProvider(anthropic_client=client))
        if endpoint.provider == "google":
            from google.genai import Client
            from google.genai.types import HttpOptions, HttpRetryOptions
            from pydantic_ai.models.google import GoogleModel
            from pydantic_ai.providers.google import GoogleProvider

            options = HttpOptions(
                base_url=endpoint.base_url or None, headers=dict(endpoint.headers),
                timeout=int(endpoint.timeout * 1e3), retry_options=HttpRetryOptions(attempts=1),
            )  # fmt: skip
            made = Client(vertexai=False, api_key=endpoint.key, http_options=options)
            return GoogleModel(self.name, provider=GoogleProvider(client=made))
        from pydantic_ai.exceptions import UserError
        from pydantic_ai.models import infer_model

        try:
            return infer_model(f"{endpoint.provider}:{self.name}")
        except (UserError, ValueError) as error:
            raise ModelSetupError(f"{self.name}: {' '.join(str(error).split())[:300]}") from None

    def _completion(self, response: ai.ModelResponse, prompt: Prompt) -> Completion:
        """The whole; ``ModelError`` if it did not end properly, or has nothing in it where there was room."""
        from pydantic_ai.messages import TextPart, ThinkingPart, ToolCallPart

        finish, parts = response.finish_reason, response.parts
        if finish is None:  # the library takes a stream that was cut for a whole one
            raise ModelUnavailable(f"The answer of {self.name} was cut off; try again.")
        text = "".join(part.content for part in parts if isinstance(part, TextPart))
        made = [part for part in parts if isinstance(part, ToolCallPart)]
        if finish == "content_filter" and not text.strip() and not made:
            raise ModelError(f"A content filter withheld the answer of {self.name}; say it another way.")
        if finish == "error":
            raise ModelUnavailable(f"{self.name} broke off its answer; try again.")
        if finish == "length" and not text.strip() and not made:
            limit = f"{prompt.max_tokens:,} reply tokens"
            raise ModelError(
                f"{self.name} used up its {limit} with no answer; reserve more, or let it think less."
            )
        thinking = "".join(part.content for part in parts if isinstance(part, ThinkingPart))
        calls = tuple(Call(part.tool_call_id, part.tool_name, part.args_as_json_str()) for part in made)
        return Completion(
            text, calls, _usage(response), thinking, _echo(parts, self._endpoint.provider),
            finish == "length", response.model_name or "",
        )  # fmt: skip

    def _mapped(self, error: Exception, *, began: bool) -> ModelError:
        from pydantic_ai import exceptions as ai_errors

        base = self._endpoint.base_url
        where = f"{self.name} at {base}" if base else self.name
        if isinstance(error, ai_errors.ModelHTTPError):
            return self._refused(error, where)
        if isinstance(error, ai_errors.ModelTimeoutError | ai_errors.ModelRequestTimeout):
            return ModelUnavailable(f"{where} did not answer within {self._endpoint.timeout:g} s.")
        if isinstance(error, ai_errors.ModelConnectionError):
            if began:
                return ModelUnavailable(f"The answer of {where} was cut off; try again.")
            return ModelUnavailable(f"{where} cannot be reached; check the network and the address.")
        said = " ".join(str(error).replace(self._endpoint.key or "\0", "[key]").split())[:300]
        if isinstance(error, ai_errors.ContentFilterError):
            return ModelError(f"A content filter withheld the answer of {where}; say it another way.")
        return ModelUnavailable(f"{where} broke off: {said}")

    def _refused(self, error: ModelAPIError, where: str) -> ModelError:
        body: Any = error.body
        told = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        if isinstance(told.get("error"), dict):
            told = cast("dict[str, Any]", told["error"])
        said = str(told.get("message") or cast("object", body) or error)
        status: int | None = getattr(error, "status_code", None)
        headers: dict[str, str] = getattr(error, "headers", None) or {}
        code = f"{told.get('type') or ''} {told.get('status') or ''}"
        return model_error(Refusal(where, status, code, said, headers), self._endpoint)


_EXTRAS = ("anthropic", "google")


# The prompt in the library's parts


def _parameters(prompt: Prompt) -> ModelRequestParameters:
    from pydantic_ai.models import ModelRequestParameters

    return ModelRequestParameters(function_tools=[_tool(function) for function in prompt.functions])


def _tool(function: FunctionSchema) -> Any:
    from pydantic_ai.tools import ToolDefinition

    return ToolDefinition(
        name=function.name,
        description=function.description,
        parameters_json_schema=dict(function.parameters),
        strict=False,
    )


def _settings(prompt: Prompt, provider: str, options: Options) -> ModelSettings:
    """What is asked for beside the prompt; the cache marks at the end of the tools, of the system text, and
    of the whole. A fourth one stands where the previous request ended (``_messages``)."""
    settings: dict[str, Any] = {"max_tokens": prompt.max_tokens}
    if options.temperature is not None:
        settings["temperature"] = options.temperature
    thinking = options.thinking
    if isinstance(thinking, int) and provider == "google":
        settings["google_thinking_config"] = {"thinking_budget": thinking}
    elif isinstance(thinking, int) and provider == "anthropic":
        settings["anthropic_thinking"] = {"type": "enabled", "budget_tokens": thinking}
    elif thinking is not None:
        if isinstance(thinking, int):
            thinking = next((level for level, most in _BUDGETS.items() if thinking <= most), "high")
        settings["thinking"] = False if thinking == "off" else thinking
    if provider == "anthropic":
        marks = ("tool_definitions", "instructions", "messages")
        settings |= {f"anthropic_cache_{where}": True for where in marks}
    return settings  # pyright: ignore[reportReturnType]  the keys are those of each provider's settings


def _messages(messages: Sequence[PromptMessage], provider: str) -> list[ai.ModelMessage]:
    """The prompt as requests and responses by turns: what the model did not say is one request each time."""
    from pydantic_ai.messages import CachePoint, ModelMessage, ModelRequest, UserPromptPart

    made: list[ModelMessage] = []
    for said, group in groupby(messages, key=lambda message: message.role == "assistant"):
        if said:
            made += [_response(message, provider) for message in group]
        else:
            made.append(ModelRequest(parts=[_part(message) for message in group]))
    asked = [message for message in made if isinstance(message, ModelRequest)]
    if provider == "anthropic" and len(asked) > 1 and isinstance(made[-1], ModelRequest):
        before = asked[-2]  # where the request before this one ended
        before.parts = [*before.parts, UserPromptPart([CachePoint()])]
    return made


def _part(message: PromptMessage) -> ai.ModelRequestPart:
    from pydantic_ai.messages import SystemPromptPart, ToolReturnPart, UserPromptPart

    if message.role == "system":
        return SystemPromptPart(message.text)
    if message.role == "tool":
        return ToolReturnPart(message.name or "", message.text, message.call_id or "")
    return UserPromptPart(message.text)


def _response(message: PromptMessage, provider: str) -> ai.ModelResponse:
    from pydantic_ai.messages import ModelResponse, TextPart, ThinkingPart, ToolCallPart

    echo: Mapping[str, Any] = message.echo or {}
    if echo.get("provider") != provider:  # another's thinking would be sent as text
        echo = {}
    details: Mapping[str, Any] = echo.get("calls") or {}
    text = [TextPart(message.text, **_owned(echo.get("text"), provider))] if message.text.strip() else []
    return ModelResponse(
        parts=[
            *(ThinkingPart(**kept, provider_name=provider) for kept in echo.get("thinking", ())),
            *text,
            *(
                ToolCallPart(call.name, call.arguments, call.id, **_owned(details.get(str(number)), provider))
                for number, call in enumerate(message.calls)
            ),
        ],
        provider_name=provider,
    )


def _owned(details: Any, provider: str) -> dict[str, Any]:
    return {"provider_details": details, "provider_name": provider} if details else {}


# The answer in ours


def _deltas(event: object, numbers: dict[int, tuple[int, str]]) -> Iterator[Delta]:
    """What is new in an event; ``numbers`` keeps which of our calls a part of theirs is, and its name."""
    from pydantic_ai.messages import PartDeltaEvent, PartStartEvent

    if isinstance(event, PartStartEvent):
        yield from _begun(event.index, event.part, numbers)
    elif isinstance(event, PartDeltaEvent):
        yield from _gone_on(event.index, event.delta, numbers)


def _begun(index: int, part: object, numbers: dict[int, tuple[int, str]]) -> Iterator[Delta]:
    from pydantic_ai.messages import TextPart, ThinkingPart, ToolCallPart

    if isinstance(part, ToolCallPart):
        number, name = numbers.setdefault(index, (len(numbers), part.tool_name))
        if part.args:
            yield Delta(part.args_as_json_str(), number, name)
    elif isinstance(part, TextPart | ThinkingPart) and part.content:
        yield Delta(part.content, thinking=isinstance(part, ThinkingPart))


def _gone_on(index: int, delta: object, numbers: dict[int, tuple[int, str]]) -> Iterator[Delta]:
    from pydantic_ai.messages import TextPartDelta, ThinkingPartDelta, ToolCallPartDelta

    if isinstance(delta, TextPartDelta) and delta.content_delta:
        yield Delta(delta.content_delta)
    elif isinstance(delta, ThinkingPartDelta) and delta.content_delta:
        yield Delta(delta.content_delta, thinking=True)
    elif isinstance(delta, ToolCallPartDelta) and delta.args_delta:
        args = delta.args_delta
        yield Delta(args if isinstance(args, str) else json.dumps(args), *numbers[index])


def _echo(parts: Sequence[ai.ModelResponsePart], provider: str) -> dict[str, Any] | None:
    """What the provider wants back: thinking with its signature, and details of text and of calls."""
    from pydantic_ai.messages import TextPart, ThinkingPart, ToolCallPart

    signed = [part for part in parts if isinstance(part, ThinkingPart) and (part.signature or part.id)]
    thinking = [{"content": part.content, "id": part.id, "signature": part.signature} for part in signed]
    made = [part for part in parts if isinstance(part, ToolCallPart)]
    calls = {str(n): part.provider_details for n, part in enumerate(made) if part.provider_details}
    text = next((p.provider_details for p in parts if isinstance(p, TextPart) and p.provider_details), None)
    kept = {"thinking": thinking, "calls": calls, "text": text}
    echo = {name: value for name, value in kept.items() if value}
    return {"provider": provider, **echo} if echo else None


def _usage(response: ai.ModelResponse) -> Usage | None:
    used = response.usage
    if not used.input_tokens and not used.output_tokens:
        return None
    thinking = used.details.get("thoughts_tokens") or used.details.get("reasoning_tokens") or 0
    return Usage(
        used.input_tokens, used.output_tokens, used.cache_read_tokens, used.cache_write_tokens, thinking
    )
