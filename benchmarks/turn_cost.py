"""The cost of a turn, part by part, before and after: boots, large windows, transactions, statements.

Each version is measured by a process of its own, with its own benchmarks beside it. CPU is that of the
process, in ms; the model answers at once, in the process or over HTTP on loopback from another one.
Transactions and statements are counted over turns of a message and an answer, the making of vectors included.
Fleet: four processes on one database, one of them killed (``fleet.py``).

    python benchmarks/turn_cost.py [--before DIR] [--only NAME ...] [--events 100]

``DIR`` is a checkout of an earlier version. Left out: a streamed delta (``stream_delta.py``) and the network.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

import turn_http
from instant_server import instant_server
from pagefault import build
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.postgres import server
from pagefault.types import Message, Role
from turn_overhead import InstantModel, sentence, turn

try:
    from pagefault.assembly import Parts
except ImportError:  # before it was apart
    Parts = build.Parts  # type: ignore[attr-defined]
try:
    from pagefault.models.directory.catalogue import Catalogue
    from pagefault.models.endpoint import RequestSettings
except ImportError:  # before they were called so
    from pagefault.models.catalogue import Catalogue  # type: ignore[import-not-found, no-redef]

    from pagefault.models.endpoint import Asking as RequestSettings  # type: ignore[attr-defined, no-redef]

HERE = Path(__file__).resolve().parent
WINDOW = 131_072
TURNS = 24  # measured of each kind
FEW, MANY = 100, 1_000  # agents; more than a process keeps loaded are MANY


@dataclass(frozen=True)
class Aim:
    """The most that a figure may be, or the least if it is a rate."""

    of: str
    most: float | None = None
    least: float | None = None


AIMS = {
    "boot": Aim("ms, an agent loaded anew", 2.0),
    "create": Aim("ms, create_agent", 3.0),
    "turn, 100 agents": Aim("ms, all loaded"),
    "turn, 1,000 agents": Aim("ms, each swapped out"),
    "1,000 over 100 agents": Aim("times", 1.3),
    "128k, 10 turns, over bare": Aim("ms over a bare HTTP client", 5.0),
    "128k, 1,000 turns, over bare": Aim("ms over a bare HTTP client", 5.0),
    "writes a turn": Aim("transactions", 2.5),
    "reads a turn": Aim("transactions", 1.0),
    "statements a turn": Aim("on PostgreSQL", 16.0),
    "fleet on PostgreSQL": Aim("events a second", least=2.5 * 53),
    "fleet on SQLite": Aim("events a second", least=2.5 * 68),
}


class CountingStore:
    """A store that counts its transactions."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.writes = self.reads = 0
        self.turn_lock = inner.turn_lock
        self.close = inner.close
        self.signals = getattr(inner, "signals", None)
        self.workers = getattr(inner, "workers", None)

    async def write(self, work: Callable[[Any], Any], *hold: Any) -> Any:
        self.writes += 1
        return await self.inner.write(work, *hold)

    async def read(self, work: Callable[[Any], Any]) -> Any:
        self.reads += 1
        return await self.inner.read(work)


@asynccontextmanager
async def opened(parts: Any, database: str = "") -> AsyncIterator[Any]:
    """A kernel on an empty home, with ``create`` to make agents in either version."""
    with tempfile.TemporaryDirectory() as home:
        async with build.open_kernel(Path(home), parts, Installation(database=database)) as kernel:
            yield kernel


async def create(kernel: Any, name: str, parts: Any) -> Any:
    settings = parse_settings({"zone": "UTC"})
    if hasattr(kernel, "create_agent"):
        return await kernel.create_agent(name, settings)
    return await build.create_agent(kernel, name, settings, parts)  # type: ignore[attr-defined]


class Cpu:
    """CPU of this process since it was made, in ms for each of ``count``."""

    def __init__(self) -> None:
        self.begin = time.process_time()

    def each(self, count: int) -> float:
        return (time.process_time() - self.begin) * 1e3 / count


async def agents() -> dict[str, float]:
    parts, found = Parts(model=InstantModel(), embedder=NullEmbedder()), dict[str, float]()
    for number in (FEW, MANY):
        async with opened(parts) as kernel:
            cpu = Cpu()
            for n in range(number):
                await create(kernel, f"a{n}", parts)
            found["create"] = cpu.each(number)
            chosen = [f"a{n * number // FEW}" for n in range(FEW)]
            for name in chosen:
                await turn(kernel, name, 0)
            others = [f"a{n}" for n in range(number) if f"a{n}" not in chosen]
            for name in others[: 2 * FEW]:  # more than a process keeps loaded
                await kernel.process(name)
            cpu = Cpu()
            for name in chosen:
                await turn(kernel, name, 1)
            found[f"turn, {number:,} agents"] = cpu.each(FEW)
            if number == FEW:
                cpu = Cpu()
                for n in range(FEW):
                    kernel.forget(f"a{n}")
                    await kernel.process(f"a{n}")
                found["boot"] = cpu.each(FEW)
    found["1,000 over 100 agents"] = found["turn, 1,000 agents"] / found["turn, 100 agents"]
    return found


