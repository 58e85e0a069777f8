"""What the tests share: an agent on the in-memory store, run by a scripted model; the command line."""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import settings

from pagefault.agent import Process
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.cli import main
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.kernel import Kernel
from pagefault.models import Model
from pagefault.storage import Store
from pagefault.testing.citus import CitusDatabases, is_coordinator
from pagefault.testing.clock import FixedClock
from pagefault.testing.memory import MemoryDatabase, MemoryStore
from pagefault.testing.postgres import Databases, given_url, start_server, stop_server
from pagefault.types import Event, Message, Output

# `--hypothesis-profile`: `make test` uses quick, `make test-all` and pytest by itself full, `make nightly`
# nightly, which alone draws other examples each time. A deadline would make a test depend on real time.
settings.register_profile("quick", max_examples=20, deadline=None, derandomize=True)
settings.register_profile("full", max_examples=120, deadline=None, derandomize=True)
settings.register_profile("nightly", max_examples=1000, deadline=None)
settings.load_profile("full")


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that needs PostgreSQL as slow: `make test` starts no server."""
    for item in items:
        if "databases" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")


# Set by the process that is started first, and inherited by the workers it starts.
RUN = os.environ.setdefault("PAGEFAULT_TEST_RUN", str(os.getpid()))
SERVER = Path(tempfile.gettempdir()) / f"pagefault-postgres-{RUN}"


@pytest.fixture(scope="session")
def databases() -> Generator[Databases]:
    """A PostgreSQL server, started by the first test that wants one; the given one may have Citus."""
    given = given_url()
    url = given or start_server(SERVER)
    databases = CitusDatabases(url) if is_coordinator(url) else Databases(url)
    yield databases
    if given:  # our own goes with all that is on it
        databases.close()


@pytest.fixture
def database(databases: Databases) -> Generator[str]:
    """The URL of a PostgreSQL database of one's own, with all tables."""
    with databases.one() as url:
        yield url


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the server when no worker needs it any more."""
    if not hasattr(session.config, "workerinput"):
        stop_server(SERVER)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Rig:
    """One agent named ``ana`` on a kernel that is entered; reopen with the same database to go on."""

    kernel: Kernel
    clock: FixedClock
    parts: Parts

    async def send(self, event: str | Event) -> list[Output]:
        """The committed outputs of an event's turn and of the warning's turn that may follow."""
        async with self.kernel.listen("ana") as heard:
            posted = [output async for output in self.kernel.send("ana", event)]
            await self.kernel.idle()
            rest: list[Output] = []
            while heard.statistics().current_buffer_used:
                rest.append(heard.receive_nowait())
        assert [o for o in rest if o.type == "done"] or posted
        return [o for o in rest if o.type not in ("delta", "retracted")]

    async def said(self, event: str | Event) -> str:
        return " ".join(o.text for o in await self.send(event) if o.type == "said")

    async def log(self) -> list[Message]:
        record = await self.kernel.record("ana")
        return await self.kernel.store.read(lambda tx: tx.messages(record.id))

    async def events(self) -> list[Event]:
        record = await self.kernel.record("ana")
        return await self.kernel.store.read(lambda tx: tx.events(record.id))

    async def process(self) -> Process:
        return await self.kernel.process("ana")


@dataclass
class Machine:
    """Where rigs are opened: a database that outlives them, a clock, a home folder."""

    home: Path
    database: MemoryDatabase = field(default_factory=MemoryDatabase)
    clock: FixedClock = field(default_factory=FixedClock)

    @asynccontextmanager
    async def open(
        self,
        model: Model,
        *,
        store: Store | None = None,
        tools: tuple[Callable[..., Any], ...] = (),
        policy: Any = None,
        parsers: dict[str, Any] | None = None,
        **settings: Any,
    ) -> AsyncGenerator[Rig]:
        parts = Parts(
            model=model,
            embedder=NullEmbedder(),
            store=store or MemoryStore(self.database),
            clock=self.clock,
            policy=policy,
            tools=tools,
            parsers=parsers or {},
        )
        kernel = open_kernel(self.home, parts, Installation())
        async with kernel:
            if not [a for a in await kernel.agents() if a.name == "ana"]:
                await kernel.create_agent("ana", parse_settings({"zone": "UTC", **settings}))
            yield Rig(kernel, self.clock, parts)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@dataclass(frozen=True, slots=True)
class Served:
    """A server over a kernel. ``client`` calls the application without a network, a stream as a whole;
    ``live`` is the address of a real one on the loopback, of which foreign clients and streams have need."""

    kernel: Kernel
    app: Any
    client: httpx2.AsyncClient
    stop: anyio.Event = field(default_factory=anyio.Event)

    @asynccontextmanager
    async def live(self) -> AsyncGenerator[str]:
        from pagefault.server.running import bind, serve

        with bind("127.0.0.1", 0) as listener:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serve, self.app, [listener], self.stop)
                try:
                    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
                finally:
                    self.stop.set()


@asynccontextmanager
async def served(kernel: Kernel, telemetry: Any = None, **options: Any) -> AsyncGenerator[Served]:
    """The server's application over a kernel that is entered, and a client for it."""
    from pagefault.server import ServerOptions, create_app

    options = {"agent": parse_settings({"zone": "UTC"}), "grace": 2.0, **options}
    app = create_app(kernel, ServerOptions(**options), telemetry)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8283") as client:
        yield Served(kernel, app, client)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `pagefault` in this process, on an empty home, without an embedder; ``stdin`` is piped in."""
    monkeypatch.setenv("PAGEFAULT_EMBEDDER", "null")
    monkeypatch.setenv("PAGEFAULT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PAGEFAULT_ZONE", "Asia/Shanghai")

    def command(*arguments: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
        with pytest.raises(SystemExit) as exit:
            main(arguments)
        captured = capfd.readouterr()
        code = exit.value.code
        if isinstance(code, str):  # the interpreter prints it and exits with 1
            return Ran(1, captured.out, f"{captured.err}{code}\n")
        return Ran(int(code or 0), captured.out, captured.err)

    return command
