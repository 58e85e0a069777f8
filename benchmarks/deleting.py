"""Deleting on SQLite: its price for writes and deletions, how long the purge takes, and the upgrade of units.

    python benchmarks/deleting.py [--rows N] [--before DIR]

``--rows`` (default 100,000) are passages of 40 words, written 20 at a time; then 200 are deleted one by one,
and another writer waits for its commits while the purge runs. ``--before`` is a checkout of an earlier
version: the same is measured there, in a process of its own, and databases that it filled are upgraded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
START = datetime(2026, 1, 1, tzinfo=UTC)
DELETED = 200
WORDS = [f"word{n}" for n in range(20_000)]
TEXTS = {
    "typographic quotes": "“It’s the {n}th note” — she said, and went to the harbour to look for her boat. ",
    "a trade mark": "It is the {n}th note from Acme™, and she went to the harbour to look for her boat. ",
    "Chinese": "今天是第{n}天，天气很好，我们一起去公园散步，晚上回家做饭，然后看书。",
}


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def measure(path: Path, rows: int) -> dict[str, Any]:
    from pagefault.storage.sqlite import SQLiteStore
    from pagefault.types import AgentRecord, Passage

    chance = random.Random(1)
    store = SQLiteStore.open(path)
    ana = (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, START)))).id
    batches = [
        [Passage(" ".join(chance.choices(WORDS, k=40)), START) for _ in range(20)] for _ in range(rows // 20)
    ]
    began, used = time.perf_counter(), cpu()
    for batch in batches:
        await store.write(lambda tx, batch=batch: tx.insert_passages(ana, batch))
    found: dict[str, Any] = {
        "write, ms a transaction of 20": round((time.perf_counter() - began) / len(batches) * 1e3, 2),
        "write, CPU ms a transaction of 20": round((cpu() - used) / len(batches) * 1e3, 2),
        "size, MB": round(os.path.getsize(path) / 1e6, 1),  # noqa: ASYNC240
    }
    took: list[float] = []
    for number in chance.sample(range(1, rows + 1), DELETED):
        began = time.perf_counter()
        await store.write(lambda tx, number=number: tx.delete_passage(ana, number))
        took.append((time.perf_counter() - began) * 1e3)
    found["delete, ms, median"] = round(statistics.median(took), 2)
    found |= await purged(store, path, ana)
    await store.close()
    return found


async def purged(store: Any, path: Path, agent: int) -> dict[str, Any]:
    """How long the purge goes on, and how long others wait for a commit meanwhile."""
    began, waited = time.perf_counter(), [0.0]
    other = sqlite3.connect(path, isolation_level=None)
    while other.execute("PRAGMA user_version").fetchone()[0]:
        await asyncio.sleep(0.2)
        asked = time.perf_counter()
        await store.write(lambda tx: tx.remove_schedule(agent, 1))
        waited.append((time.perf_counter() - asked) * 1e3)
    other.close()
    took = time.perf_counter() - began
    return {"purge, s": round(took, 1), "a write while it runs, ms, longest": round(max(waited), 1)}


async def fill(path: Path, rows: int, text: str) -> dict[str, Any]:
    from pagefault.storage.sqlite import SQLiteStore
    from pagefault.types import AgentRecord, Message, Role

    store = SQLiteStore.open(path)
    ana = (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, START)))).id
    for first in range(0, rows, 1000):
        log = [Message(Role.USER, text.format(n=first + n) * 3, START) for n in range(1000)]
        await store.write(lambda tx, log=log: tx.append(ana, log))
    await store.close()
    return {}


async def upgrade(path: Path) -> dict[str, Any]:
    from pagefault.storage.sqlite import SQLiteStore

    began = time.perf_counter()
    store = SQLiteStore.open(path)
    took = time.perf_counter() - began
    await store.close()
    return {"upgrade, s": round(took, 1)}


def child(checkout: Path, *arguments: object) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, __file__, "--child", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(checkout / "src")},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(ran.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        task, path, *rest = given.child
        work = {
            "measure": lambda: measure(Path(path), int(rest[0])),
            "fill": lambda: fill(Path(path), int(rest[0]), rest[1]),
            "upgrade": lambda: upgrade(Path(path)),
        }[task]
        print(json.dumps(asyncio.run(work())))
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name, checkout in {"before": given.before, "now": HERE}.items():
            if checkout is not None:
                print(
                    name, json.dumps(child(checkout, "measure", place / f"{name}.db", given.rows)), flush=True
                )
        for number, (name, text) in enumerate(TEXTS.items() if given.before else ()):
            file = place / f"old{number}.db"
            child(given.before, "fill", file, given.rows, text)
            print(f"{given.rows:,} messages, {name}:", json.dumps(child(HERE, "upgrade", file)), flush=True)


if __name__ == "__main__":
    main()
