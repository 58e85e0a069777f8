"""The CPU of a turn on PostgreSQL, of the worker and of the server: many agents, all posted to at once.

One worker serves events of 50 agents; the model answers at once, and no vectors are made. CPU of the server
is that of all its processes, read from /proc. To compare two versions, run both in turn, several times:

    PYTHONPATH=DIR/src python benchmarks/turn_load.py [--events 400] [--agents 50] [--plans auto]

``--plans`` sets ``plan_cache_mode`` of the server's sessions anew in each transaction.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio
import psycopg

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.kernel import Kernel
from pagefault.models import Completion, Prompt
from pagefault.storage.postgres import store as postgres
from pagefault.testing.models import ScriptedModel
from pagefault.testing.postgres import server
from pagefault.types import Event, EventKind

SETTINGS = {"zone": "UTC", "style": "native"}
WARM = 100  # events before the measured ones


def answer(prompt: Prompt) -> Completion:
    return Completion(f"heard {prompt.messages[-1].text.rpartition(' ')[2]}")


def server_cpu(url: str) -> float:
    """Seconds of CPU of the server: the processes that run, and those that have ended."""
    with psycopg.connect(url) as connection:
        postmaster = _stat(connection.info.backend_pid)[1]
        running = [_stat(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")]
        ticks = sum(_stat(postmaster)[11:15])
        ticks += sum(sum(stat[11:13]) for stat in running if stat[1] == postmaster)
        return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[int]:
    """The fields of a process's ``stat`` after its name: its parent at 1, CPU of itself and of its ended
    children from 11 on; zeros if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return [0] * 15
    return [0, *map(int, fields[1:15])]


async def serve(kernel: Kernel, agents: int, events: int) -> None:
    """Post so many events, and return when all are done."""
    async with kernel.listen_all() as heard:
        for number in range(events):
            name = f"a{random.randrange(agents)}"
            await kernel.post(name, Event(EventKind.MESSAGE, f"say e{number}", f"k{random.random()}"))
        done = 0
        async for _, output in heard:
            done += output.type == "done"
            if done == events:
                return


async def measure(home: Path, url: str, agents: int, events: int) -> dict[str, float]:
    figures = dict[str, float]()
    parts = Parts(ScriptedModel(answer, window=8192), NullEmbedder())
    async with open_kernel(home, parts, Installation(database=url)) as kernel:
        for number in range(agents):
            await kernel.create_agent(f"a{number}", parse_settings(SETTINGS))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kernel.serve)
            await serve(kernel, agents, WARM)
            ours, theirs, began = time.process_time(), server_cpu(url), time.monotonic()
            await serve(kernel, agents, events)
            figures |= {
                "events a second": events / (time.monotonic() - began),
                "worker, ms a turn": (time.process_time() - ours) * 1e3 / events,
                "server, ms a turn": (server_cpu(url) - theirs) * 1e3 / events,
            }
            tasks.cancel_scope.cancel()
    return {name: round(figure, 2) for name, figure in figures.items()}


def set_plans(mode: str) -> None:
    begin = postgres.begin

    def with_plans(driver: Any, *rest: Any) -> None:
        begin(driver, *rest)
        driver.execute(f"SET LOCAL plan_cache_mode = {mode}".encode())

    postgres.begin = with_plans


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=400)
    parser.add_argument("--agents", type=int, default=50)
    parser.add_argument("--plans", choices=["auto", "force_generic_plan", "force_custom_plan"])
    given = parser.parse_args()
    if given.plans:
        set_plans(given.plans)
    with server() as databases, tempfile.TemporaryDirectory() as home:
        print(json.dumps(anyio.run(measure, Path(home), databases.new(), given.agents, given.events)))


if __name__ == "__main__":
    main()
