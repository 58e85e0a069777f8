"""The memory and the CPU of turns that are open at once in one process, while their models think.

Agents are made, a few turns warm the process up, then each agent is posted one event, and the model sleeps.
Reported are the turns open at the same time, the growth of resident memory a turn from before the first to
when all are open, and the CPU of the process while they wait.

    python benchmarks/open_turns.py [--agents 2500] [--on memory|sqlite|postgres] [--json OUT]
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import anyio

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.models import Completion, Prompt, StreamItem
from pagefault.testing.memory import MemoryStore
from pagefault.testing.postgres import server
from pagefault.types import Event, EventKind

WARM = 50  # agents that have a turn before anything is measured
WATCHED = 10.0  # seconds over which CPU is measured
TEXT = "Could you look up when the next train to Ghent leaves, and whether it is on time today?"


@dataclass
class SleepingModel:
    """Answers when it is woken; ``all_think`` is set when so many wait for it."""

    expected: int
    window: int = 8192
    name: str = "sleeping"
    thinking: int = 0
    most: int = 0

    def __post_init__(self) -> None:
        self.awake, self.all_think = anyio.Event(), anyio.Event()

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        size = len(prompt.messages)
        del prompt
        self.thinking += 1
        self.most = max(self.most, self.thinking)
        if self.thinking == self.expected:
            self.all_think.set()
        await self.awake.wait()
        self.thinking -= 1
        yield Completion(f"done, {size} messages")


def resident() -> int:
    """Kilobytes of this process that are in memory now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise RuntimeError("no VmRSS; this benchmark wants Linux")


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def run(home: Path, database: str, given: argparse.Namespace) -> dict[str, object]:
    model = SleepingModel(given.agents)
    store = MemoryStore() if given.on == "memory" else None
    parts = Parts(model, NullEmbedder(), store)
    settings = parse_settings({"zone": "UTC", "style": given.style})
    names = [f"a{number}" for number in range(given.agents + WARM)]
    installation = Installation(database=database, open_turns=len(names))
    opening = grown = waiting = ended = 0.0
    async with open_kernel(home, parts, installation) as kernel, anyio.create_task_group() as tasks:
        for name in names:
            await kernel.create_agent(name, settings)
        tasks.start_soon(kernel.serve)
        model.awake.set()
        for name in names[:WARM]:
            await kernel.post(name, Event(EventKind.MESSAGE, TEXT))
        await kernel.idle()
        model.awake, model.most = anyio.Event(), 0
        gc.collect()
        before, used = resident(), cpu()
        for name in names[WARM:]:
            await kernel.post(name, Event(EventKind.MESSAGE, TEXT))
        with anyio.move_on_after(300):
            await model.all_think.wait()
        opening = cpu() - used
        grown = resident() - before
        used = cpu()
        await anyio.sleep(WATCHED)
        waiting = (cpu() - used) / WATCHED
        began = time.monotonic()
        model.awake.set()
        await kernel.idle()
        ended = time.monotonic() - began
        tasks.cancel_scope.cancel()
    return {
        "on": given.on,
        "style": given.style,
        "open at once": model.most,
        "kB a turn": round(grown / given.agents, 1),
        "CPU ms to open one": round(1000 * opening / given.agents, 2),
        "CPU while they wait, of one core": round(waiting, 4),
        "seconds to end all": round(ended, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--agents", type=int, default=2500)
    parser.add_argument("--on", choices=("memory", "sqlite", "postgres"), default="memory")
    parser.add_argument("--style", choices=("memgpt", "native"), default="memgpt")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with (
        server() if given.on == "postgres" else nullcontext() as databases,
        tempfile.TemporaryDirectory() as home,
    ):
        figures = anyio.run(run, Path(home), databases.new() if databases else "", given)
    print(json.dumps(figures, indent=1))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
