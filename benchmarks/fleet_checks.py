"""The checks of a fleet's log: each event is there once, its turn once and in order, its answer once.

They read a batch of agents at a time, agent by agent, in a process of their own: it is of the version that
last wrote the database. Left out: figures.

    python benchmarks/fleet_checks.py HOME
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import anyio

from fleet_processes import count
from fleet_worker import Plan, open_home
from pagefault.storage import Transaction
from pagefault.types import AgentId, Event, Role

BATCH = 100  # agents read in one transaction


@dataclass
class Log:
    """What the log holds of all agents: events by key, and what is wrong."""

    keys: dict[str, int] = field(default_factory=dict)  # how often each event is there
    done: int = 0
    answers: dict[str, str] = field(default_factory=dict)  # the process that gave it, by the event's key
    lost: int = 0
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)


def checked(home: Path, source: Path | None) -> Log:
    """What ``check`` finds, with the code in ``source``, another version's ``src``."""
    environment = os.environ | ({"PYTHONPATH": str(source)} if source else {})
    command = [sys.executable, __file__, str(home)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return Log(**json.loads(done.stdout))


async def check(home: Path) -> Log:
    """Read the whole log, and compare it with what was to be posted."""
    plan = Plan.read(home)
    kernel = open_home(home, plan)
    log = Log()
    try:
        agents = [(agent.id, agent.name) for agent in await kernel.agents() if agent.name.startswith("a")]
        for first in range(0, len(agents), BATCH):
            batch = agents[first : first + BATCH]
            for name, events, rows in await kernel.store.read(lambda tx, batch=batch: _read(tx, batch)):
                log.wrong += [f"{name}: {fault}" for fault in faults(log, events, rows)]
    finally:
        await kernel.close()
    expected = {key for process in range(plan.processes) for own in plan.posts(process) for _, key in own}
    if missing := expected - log.keys.keys():
        log.lost += len(missing)
        log.wrong.append(f"{len(missing)} events are not stored, such as {min(missing)}")
    if strange := log.keys.keys() - expected:
        log.wrong.append(f"{len(strange)} events were not posted, such as {min(strange)}")
    return log


def left(home: Path, plan: Plan, unreaped: Sequence[int]) -> list[str]:
    """What a fleet that ended in order must not leave behind in a PostgreSQL database. ``unreaped``: the pids
    of processes that were killed so late that their workers may still be there."""
    wrong: list[str] = []
    known = "SELECT count(*) FROM pg_tables WHERE tablename = 'workers'"  # not so before there were leases
    if plan.database and count(home, plan.database, known):
        if held := count(home, plan.database, "SELECT count(*) FROM agents WHERE holder IS NOT NULL"):
            wrong.append(f"{held} agents are still held")
        those = "|".join(map(str, unreaped))
        others = f"SELECT count(*) FROM workers WHERE id !~ '-({those})-[0-9a-f]+$'"
        if workers := count(home, plan.database, others):
            wrong.append(f"{workers} workers are still there")
    return wrong


def faults(log: Log, events: Sequence[Event], messages: Sequence[Any]) -> Iterator[str]:
    """Yield what is wrong with an agent, and count it in ``log``."""
    rows = [row for row in messages if row.event is not None]
    turns = [event for event, _ in groupby(rows, lambda row: row.event)]
    posted = {event.id: event for event in events if event.key}
    begun = sorted(event for event in turns if event in posted)
    if [event for event in turns if event in posted] != begun or len(set(begun)) != len(begun):
        yield "turns are logged twice, or in another order than that of the inbox"
    said: dict[int, list[str]] = defaultdict(list)
    for row in rows:
        if row.role is Role.ASSISTANT:
            said[row.event].append(row.text)
    for event in posted.values():
        log.keys[event.key or ""] = log.keys.get(event.key or "", 0) + 1
        if event.state != "done":
            log.lost += 1
            yield f"event {event.key} is {event.state}"
            continue
        log.done += 1
        answers = [text.partition(" by ") for text in said[event.id]]
        log.answers.update((event.key or "", by) for _, _, by in answers)
        if [heard for heard, _, _ in answers] != [f"heard {event.key}"]:
            log.lost += not answers
            log.doubled += max(0, len(answers) - 1)
            yield f"event {event.key} has the answers {said[event.id]}"
    if doubled := len(posted) - len({event.key for event in posted.values()}):
        log.doubled += doubled
        yield "an event is stored twice"
    of_process: dict[str, list[int]] = defaultdict(list)
    for event in posted.values():
        process, _, number = (event.key or "").partition("e")
        of_process[process].append(int(number))
    if any(numbers != sorted(numbers) for numbers in of_process.values()):
        yield "a process's events are not in the order of posting"


def _read(tx: Transaction, agents: Sequence[tuple[AgentId, str]]) -> list[tuple[str, list[Event], list[Any]]]:
    return [(name, tx.events(agent), tx.messages(agent)) for agent, name in agents]


if __name__ == "__main__":
    print(json.dumps(asdict(anyio.run(check, Path(sys.argv[1])))))
