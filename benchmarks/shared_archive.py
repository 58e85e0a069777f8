"""One archive attached to a thousand agents of one process: memory, turns with a search, isolation.

The archive and the agents are in one SQLite file. Each case is a process of its own, in which every agent has
a turn: the model asks for one search, and answers. It is the same turn without an archive, with the one
archive attached to all, and, for few agents, with a copy of it as each one's own; the memory for a thousand
copies is extrapolated from these. Then it is checked that no agent reaches what is another's, and that one
event each told the agents of attaching and detaching. No model, no network; vectors are given.

    python benchmarks/shared_archive.py [--agents 1000] [--passages 20000] [--copies 8]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from archive_load import FINGERPRINT, START, Given, load
from archive_rows import DIMENSIONS, Floats, Questions, Rows, drawn, random, unit
from pagefault.assembly import Parts
from pagefault.build import open_kernel, open_store
from pagefault.config import Installation, parse_settings
from pagefault.errors import UsageError
from pagefault.kernel import Kernel, archives
from pagefault.models import Completion, Prompt, StreamItem
from pagefault.process_limits import MB, memory_used
from pagefault.storage import Filter, Match, Transaction
from pagefault.testing.models import call, say
from pagefault.types import Event, EventKind, Passage
from pagefault.views import memory

ARCHIVE = "manuals"
CALL = "Call: "
SECRET = "zephyrine"
WORDS = 40  # of a passage

Figures = dict[str, float]

_secret = unit(random(4).standard_normal(DIMENSIONS, np.float32))


class Obeying:
    """A model that makes the one call that it is told to, and then answers."""

    name = "obeying"
    window = 16_384

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        _, told, wanted = prompt.messages[-1].text.rpartition(CALL)
        if told:
            name, arguments = json.loads(wanted)
            yield Completion(calls=(call(name, heartbeat=True, **arguments),))
        else:
            yield Completion(calls=(say("Done."),))


class Embedder(Given):
    """Knows the vectors of the questions; any other text gets a random one, always the same, but what has the
    secret in it is near to what has it too."""

    def reads(self, text: str) -> bool:  # noqa: ARG002
        return True

    async def embed(self, texts: Sequence[str]) -> Floats:
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        for row, text in enumerate(texts):
            made = unit(random(*sha256(text.encode()).digest()[:4]).standard_normal(DIMENSIONS, np.float32))
            if SECRET in text:
                made = unit(made + 2 * _secret)
            vectors[row] = self.vectors.get(text, made)
        return vectors


class Statements:
    """Counts what the process says to its database; BEGIN and COMMIT are statements too."""

    def __init__(self) -> None:
        self.count = 0
        connect = sqlite3.connect

        def counted(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection = connect(*arguments, **options)
            connection.set_trace_callback(self._one)
            return connection

        sqlite3.connect = counted

    def _one(self, _: str) -> None:
        self.count += 1


@dataclass
class Bench:
    """A home with ``agents`` agents, opened; ``statements`` so far."""

    kernel: Kernel
    agents: int
    questions: Questions
    statements: Statements

    async def create(self) -> None:
        """Make the agents, each with one passage that is its own."""
        settings = parse_settings(
            {"model": "offline", "window": Obeying.window, "zone": "UTC", "prefetch": 0}
        )
        for name in self.names:
            made = await self.kernel.create_agent(name, settings)
            text = f"The {SECRET} of {name} is kept by it alone."
            await self.kernel.store.write(
                lambda tx, id=made.id, text=text: tx.insert_passage(id, Passage(text, START))
            )

    @property
    def names(self) -> list[str]:
        return [f"agent{agent:04}" for agent in range(self.agents)]

    async def outputs(self, name: str, function: str, **arguments: object) -> str:
        """What a turn put out in which an agent made one call."""
        event = Event("custom_event", CALL + json.dumps([function, arguments]))
        return "\n".join([output.text async for output in self.kernel.send(name, event)])

    async def turns(self) -> Figures:
        """A turn with a search for each agent; its time, and the memory."""
        before, taken, found = memory_used(), list[float](), 0
        for agent, name in enumerate(self.names):
            query = self.questions.texts[agent % len(self.questions.texts)]
            begin = time.perf_counter()
            shown = await self.outputs(name, "archival_search", query=query)
            taken.append((time.perf_counter() - begin) * 1000)
            found += "\n[archival " in shown
        await self.kernel.idle()
        middle, high = np.percentile(taken[1:] or taken, [50, 95])
        return {
            "first turn, ms": taken[0], "turn p50, ms": float(middle), "turn p95, ms": float(high),
            "before, MB": before / MB, "after, MB": memory_used() / MB, "turns that found": found,
        }  # fmt: skip

    async def attach(self) -> Figures:
        change = partial(archives.attach, self.kernel, ARCHIVE, read_only=True)
        return await self._changed(change, events=1)

    async def detach(self) -> Figures:
        return await self._changed(partial(archives.detach, self.kernel, ARCHIVE), events=2)

    async def _changed(self, change: Callable[[str], Awaitable[object]], events: int) -> Figures:
        """Attach or detach for each agent, while none is served; what that takes, and how many of them then
        have so many events about it, each with its turn."""
        begin, count = time.perf_counter(), self.statements.count
        for name in self.names:
            await change(name)
        seconds, sent = time.perf_counter() - begin, self.statements.count - count
        async with self.kernel:
            await self.kernel.wake_waiting()
            await self.kernel.idle()
            told = await self._told(events)
        return {
            "statements an agent": sent / self.agents, "ms an agent": seconds * 1000 / self.agents,
            "agents told once": told,
        }  # fmt: skip

    async def _told(self, events: int) -> int:
        told = 0
        for name in self.names:
            record = await self.kernel.record(name)
            found = await self.kernel.store.read(lambda tx, id=record.id: tx.events(id))
            states = [event.state for event in found if event.kind == EventKind.EDITED]
            told += states == ["done"] * events
        return told

    async def isolation(self) -> Figures:
        """Whether agents reach what is another's, by search and by guessed ids, or can write to the
        archive."""
        leaks = missed = refused = 0
        before = await self._archive()
        for name, other in zip(self.names, [*self.names[1:], self.names[0]], strict=True):
            shown = [
                await self.outputs(name, "memory_search", query=SECRET),
                await self.outputs(name, "archival_search", query=f"{SECRET} of {other}"),
                await self.outputs(name, "archival_read", id=f"{other}/p1"),
                await self.outputs(name, "document_open", id=f"{other}/d1"),
            ]
            leaks += any(f"{SECRET} of {other} is kept" in text for text in shown)
            missed += f"{SECRET} of {name} is kept" not in shown[0]
            for hit in await memory.search(self.kernel, name, SECRET, tier="archival"):
                leaks += SECRET in hit.text and name not in hit.text
            with suppress(UsageError):
                leaks += bool(await memory.passage(self.kernel, name, f"{other}/p1"))
            for function, arguments in (
                ("archival_insert", {"text": "mine", "archive": ARCHIVE}),
                ("archival_delete", {"id": f"{ARCHIVE}/p1"}),
            ):
                refused += "read-only" in await self.outputs(name, function, **arguments)
        same = before == await self._archive()
        return {
            "leaks": leaks,
            "own not found": missed,
            "writes refused": refused,
            "archive as it was": int(same),
        }

    async def _archive(self) -> str:
        """A digest of the archive's passages."""

        def read(tx: Transaction) -> str:
            found = tx.shared("archive", ARCHIVE)
            assert found is not None
            every = tx.search(found.id, "archival", Match(), Filter(), FINGERPRINT).number.tolist()
            texts = [passage.text for passage in tx.passages(found.id, every)]
            return sha256("\n".join(texts).encode()).hexdigest()

        return await self.kernel.store.read(read)


