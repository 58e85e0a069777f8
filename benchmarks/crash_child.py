"""The process that is killed: a scripted run of several agents, that goes on where it was killed.

The places where it can be killed, the outside tools and the runs are here; what the agents do is in
``crash_script``, killing and starting again in ``crash_matrix``, what must hold afterwards in
``crash_checks``.
Nothing but the home folder remembers anything from one process to the next; if it has a file ``database``
with the URL of a PostgreSQL database, that keeps the agents.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

# Loaded before the parent forks, so that a child starts within milliseconds.
import alembic.command  # noqa: F401
import anyio
import filelock  # noqa: F401
import psycopg

import pagefault.storage.migrations
import pagefault.storage.schema  # noqa: F401
from crash_script import AGENTS, BACK, FORK, SECRET, YES, message, messages, reply, taken_back
from pagefault.approvals import Approval
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.clock import Clock, SystemClock
from pagefault.config import Installation, parse_settings
from pagefault.embedders import Embedder, Vectors
from pagefault.errors import (
    EmbedderError,
    InTurnError,
    NameTakenError,
    NotFoundError,
    TurnHeldError,
    UsageError,
)
from pagefault.functions.tools import tool
from pagefault.kernel import Kernel
from pagefault.kernel.deciding import Answer, decide
from pagefault.kernel.forgetting import LiteralQuery, Selection, forget
from pagefault.kernel.forking import fork
from pagefault.kernel.withdrawing import undo
from pagefault.storage import Store, Transaction, TurnHold
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.clock import START, FixedClock
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.models import ScriptedModel
from pagefault.types import AgentId, Event, EventKind

DIMENSIONS = 64
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
LEASE = 1.0  # seconds; the process that goes on on a server has to wait for the end of the dead one's
HOURS = 2  # how far the clock of a scripted run is moved on, in steps of one
SETTINGS = {"zone": "UTC", "window": 4096, "prefetch": 0.25, "timers": True, "agents": True}

_BESIDE = ("pagefault-leases", "pagefault-signals")  # threads that go by the clock

T = TypeVar("T")


# Where it can be killed


@dataclass
class Boundaries:
    """Counts the write boundaries of this process and kills it at number ``kill_at`` (0: never)."""

    home: Path
    kill_at: int = 0
    labels: list[str] = field(default_factory=list[str])
    _one: threading.Lock = field(default_factory=threading.Lock)
    _reading: set[int] = field(default_factory=set[int])  # connections in a transaction that only reads

    def reached(self, label: str) -> None:
        with self._one:
            self.labels.append(label)
            if len(self.labels) == self.kill_at:
                (self.home / "killed_at").write_text(label)
                os.kill(os.getpid(), signal.SIGKILL)

    def statement(self, sql: str) -> None:
        """SQLite is about to run a statement. Those by which one of ours is carried out (``--``: the
        lexical index's own tables) are no boundaries."""
        if not sql.startswith("--") and threading.current_thread().name != "pagefault-reader":
            self.reached(_shape(sql))

    def observe(self) -> None:
        """From here on count each statement of each connection that is opened."""
        self._observe_sqlite()
        self._observe_postgres()

    def _observe_postgres(self) -> None:
        """Before each statement is sent, but for those of reads and of the threads beside the store's; and
        behind each COMMIT, which is then under way and not yet answered."""
        execute = psycopg.Cursor.execute

        def observed(cursor: Any, query: Any, *values: Any, **options: Any) -> Any:
            sql = query.decode() if isinstance(query, bytes) else str(query)
            connection = id(cursor.connection)
            if sql.startswith("BEGIN") and "READ ONLY" in sql:
                self._reading.add(connection)
            elif sql.startswith("BEGIN"):
                self._reading.discard(connection)
            counts = connection not in self._reading and threading.current_thread().name not in _BESIDE
            if counts:
                self.reached(_shape(sql))
            done = execute(cursor, query, *values, **options)
            if counts and sql == "COMMIT":
                self.reached("COMMIT sent")
            return done

        setattr(psycopg.Cursor, "execute", observed)  # noqa: B010  its overloads cannot be written here

    def _observe_sqlite(self) -> None:
        connect = sqlite3.connect

        def observed(*args: Any, **options: Any) -> sqlite3.Connection:
            connection = connect(*args, **options)
            connection.set_trace_callback(self.statement)
            return connection

        sqlite3.connect = observed


def _shape(sql: str) -> str:
    """A statement without its values: ``INSERT INTO messages``."""
    found = re.match(
        r"\s*((?:INSERT|DELETE|REPLACE)\b.*?\b(?:INTO|FROM)|UPDATE|PRAGMA|(?:CREATE|DROP)[A-Z ]+)\s+(\w+)",
        sql,
    )
    if found:
        return f"{found[1]} {found[2]}"
    verb = sql.split(maxsplit=1)[0]
    source = re.search(r"\bFROM (\w+)", sql)
    return f"SELECT FROM {source[1]}" if verb == "SELECT" and source else verb


class ObservedStore:
    """The store, with a boundary behind each commit, before its caller hears of it."""

    def __init__(self, store: Store, boundaries: Boundaries) -> None:
        self._store = store
        self._boundaries = boundaries
        self.signals = store.signals
        self.workers = store.workers

    async def write(self, work: Callable[[Transaction], T], hold: TurnHold | None = None) -> T:
        done = await self._store.write(work, hold)
        self._boundaries.reached("committed")
        return done

    async def read(self, work: Callable[[Transaction], T]) -> T:
        return await self._store.read(work)

    async def build(self, work: Callable[[Transaction], T]) -> T:
        return await self._store.build(work)

    def turn_lock(self, agent: AgentId) -> AbstractAsyncContextManager[TurnHold]:
        return self._store.turn_lock(agent)

    async def close(self) -> None:
        await self._store.close()


class PatientEmbedder(HashEmbedder):
    """Gives the indexer its vectors once it is told to, so that every scripted run writes in one order."""

    def __init__(self) -> None:
        super().__init__(DIMENSIONS)
        self.may = False

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if not self.may:
            raise EmbedderError("It is not asked yet.")
        return await super().embed(texts)


def tools(home: Path, boundaries: Boundaries) -> tuple[Callable[..., Any], ...]:
    """Outside functions, each of which leaves a line in a file for each time it ran."""

    def leave(name: str, line: str) -> None:
        boundaries.reached(f"before {name}")
        descriptor = os.open(home / name, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        os.write(descriptor, f"{line}\n".encode())
        os.close(descriptor)
        boundaries.reached(f"after {name}")

    async def append_line(line: str) -> str:
        """Append a line to a file outside."""
        leave("lines", line)
        return f"Appended {line}."

    @tool(idempotent=True)
    def look_up(word: str) -> str:
        """Look a word up outside."""
        leave("looked_up", word)
        return f"{word} is a word."

    @tool(approval=True)
    async def strike(line: str) -> str:
        """Append a line to a file outside, if a person approves."""
        leave("struck", line)
        return f"Struck {line}."

    return append_line, look_up, strike


# The runs


def open_store(home: Path) -> Store:
    if (home / "database").exists():
        return PostgresStore.open((home / "database").read_text(), lease=LEASE)
    return SQLiteStore.open(home / "pagefault.db")


def kernel_over(
    home: Path, boundaries: Boundaries, clock: Clock, concurrency: int, embedder: Embedder
) -> Kernel:
    parts = Parts(
        ScriptedModel(reply, window=4096),
        embedder,
        store=ObservedStore(open_store(home), boundaries),
        clock=clock,
        tools=tools(home, boundaries),
    )
    return open_kernel(home, parts, Installation(open_turns=concurrency))


async def ensure_agents(kernel: Kernel) -> None:
    there = {record.name for record in await kernel.agents()}
    for name in AGENTS:
        if name not in there:
            await kernel.create_agent(name, parse_settings(SETTINGS))


def scripted(home: Path, kill_at: int, turns: int, concurrency: int) -> None:
    """Everything from an empty home to idle agents, or what of it is still to do."""
    boundaries = Boundaries(home, kill_at)
    boundaries.observe()
    anyio.run(_scripted, home, boundaries, turns, concurrency)
    (home / "boundaries").write_text("\n".join(boundaries.labels))


async def _scripted(home: Path, boundaries: Boundaries, turns: int, concurrency: int) -> None:
    clock = FixedClock()
    embedder = PatientEmbedder()
    kernel = kernel_over(home, boundaries, clock, concurrency, embedder)
    await ensure_agents(kernel)
    clock.at = max([START, *await _times(kernel)])  # a restart does not set the clock back
    for name, posts in messages(turns).items():
        for key, text in posts:
            await kernel.post(name, Event(EventKind.MESSAGE, text, key))
    async with kernel:
        await _serve_all(kernel)
        for hour in range(1, HOURS + 1):
            clock.at = max(clock.at, START + timedelta(hours=hour))
            await kernel.fire_timers()
            await _serve_all(kernel)
        await _take_back(kernel)
        embedder.may = True
        await kernel.settled()


async def _take_back(kernel: Kernel) -> None:
    """Fork an agent, undo its last turn, and forget a secret in both; each once, in whatever process."""
    there = {record.name for record in await kernel.agents()}
    if BACK not in there:
        await kernel.create_agent(BACK, parse_settings(SETTINGS))
    if FORK not in there:
        for key, text in taken_back():
            await kernel.post(BACK, Event(EventKind.MESSAGE, text, key))
        await _serve_all(kernel)
        await _once_free(lambda: fork(kernel, BACK, FORK))
    await _once_free(lambda: undo(kernel, BACK, key="undo"))
    await _once_free(lambda: forget(kernel, BACK, Selection(query=LiteralQuery(SECRET))))
    await _serve_all(kernel)


async def _once_free(act: Callable[[], Awaitable[object]]) -> None:
    """Do it as soon as the lease of a process that died in the middle of it is over."""
    while True:
        try:
            await act()
        except (TurnHeldError, InTurnError, NameTakenError):  # the draft of its fork has the name
            await anyio.sleep(0.05)
        else:
            return


async def _serve_all(kernel: Kernel) -> None:
    """Serve until nothing waits; an agent that a dead process holds is served when its lease is over."""

    def waits(tx: Transaction) -> bool:
        return any(tx.next_event(agent.id) for agent in tx.agents())

    await kernel.idle()
    while await _decide(kernel) or await kernel.store.read(waits):
        await kernel.recover()
        await anyio.sleep(0.01)


async def _decide(kernel: Kernel) -> bool:
    """Decide on all calls that wait, as a person who knows what may be struck; True if there were any."""
    found = await kernel.store.read(lambda tx: tx.undecided(100))
    for agent, call in found:
        with suppress(UsageError, NotFoundError):  # another process did
            await kernel.store.write(partial(_approve, agent, call))
    return bool(found)


def _approve(agent: AgentId, call: Approval, tx: Transaction) -> None:
    decide(tx, agent, call.number, Answer(YES in call.arguments), call.asked)


async def _decide_on(kernel: Kernel) -> None:
    while True:
        if await _decide(kernel):
            await kernel.wake_waiting()
        await anyio.sleep(0.05)


async def _times(kernel: Kernel) -> Sequence[Any]:
    def newest(tx: Transaction) -> list[Any]:
        return [row.at for agent in tx.agents() for row in tx.messages(agent.id, newest=1)]

    return await kernel.store.read(newest)


def serve(home: Path) -> None:
    """Serve inboxes and timers, and decide on calls, until killed."""

    async def run() -> None:
        kernel = kernel_over(home, Boundaries(home), SystemClock(), 32, HashEmbedder(DIMENSIONS))
        async with kernel, anyio.create_task_group() as tasks:
            tasks.start_soon(_decide_on, kernel)
            await kernel.serve()

    anyio.run(run)


def finish(home: Path) -> None:
    """Serve what is there, timers to come included, then end."""

    async def run() -> None:
        kernel = kernel_over(home, Boundaries(home), SystemClock(), 32, HashEmbedder(DIMENSIONS))
        async with kernel:
            await ensure_agents(kernel)
            await _serve_all(kernel)
            while await kernel.store.read(lambda tx: tx.due_schedules(NEVER, 1)):
                await anyio.sleep(0.05)
                await kernel.fire_timers()
                await _serve_all(kernel)
            await kernel.settled()

    anyio.run(run)


def post(home: Path, pause: float) -> None:
    """Post to one agent after another until the file ``enough`` is there; note each key once it is safe."""

    async def run() -> None:
        kernel = kernel_over(home, Boundaries(home), SystemClock(), 1, HashEmbedder(DIMENSIONS))
        with (home / "posted").open("a", buffering=1) as noted:
            number = 0
            while not (home / "enough").exists():
                name = AGENTS[number % len(AGENTS)]
                key, text = message(name, number // len(AGENTS), "+1s")
                await kernel.post(name, Event(EventKind.MESSAGE, text, key))
                noted.write(f"{name} {key}\n")
                number += 1
                await anyio.sleep(pause)
        await kernel.store.close()

    anyio.run(run)
