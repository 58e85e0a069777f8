"""Large databases: pending events, usage and the list of agents.

    python benchmarks/storage_scale.py [--rows N] [--agents N] [--before DIR]

``--rows`` (default 100,000) are the rows of an agent's log, of which every fourth has the usage of a request,
and as many events that are done; ``--agents`` (default 10,000) the agents of another home. ``--before`` is a
checkout of an earlier version: the same is measured there, in a process of its own. CPU seconds of commands
include the start of the process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
START = datetime(2026, 1, 1, tzinfo=UTC)
AIMS = {
    "pending events, ms": "flat",
    "pagefault usage, CPU s": "0.5 at 1M rows",
    "pagefault agent list, CPU s": "0.4 at 10,000",
}


def with_usage(row: Any, tokens: int) -> Any:
    """The row with the usage of a request, as this version or an earlier one keeps it."""
    from dataclasses import replace

    try:
        from pagefault.message_meta import RequestUsage, Usage
    except ImportError:
        return replace(row, meta={"usage": [{"model": "offline", "input": tokens, "output": 9}]})
    return replace(row, usage=(RequestUsage("offline", Usage(tokens, 9)),))


async def fill(path: Path, rows: int) -> None:
    from pagefault.storage.sqlite import SQLiteStore
    from pagefault.types import AgentRecord, Event, Message, Role

    store = SQLiteStore.open(path)
    ana = (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {"model": "offline"}, START)))).id
    for first in range(0, rows, 1000):

        def work(tx: Any, first: int = first) -> None:
            log = [
                Message(Role.THOUGHT, "", START + timedelta(seconds=30 * (first + n))) for n in range(1000)
            ]
            tx.append(ana, [with_usage(row, 100 + n) if n % 4 == 0 else row for n, row in enumerate(log)])

        await store.write(work)
    await store.write(lambda tx: [tx.post(ana, Event("message")) for _ in range(3)])
    await store.close()


def fill_inbox(path: Path, events: int) -> None:
    """Events that are done, behind the three that wait."""
    import sqlite3

    with sqlite3.connect(path) as file:
        file.executemany(
            "INSERT INTO inbox (agent, number, kind, text, state) VALUES (1, ?, 'message', '', 'done')",
            ((number,) for number in range(4, events + 4)),
        )
        file.execute(f"UPDATE agents SET last_event = {events + 3}")


async def pending(path: Path) -> float:
    """Milliseconds, the best of five."""
    from pagefault.storage.sqlite import SQLiteStore
    from pagefault.types import AgentId

    store, times = SQLiteStore.open(path), list[float]()
    for _ in range(5):
        begin = time.perf_counter()
        found = await store.read(lambda tx: tx.events(AgentId(1), state="pending"))
        times.append(1000 * (time.perf_counter() - begin))
        assert len(found) == 3
    await store.close()
    return min(times)


async def fill_agents(path: Path, agents: int) -> None:
    from pagefault.storage.sqlite import SQLiteStore
    from pagefault.types import AgentRecord

    def work(tx: Any) -> None:
        for number in range(agents):
            tx.create_agent(AgentRecord(f"agent {number}", {"model": "offline", "window": 8192}, START))

    store = SQLiteStore.open(path)
    await store.write(work)
    await store.close()


def command(home: Path, *words: str) -> float:
    """CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PAGEFAULT_HOME": str(home)}
    subprocess.run(
        [sys.executable, "-m", "pagefault", *words], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def child(rows: int, agents: int) -> None:
    """Measure with the version on the path; JSON on standard output."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        large, many = Path(folder) / "large", Path(folder) / "many"
        asyncio.run(fill(large / "pagefault.db", rows))
        found["pagefault usage, CPU s"] = command(large, "usage")
        fill_inbox(large / "pagefault.db", rows)
        found["pending events, ms"] = asyncio.run(pending(large / "pagefault.db"))
        asyncio.run(fill_agents(many / "pagefault.db", agents))
        found["pagefault agent list, CPU s"] = command(many, "agent", "list")
    print(json.dumps(found))


def measured(source: Path, rows: int, agents: int) -> dict[str, float]:
    environment = {**os.environ, "PYTHONPATH": str(source / "src")}
    ran = subprocess.run(
        [sys.executable, __file__, "--child", "--rows", str(rows), "--agents", str(agents)],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(ran.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked.rows, asked.agents)
        return
    after = measured(HERE, asked.rows, asked.agents)
    before = measured(asked.before, asked.rows, asked.agents) if asked.before else {}
    print(f"{asked.rows:,} rows, {asked.agents:,} agents")
    print(f"{'':<30}{'before':>10}{'after':>10}  aim")
    for what, value in after.items():
        former = f"{before[what]:.2f}" if what in before else ""
        print(f"{what:<30}{former:>10}{value:>10.2f}  {AIMS[what]}")


if __name__ == "__main__":
    main()
