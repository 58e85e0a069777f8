"""Several processes on one database: each event handled once, in order, though one of them is killed.

Agents are made; then so many processes post events to them, each its share, and serve all agents at the same
time. In the midst one is killed (SIGKILL) and started anew: it posts again what it cannot know to be stored,
with the same keys. When all is served, every agent's log must show each event's turn once, in the order of
the inbox, and of one poster's events in the order of posting.

    python benchmarks/fleet.py [--postgres] [--processes 4] [--events 1000] [--agents 50] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path

import anyio

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.kernel import Kernel
from pagefault.models import Completion, Prompt
from pagefault.storage import Transaction
from pagefault.testing.models import ScriptedModel
from pagefault.testing.postgres import server
from pagefault.types import AgentId, Event, EventKind, Role

PATIENCE = 600.0  # seconds after which a run counts as stuck
SETTINGS = {"zone": "UTC", "style": "native"}


def answer(prompt: Prompt) -> Completion:
    return Completion(f"heard {prompt.messages[-1].text.rpartition(' ')[2]}")


def open_home(home: Path, database: str) -> Kernel:
    parts = Parts(ScriptedModel(answer, window=8192), NullEmbedder())
    return open_kernel(home, parts, Installation(database=database, concurrency=16))


async def make(home: Path, database: str, agents: int) -> None:
    kernel = open_home(home, database)
    for number in range(agents):
        await kernel.create_agent(f"a{number}", parse_settings(SETTINGS))
    await kernel.store.close()


async def work(home: Path, database: str, process: int, agents: int, events: int) -> None:
    """Post this process's events, all the time serving whatever waits, until the file ``enough`` is there."""
    chosen = random.Random(process)
    async with open_home(home, database) as kernel, anyio.create_task_group() as tasks:
        tasks.start_soon(kernel.serve)
        for number in range(events):
            name = f"a{chosen.randrange(agents)}"
            key = f"p{process}e{number}"
            await kernel.post(name, Event(EventKind.MESSAGE, f"say {key}", key))
        while not (home / "enough").exists():  # noqa: ASYNC110  another process makes it
            await anyio.sleep(0.1)
        tasks.cancel_scope.cancel()


def start(home: Path, database: str, process: int, agents: int, events: int) -> subprocess.Popen[bytes]:
    arguments = [home, database or "-", process, agents, events]
    return subprocess.Popen([sys.executable, __file__, "--work", *map(str, arguments)])


async def look(home: Path, database: str) -> tuple[int, int, list[str]]:
    """Events stored, events done, and what is wrong with the turns as logged."""
    kernel = open_home(home, database)

    def read(tx: Transaction) -> tuple[int, int, list[str]]:
        stored = done = 0
        wrong: list[str] = []
        for agent in tx.agents():
            events = tx.events(agent.id)
            stored, done = stored + len(events), done + sum(e.state == "done" for e in events)
            wrong += [f"{agent.name}: {fault}" for fault in faults(tx, agent.id, events)]
        return stored, done, wrong

    try:
        return await kernel.store.read(read)
    finally:
        await kernel.store.close()


def faults(tx: Transaction, agent: AgentId, events: list[Event]) -> Iterator[str]:
    rows = [row for row in tx.messages(agent) if row.event is not None]
    turns = [event for event, _ in groupby(rows, lambda row: row.event)]
    begun = [e.id for e in events if e.state != "pending"]
    if turns != begun:
        yield f"{len(begun)} events were begun, {len(turns)} turns logged, or in another order"
    said = [row.text for row in rows if row.role is Role.ASSISTANT]
    if said != [f"heard {e.key}" for e in events if e.state == "done"]:
        yield f"{len(said)} answers to {len(begun)} events, or in another order"
    if len({e.key for e in events}) != len(events):
        yield "an event is stored twice"
    posted: dict[str, list[int]] = defaultdict(list)
    for event in events:
        process, _, number = (event.key or "").partition("e")
        posted[process].append(int(number))
    if any(numbers != sorted(numbers) for numbers in posted.values()):
        yield "a process's events are not in the order of posting"


def run(database: str, processes: int, events: int, agents: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="pagefault-fleet-") as folder:
        home = Path(folder)
        anyio.run(make, home, database, agents)
        total, began = processes * events, time.monotonic()
        fleet = [start(home, database, process, agents, events) for process in range(processes)]
        victim, killed = 0, False
        try:
            while True:
                time.sleep(0.5)
                stored, done, _ = anyio.run(look, home, database)
                if not killed and done >= total // 3:
                    fleet[victim].send_signal(signal.SIGKILL)
                    fleet[victim].wait()
                    killed = True
                    fleet[victim] = start(home, database, victim, agents, events)
                if done == total:
                    break
                if time.monotonic() > began + PATIENCE or any(p.poll() for p in fleet):
                    break
        finally:
            seconds = time.monotonic() - began
            (home / "enough").touch()
            for process in fleet:
                process.wait(30)
        stored, done, wrong = anyio.run(look, home, database)
        if (stored, done) != (total, total):
            wrong.append(f"of {total} events {stored} are stored and {done} done")
        if not killed:
            wrong.append("no process was killed")
        return {
            "database": "PostgreSQL" if database else "SQLite",
            "processes": processes,
            "events": total,
            "agents": agents,
            "seconds": round(seconds, 1),
            "events a second": round(done / seconds, 1),
            "wrong": wrong,
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL server instead of SQLite")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--events", type=int, default=1000, help="of each process")
    parser.add_argument("--agents", type=int, default=50)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        home, database, *numbers = given.work
        process, agents, events = map(int, numbers)
        anyio.run(work, Path(home), database.removeprefix("-"), process, agents, events)
        return 0
    with server() if given.postgres else nullcontext() as databases:
        database = databases.new() if databases else ""
        figures = run(database, given.processes, given.events, given.agents)
    print(json.dumps(figures, indent=1))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))
    return bool(figures["wrong"])


if __name__ == "__main__":
    sys.exit(main())
