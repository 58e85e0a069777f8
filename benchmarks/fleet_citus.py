"""What a fleet outlives on a database that is distributed by Citus: in each run one thing happens to it.

Four processes serve all agents; in the midst one of these happens, and at the end each event's turn is logged
once and answered once.

``kill``: SIGKILL to one process. ``add``: the node ``--node`` is added, and a fair share of the shards is
moved to it (``citus_rebalance_start``). ``move``: all shards of one node are moved to another, and back.
``away``: a node is stopped with the command ``--stop``, and started with ``--start``.

    python benchmarks/fleet_citus.py FAULT ... --database URL [--agents 200] [--think 1] [--rounds 10]
        [--node HOST:PORT] [--stop COMMAND --start COMMAND] [--lasting 5] [--json OUT]

``URL`` is a database on the coordinator, distributed by `pagefault db distribute`; its server has
``wal_level = logical``. A node to be added has a database of the same name with Citus.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psycopg

from fleet import options, own_agents, run
from fleet_processes import Fleet
from fleet_worker import Plan

_SHARDS = """
    SELECT nodename || ':' || nodeport, count(*) FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)
    JOIN pg_dist_node USING (groupid) WHERE logicalrelid = 'agents'::regclass GROUP BY 1 ORDER BY 1"""
_ON_NODE = """
    SELECT shardid FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)
    JOIN pg_dist_node USING (groupid)
    WHERE logicalrelid = 'agents'::regclass AND nodename = %s AND nodeport = %s"""
_NODES = """
    SELECT nodename, nodeport FROM pg_dist_node
    WHERE shouldhaveshards AND isactive ORDER BY nodeid LIMIT 2"""
_MOVE = "SELECT citus_move_shard_placement(%s, %s, %s, %s, %s, 'force_logical')"
_FINISHED = "SELECT state::text FROM citus_rebalance_status()"

Disturb = Callable[[Fleet], None]


def kill(fleet: Fleet, _: argparse.Namespace) -> None:
    fleet.kill(fleet.member(0))
    fleet.rest(2)
    fleet.start(0)


def add(fleet: Fleet, given: argparse.Namespace) -> None:
    host, _, port = given.node.rpartition(":")
    with psycopg.connect(given.database, autocommit=True) as coordinator:
        coordinator.execute("SELECT citus_add_node(%s, %s)", (host, int(port)))
        coordinator.execute("SELECT citus_rebalance_start(shard_transfer_mode => 'force_logical')")
        fleet.until(lambda: _state(coordinator) in ("finished", "failed"), "the shards are not moved")
        if (state := _state(coordinator)) != "finished":
            raise RuntimeError(f"The rebalancing has {state}.")


def _state(coordinator: psycopg.Connection[Any]) -> str:
    row = coordinator.execute(_FINISHED).fetchone()
    return row[0] if row else "finished"


def move(fleet: Fleet, given: argparse.Namespace) -> None:
    with psycopg.connect(given.database, autocommit=True) as coordinator:
        first, second = coordinator.execute(_NODES.encode()).fetchall()
        shards = coordinator.execute(_ON_NODE.encode(), first).fetchall()
        for source, target in ((first, second), (second, first)):
            for (shard,) in shards:
                coordinator.execute(_MOVE, (shard, *source, *target))
                fleet.rest(0)


def away(fleet: Fleet, given: argparse.Namespace) -> None:
    subprocess.run(given.stop, shell=True, check=True)
    fleet.rest(given.lasting)
    subprocess.run(given.start, shell=True, check=True)


FAULTS: dict[str, Callable[[Fleet, argparse.Namespace], None]] = {
    "kill": kill,
    "add": add,
    "move": move,
    "away": away,
}


def shards(database: str) -> dict[str, int]:
    """How many shards of ``agents`` each node has; those of the other tables are with them."""
    with psycopg.connect(database, autocommit=True) as coordinator:
        return dict(coordinator.execute(_SHARDS.encode()).fetchall())


def suffer(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Run a fleet to which one thing happens when a fifth of its events is answered."""
    events = given.rounds * given.agents // given.processes
    plan = Plan(given.database, given.processes, given.agents, events, given.think, True, given.open_turns)
    took: list[float] = []

    def disturb(fleet: Fleet) -> None:
        fleet.until(lambda: len(fleet.answered) >= plan.total // 5, "a fifth of the events is not answered")
        began = time.monotonic()
        FAULTS[name](fleet, given)
        took.append(time.monotonic() - began)

    with own_agents(plan):
        before = shards(given.database)
        figures = run(plan, disturb)
        after = shards(given.database)
    where = {"shards before": before, "shards after": after}
    return {"fault": name, "fault s": round(took[0], 1) if took else None, **where, **figures}


def main() -> int:
    parser = options(__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("faults", nargs="+", metavar="FAULT", choices=FAULTS, help=", ".join(FAULTS))
    parser.add_argument("--think", type=float, default=1.0, metavar="SECONDS", help="of the model")
    parser.add_argument("--rounds", type=int, default=10, help="events of each agent")
    parser.add_argument("--lasting", type=float, default=5.0, metavar="SECONDS", help="of a node's absence")
    parser.add_argument("--node", default="", metavar="HOST:PORT", help="the node to add")
    parser.add_argument("--stop", default="", metavar="COMMAND", help="stops a node")
    parser.add_argument("--start", default="", metavar="COMMAND", help="starts it")
    parser.set_defaults(agents=200)
    given = parser.parse_args()
    runs: list[dict[str, Any]] = []
    for name in given.faults:
        figures = suffer(name, given)
        print(json.dumps(figures, indent=1), flush=True)
        runs.append(figures)
    if given.json:
        given.json.write_text(json.dumps(runs, indent=1))
    return any(figures["wrong"] for figures in runs)


if __name__ == "__main__":
    sys.exit(main())
