"""How long forgetting one item takes, and how long it keeps others from writing, by the length of the log.

    python benchmarks/forgetting.py [ROWS ...]

An agent with so many rows of talk, and a tenth as many passages with vectors, forgets one text that stands in
a single message, on SQLite; meanwhile another agent writes a row every 10 ms, and each of these writes is
timed. The model is not asked: no summary covers the row.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import anyio

from forking import filled
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.kernel.forgetting import LiteralQuery, Selection, forget, plan
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.models import ScriptedModel
from pagefault.types import Message, Role

SECRET = "4711-Aurora"


async def measured(folder: Path, rows: int) -> None:
    """Print how long the plan and the forgetting took, and how long another agent's writes took meanwhile."""
    store = SQLiteStore.open(folder / "a.db")
    parts = Parts(model=ScriptedModel([]), embedder=NullEmbedder(), store=store)
    async with open_kernel(folder, parts, Installation()) as kernel:
        ana = await filled(kernel, rows)
        now = kernel.clock.now()
        await kernel.store.write(lambda tx: tx.append(ana, [Message(Role.USER, SECRET, now, SECRET)]))
        other = (await kernel.create_agent("other", parse_settings({}))).id
        row, waits, is_over = Message(Role.USER, "between", now), list[float](), False
        counts, seconds = dict[str, int](), 0.0
        selection = Selection(query=LiteralQuery(SECRET))

        async def write() -> None:
            while not is_over:
                began = time.perf_counter()
                await kernel.store.write(lambda tx: tx.append(other, [row]))
                waits.append(time.perf_counter() - began)
                await anyio.sleep(0.01)

        began = time.perf_counter()
        await plan(kernel, "ana", selection)
        planned = time.perf_counter() - began
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            began = time.perf_counter()
            counts |= (await forget(kernel, "ana", selection)).counts
            seconds, is_over = time.perf_counter() - began, True
        assert counts["message"] == 1
        print(
            f"{rows:>9,} rows: planned in {planned:6.2f} s, forgotten in {seconds:6.2f} s; "
            f"longest wait of another writer {max(waits):.2f} s",
            flush=True,
        )


def main(counts: list[int]) -> None:
    for rows in counts:
        with tempfile.TemporaryDirectory() as folder:
            anyio.run(measured, Path(folder), rows)


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [1_000, 10_000, 100_000])
