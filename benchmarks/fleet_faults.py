"""What a fleet outlives: in each run one thing goes wrong while most agents have a turn open.

Four processes serve all agents; the model of each turn thinks for some seconds, and every agent has a few
events. When nearly all have a turn open, the fault happens. At the end each event's turn is logged once and
answered once, by the process that was asked last.

``kill``: SIGKILL to one process. ``pause``: one is stopped for longer than its lease (SIGSTOP), then goes
on. ``cut``: one is in a network namespace whose link goes down, then comes back (wants root and ``ip``).
``restart``: the server stops at once, and starts again. ``stop``: SIGTERM to one process. ``upgrade``: the
processes are replaced one after the other by those of another version; without ``--other`` the next
version is made: a copy of this one with a migration that adds a column.

    python benchmarks/fleet_faults.py [FAULT ...] [--agents 1000] [--think 10] [--rounds 3] [--lasting 20]
        [--other SRC] [--database URL] [--json OUT]

``SRC`` is the ``src`` of a checkout. On ``--database``, a server that stays, only ``kill``, ``pause`` and
``stop`` are made.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pagefault
from fleet import options, own_agents, run
from fleet_processes import Fleet
from fleet_server import HOST, Link, OwnServer, can_cut, link, own_server
from fleet_worker import Plan

MOST_MS = 10_000  # of a failover's p95
_NEARLY = 0.8  # of the agents with an open turn, when the fault happens
_BETWEEN = 3.0  # seconds between two processes that are replaced
_SOURCE = Path(pagefault.__file__).parents[1]


@dataclass
class Surroundings:
    """What a fault can be made with; None where it is not to be had. ``lasting`` is in seconds."""

    lasting: float

    server: OwnServer | None = None
    link: Link | None = None
    other: Path | None = None


def kill(fleet: Fleet, around: Surroundings) -> None:
    fleet.kill(fleet.member(0))
    fleet.rest(around.lasting)
    fleet.start(0)


def pause(fleet: Fleet, around: Surroundings) -> None:
    member = fleet.member(0)
    fleet.lost.append((member.name, fleet.signal(member, signal.SIGSTOP)))
    fleet.rest(around.lasting)
    fleet.back = (fleet.signal(member, signal.SIGCONT), member.name)


def cut(fleet: Fleet, around: Surroundings) -> None:
    assert around.link
    around.link.cut()
    fleet.lost.append((fleet.member(0).name, fleet.now()))
    fleet.rest(around.lasting)
    around.link.join()
    fleet.back = (fleet.now(), fleet.member(0).name)


def restart(fleet: Fleet, around: Surroundings) -> None:
    assert around.server
    around.server.stop("immediate")
    fleet.rest(around.lasting / 2)
    around.server.start()
    fleet.back = (fleet.now(), "")


def stop(fleet: Fleet, around: Surroundings) -> None:
    fleet.stop(fleet.member(0))
    fleet.rest(around.lasting / 2)
    fleet.start(0)


def upgrade(fleet: Fleet, around: Surroundings) -> None:
    for number in range(fleet.plan.processes):
        fleet.stop(fleet.member(number))
        started = fleet.start(number, source=around.other)
        fleet.until(lambda started=started: bool(started.ready), f"{started.name} is not ready")
        fleet.rest(_BETWEEN)


FAULTS: dict[str, Callable[[Fleet, Surroundings], None]] = {
    "kill": kill,
    "pause": pause,
    "cut": cut,
    "restart": restart,
    "stop": stop,
    "upgrade": upgrade,
}
_OWN_SERVER = ("cut", "restart", "upgrade")


def next_version(folder: Path) -> Path:
    """The ``src`` of a version that comes after this one: it brings a migration that adds a column."""
    made = folder / "src"
    shutil.copytree(_SOURCE, made, ignore=shutil.ignore_patterns("__pycache__"))
    head = made / "pagefault/storage/head.py"
    last = pagefault_head()
    following = f"{int(last) + 1:04}"
    head.write_text(head.read_text().replace(f'"{last}"', f'"{following}"'))
    migration = made / f"pagefault/storage/migrations/versions/{following}_next.py"
    migration.write_text(
        f'revision, down_revision = "{following}", "{last}"\n\n\n'
        "def upgrade() -> None:\n"
        "    from alembic import op\n\n"
        '    op.execute("ALTER TABLE agents ADD COLUMN next_version text")\n'
    )
    return made


def pagefault_head() -> str:
    from pagefault.storage.head import HEAD

    return HEAD


def suffer(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Run a fleet with one fault."""
    with ExitStack() as stack:
        around = Surroundings(given.lasting, other=given.other)
        if name == "cut":
            around.link = stack.enter_context(link())
        if name == "upgrade" and not around.other:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pagefault-next-"))
            around.other = next_version(Path(folder))
        database = given.database
        if not database:
            around.server, databases = stack.enter_context(own_server(HOST if around.link else "127.0.0.1"))
            database = databases.new()
        events = given.rounds * given.agents // given.processes
        plan = Plan(database, given.processes, given.agents, events, given.think, True, given.open_turns)
        if given.database:
            stack.enter_context(own_agents(plan))

        def start(fleet: Fleet) -> None:
            for number in range(plan.processes):
                fleet.start(number, command=around.link.command if around.link and not number else ())

        def disturb(fleet: Fleet) -> None:
            nearly = _NEARLY * plan.agents
            fleet.until(lambda: fleet.open >= nearly, "not enough turns are open")
            FAULTS[name](fleet, around)

        return {"fault": name, **run(plan, disturb, start)}


def missed(figures: dict[str, Any]) -> list[str]:
    """What is wrong with a run, a slow failover included."""
    wrong = list(figures["wrong"])
    if (p95 := figures.get("failover ms", {}).get("p95", 0.0)) > MOST_MS:
        wrong.append(f"p95 of failovers is {p95:.0f} ms")
    return wrong


def possible(database: str) -> Sequence[str]:
    """The faults that can be made here."""
    return [
        name
        for name in FAULTS
        if not (name in _OWN_SERVER and database) and not (name == "cut" and not can_cut())
    ]


def main() -> int:
    parser = options(__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of {', '.join(FAULTS)}; default: all")
    parser.add_argument("--think", type=float, default=10.0, metavar="SECONDS", help="of the model")
    parser.add_argument("--rounds", type=int, default=3, help="events of each agent")
    parser.add_argument("--lasting", type=float, default=20.0, metavar="SECONDS", help="of a pause, a cut")
    parser.add_argument("--other", type=Path, metavar="SRC", help="the version to which an upgrade leads")
    parser.set_defaults(agents=1000)
    given = parser.parse_args()
    can = possible(given.database)
    if unknown := [name for name in given.faults if name not in can]:
        parser.error(f"{unknown[0]} cannot be made here; choose from {', '.join(can)}")
    runs: list[dict[str, Any]] = []
    for name in given.faults or can:
        figures = suffer(name, given)
        print(json.dumps(figures, indent=1), flush=True)
        runs.append(figures)
    if given.json:
        given.json.write_text(json.dumps(runs, indent=1))
    wrong = {figures["fault"]: faults for figures in runs if (faults := missed(figures))}
    print(json.dumps({"wrong": wrong}, indent=1))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
