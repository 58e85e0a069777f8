"""The server under load on loopback: throughput, latency, its own cost, idle streams, growth.

A process of its own serves agents on a SQLite file with a model that answers at once; requests come from
another process. Each connection talks to an agent of its own, one request after the other. Beside it: an echo
of FastAPI in the same server, and the same turns through ``Kernel.send`` without a server. CPU is that of
the serving process, threads included; memory its resident set.

    python benchmarks/server_load.py [--seconds 10] [--streams 1000] [--rounds 5] [--soak MINUTES]

The client is a Python process on the same machine, so its share of the processors is not the server's. Left
out: TLS, a real model, several servers (``fleet.py``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from fastapi import FastAPI

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.kernel import Kernel
from pagefault.server import create_app
from pagefault.server.running import bind
from turn_overhead import InstantModel, sentence

CONNECTIONS = (1, 32, 256)
AGENTS = max(CONNECTIONS)
TURNS = 400
PATHS = {
    "echo": "/echo/{name}",
    "REST": "/api/v1/agents/{name}/messages",
    "OpenAI chat": "/v1/chat/completions",
}
TICKS = os.sysconf("SC_CLK_TCK")


def body(protocol: str, name: str, number: int) -> bytes:
    text = sentence(number)
    chat = {"model": name, "messages": [{"role": "user", "content": text}]}
    return json.dumps(chat if protocol == "OpenAI chat" else {"text": text}).encode()


# the process that serves


@asynccontextmanager
async def agents(home: str) -> AsyncGenerator[Kernel]:
    parts = Parts(model=InstantModel(), embedder=NullEmbedder())
    async with open_kernel(Path(home), parts, Installation()) as kernel:
        for number in range(AGENTS):
            await kernel.create_agent(f"agent{number}", parse_settings({"zone": "UTC"}))
        yield kernel


def echo() -> FastAPI:
    app = FastAPI()

    @app.post("/echo/{name}")
    async def answer(name: str, body: dict[str, Any]) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        return {"name": name} | body

    return app


async def serve(what: str, home: str) -> None:
    listener = bind("127.0.0.1", 0)
    async with agents(home) as kernel:
        app = echo() if what == "echo" else create_app(kernel)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        print(listener.getsockname()[1], flush=True)
        await server.serve([listener])


async def turns(home: str, count: int) -> None:
    """Print the CPU of a turn through ``Kernel.send``, in ms."""
    async with agents(home) as kernel:
        for number in range(-20, count):
            if number == 0:
                begin = time.process_time()
            async for _ in kernel.send("agent0", sentence(number)):
                pass
        print((time.process_time() - begin) * 1e3 / count)  # pyright: ignore[reportPossiblyUnboundVariable]


# the process that asks


class Serving:
    """A serving process, and what it takes."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid, self.port = pid, port

    def cpu(self) -> float:
        """Seconds of CPU until now."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> float:
        """Resident megabytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

    def files(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))


@contextmanager
def serving(what: str) -> Iterator[Serving]:
    with TemporaryDirectory() as home:
        command = [sys.executable, __file__, "--serve", what, "--home", home]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert child.stdout
            yield Serving(child.pid, int(child.stdout.readline()))
        finally:
            child.terminate()
            child.wait(30)


