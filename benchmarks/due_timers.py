"""The time that another agent's turn takes while very many timers come due at once.

    python benchmarks/due_timers.py [TIMERS]

One agent of a file database has TIMERS (10,000) timers that are due; another is asked, again and again, by a
model that answers at once, before and while they fire. Printed: the quiet times and those meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import anyio

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.kernel import Kernel
from pagefault.kernel.timers import post_due
from pagefault.storage import Transaction
from pagefault.testing.clock import FixedClock
from pagefault.testing.models import ScriptedModel
from pagefault.types import Schedule


async def asked(kernel: Kernel, until: anyio.Event | None, times: int) -> list[float]:
    """Milliseconds of turns, one after another."""
    took: list[float] = []
    while len(took) < times and not (until and until.is_set()):
        begun = perf_counter()
        async for _ in kernel.send("bo", "Hello."):
            pass
        took.append(1000 * (perf_counter() - begun))
    return took


def shown(name: str, took: list[float]) -> str:
    took = sorted(took)
    median, p95 = took[len(took) // 2], took[int(0.95 * (len(took) - 1))]
    return f"{name}: {len(took)} turns, median {median:.1f} ms, p95 {p95:.1f} ms, most {took[-1]:.1f} ms"


async def measure(home: Path, timers: int) -> None:
    clock = FixedClock()
    parts = Parts(model=ScriptedModel([]), embedder=NullEmbedder(), clock=clock)
    async with open_kernel(home, parts, Installation()) as kernel:
        for name in ("ana", "bo"):
            await kernel.create_agent(name, parse_settings({"zone": "UTC", "window": 32768}))
        ana = await kernel.record("ana")

        def set_them(tx: Transaction) -> None:
            for number in range(timers):
                tx.add_schedule(ana.id, Schedule(f"timer {number}", clock.now(), "UTC"))

        await kernel.store.write(set_them)
        print(shown("quiet", await asked(kernel, None, 100)))
        fired = anyio.Event()
        took: list[float] = []

        async def fire() -> None:
            begun = perf_counter()
            await post_due(kernel.store, clock.now())  # without the turns they lead to
            print(f"{timers:,} timers fired in {perf_counter() - begun:.2f} s")
            fired.set()

        async with anyio.create_task_group() as tasks:
            clock.advance(1)
            tasks.start_soon(fire)
            took = await asked(kernel, fired, 100_000)
        print(shown("while they fire", took))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
