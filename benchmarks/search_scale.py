"""How search, writing and opening grow with what one agent has: 10,000, 100,000 and a million memories.

Memories are messages of 15 words with the frequencies of natural language (Zipf) and vectors of 384
dimensions, mixtures of a few hundred directions; with --vectors FILE (a NumPy array of real embeddings)
mixtures of those. A query is three to seven words of a stored message and a vector near its own; the time to
embed a query is left out. Beside it, in the same run, what the machine allows: reading the codes once.

    python benchmarks/search_scale.py [--sizes 10000 100000 1000000] [--postgres] [--vectors FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pagefault.build import open_store
from pagefault.config import Installation
from pagefault.embedders import Scale
from pagefault.embedders.minilm import MiniLM
from pagefault.retrieval import Retriever
from pagefault.storage import Filter, PendingVector, Store
from pagefault.testing.postgres import server
from pagefault.types import AgentId, AgentRecord, Message, Passage, Role

DIMENSIONS = 384
START = datetime(2020, 1, 1, tzinfo=UTC)
BATCH = 1000
ROLES = (Role.USER, Role.ASSISTANT)
SEED = 7

Floats = NDArray[np.float32]


@dataclass
class Given:
    """An embedder that knows the queries' vectors, so that only the search is timed."""

    vectors: dict[str, Floats] = field(default_factory=dict[str, Floats])
    fingerprint: str = "given"
    dimensions: int = DIMENSIONS
    scale: Scale = MiniLM.scale

    def reads(self, text: str) -> bool:
        return text in self.vectors

    async def embed(self, texts: Sequence[str]) -> Floats:
        return np.stack([self.vectors[text] for text in texts])


def serving(embedder: Given) -> Callable[[], Awaitable[Given]]:
    async def current() -> Given:
        return embedder

    return current


class Memories:
    """Texts and vectors, the same for the same seed."""

    def __init__(self, size: int, pool: Floats | None) -> None:
        self.random = np.random.default_rng(SEED)
        words = 60_000
        weights = 1 / np.arange(10, words + 10) ** 1.05
        self.words = self.random.choice(words, size=(size, 15), p=weights / weights.sum()).astype(np.int32)
        if pool is None:
            pool = _unit(self.random.standard_normal((400, DIMENSIONS), np.float32))
        first, second = self.random.integers(0, len(pool), (2, size))
        share = self.random.uniform(0.5, 0.9, size).astype(np.float32)[:, np.newaxis]
        self.vectors = np.empty((size, DIMENSIONS), np.float16)
        for start in range(0, size, 50_000):
            part = slice(start, start + 50_000)
            mixed = share[part] * pool[first[part]] + (1 - share[part]) * pool[second[part]]
            noise = self.random.standard_normal(mixed.shape, np.float32) * 0.02
            self.vectors[part] = _unit(mixed + noise)

    def text(self, index: int) -> str:
        return " ".join(_word(number) for number in self.words[index])

    def queries(self, count: int) -> dict[str, Floats]:
        chosen = self.random.integers(0, len(self.words), count)
        found: dict[str, Floats] = {}
        for index in chosen:
            words = self.random.choice(self.words[index], self.random.integers(3, 8), replace=False)
            noise = self.random.standard_normal(DIMENSIONS, np.float32) * 0.02
            found[" ".join(_word(number) for number in words)] = _unit(
                self.vectors[index].astype(np.float32) + noise
            )
        return found


def _word(number: int) -> str:
    """A word of letters, the same for the same number."""
    letters = "aeioubdfgklmnprstvz"
    made = "q"
    while number:
        number, rest = divmod(int(number), len(letters))
        made += letters[rest]
    return made + "x"


def _unit(vectors: NDArray[Any]) -> NDArray[Any]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


async def fill(store: Store, memories: Memories, name: str) -> tuple[AgentId, float, float]:
    """Store all memories of an agent; rows and vectors a second."""
    agent = (await store.write(lambda tx: tx.create_agent(AgentRecord(name, {}, START)))).id
    size = len(memories.words)
    begin = time.perf_counter()
    for first in range(0, size, BATCH):
        texts = [memories.text(index) for index in range(first, min(first + BATCH, size))]
        rows = [
            Message(
                Role.USER if index % 2 else Role.ASSISTANT, text, START + timedelta(minutes=first + index)
            )
            for index, text in enumerate(texts)
        ]
        await store.write(lambda tx, rows=rows: tx.append(agent, rows))
    wrote = time.perf_counter() - begin
    begin = time.perf_counter()
    for first in range(0, size, BATCH):
        last = min(first + BATCH, size)
        items = [PendingVector(agent, "recall", n + 1, memories.text(n)) for n in range(first, last)]
        vectors = [memories.vectors[n : n + 1].astype(np.float32) for n in range(first, last)]
        await store.write(lambda tx, i=items, v=vectors: tx.put_vectors("given", i, v))
    return agent, size / wrote, size / (time.perf_counter() - begin)


