"""How long a fork takes, and how long it keeps others from writing, by the length of the log.

    python benchmarks/forking.py [ROWS ...]

An agent with so many rows of talk, and a tenth as many passages with vectors, is forked on SQLite; meanwhile
another agent writes a row every 10 ms, and each of these writes is timed. Rows are those of a scripted talk;
the model is not asked.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

import anyio
import numpy as np

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.kernel import Kernel
from pagefault.kernel.forking import fork
from pagefault.storage import Transaction
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.models import ScriptedModel
from pagefault.types import AgentId, Message, Passage, Role

BATCH = 500
DIMENSIONS = 384
WORDS = [f"word{number}" for number in range(5000)]


async def filled(kernel: Kernel, rows: int) -> AgentId:
    """An agent ``ana`` with so many rows, and a tenth as many passages with vectors."""
    ana = (await kernel.create_agent("ana", parse_settings({}))).id
    now, drawn = kernel.clock.now(), random.Random(1)

    def text() -> str:
        return " ".join(drawn.choices(WORDS, k=30))

    for _ in range(0, rows, BATCH):
        batch = [Message(Role.USER if n % 2 else Role.ASSISTANT, t := text(), now, t) for n in range(BATCH)]
        await kernel.store.write(lambda tx, batch=batch: tx.append(ana, batch))
    for _ in range(0, rows // 10, BATCH):
        batch = [Passage(text(), now) for _ in range(BATCH)]
        await kernel.store.write(lambda tx, batch=batch: tx.insert_passages(ana, batch))
    draw = np.random.default_rng(1)

    def embed(tx: Transaction) -> int:
        pending = tx.pending_vectors("f", BATCH)
        vectors = draw.normal(size=(len(pending), 1, DIMENSIONS)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
        tx.put_vectors("f", pending, list(vectors))
        return len(pending)

    while await kernel.store.write(embed):
        pass
    return ana


async def measured(folder: Path, rows: int) -> None:
    """Print how long the fork took, and how long the writes of another agent took meanwhile."""
    store = SQLiteStore.open(folder / "a.db")
    parts = Parts(model=ScriptedModel([]), embedder=NullEmbedder(), store=store)
    async with open_kernel(folder, parts, Installation()) as kernel:
        await filled(kernel, rows)
        other = (await kernel.create_agent("other", parse_settings({}))).id
        waits, seconds, is_over = list[float](), 0.0, False
        row = Message(Role.USER, "between", kernel.clock.now())

        async def write() -> None:
            while not is_over:
                began = time.perf_counter()
                await kernel.store.write(lambda tx: tx.append(other, [row]))
                waits.append(time.perf_counter() - began)
                await anyio.sleep(0.01)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            began = time.perf_counter()
            await fork(kernel, "ana", "bo")
            seconds = time.perf_counter() - began
            is_over = True
    waits.sort()
    p50, p99 = (1000 * waits[int(len(waits) * share)] for share in (0.5, 0.99))
    print(
        f"{rows:,} rows: forked in {seconds:.1f} s; {len(waits):,} writes of another agent meanwhile: "
        f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, longest {1000 * waits[-1]:.0f} ms"
    )


if __name__ == "__main__":
    for size in map(int, sys.argv[1:] or ["10000", "100000"]):
        with tempfile.TemporaryDirectory() as folder:
            anyio.run(measured, Path(folder), size)
