"""Latency of an agent's turn while another one is given something hostile, against quiet.

    python benchmarks/bulkheads.py [--turns 200] [--only WORD]

One process, a SQLite file, a scripted model that answers at once: all that is measured is pagefault.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import PagefaultError
from pagefault.kernel import Kernel
from pagefault.models import Prompt
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event, Schedule

TIMERS = 10_000
HUGE = "a long story " * 76_900  # almost a million characters, the most that is taken


def act() -> str:
    """Act."""
    raise SystemExit(3)


def parse(event: Event) -> str:
    raise KeyboardInterrupt(event.text)


def answer(prompt: Prompt) -> Any:
    last = prompt.messages[-1].text
    if last.endswith("use the tool"):
        return [call("act")]
    if last.endswith("fail"):
        raise SystemExit(3)
    if "[agent " in last:
        return [call("send_to_agent", name="bea" if "[agent ann" not in last else "ann", text="Thank you!")]
    return [say("ok")]


async def send(kernel: Kernel, name: str, event: str | Event) -> None:
    try:
        async for _ in kernel.send(name, event):
            pass
    except PagefaultError:  # parked, or over a limit: it is refused
        await anyio.sleep(0.001)


async def timers(kernel: Kernel) -> None:
    record = await kernel.record("bad")
    due = datetime.now(UTC) - timedelta(seconds=1)

    def add(tx: Any) -> None:
        for number in range(TIMERS):
            tx.add_schedule(record.id, Schedule(f"timer {number}", due, "UTC"))

    await kernel.store.write(add)
    await kernel.fire_timers()
    await anyio.sleep_forever()


def again(name: str, event: str | Event) -> Callable[[Kernel], Coroutine[Any, Any, None]]:
    async def work(kernel: Kernel) -> None:
        while True:
            await send(kernel, name, event)

    return work


async def thanks(kernel: Kernel) -> None:
    while True:
        await send(kernel, "ann", Event("agent", "Thank you!", sender="bea"))


async def quiet(kernel: Kernel) -> None:
    del kernel


HOSTILE: dict[str, Callable[[Kernel], Coroutine[Any, Any, None]]] = {
    "quiet": quiet,
    "a neighbour at work": again("bad", "hello"),
    "a tool raises SystemExit": again("bad", "use the tool"),
    "a model raises SystemExit": again("bad", "fail"),
    "a parser raises": again("bad", Event("door", "open")),
    "a damaged agent": again("hurt", "hello"),
    "a message of a million characters": again("bad", HUGE),
    "two agents thank each other": thanks,
    f"{TIMERS:,} timers at once": timers,
}


async def measure(
    home: Path, hostile: Callable[[Kernel], Coroutine[Any, Any, None]], turns: int
) -> list[float]:
    parts = Parts(ScriptedModel(answer), NullEmbedder(), tools=(act,), parsers={"door": parse})
    async with open_kernel(home, parts, Installation()) as kernel:
        for name in ("good", "bad", "hurt", "ann", "bea"):
            await kernel.create_agent(name, parse_settings({"zone": "UTC", "agents": name in ("ann", "bea")}))
        with closing(sqlite3.connect(home / "pagefault.db")) as file, file:
            file.execute("UPDATE agents SET settings = '{' WHERE name = 'hurt'")
        await send(kernel, "good", "hello")
        taken: list[float] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hostile, kernel)
            await anyio.sleep(0.2)
            for _ in range(turns):
                started = time.perf_counter()
                await send(kernel, "good", "hello")
                taken.append(1000 * (time.perf_counter() - started))
                await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()
    return sorted(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--only", default="", help="besides quiet, only what is named with this word")
    arguments = parser.parse_args()
    turns: int = arguments.turns
    calm = 0.0
    print("| while | p50 ms | p95 ms | p95 against quiet |\n|---|---|---|---|")
    for what, hostile in HOSTILE.items():
        if arguments.only not in what and hostile is not quiet:
            continue
        with tempfile.TemporaryDirectory() as home:
            taken = anyio.run(measure, Path(home), hostile, turns)
        p50, p95 = taken[len(taken) // 2], taken[int(len(taken) * 0.95)]
        calm = calm or p95
        print(f"| {what} | {p50:.1f} | {p95:.1f} | {p95 / calm:.1f} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
