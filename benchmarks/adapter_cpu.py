"""CPU of one streamed request: the model adapters beside a plain HTTP client and the ``openai`` client.

A conversation grows by two messages from request to request, at three lengths. Each client in turn sends the
same prompt to a server that answers at once from another process and reads the streamed answer to its end.
Plain is ``json.dumps`` of the whole body and ``json.loads`` of each event over ``httpx2``. Medians of the
client process's CPU; the clients alternate with each request, so that a slow minute hits all alike.

    python benchmarks/adapter_cpu.py [--requests 60]

Left out: the network, and providers' latency. ``turn_http.py`` has whole turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx2
import openai

from instant_server import REPLY, instant_server
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.models import Completion, Model, Prompt, PromptMessage
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.endpoint import Endpoint, ModelOptions, RequestSettings
from pagefault.models.ollama import OllamaModel
from pagefault.models.openai import OpenAIModel
from pagefault.models.pydantic_ai import PydanticAIModel
from pagefault.testing.models import ScriptedModel
from turn_overhead import sentence

LENGTHS = (100, 600, 2_000)
WINDOW = 200_000
BASE, ADAPTER, STACK = "plain httpx2", "OpenAIModel", "the same, as Catalogue makes it"
AFTER_FLUSH = "OpenAIModel, first after a flush"
MOST = 3.0  # times the plain client's CPU
BOUND = (100, 600)  # the lengths for which it holds

Ask = Callable[[Prompt], Awaitable[str]]
"""Sends a prompt; gives the arguments of the call that came back."""


async def first_prompt() -> Prompt:
    """What an agent with the usual settings asks first: instructions, working context, all functions."""
    model = ScriptedModel([])
    parts = Parts(model=model, embedder=NullEmbedder())
    with tempfile.TemporaryDirectory() as home:
        async with open_kernel(Path(home), parts, Installation()) as kernel:
            await kernel.create_agent("ana", parse_settings({"zone": "UTC"}))
            _ = [output async for output in kernel.send("ana", "Hello!")]
    return model.prompts[0]


def prompt_of(first: Prompt, length: int, opening: str = "") -> Prompt:
    """A prompt of so many messages, each object new as after a flush. Prompts with one ``opening``
    go on from each other."""
    head = replace(first.messages[0], text=first.messages[0].text + opening)
    said = (PromptMessage("assistant" if n % 2 else "user", sentence(n)) for n in range(length - 1))
    return replace(first, messages=(head, *said))


def openai_fields(prompt: Prompt) -> dict[str, Any]:
    """What a client of the OpenAI shape holds ready: its messages and tools as plain values."""
    return {
        "model": "instant",
        "messages": [{"role": message.role, "content": message.text} for message in prompt.messages],
        "tools": [
            {
                "type": "function",
                "function": {"name": f.name, "description": f.description, "parameters": f.parameters},
            }
            for f in prompt.functions
        ],
        "max_tokens": prompt.max_tokens,
        "stream": True,
    }


async def plain(client: httpx2.AsyncClient, body: dict[str, Any]) -> str:
    said = ""
    headers = {"content-type": "application/json", "authorization": "Bearer none"}
    async with client.stream("POST", "/chat/completions", content=json.dumps(body), headers=headers) as got:
        async for line in got.aiter_lines():
            if line.startswith("data: {"):
                delta = json.loads(line[6:])["choices"][0]["delta"]
                for call in delta.get("tool_calls") or ():
                    said += call["function"]["arguments"]
    return said


async def ordinary(client: openai.AsyncOpenAI, body: dict[str, Any]) -> str:
    said = ""
    stream = cast("openai.AsyncStream[Any]", await client.chat.completions.create(**body))
    async for chunk in stream:
        for call in chunk.choices[0].delta.tool_calls or ():
            said += call.function.arguments
    return said


def through(model: Model) -> Ask:
    async def ask(prompt: Prompt) -> str:
        async with aclosing(model.stream(prompt)) as items:
            async for item in items:
                if isinstance(item, Completion):
                    return item.calls[0].arguments
        raise AssertionError("no completion")

    return ask


@asynccontextmanager
async def clients(url: str):
    """All that are compared, by name; each takes the prompt in the form in which it would hold it."""
    at, options = url + "/v1", ModelOptions()
    catalogue = Catalogue({})
    adapters = [
        OpenAIModel("instant", WINDOW, Endpoint(at, at), options),
        OllamaModel("instant", WINDOW, Endpoint("ollama", url), options),
        PydanticAIModel("claude-sonnet-4-6", WINDOW, Endpoint("anthropic", url, "none"), options),
    ]
    async with (
        httpx2.AsyncClient(base_url=at) as http,
        openai.AsyncOpenAI(api_key="none", base_url=at) as usual,
    ):
        yield {
            BASE: lambda prompt: plain(http, prompt),
            "openai client": lambda prompt: ordinary(usual, prompt),
            ADAPTER: through(adapters[0]),
            AFTER_FLUSH: through(adapters[0]),
            STACK: through(catalogue.model(f"{at}#instant", WINDOW, RequestSettings())),
            "OllamaModel": through(adapters[1]),
            "PydanticAIModel, Anthropic": through(adapters[2]),
        }
    for model in [*adapters, catalogue]:
        await model.aclose()


async def measure(url: str, length: int, requests: int) -> dict[str, float]:
    """CPU ms of a request of each client, at this length and the requests that follow from it."""
    first = await first_prompt()
    async with clients(url) as asks:
        took: dict[str, list[float]] = {name: [] for name in asks}
        for number in range(-2, requests):
            for name, ask in asks.items():
                opening = f" {number}" if name == AFTER_FLUSH else f" {name}"
                prompt: Any = prompt_of(first, length + 2 * number, opening)
                if "Model" not in name and name != STACK:
                    prompt = openai_fields(prompt)
                begin = time.process_time()
                said = await ask(prompt)
                spent = time.process_time() - begin
                assert REPLY in said, said
                if number >= 0:
                    took[name].append(spent * 1e3)
    return {name: statistics.median(each) for name, each in took.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=60)
    requests: int = parser.parse_args().requests
    with instant_server() as url:
        costs = {length: asyncio.run(measure(url, length, requests)) for length in LENGTHS}
    print(f"{'CPU ms of a request (times plain)':<36}" + "".join(f"{n:>10,} messages" for n in LENGTHS))
    for name in costs[LENGTHS[0]]:
        cells = (f"{cost[name]:>11.2f} ({cost[name] / cost[BASE]:.2f})" for cost in costs.values())
        print(f"{name:<36}" + "".join(f"{cell:>19}" for cell in cells))
    worst = max(costs[length][ADAPTER] / costs[length][BASE] for length in BOUND)
    print(f"{ADAPTER} at {BOUND[0]} and {BOUND[1]} messages, at most: {worst:.2f} x plain (aim: {MOST:g})")
    return 0 if worst <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