class Connection:
    """One connection that is kept: HTTP/1.1 with the least that a client can do."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def head(self, method: str, path: str, headers: str = "", content: bytes = b"") -> str:
        """Send a request; return the head of the response, which must be a success."""
        request = (
            f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(content)}\r\n{headers}\r\n"
        )
        self.writer.write(request.encode() + content)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 200"), head
        return head

    async def post(self, path: str, content: bytes) -> bytes:
        head = await self.head("POST", path, "content-type: application/json\r\n", content)
        length = head.split("content-length:", 1)[1].split("\r\n", 1)[0]
        return await self.reader.readexactly(int(length))


async def load(port: int, protocol: str, connections: int, seconds: float) -> list[float]:
    """Wall ms of each request that so many connections made in so many seconds."""
    walls: list[float] = []
    opened = [await Connection.open(port) for _ in range(connections)]
    end = time.perf_counter() + seconds

    async def keep_asking(number: int, connection: Connection) -> None:
        name, count = f"agent{number}", 0
        while (begin := time.perf_counter()) < end:
            answer = await connection.post(PATHS[protocol].format(name=name), body(protocol, name, count))
            assert b"Clara" in answer, answer
            walls.append((time.perf_counter() - begin) * 1e3)
            count += 1

    async with asyncio.TaskGroup() as tasks:
        for number, connection in enumerate(opened):
            tasks.create_task(keep_asking(number, connection))
    for connection in opened:
        connection.writer.close()
    return walls


def measure(seconds: float) -> None:
    print(f"{'':<14}{'connections':>12}{'requests/s':>12}{'p50 ms':>9}{'p95 ms':>9}{'CPU ms':>9}")
    for protocol in PATHS:
        with serving("echo" if protocol == "echo" else "pagefault") as child:
            asyncio.run(load(child.port, protocol, 1, 1.0))  # warm
            for connections in CONNECTIONS:
                before, begin = child.cpu(), time.perf_counter()
                walls = asyncio.run(load(child.port, protocol, connections, seconds))
                took, cpu = time.perf_counter() - begin, (child.cpu() - before) * 1e3 / len(walls)
                p50, p95 = statistics.median(walls), statistics.quantiles(walls, n=20)[-1]
                rate = len(walls) / took
                print(f"{protocol:<14}{connections:>12}{rate:>12.1f}{p50:>9.1f}{p95:>9.1f}{cpu:>9.2f}")


def overhead(rounds: int) -> None:
    """CPU of the same turns of one new agent through ``Kernel.send`` and through the server, in turns."""
    costs: list[tuple[float, ...]] = []
    for _ in range(rounds):
        with TemporaryDirectory() as home:
            command = [sys.executable, __file__, "--serve", "turns", "--home", home]
            bare = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        over: list[float] = []
        for protocol in ("REST", "OpenAI chat"):
            with serving("pagefault") as child:
                asyncio.run(ask(child.port, protocol, range(-20, 0)))
                before = child.cpu()
                asyncio.run(ask(child.port, protocol, range(TURNS)))
                over.append((child.cpu() - before) * 1e3 / TURNS - bare)
        costs.append((bare, *over))
    print(f"\nms CPU in {rounds} rounds: median (least to most)")
    for name, each in zip(
        ("Kernel.send", "REST over it", "OpenAI chat over it"), zip(*costs, strict=True), strict=True
    ):
        print(f"{name:<20}{statistics.median(each):>6.2f} ({min(each):.2f} to {max(each):.2f})")


async def ask(port: int, protocol: str, numbers: range) -> None:
    """Send messages to one agent, one after the other."""
    connection = await Connection.open(port)
    for number in numbers:
        await connection.post(PATHS[protocol].format(name="agent0"), body(protocol, "agent0", number))
    connection.writer.close()


async def listen(child: Serving, count: int) -> None:
    before = child.memory()
    async with asyncio.TaskGroup() as tasks:
        opened = [tasks.create_task(Connection.open(child.port)) for _ in range(count)]
    for number, connection in enumerate(opened):
        path = f"/api/v1/agents/agent{number % AGENTS}/outputs"
        await connection.result().head("GET", path, "accept: text/event-stream\r\n")
    await asyncio.sleep(2)
    after, cpu = child.memory(), child.cpu()
    await asyncio.sleep(20)
    share = (child.cpu() - cpu) / 20
    print(
        f"{count} idle streams: {before:.0f} to {after:.0f} MB (aim: under 150), {share:.1%} of a processor"
    )
    for connection in opened:
        connection.result().writer.close()


async def soak(child: Serving, minutes: float) -> None:
    """Load by both protocols in turns of half a minute; memory, open files and speed of each minute."""
    print(f"\n{'minute':>6}{'requests/s':>12}{'p95 ms':>9}{'MB':>8}{'files':>7}")
    for minute in range(int(minutes)):
        walls: list[float] = []
        for protocol in ("REST", "OpenAI chat"):
            walls += await load(child.port, protocol, 32, 30.0)
        p95 = statistics.quantiles(walls, n=20)[-1]
        print(
            f"{minute + 1:>6}{len(walls) / 60:>12.1f}{p95:>9.1f}{child.memory():>8.0f}{child.files():>7}",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10, help="of each load")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--soak", type=float, default=0, help="minutes; then nothing else is measured")
    parser.add_argument("--rounds", type=int, default=5, help="of comparing the cost of a turn")
    parser.add_argument("--serve", choices=("echo", "pagefault", "turns"), help=argparse.SUPPRESS)
    parser.add_argument("--home", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.serve:
        asyncio.run(turns(given.home, TURNS) if given.serve == "turns" else serve(given.serve, given.home))
    elif given.soak:
        with serving("pagefault") as child:
            asyncio.run(soak(child, given.soak))
    else:
        measure(given.seconds)
        overhead(given.rounds)
        with serving("pagefault") as child:
            asyncio.run(listen(child, given.streams))


if __name__ == "__main__":
    main()
