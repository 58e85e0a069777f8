"""Several processes on one database: each event handled once, in order, though one of them is killed.

Agents are made; then so many processes post events to them, each its share, and serve all agents at the same
time. In the midst one is killed (SIGKILL) and started anew: it posts again what it cannot know to be stored,
with the same keys. When all is served, every agent's log must show each event's turn once, in the order of
the inbox, and of one poster's events in the order of posting.

With ``--think`` the model takes so many seconds, each process posts to its own agents in turn, one event
each, and none is killed: how many turns can be open, and how many a second there can be.

    python benchmarks/fleet.py [--postgres | --database URL] [--processes 4] [--events 1000] [--agents 50]
        [--think SECONDS] [--json OUT]

``--database``: a server that is there, a Citus cluster too; its agents of the names a0, a1, ... and w0, w1,
... are made, and deleted at the end, nothing else. Faults other than a kill are in ``fleet_faults.py``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

from fleet_checks import Log, checked, left
from fleet_figures import Figures, figures_of, stale_answers, turns_of
from fleet_processes import Fleet, count, postmasters
from fleet_worker import Plan, open_home
from pagefault.config import parse_settings
from pagefault.storage import Transaction
from pagefault.testing.postgres import server
from pagefault.types import AgentId, AgentRecord, Section

SETTINGS = {"zone": "UTC", "style": "native"}
BATCH = 500  # agents made in one transaction
_COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"

Disturb = Callable[[Fleet], None]


async def make(home: Path, plan: Plan) -> None:
    """Make the agents: one as anybody makes one, the others after its record."""
    kernel = open_home(home, plan)
    names = [f"a{n}" for n in range(plan.agents)] + [f"w{n}" for n in range(plan.processes)]
    try:
        first = await kernel.create_agent(names[0], parse_settings(SETTINGS))
        sections = await kernel.store.read(lambda tx: tx.sections(first.id))
        for at in range(1, len(names), BATCH):
            batch = names[at : at + BATCH]
            await kernel.store.write(lambda tx, batch=batch: _copy(tx, first, sections, batch))
    finally:
        await kernel.close()


def _copy(tx: Transaction, of: AgentRecord, sections: list[Section], names: list[str]) -> None:
    for name in names:
        made = tx.create_agent(replace(of, id=AgentId(0), name=name))
        for section in sections:
            tx.put_section(made.id, section, of.created)


async def unmake(home: Path, plan: Plan) -> None:
    """Delete the agents that ``make`` made."""
    kernel = open_home(home, plan)
    try:
        names = {f"a{n}" for n in range(plan.agents)} | {f"w{n}" for n in range(plan.processes)}
        made = [agent.id for agent in await kernel.agents() if agent.name in names]
        for first in range(0, len(made), BATCH // 5):
            batch = made[first : first + BATCH // 5]
            await kernel.store.write(lambda tx, batch=batch: [tx.delete_agent(agent) for agent in batch])
    finally:
        await kernel.close()


def kill_one(fleet: Fleet) -> None:
    """Kill a process when a third of the events is answered, and start it anew."""
    third = fleet.plan.total // 3
    fleet.until(lambda: len(fleet.answered) >= third, "a third of the events is not answered")
    fleet.kill(fleet.member(0))
    fleet.start(0)


def run(plan: Plan, disturb: Disturb | None, start: Callable[[Fleet], None] | None = None) -> Figures:
    """Run a fleet on a database, with ``disturb`` in the midst of it; its figures, and what is ``wrong``.
    ``start`` starts the processes in another way than all alike."""
    with tempfile.TemporaryDirectory(prefix="pagefault-fleet-") as folder:
        home = Path(folder)
        plan.write(home)
        anyio.run(make, home, plan)
        fleet = Fleet(home, plan, server=postmasters(plan.database) if plan.database else ())
        wrong: list[str] = []
        commits = 0
        try:
            if start:
                start(fleet)
            else:
                for number in range(plan.processes):
                    fleet.start(number)
            fleet.go()
            commits = _commits(home, plan)
            if disturb:
                disturb(fleet)
            fleet.until(fleet.all_done, "not all events are done")
            fleet.sample()
        except RuntimeError as error:
            wrong.append(str(error))
        finally:
            fleet.finish()
        if not wrong:
            wrong += left(home, plan, fleet.unreaped)
        log = checked(home, fleet.source)
        turns = turns_of(fleet.steps)
        figures = figures_of(fleet, turns)
        wrong += stale_answers(turns, log.answers, fleet.back[1] if fleet.back else "")
        if plan.database:
            counted = [json.loads(path.read_text())["statements"] for path in home.glob("p*.*.json")]
            figures["commits a turn"] = round((_commits(home, plan) - commits) / plan.total, 2)
            figures["statements a turn"] = round(sum(counted) / plan.total, 2)
        return _with_log(figures, log, wrong)


def _with_log(figures: Figures, log: Log, wrong: list[str]) -> Figures:
    answered = dict(sorted(Counter(log.answers.values()).items()))
    counts = {"answers of": answered, "lost": log.lost, "doubled": log.doubled}
    return {**figures, **counts, "wrong": wrong + log.wrong[:20]}


def _commits(home: Path, plan: Plan) -> int:
    return count(home, plan.database, _COMMITS) if plan.database else 0


@contextmanager
def own_agents(plan: Plan) -> Generator[None]:
    """On a database that stays: its agents of this run are deleted when the context is left."""
    try:
        yield
    finally:
        with tempfile.TemporaryDirectory() as home:
            anyio.run(unmake, Path(home), plan)


def options(description: str) -> argparse.ArgumentParser:
    """What all runs of a fleet have in common."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--database", default="", metavar="URL", help="a PostgreSQL server that is there")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument(
        "--events", type=int, help="of each process; default: 1000, with --think one an agent"
    )
    parser.add_argument("--agents", type=int, default=50)
    parser.add_argument("--open-turns", type=int, default=0, help="of a process; default: the installation's")
    parser.add_argument("--json", type=Path)
    return parser


def main() -> int:
    parser = options(__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL server instead of SQLite")
    parser.add_argument("--think", type=float, metavar="SECONDS", help="of the model")
    given = parser.parse_args()
    in_turn = given.think is not None
    events = given.events or (given.agents // given.processes if in_turn else 1000)
    with server() if given.postgres else nullcontext() as databases:
        database = databases.new() if databases else given.database
        plan = Plan(
            database, given.processes, given.agents, events, given.think or 0.0, in_turn, given.open_turns
        )  # fmt: skip
        with own_agents(plan) if given.database else nullcontext():
            figures: dict[str, Any] = {"database": "PostgreSQL" if database else "SQLite"}
            figures |= run(plan, None if in_turn else kill_one)
    print(json.dumps(figures, indent=1))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))
    return bool(figures["wrong"])


if __name__ == "__main__":
    sys.exit(main())
