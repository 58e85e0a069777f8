"""The world around one agent for the state machine in ``test_machine``: processes that die, a model that
misbehaves as it is told. What must hold is in ``machine_witness`` and ``machine_log``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, LiteralString, TypeVar

import psycopg

from machine_witness import ANA, Witness, prompt_tokens, view
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import ContextLengthExceeded
from pagefault.functions.tools import tool
from pagefault.kernel import Kernel
from pagefault.models import Completion, Prompt, StreamItem, Usage
from pagefault.storage import Transaction, TurnHold, Workers
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.signals import Signals
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.clock import FixedClock
from pagefault.testing.memory import MemoryDatabase, MemoryStore
from pagefault.types import AgentId, Style

T = TypeVar("T")

Where = Literal["memory", "disk"] | str
"""Which store: in memory, SQLite on disk, or the URL of a PostgreSQL database."""

LEASE = 2.0  # seconds, on a server
PATIENCE = 60.0  # seconds of real time after which a turn counts as stuck


class Killed(BaseException):
    """The process is dead: nothing of it runs any more."""


@dataclass
class FragileStore:
    """A store whose process dies ``before`` or after its write number ``dies_at`` (None: it lives), or is
    paused before its write number ``pauses_at`` for as long as ``meanwhile`` takes. Only the task that writes
    is paused: if its turn is ``lost`` to another process meanwhile, another task may go on with that."""

    inner: MemoryStore | SQLiteStore | PostgresStore
    dies_at: int | None = None
    before: bool = True
    dead: bool = False
    pauses_at: int = 0
    meanwhile: Callable[[], Awaitable[None]] | None = None
    lost: bool = False

    @property
    def signals(self) -> Signals:
        return self.inner.signals

    @property
    def workers(self) -> Workers:
        return self.inner.workers

    async def write(self, work: Callable[[Transaction], T], hold: TurnHold | None = None) -> T:
        self._alive()
        self.pauses_at -= 1
        if self.pauses_at == 0 and self.meanwhile:
            await self.meanwhile()
        if self.dies_at is None:
            return await self.inner.write(work, hold)
        self.dies_at -= 1
        self.dead = self.dies_at <= 0
        if self.dead and self.before:
            raise Killed
        result = await self.inner.write(work, hold)
        self._alive()
        return result

    async def read(self, work: Callable[[Transaction], T]) -> T:
        self._alive()
        return await self.inner.read(work)

    async def build(self, work: Callable[[Transaction], T]) -> T:
        self._alive()
        return await self.inner.build(work)

    @asynccontextmanager
    async def turn_lock(self, agent: AgentId) -> AsyncGenerator[TurnHold]:
        self._alive()
        async with self.inner.turn_lock(agent) as hold:
            self.lost = False
            yield hold

    async def close(self) -> None:
        if self.dead and isinstance(self.inner, MemoryStore):
            self.inner.crash()
        await self.inner.close()

    def _alive(self) -> None:
        if self.dead:
            raise Killed


@dataclass
class Behaviour:
    """How the model will behave: completions in order, then "ok"; ``summary`` for each summary. ``answer``
    goes by the prompt instead. It takes ``slowness`` steps of the event loop for each."""

    script: list[Completion | Exception] = field(default_factory=list[Completion | Exception])
    summary: Completion | Exception = field(default_factory=lambda: Completion("They talked."))
    cancel_at: int | None = None  # at which request the turn is cancelled
    answer: Callable[[Prompt], Completion] | None = None
    slowness: int = 1


@dataclass
class Brain:
    """A model that behaves as told. It looks at the store at each request, for the witness."""

    store: FragileStore
    style: Style
    behaviour: Behaviour
    witness: Witness
    window: int
    reports: bool
    cancel: Callable[[], object] = lambda: None
    name: str = "brain"

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem, None]:
        with self.witness.request(prompt, await self.store.inner.read(view), self.store):
            size = round(prompt_tokens(prompt) * self.witness.real)
            if size + prompt.max_tokens > self.window:
                raise ContextLengthExceeded("The prompt is too long.")
            item = self._next(prompt)
            await self._pause()
            if isinstance(item, Exception):
                raise item
            usage = Usage(size, 1) if self.reports else None
            yield Completion(item.text, item.calls, usage)

    def _next(self, prompt: Prompt) -> Completion | Exception:
        if prompt.plain or not prompt.functions:
            return self.behaviour.summary
        if self.behaviour.answer:
            return self.behaviour.answer(prompt)
        return self.behaviour.script.pop(0) if self.behaviour.script else Completion("ok")

    async def _pause(self) -> None:
        """Let others run; this is where a cancelled turn ends."""
        if self.behaviour.cancel_at is not None:
            self.behaviour.cancel_at -= 1
            if self.behaviour.cancel_at == 0:
                self.cancel()
        for _ in range(self.behaviour.slowness):
            await asyncio.sleep(0)


@dataclass
class Host:
    """One process of the operating system with a kernel in it, entered until it is stopped or dies."""

    kernel: Kernel
    store: FragileStore
    parts: Parts
    world: World
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _living: asyncio.Task[None] | None = None

    async def start(self) -> None:
        started = asyncio.Event()

        async def live() -> None:
            async with self.kernel:
                started.set()
                await self._stopping.wait()

        self._living = asyncio.create_task(live())
        await started.wait()

    async def served(self) -> None:
        """Until no event waits or the process is dead."""
        async with asyncio.timeout(PATIENCE):
            await self.kernel.idle()

    async def stop(self) -> None:
        assert self._living is not None
        self._stopping.set()
        try:
            await self._living
        except* Killed:
            assert self.store.dead
            if isinstance(self.store.inner, PostgresStore):
                self.world.leave_leases(self.store.inner)
            await self.store.inner.close()  # the end of a process ends its connections


@dataclass
class World:
    """What outlives processes: the data, the clock, the world outside."""

    folder: Path
    where: Where
    style: Style
    witness: Witness
    reports: bool
    behaviour: Behaviour = field(default_factory=Behaviour)
    clock: FixedClock = field(default_factory=lambda: FixedClock(step=1.0))
    database: MemoryDatabase = field(default_factory=MemoryDatabase)

    async def boot(self, dies_at: int | None = None, *, before: bool = True) -> Host:
        store = FragileStore(self._open(), dies_at, before)
        brain = Brain(store, self.style, self.behaviour, self.witness, self.witness.window, self.reports)
        parts = self._parts(brain, store)
        kernel = open_kernel(self.folder, parts, Installation())
        brain.cancel = lambda: asyncio.ensure_future(kernel.cancel("ana"))
        host = Host(kernel, store, parts, self)
        await host.start()
        return host

    def _open(self) -> MemoryStore | SQLiteStore | PostgresStore:
        if self.where == "memory":
            return MemoryStore(self.database)
        if self.where == "disk":
            return SQLiteStore.open(self.folder / "db")
        return PostgresStore.open(self.where, connections=2, lease=LEASE)

    def lose_turn(self, store: FragileStore) -> None:
        """Let others take the turns of a process: on a server its lease is over, else its lock is gone."""
        store.lost = True
        if isinstance(store.inner, PostgresStore):
            self.leave_leases(store.inner)
        elif isinstance(store.inner, SQLiteStore):
            (self.folder / "locks" / f"db-{ANA}.lock").unlink(missing_ok=True)
        else:
            self.database.turns.clear()

    def leave_leases(self, store: PostgresStore) -> None:
        """Leave the leases of a process to a worker that is gone: neither its renewals nor its end help."""
        gone = "INSERT INTO workers (id, until, serves) VALUES ('gone', '-infinity', false)"
        self._execute(f"{gone} ON CONFLICT DO NOTHING", store)
        self._execute("UPDATE agents SET holder = 'gone' WHERE holder = %(worker)s", store)

    def _execute(self, statement: LiteralString, store: PostgresStore) -> None:
        with psycopg.connect(self.where) as driver:
            driver.execute(statement, {"worker": store.workers.me})

    def _parts(self, brain: Brain, store: FragileStore) -> Parts:
        @tool
        async def poke(number: int) -> str:
            """Act on the world outside."""
            self.witness.poked[number] += 1
            await asyncio.sleep(0)
            return f"poked {number}"

        @tool(idempotent=True)
        async def peek(number: int) -> str:
            """Look at the world outside."""
            if number % 5 == 0:
                raise RuntimeError("fog")
            return f"saw {number} " + "and more " * number * 20

        @tool(approval=True)
        async def strike(number: int) -> str:
            """Act on the world outside, if somebody lets you."""
            self.witness.struck[number] += 1
            await asyncio.sleep(0)
            return f"struck {number}"

        tools = (poke, peek, strike)
        return Parts(model=brain, embedder=NullEmbedder(), store=store, clock=self.clock, tools=tools)