CASES: dict[str, Callable[[Bench], Awaitable[Figures | None]]] = {
    "create": Bench.create, "no archive": Bench.turns, "attach": Bench.attach,
    "one archive": Bench.turns, "isolation": Bench.isolation, "detach": Bench.detach, "copies": Bench.turns,
}  # fmt: skip
OUTSIDE = ("create", "attach", "detach")
"""The cases in which the kernel serves nobody meanwhile."""


async def one(case: str, home: Path, agents: int, passages: int) -> None:
    """Run one case on a home, and print its figures."""
    statements = Statements()
    rows = Rows(passages, None, None, WORDS)
    questions = drawn(rows, 50, foreign=False)
    parts = Parts(model=Obeying(), embedder=Embedder(questions.by_text))
    kernel = open_kernel(home, parts, Installation())
    try:
        async with nullcontext() if case in OUTSIDE else kernel:
            print(json.dumps(await CASES[case](Bench(kernel, agents, questions, statements))))
    finally:
        await kernel.close()


async def fill(home: Path, names: Sequence[str], passages: int) -> None:
    """Load the same passages under each of these stored names."""
    store = open_store(home, Installation())
    try:
        for name in names:
            await load(store, name, Rows(passages, None, None, WORDS))
    finally:
        await store.close()


def ran(case: str, home: Path, agents: int, passages: int) -> Figures:
    """The figures of a case, in a process of its own."""
    arguments = [case, str(home), str(agents), str(passages)]
    done = subprocess.run(
        [sys.executable, __file__, "--case", *arguments], check=True, stdout=subprocess.PIPE
    )
    figures: Figures = json.loads(done.stdout.splitlines()[-1]) or {}
    print(f"{case:<12}", "  ".join(f"{name} {value:,.1f}" for name, value in figures.items()), flush=True)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--copies", type=int, default=8, help="agents with a copy each")
    parser.add_argument("--case", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        case, home, agents, passages = options.case
        asyncio.run(one(case, Path(home), int(agents), int(passages)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        home, copies = Path(folder, "shared"), Path(folder, "copies")
        ran("create", home, options.agents, options.passages)
        asyncio.run(fill(home, [f"archive:{ARCHIVE}"], options.passages))
        cases = ("no archive", "attach", "one archive", "isolation", "detach")
        found = {case: ran(case, home, options.agents, options.passages) for case in cases}
        ran("create", copies, options.copies, options.passages)
        asyncio.run(fill(copies, [f"agent{agent:04}" for agent in range(options.copies)], options.passages))
        each = ran("copies", copies, options.copies, options.passages)
    grown = {
        case: f["after, MB"] - f["before, MB"]
        for case, f in (*found.items(), ("copies", each))
        if "after, MB" in f
    }
    print(f"1,000 copies, extrapolated: {grown['copies'] / options.copies * 1000:,.0f} MB of memory")
    held = (
        found["isolation"]["leaks"] == found["isolation"]["own not found"] == 0
        and found["isolation"]["writes refused"] == 2 * options.agents
        and found["isolation"]["archive as it was"] == 1
        and all(found[case]["agents told once"] == options.agents for case in ("attach", "detach"))
        and grown["one archive"] < grown["no archive"] + 2 * grown["copies"]
    )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
