"""CPU of one streamed delta of text: through the wrappers of a model, over HTTP, and in a whole turn.

Each figure is the CPU of a stream of many deltas less that of a short one, divided by the difference. The
model of the first and the last row is in the process and answers at once; that of the second is a server in
another process, whose CPU does not count. The least of five runs.

    python benchmarks/stream_delta.py [--before DIR]

``DIR`` is a checkout of an earlier version, measured in the same run by a process of its own. Left out: the
network, and printing. "Plain httpx2" reads the same stream with ``json.loads`` and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from importlib import import_module
from pathlib import Path
from typing import Any

from pagefault.models import Completion, Delta, FunctionSchema, Prompt, PromptMessage, StreamItem

MANY = 4_000
AIM = 30.0  # us a delta
PIECE = "of the "
PROMPT = Prompt(
    (PromptMessage("system", "Be brief."), PromptMessage("user", "Hello")),
    (FunctionSchema("send_message", "Speak.", {"type": "object"}),),
    100,
)


class Fluent:
    """Answers at once with ``pieces`` deltas of plain text."""

    name = "fluent"
    window = 100_000
    pieces = MANY

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        if prompt.functions:
            for _ in range(self.pieces):
                yield Delta(PIECE)
        yield Completion(PIECE * (self.pieces if prompt.functions else 1))


def wrapped(model: Any) -> Any:
    try:
        from pagefault.models.wrappers.function_calling import FunctionCallingModel
        from pagefault.models.wrappers.retrying import RetryingModel
    except ImportError:  # before they were called so
        FunctionCallingModel = import_module("pagefault.models.calling").CallingModel
        RetryingModel = import_module("pagefault.models.patience").PatientModel
    return RetryingModel([FunctionCallingModel(model, "auto")])


def served(url: str) -> Any:
    try:
        from pagefault.models.directory.catalogue import Catalogue
        from pagefault.models.endpoint import RequestSettings
    except ImportError:
        Catalogue = import_module("pagefault.models.catalogue").Catalogue
        RequestSettings = import_module("pagefault.models.endpoint").Asking
    return Catalogue({}).model(f"{url}/v1#instant", 100_000, RequestSettings())


async def cost_of(stream: Callable[[], Coroutine[Any, Any, int]]) -> tuple[float, int]:
    """CPU seconds and deltas of one stream."""
    begin = time.process_time()
    deltas = await stream()
    return time.process_time() - begin, deltas


async def per_delta(many: Callable[[], Coroutine[Any, Any, int]], few: Any) -> float:
    """CPU us of one delta."""
    await many()
    await few()
    least = [min([await cost_of(stream) for _ in range(5)]) for stream in (many, few)]
    (long, deltas), (short, others) = least
    return (long - short) / (deltas - others) * 1e6


def through(model: Any) -> Callable[[], Coroutine[Any, Any, int]]:
    async def stream() -> int:
        return sum([isinstance(item, Delta) async for item in model.stream(PROMPT)])

    return stream


async def wrappers() -> float:
    long, short = Fluent(), Fluent()
    short.pieces = 1
    return await per_delta(through(wrapped(long)), through(wrapped(short)))


async def over_http(long: str, short: str) -> float:
    return await per_delta(through(served(long)), through(served(short)))


async def plain(long: str, short: str) -> float:
    import httpx2

    async with httpx2.AsyncClient() as client:

        def reading(url: str) -> Callable[[], Coroutine[Any, Any, int]]:
            async def stream() -> int:
                asked = client.stream("POST", f"{url}/v1/chat/completions", json={"stream": True})
                async with asked as got:
                    lines = [line async for line in got.aiter_lines() if line.startswith("data: {")]
                    return len([json.loads(line[6:]) for line in lines])

            return stream

        return await per_delta(reading(long), reading(short))


async def whole_turn() -> float:
    from pagefault.build import open_kernel
    from pagefault.config import Installation, parse_settings
    from pagefault.embedders.null import NullEmbedder

    try:
        from pagefault.assembly import Parts
    except ImportError:
        Parts = import_module("pagefault.build").Parts
    model = Fluent()
    parts = Parts(model=wrapped(model), embedder=NullEmbedder())
    with tempfile.TemporaryDirectory() as home:
        async with open_kernel(Path(home), parts, Installation()) as kernel:
            settings = parse_settings({"zone": "UTC", "style": "native", "window": 100_000})
            if hasattr(kernel, "create_agent"):
                await kernel.create_agent("ana", settings)
            else:
                await import_module("pagefault.build").create_agent(kernel, "ana", settings, parts)

            def turn(pieces: int) -> Callable[[], Coroutine[Any, Any, int]]:
                async def stream() -> int:
                    model.pieces = pieces
                    return sum([output.type == "delta" async for output in kernel.send("ana", "Hello")])

                return stream

            return await per_delta(turn(MANY), turn(1))


async def measure(long: str, short: str) -> dict[str, float]:
    return {
        "plain httpx2": await plain(long, short),
        "wrappers, model in the process": await wrappers(),
        "adapter and wrappers, over HTTP": await over_http(long, short),
        "a whole turn, model in the process": await whole_turn(),
    }


def measured_in(version: Path, long: str, short: str) -> dict[str, float]:
    """The figures of a checkout, from a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(version / "src")}
    command = [sys.executable, __file__, "--child", long, short]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(asyncio.run(measure(*given.child))))
        return 0
    from instant_server import instant_server

    with instant_server(100) as long, instant_server(1) as short:
        before = measured_in(given.before, long, short) if given.before else {}
        now = measured_in(Path(__file__).parents[1], long, short)
    print(f"{'CPU us of a streamed delta':<38}{'before':>9}{'now':>9}{'aim':>9}")
    for name, cost in now.items():
        print(f"{name:<38}{before.get(name, float('nan')):>9.1f}{cost:>9.1f}{AIM:>9.0f}")
    return 0 if max(now.values()) <= AIM else 1


if __name__ == "__main__":
    sys.exit(main())