def history(turns: int) -> list[Message]:
    """Rows as so many turns of a message and an answer leave them."""
    at, rows = datetime(2026, 1, 1, tzinfo=UTC), list[Message]()
    for n in range(turns):
        when, said, seq = at + timedelta(minutes=n), sentence(n), 4 * n + 2
        arguments = json.dumps({"message": said})
        call = Message(Role.CALL, arguments, when, arguments, 36, None, seq, f"c{seq}", "send_message")
        rows += [
            Message(Role.USER, said, when, f"[user 2026-01-01 Thu 09:00] {said}", 30),
            call,
            Message(Role.ASSISTANT, said, when, completion=seq),
            replace(call, role=Role.RESULT, text="Sent.", shown="Sent.", tokens=5),
        ]
    return rows


async def large_window(turns: int) -> float:
    """CPU ms of a turn over that of a bare HTTP client with as many messages."""
    with instant_server() as url:
        catalogue = Catalogue({})
        model = catalogue.model(f"{url}/v1#instant", WINDOW, RequestSettings())
        parts = Parts(model=model, embedder=NullEmbedder())
        async with opened(parts) as kernel:
            record = await create(kernel, "ana", parts)
            await kernel.store.write(lambda tx: tx.append(record.id, history(turns)))
            await turn(kernel, "ana", 0)
            cpu = Cpu()
            for n in range(TURNS):
                await turn(kernel, "ana", n)
            ours = cpu.each(TURNS)
        await catalogue.aclose()
        bare = await turn_http.bare(url, turn_http.PLAIN, turns=TURNS, messages=3 * turns, agents=1)
    print(f"  {turns:,} turns in the window: {ours:.2f} ms, bare {bare.cpu:.2f} ms", file=sys.stderr)
    return ours - bare.cpu


async def windows() -> dict[str, float]:
    return {f"128k, {turns:,} turns, over bare": await large_window(turns) for turns in (10, 1_000)}


async def transactions() -> dict[str, float]:
    found: dict[str, float] = {}
    statements = 0
    execute = psycopg.Cursor.execute

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal statements
        statements += 1
        return execute(self, *arguments, **options)

    psycopg.Cursor.execute = counted  # type: ignore[method-assign, assignment]
    with server() as databases:
        store = CountingStore(build.open_store(Path(), Installation(database=databases.new())))
        parts = Parts(model=InstantModel(), embedder=HashEmbedder(), store=store)  # type: ignore[arg-type]
        async with opened(parts) as kernel:
            await create(kernel, "ana", parts)
            await turn(kernel, "ana", 0)
            await kernel.settled()
            store.writes = store.reads = statements = 0
            for n in range(TURNS):
                await turn(kernel, "ana", n)
            await kernel.settled()
            found = {"writes a turn": store.writes / TURNS, "reads a turn": store.reads / TURNS}
            found["statements a turn"] = statements / TURNS
    return found


PARTS = {"agents": agents, "windows": windows, "transactions": transactions}


def fleet(root: Path, events: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, flags in (("PostgreSQL", ["--postgres"]), ("SQLite", [])):
        command = [sys.executable, str(root / "benchmarks/fleet.py"), "--events", str(events), *flags]
        environment = os.environ | {"PYTHONPATH": str(root / "src")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        report: dict[str, Any] = json.loads(done.stdout or "{}")
        if wrong := report.get("wrong", done.stderr[-300:]):
            print(f"  fleet on {name}: {wrong}", file=sys.stderr)
        found[f"fleet on {name}"] = report.get("events a second", 0.0)
    return found


def measured(root: Path, names: Sequence[str], events: int) -> dict[str, float]:
    """The figures of the version at ``root``."""
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}:{root / 'benchmarks'}"}
    found: dict[str, float] = {}
    for name in names:
        if name == "fleet":
            found |= fleet(root, events)
            continue
        command = [sys.executable, "-P", __file__, "--measure", name]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        found |= json.loads(done.stdout)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--only", nargs="+", choices=[*PARTS, "fleet"], default=[*PARTS, "fleet"])
    parser.add_argument("--events", type=int, default=100, help="of each process of the fleet")
    parser.add_argument("--measure", choices=PARTS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(asyncio.run(PARTS[given.measure]())))
        return 0
    before = measured(given.before.resolve(), given.only, given.events) if given.before else {}
    after, missed = measured(HERE.parent, given.only, given.events), False
    print(f"{'':<34}{'before':>10}{'after':>10}{'aim':>12}")
    for name, aim in AIMS.items():
        if name in after:
            far = aim.most is not None and after[name] > aim.most
            short = aim.least is not None and after[name] < aim.least
            missed |= far or short
            bound = f"<= {aim.most:g}" if aim.most else f">= {aim.least:g}" if aim.least else ""
            was = f"{before[name]:.2f}" if name in before else ""
            print(
                f"{name:<34}{was:>10}{after[name]:>10.2f}{bound:>12}  {aim.of}{' (missed)' * (far or short)}"
            )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
