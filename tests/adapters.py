"""The adapters as the catalogue makes them, each at a server on loopback that is told what to answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from pagefault.errors import ModelError
from pagefault.models import Completion, Model, Prompt, StreamItem
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.directory.providers import PROVIDERS
from pagefault.models.endpoint import ModelOptions
from pagefault.testing.model_requests import RequestConformance, ServedModel
from pagefault.testing.models import PROMPT, Fault
from pagefault.testing.providers import Delivery, ProviderRequest, ProviderServer, Shape, Turn, refuse

NAMES: dict[Shape, str] = {
    "openai": "openai:gpt-test",
    "anthropic": "anthropic:claude-haiku-4-5",
    "ollama": "ollama:qwen-test",
    "gemini": "google:gemini-2.5-flash",
}
TOO_LONG: dict[Shape, Turn] = {
    "openai": refuse(
        400, "This model's maximum context length is 8192 tokens.", code="context_length_exceeded"
    ),
    "anthropic": refuse(400, "prompt is too long: 210000 tokens > 200000 maximum"),
    "ollama": refuse(500, "the input length exceeds the context length"),
    "gemini": refuse(
        400, "The input token count (40000) exceeds the maximum number of tokens allowed (32768)."
    ),
}


@asynccontextmanager
async def adapter_at(
    server: ProviderServer, name: str, options: ModelOptions | None = None, seconds: float = 30.0
) -> AsyncGenerator[Model]:
    """The bare adapter of a model by its name, one request to a completion."""
    provider = name.partition(":")[0]
    known = replace(PROVIDERS[provider], timeout=seconds)
    if known.base_url and not known.local:  # the hosted ones have a fixed address
        known = replace(known, base_url=server.url)
    catalogue = Catalogue(server.environment, {provider: known})
    (target,) = catalogue.targets(name)
    try:
        yield catalogue.adapter(target, 8192, options or ModelOptions())
    finally:
        await catalogue.aclose()


async def streamed(
    name: str,
    turns: Sequence[Turn] | Callable[[ProviderRequest], Turn],
    prompt: Prompt = PROMPT,
    options: ModelOptions | None = None,
) -> list[StreamItem]:
    """What the adapter streams for one prompt."""
    with ProviderServer(turns) as server:
        async with adapter_at(server, name, options) as model:
            return [item async for item in model.stream(prompt)]


async def error_of(name: str, turn: Turn) -> ModelError:
    """What the adapter raises for a turn, however often it asks."""
    try:
        await streamed(name, lambda _: turn)
    except ModelError as error:
        return error
    raise AssertionError("no ModelError was raised")


class AdapterConformance(RequestConformance):
    """The suite for the adapter of one shape."""

    __test__ = False
    shape: Shape

    def wired(self, *turns: Completion | Fault) -> AbstractAsyncContextManager[ServedModel]:
        faults: dict[Fault, Turn] = {
            "too_long": TOO_LONG[self.shape],
            "refused": refuse(401, "Incorrect API key provided."),
            "overloaded": refuse(503, "The server is\noverloaded."),
            "cut": Delivery(Completion("never to be finished"), cut=True),
        }

        @asynccontextmanager
        async def serve() -> AsyncGenerator[ServedModel]:
            scripted = [faults[turn] if isinstance(turn, str) else turn for turn in turns]
            with ProviderServer(scripted) as server:
                async with adapter_at(server, NAMES[self.shape]) as model:
                    yield ServedModel(model, lambda: server.requests)

        return serve()
