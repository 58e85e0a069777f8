"""What a process spends on its first search, on further ones, and on a page of browsing.

The figures are seconds of processor time of the process, all threads, so that a busy machine does not change
them much; of PostgreSQL's server nothing is counted. Memories are those of ``search_scale``. With --before
DIR, a checkout of an earlier version, that version fills the database and is measured on it first; then this
one opens it, upgrades it, and is measured too.

    python benchmarks/search_start.py [--sizes 100000 1000000] [--before DIR] [--postgres] [--folder DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from pagefault.build import open_store
from pagefault.config import Installation
from pagefault.retrieval import Retriever
from pagefault.storage import Filter, Store
from pagefault.types import AgentId
from search_scale import START, Given, Memories, fill, serving

AGENT = AgentId(1)
SEARCHES = 60
SOURCE = Path(__file__).parent.parent / "src"
ROWS = {  # name: aim at 100,000 and at 1,000,000 rows
    "upgrade_s": ("", ""),
    "first_browse_ms": ("", ""),
    "browse_ms": ("", "5"),
    "browse_dates_ms": ("", ""),
    "first_search_s": ("0.5", "3"),
    "hybrid_ms": ("10", ""),
    "words_ms": ("", ""),
    "rss_mb": ("", ""),
}


async def spent(work: Callable[[], Awaitable[object]], times: int = 1) -> float:
    """Processor time of one run, in seconds."""
    begin = time.process_time()
    for _ in range(times):
        await work()
    return (time.process_time() - begin) / times


def opened(place: str) -> Store:
    is_url = place.startswith("postgresql")
    return open_store(Path("." if is_url else place), Installation(database=place if is_url else ""))


async def measure(place: str, size: int) -> dict[str, float]:
    """The figures of this process, on the database of one agent."""
    queries = Memories(size, None).queries(SEARCHES)
    texts = list(queries)
    begin = time.process_time()
    store = opened(place)
    figures = {"upgrade_s": time.process_time() - begin}
    hybrid = Retriever(store, serving(Given(queries)))
    words = Retriever(store, serving(Given(queries, dimensions=0)))
    dates = Filter(since=START + timedelta(minutes=size // 4), until=START + timedelta(minutes=size // 2))

    async def page(filter: Filter) -> None:
        found = await hybrid.search(AGENT, "recall", "", filter)
        assert [hit.number > 0 for hit in found[:10]] == [True] * 10

    async def each(retriever: Retriever) -> float:
        return statistics.median(
            [await spent(lambda t=t: retriever.search(AGENT, "recall", t, Filter())) for t in texts[1:]]
        )

    figures["first_browse_ms"] = 1e3 * await spent(lambda: page(Filter()))
    figures["browse_ms"] = 1e3 * await spent(lambda: page(Filter()), 5)
    figures["browse_dates_ms"] = 1e3 * await spent(lambda: page(dates), 5)
    await store.close()
    store = opened(place)
    hybrid, words = (Retriever(store, serving(Given(queries, dimensions=d))) for d in (384, 0))
    figures["first_search_s"] = await spent(lambda: hybrid.search(AGENT, "recall", texts[0], Filter()))
    figures["hybrid_ms"] = 1e3 * await each(hybrid)
    figures["words_ms"] = 1e3 * await each(words)
    await store.close()
    return {**figures, "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}


async def make(place: str, size: int) -> None:
    store = opened(place)
    agent, *_ = await fill(store, Memories(size, None), "scale")
    assert agent == AGENT
    await store.close()


def child(source: Path, *arguments: object) -> str:
    """Run this script with the code of ``source``."""
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def compared(size: int, place: str, before: Path | None) -> list[dict[str, float]]:
    """The figures of the version before, if there is one, and of this."""
    versions = [*([before / "src"] if before else []), SOURCE]
    if not place.startswith("postgresql") and (Path(place) / "pagefault.db").exists():
        print(f"{place} is there already", file=sys.stderr)
    else:
        child(versions[0], "--fill", place, "--sizes", size)
    results: list[dict[str, float]] = []
    for version in versions:
        if version is SOURCE and before and not place.startswith("postgresql"):
            shutil.copytree(place, f"{place}-after", dirs_exist_ok=True)
            place = f"{place}-after"
        results.append(json.loads(child(version, "--measure", place, "--sizes", size)))
    return results


def show(size: int, results: Sequence[dict[str, float]]) -> None:
    print(f"\n{size:,} rows" + f"{'before':>19}{'after':>10}{'aim':>8}")
    for name, (small, large) in ROWS.items():
        cells = [f"{found.get(name, float('nan')):.3g}" for found in results]
        first = cells[0] if len(cells) > 1 else ""
        print(f"{name:<18}{first:>12}{cells[-1]:>10}{large if size >= 1_000_000 else small:>8}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL server of our own")
    parser.add_argument("--folder", type=Path, help="where the files are kept; default: a temporary folder")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--fill", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(asyncio.run(measure(options.measure, options.sizes[0]))))
        return 0
    if options.fill:
        asyncio.run(make(options.fill, options.sizes[0]))
        return 0
    with ExitStack() as stack:
        found: dict[str, Any] = {}
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases = None
        if options.postgres:
            from pagefault.testing.postgres import server

            databases = stack.enter_context(server())
        for size in options.sizes:
            home = folder / str(size)
            home.mkdir(parents=True, exist_ok=True)
            place = databases.new(empty=True) if databases else str(home)
            found[str(size)] = compared(size, place, options.before)
            show(size, found[str(size)])
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
