"""What a turn costs over HTTP, beside bare clients that hold the same conversation with the same server.

The server answers at once, from another process whose CPU does not count. A turn of ours goes through the
kernel, a SQLite file and the model as ``Catalogue`` makes it. The bare clients send the same instructions,
functions and messages and keep the talk in a list; plain is ``httpx2`` with ``json.dumps`` and
``json.loads``. The window is so large that nothing is flushed. The queue grows by three messages a turn from
the number that is given.

    python benchmarks/turn_http.py [--turns 24] [--repeats 3] [--agents 1 8 32]

Left out: the network, and providers' latency.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import openai

from adapter_cpu import first_prompt, openai_fields, ordinary, plain, prompt_of
from instant_server import instant_server
from pagefault.embedders.null import NullEmbedder
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.endpoint import RequestSettings
from turn_overhead import Case, Cost, compare, cost_of, running, sentence, turn

IN_CONTEXT = (10, 100, 600)
AGENTS = (1, 8, 32)
WINDOW = 1_000_000
MOST = 1.0  # times the CPU of a bare request through the openai client
OURS, PLAIN, CLIENT = "pagefault", "plain httpx2", "openai client"

Send = Callable[[dict[str, Any]], Awaitable[str]]


async def ours(folder: Path, url: str, *, turns: int, messages: int, agents: int) -> Cost:
    """Agents of pagefault, all at once."""
    catalogue = Catalogue({})
    model = catalogue.model(f"{url}/v1#instant", WINDOW, RequestSettings())
    home = running(folder, model, NullEmbedder(), stored=messages, agents=agents, in_queue=messages)
    async with home as (kernel, made):

        async def talk(name: str) -> AsyncGenerator[float]:
            for number in range(turns):
                yield await turn(kernel, name, number)

        cost = await cost_of([talk(record.name) for record in made], kernel.idle)
    await catalogue.aclose()
    return cost


async def bare(url: str, kind: str, *, turns: int, messages: int, agents: int) -> Cost:
    """Talks through one bare client, all at once."""
    first, at = await first_prompt(), url + "/v1"
    async with AsyncExitStack() as stack:
        if kind == PLAIN:
            limits = httpx2.Limits(max_keepalive_connections=None)
            http = await stack.enter_async_context(httpx2.AsyncClient(base_url=at, limits=limits))
            send: Send = partial(plain, http)
        else:
            usual = openai.AsyncOpenAI(api_key="none", base_url=at)
            send = partial(ordinary, await stack.enter_async_context(usual))
        bodies = [openai_fields(prompt_of(first, messages + 1)) for _ in range(agents)]
        await asyncio.gather(*(bare_turn(send, body, 0) for body in bodies))

        async def talk(body: dict[str, Any]) -> AsyncGenerator[float]:
            for number in range(turns):
                yield await bare_turn(send, body, number)

        return await cost_of([talk(body) for body in bodies])


async def bare_turn(send: Send, body: dict[str, Any], number: int) -> float:
    """A message out, a call in, its result put behind it; wall ms."""
    begin = time.perf_counter()
    said: list[dict[str, Any]] = body["messages"]
    said.append({"role": "user", "content": sentence(number)})
    function = {"name": "send_message", "arguments": await send(body)}
    call = {"id": f"call_{number}", "type": "function", "function": function}
    said.append({"role": "assistant", "content": None, "tool_calls": [call]})
    said.append({"role": "tool", "tool_call_id": call["id"], "content": "Sent."})
    return (time.perf_counter() - begin) * 1e3


def report(folder: Path, url: str, turns: int, repeats: int, crowds: Sequence[int]) -> bool:
    """Measure and print everything; whether the aim is met."""
    dearest = 0.0
    print(f"{'per turn over HTTP, ms':<54}{'CPU':>9}{'p50':>9}{'p95':>9}{'turns/s':>9}")
    for agents in crowds:
        for messages in IN_CONTEXT:
            size = {"turns": max(4, turns // agents), "messages": messages, "agents": agents}
            title = f"{agents} at once, {messages} in context: "
            cases: dict[str, Case] = {title + OURS: partial(ours, folder, url, **size)}
            cases |= {title + kind: partial(bare, url, kind, **size) for kind in (PLAIN, CLIENT)}
            our, http, usual = compare(repeats, cases).values()
            print(f"  CPU: {our.cpu / http.cpu:.2f} x plain, {our.cpu / usual.cpu:.2f} x the openai client")
            dearest = max(dearest, our.cpu / usual.cpu)
    print(f"a whole turn over a request of the openai client alone, at most: {dearest:.2f} (aim: {MOST:g})")
    return dearest <= MOST


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--turns", type=int, default=24, help="of one agent; of more in all, four each at least"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--agents", type=int, nargs="+", default=AGENTS, help="at once")
    options = parser.parse_args()
    with instant_server() as url, tempfile.TemporaryDirectory() as name:
        return 0 if report(Path(name), url, options.turns, options.repeats, options.agents) else 1


if __name__ == "__main__":
    sys.exit(main())
