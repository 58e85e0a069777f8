"""A process of the fleet: it serves all agents, and posts its share of the events.

The model is scripted: it waits and answers with the event's key and the name of the process, so that the log
shows who answered. Each step is a line in a file of the process, written at once, so that a kill loses none:
``r`` ready, ``s`` stored, ``b`` the model is asked, ``e`` it answers; then the event's key and the machine's
monotonic clock. Left out: which processes there are (``fleet_processes``) and what the lines amount to
(``fleet_figures``).

    python benchmarks/fleet_worker.py HOME PROCESS NAME
"""

from __future__ import annotations

import json
import logging
import os
import random
import re
import signal
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import StorageError
from pagefault.kernel import Kernel
from pagefault.models import Completion, Prompt
from pagefault.types import Event, EventKind

POSTERS = 16  # tasks of a process that post at the same time, when agents get their events in turn
_KEY = re.compile(r"p\d+e\d+")
_AGAIN = 0.5  # seconds until an event that could not be stored is posted again


@dataclass(frozen=True)
class Plan:
    """The run as all processes know it. ``think`` is in seconds; ``in_turn``: a process posts to its own
    agents, one after the other, else to any at random; ``open_turns`` 0: as the installation has it."""

    database: str
    processes: int
    agents: int
    events: int  # of each process
    think: float = 0.0
    in_turn: bool = False
    open_turns: int = 0

    @property
    def total(self) -> int:
        return self.processes * self.events

    def write(self, home: Path) -> None:
        (home / "plan.json").write_text(json.dumps(asdict(self)))

    @staticmethod
    def read(home: Path) -> Plan:
        return Plan(**json.loads((home / "plan.json").read_text()))

    def posts(self, process: int) -> list[list[tuple[str, str]]]:
        """The events of a process, as (agent, key), for each of the tasks that post them in order."""
        if not self.in_turn:
            chosen = random.Random(process)
            return [[(f"a{chosen.randrange(self.agents)}", f"p{process}e{n}") for n in range(self.events)]]
        own = range(process, self.agents, self.processes)
        posts: list[list[tuple[str, str]]] = [[] for _ in range(POSTERS)]
        for n in range(self.events):
            at = n % len(own)
            posts[at % POSTERS].append((f"a{own[at]}", f"p{process}e{n}"))
        return posts


@dataclass
class Steps:
    """The file of what this process does."""

    file: int

    @staticmethod
    def open(home: Path, name: str) -> Steps:
        return Steps(os.open(home / f"{name}.steps", os.O_WRONLY | os.O_CREAT | os.O_APPEND))

    def add(self, kind: str, key: str = "") -> None:
        os.write(self.file, f"{kind} {key} {time.monotonic():.6f}\n".encode())


@dataclass
class ThinkingModel:
    """A model that thinks for so many seconds. It keeps nothing of what it is asked."""

    think: float
    process: str
    steps: Steps
    name: str = "scripted"
    window: int = 8192

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Completion]:
        key = prompt.messages[-1].text.rpartition(" ")[2]
        if not _KEY.fullmatch(key):  # a warm-up, a summary
            yield Completion("ok")
            return
        self.steps.add("b", key)
        await anyio.sleep(self.think)
        self.steps.add("e", key)
        yield Completion(f"heard {key} by {self.process}")


def open_home(home: Path, plan: Plan, model: Any = None) -> Kernel:
    parts = Parts(model or ThinkingModel(0.0, "", Steps(-1)), NullEmbedder())
    bound = "open_turns" if "open_turns" in Installation.model_fields else "concurrency"  # the earlier name
    values = {"database": plan.database} | ({bound: plan.open_turns} if plan.open_turns else {})
    return open_kernel(home, parts, Installation.model_validate(values))


async def work(home: Path, process: int, name: str) -> None:
    """Post this process's events, all the time serving whatever waits, until SIGTERM."""
    plan, steps = Plan.read(home), Steps.open(home, name)
    model = ThinkingModel(plan.think, name, steps)
    count = StatementCount()
    async with open_home(home, plan, model) as kernel, anyio.create_task_group() as tasks:
        tasks.start_soon(_until_ended, tasks.cancel_scope)
        tasks.start_soon(kernel.serve)
        async for _ in _answers(kernel, f"w{process}", f"warm up {name}"):
            pass  # what is imported and made at the first turn is there
        steps.add("r")
        while not (home / "go").exists():  # noqa: ASYNC110  another process makes it
            await anyio.sleep(0.05)
        count.statements = 0
        for posts in plan.posts(process):
            tasks.start_soon(_post, kernel, steps, posts)
    (home / f"{name}.json").write_text(json.dumps({"statements": count.statements}))


async def _answers(kernel: Kernel, agent: str, text: str) -> AsyncGenerator[Any]:
    async for output in kernel.send(agent, text):
        yield output


async def _post(kernel: Kernel, steps: Steps, posts: list[tuple[str, str]]) -> None:
    for agent, key in posts:
        while True:
            try:
                await kernel.post(agent, Event(EventKind.MESSAGE, f"say {key}", key))
                break
            except StorageError:  # the server is away; whether the event is stored may be unknown
                await anyio.sleep(_AGAIN)
        steps.add("s", key)


async def _until_ended(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()
            return


class StatementCount:
    """Counts the statements that this process sends to PostgreSQL, BEGIN and COMMIT included."""

    def __init__(self) -> None:
        self.statements = 0
        try:
            import psycopg
        except ImportError:
            return
        execute = psycopg.Cursor.execute

        def counted(cursor: Any, *arguments: Any, **options: Any) -> Any:
            self.statements += 1
            return execute(cursor, *arguments, **options)

        psycopg.Cursor.execute = counted  # type: ignore[method-assign, assignment]


def steps_of(text: str) -> Iterator[tuple[str, str, float]]:
    """The steps in the lines of a file: kind, key, time."""
    for line in text.splitlines():
        kind, key, at = line.split(" ")
        yield kind, key, float(at)


if __name__ == "__main__":
    logging.basicConfig(filename=f"{sys.argv[1]}/{sys.argv[3]}.log")
    anyio.run(work, Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