async def search_times(store: Store, agent: AgentId, queries: dict[str, Floats]) -> dict[str, float]:
    """Opening (the first search) and then each query, in ms."""
    retriever = Retriever(store, serving(Given(queries)))
    texts = list(queries)
    begin = time.perf_counter()
    await retriever.search(agent, "recall", texts[0], Filter())
    opening = time.perf_counter() - begin
    times: list[float] = []
    for text in texts[1:]:
        begin = time.perf_counter()
        ranking = await retriever.search(agent, "recall", text, Filter())
        _ = ranking[:5]
        times.append(1e3 * (time.perf_counter() - begin))
    times.sort()
    return {
        "open_ms": 1e3 * opening,
        "p50_ms": statistics.median(times),
        "p95_ms": times[len(times) * 95 // 100],
    }


def vector_part(memories: Memories, queries: dict[str, Floats]) -> dict[str, float]:
    """The scan of the signs, reading them once, and how many of the true nearest ten are rescored."""
    from pagefault.storage.index.codes import SignCodes, quantized

    signs = SignCodes.centred(*quantized(memories.vectors[:50_000]))
    for first in range(0, len(memories.vectors), 50_000):
        part = memories.vectors[first : first + 50_000]
        signs.extend(np.arange(first, first + len(part)), *quantized(part))
    view, codes = signs.view(), np.ones((DIMENSIONS // 64, len(memories.vectors)), np.uint64)
    every = np.ones(len(memories.vectors), np.bool_)
    found = hits = 0
    scans: list[float] = []
    for query in queries.values():
        begin = time.perf_counter()
        near = view.nearest(query, 1600, every)
        scans.append(time.perf_counter() - begin)
        cosines = np.concatenate(
            [
                memories.vectors[first : first + 50_000].astype(np.float32) @ query
                for first in range(0, len(memories.vectors), 50_000)
            ]
        )
        best = np.argpartition(-cosines, 10)[:10]
        found, hits = found + 10, hits + int(np.isin(best, near).sum())
        if len(scans) == 40:
            break
    reads = [_timed(lambda: codes.max()) for _ in range(9)]
    return {
        "signs_ms": 1e3 * statistics.median(scans),
        "read_codes_ms": 1e3 * statistics.median(reads),
        "recall@10": hits / found,
    }


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


async def single_inserts(folder: Path) -> dict[str, float]:
    """A durable insert alone (``synchronous`` FULL), and what a write and fsync of 4 KB take beside it."""
    from pagefault.storage.sqlite import SQLiteStore

    store = SQLiteStore.open(folder / "single.db", synchronous="FULL")
    agent = (await store.write(lambda tx: tx.create_agent(AgentRecord("one", {}, START)))).id
    inserts: list[float] = []
    syncs: list[float] = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for index in range(300):
            row = Message(Role.USER, f"a memory of its own, number {index}, of fifteen words or so", START)
            begin = time.perf_counter()
            await store.write(lambda tx, row=row: tx.append(agent, [row]))
            inserts.append(time.perf_counter() - begin)
            syncs.append(_timed(lambda: (file.write(b"x" * 4096), os.fsync(file.fileno()))))
    await store.close()
    return {"insert_ms": 1e3 * statistics.median(inserts), "fsync_ms": 1e3 * statistics.median(syncs)}


async def passages_written(store: Store) -> dict[str, float]:
    """Passages in batches of a thousand, without vectors."""
    agent = (await store.write(lambda tx: tx.create_agent(AgentRecord("archive", {}, START)))).id
    memories = Memories(20_000, None)
    texts = [memories.text(index) for index in range(len(memories.words))]
    begin = time.perf_counter()
    for first in range(0, len(texts), BATCH):
        batch = [Passage(text, START) for text in texts[first : first + BATCH]]
        await store.write(lambda tx, batch=batch: tx.insert_passages(agent, batch))
    return {"passages_per_s": len(texts) / (time.perf_counter() - begin)}


async def many_agents(store: Store, agents: int, each: int) -> dict[str, float]:
    """Agents served from one process: the time of a search and the memory when all have been searched."""
    memories = Memories(each, None)
    ids = [(await fill(store, memories, f"many{number}"))[0] for number in range(agents)]
    queries = memories.queries(3)
    retriever = Retriever(store, serving(Given(queries)))
    before = _resident()
    times: list[float] = []
    for agent in ids * 2:
        for text in queries:
            begin = time.perf_counter()
            await retriever.search(agent, "recall", text, Filter())
            times.append(1e3 * (time.perf_counter() - begin))
    return {"p50_ms": statistics.median(times), "rss_before_mb": before, "rss_mb": _resident()}


def _resident() -> float:
    """MB of this process in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
    return pages * resource.getpagesize() / 1e6


async def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--agents", type=int, default=0, help="also so many agents of --each memories")
    parser.add_argument("--each", type=int, default=1000)
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL server of our own")
    parser.add_argument("--vectors", type=Path, help="a .npy of real embeddings to mix")
    parser.add_argument("--folder", type=Path, help="where to put the files; default: a temporary folder")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pool = None if options.vectors is None else np.load(options.vectors).astype(np.float32)
    results: dict[str, Any] = {}
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder))
        databases = stack.enter_context(server()) if options.postgres else None

        def opened(home: Path) -> Store:
            home.mkdir()
            return open_store(home, Installation(database=databases.new() if databases else ""))

        for size in options.sizes:
            home = Path(place) / str(size)
            store = opened(home)
            memories = Memories(size, pool)
            agent, rows, vectors = await fill(store, memories, f"scale{size}")
            queries = memories.queries(options.queries)
            figures = {"rows_per_s": rows, "vectors_per_s": vectors}
            figures |= await passages_written(store)
            figures |= await search_times(store, agent, queries) | vector_part(memories, queries)
            figures["bytes_each"] = sum(f.stat().st_size for f in home.iterdir() if f.is_file()) / size
            results[str(size)] = show(f"{size:,}", figures)
            await store.close()
        if not options.postgres:
            results["single"] = show("single insert", await single_inserts(Path(place)))
        if options.agents:
            store = opened(Path(place) / "many")
            results["agents"] = show("many agents", await many_agents(store, options.agents, options.each))
            await store.close()
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def show(title: str, figures: dict[str, float]) -> dict[str, float]:
    print(f"{title:>14}: " + "  ".join(f"{name} {value:.3g}" for name, value in figures.items()), flush=True)
    return figures


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
