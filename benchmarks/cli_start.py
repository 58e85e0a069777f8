"""CPU seconds of short commands: a chat of one line, help, the list of agents, usage of a long log.

Each command is a process of its own; the figure is its CPU, the least of several runs. The homes are written
by the version that is measured; the long log has rows that are not searched (calls): quick to write.

    python benchmarks/cli_start.py [--before DIR] [--agents 10000] [--rows 1000000] [--runs 5]

``DIR`` is a checkout of an earlier version, measured in the same run. Left out: the wall clock, and models
reached over a network.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

CHAT, HELP, LIST, USAGE = "echo hi | pagefault chat", "pagefault --help", "agent list", "usage"
AIMS = {CHAT: 0.6, HELP: None, LIST: 0.4, USAGE: 0.5}
BATCH = 20_000
TURN = 4  # rows, the first of which tells of a request
MODEL = "openai:gpt-4o-mini"


def fill(home: Path, agents: int, rows: int) -> None:
    """Write a home: agents without messages, the first of them with a long log."""
    import anyio

    from pagefault.build import open_store
    from pagefault.config import AgentSettings, Installation
    from pagefault.types import AgentRecord, Message, Role

    start = datetime(2026, 1, 1, tzinfo=UTC)
    settings = AgentSettings(zone="UTC").model_dump(mode="json")

    def create(tx: Any) -> Any:
        made = [tx.create_agent(AgentRecord(f"agent-{n:05}", settings, start)) for n in range(agents)]
        return made[0].id

    def message(number: int) -> Message:
        first, at = number % TURN == 0, start + number * timedelta(seconds=15)
        kinds = usage_fields(900 + number % 100) if first else {}
        return Message(Role.CALL, "{}", at, event=number // TURN + 1, name="send_message", **kinds)

    home.mkdir(parents=True)

    async def work() -> None:
        store = open_store(home, Installation())
        agent = await store.write(create)
        for begin in range(0, rows, BATCH):
            batch = [message(number) for number in range(begin, min(begin + BATCH, rows))]
            await store.write(lambda tx, batch=batch: tx.append(agent, batch))
        await store.close()

    anyio.run(work)


def usage_fields(tokens: int) -> dict[str, Any]:
    """The fields of a message that tell of one request."""
    try:
        from pagefault.message_meta import RequestUsage, Usage
    except ImportError:  # before usage had a column of its own
        return {"meta": {"usage": [{"model": MODEL, "input": tokens, "output": 30, "counted": 950}]}}
    return {"usage": (RequestUsage(MODEL, Usage(tokens, 30), 950),)}


def cpu(version: Path, arguments: list[str], home: Path, runs: int, typed: str = "") -> float:
    """The CPU seconds of a command, user and system."""
    environment = {**os.environ, "PYTHONPATH": str(version / "src"), "PAGEFAULT_HOME": str(home)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as it is used, with byte code
    command = [sys.executable, "-m", "pagefault", *arguments]
    least = float("inf")
    for _ in range(runs + 1):  # the first may write byte code
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = subprocess.run(
            command, env=environment, input=typed, text=True, capture_output=True, timeout=600, check=False
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert ran.returncode == 0, ran.stderr
        least = min(least, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return least


def measure(version: Path, agents: int, rows: int, runs: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        chat, many = Path(folder, "chat"), Path(folder, "many")
        environment = {**os.environ, "PYTHONPATH": str(version / "src")}
        child = [sys.executable, __file__, "--fill", str(many), str(agents), str(rows)]
        subprocess.run(child, env=environment, check=True, timeout=3600)
        return {
            CHAT: cpu(version, ["chat"], chat, runs, "hi\n"),
            HELP: cpu(version, ["--help"], chat, runs),
            LIST: cpu(version, ["agent", "list"], many, runs),
            USAGE: cpu(version, ["usage", "agent-00000"], many, runs),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--fill", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fill:
        fill(Path(given.fill[0]), int(given.fill[1]), int(given.fill[2]))
        return 0
    sizes = (given.agents, given.rows, given.runs)
    before = measure(given.before, *sizes) if given.before else {}
    now = measure(Path(__file__).parents[1], *sizes)
    print(f"{'CPU seconds':<28}{'before':>9}{'now':>9}{'aim':>9}")
    for name, seconds in now.items():
        aim = AIMS[name]
        print(f"{name:<28}{before.get(name, float('nan')):>9.2f}{seconds:>9.2f}{aim if aim else '':>9}")
    missed = [name for name, aim in AIMS.items() if aim is not None and now[name] > aim]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
