"""Waking: seconds from the post of an event, by a process that serves nothing, to the begin of its turn.

Processes serve an idle fleet of agents on PostgreSQL. Another process, which is not entered, posts one event
after the other, with pauses in which all is quiet. The begin of the turn is when the model is asked. All
clocks are the machine's one. The same again without signals: then inboxes are polled.

    python benchmarks/waking.py [--processes 4] [--events 100] [--agents 50] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anyio

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.kernel import Kernel
from pagefault.models import Completion, Prompt
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.signals import SilentSignals
from pagefault.testing.models import ScriptedModel
from pagefault.testing.postgres import server
from pagefault.types import Event, EventKind

PATIENCE = 60.0  # seconds after which a run counts as stuck
QUIET = (0.1, 0.6)  # seconds between events, from and to


class NoSignals(SilentSignals):
    """The signals of a PostgreSQL store that neither sends nor hears any."""

    def close(self) -> None:
        pass


def open_home(home: Path, database: str, silent: bool) -> Kernel:
    """A kernel whose model notes when it is asked, in a file of this process."""
    notes = home / f"begun.{time.monotonic_ns()}"

    def answer(prompt: Prompt) -> Completion:
        now = time.monotonic()
        with notes.open("a") as file:
            file.write(f"{prompt.messages[-1].text.rpartition(' ')[2]} {now}\n")
        return Completion("done")

    store = PostgresStore.open(database)
    if silent:
        store.signals = NoSignals()  # pyright: ignore[reportAttributeAccessIssue]
    parts = Parts(ScriptedModel(answer, window=8192), NullEmbedder(), store)
    return open_kernel(home, parts, Installation())


async def work(home: Path, database: str, silent: bool) -> None:
    """Serve until the file ``enough`` is there."""
    async with open_home(home, database, silent) as kernel, anyio.create_task_group() as tasks:
        tasks.start_soon(kernel.serve)
        while not (silent or kernel.store.signals.alive):  # noqa: ASYNC110
            await anyio.sleep(0.05)
        (home / f"serves.{time.monotonic_ns()}").touch()
        while not (home / "enough").exists():  # noqa: ASYNC110  another process makes it
            await anyio.sleep(0.2)
        tasks.cancel_scope.cancel()


async def post(
    home: Path, database: str, silent: bool, processes: int, agents: int, events: int
) -> list[float]:
    """Post the events; return for each the seconds until its turn began."""
    chosen, posted = random.Random(1), dict[str, float]()
    kernel = open_home(home, database, silent)
    for number in range(agents):
        await kernel.create_agent(f"a{number}", parse_settings({"zone": "UTC", "style": "native"}))
    await until(lambda: len([*home.glob("serves.*")]) == processes)
    for number in range(events):
        await anyio.sleep(chosen.uniform(*QUIET))
        posted[f"e{number}"] = time.monotonic()
        await kernel.post(f"a{chosen.randrange(agents)}", Event(EventKind.MESSAGE, f"say e{number}"))
    await until(lambda: len(begun(home)) == events)
    await kernel.close()
    return sorted(begun(home)[key] - at for key, at in posted.items())


def begun(home: Path) -> dict[str, float]:
    lines = [line.split() for file in home.glob("begun.*") for line in file.read_text().splitlines()]
    return {key: float(at) for key, at in lines}


async def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("The fleet is stuck.")
        await anyio.sleep(0.1)


def run(database: str, silent: bool, processes: int, agents: int, events: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="pagefault-waking-") as folder:
        home = Path(folder)
        command = [sys.executable, __file__, "--work", folder, database, "silent" * silent]
        fleet = [subprocess.Popen(command) for _ in range(processes)]
        try:
            seconds = anyio.run(post, home, database, silent, processes, agents, events)
        finally:
            (home / "enough").touch()
            for process in fleet:
                process.wait(30)
    return {
        f"p{p}": round(seconds[min(len(seconds) - 1, len(seconds) * p // 100)] * 1000, 1) for p in (50, 95)
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--agents", type=int, default=50)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        home, database, silent = given.work
        anyio.run(work, Path(home), database, bool(silent))
        return 0
    figures: dict[str, object] = {"processes": given.processes, "events": given.events}
    with server() as databases:
        for name, silent in (("signals, ms", False), ("polling, ms", True)):
            figures[name] = run(databases.new(), silent, given.processes, given.agents, given.events)
    print(json.dumps(figures, indent=1))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
