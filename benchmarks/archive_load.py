"""The archive of ``archive_scale`` in a database that is kept: loaded by the product's own writes, resumable.

A batch of passages and their vectors is one transaction, so what is there is whole; what is large is sealed
as it comes. The server is one of its own on a folder, as it comes or tuned; it waits for its disk. Left out:
what is measured (``archive_aims``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psycopg

from archive_rows import DIMENSIONS, Floats, Rows
from pagefault.build import open_store
from pagefault.config import Installation
from pagefault.embedders import Scale
from pagefault.embedders.minilm import MiniLM
from pagefault.storage import EmbedderRecord, Filter, Match, PendingVector, Store
from pagefault.storage.segments import SegmentSizes
from pagefault.testing.postgres import end_server, start_server
from pagefault.types import AgentId, AgentRecord, Passage

MAIN = "main"
FINGERPRINT = "given"
START = datetime(2020, 1, 1, tzinfo=UTC)
BATCH = 1000
STEP = 50_000
"""Rows between two figures of the rate."""

_CONFIGURATION = "\nmax_connections = 100\nlogging_collector = off\ninclude_if_exists = 'scale.conf'\n"
_TUNED = """
shared_buffers = 2GB
maintenance_work_mem = 1536MB
effective_cache_size = 8GB
max_wal_size = 8GB
"""
_DATABASE = "scale"


@dataclass
class Given:
    """An embedder that knows the vectors of the questions, so that only the search is timed."""

    vectors: dict[str, Floats] = field(default_factory=dict[str, Floats])
    fingerprint: str = FINGERPRINT
    dimensions: int = DIMENSIONS
    scale: Scale = MiniLM.scale

    def reads(self, text: str) -> bool:
        return text in self.vectors

    async def embed(self, texts: Sequence[str]) -> Floats:
        return np.stack([self.vectors[text] for text in texts])


def serving(embedder: Given) -> Callable[[], Awaitable[Given]]:
    async def current() -> Given:
        return embedder

    return current


@dataclass
class Place:
    """A folder with both databases: that of the server, and the file of SQLite."""

    folder: Path
    tuned: bool = False
    sqlite: bool = False
    url: str = ""

    @property
    def data(self) -> Path:
        return self.folder / "postgres"

    def start(self) -> str:
        """Start the server as it is to be, whatever it was before; return the URL of the database, made if it
        is not there."""
        self.stop()
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.data.exists():
            (self.data / "scale.conf").write_text(_TUNED if self.tuned else "")
        url = start_server(self.data, _CONFIGURATION)
        if self.tuned and not (self.data / "scale.conf").exists():
            return self.start()
        with psycopg.connect(url, autocommit=True) as server:
            known = server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_DATABASE]).fetchone()
            if known is None:
                server.execute(f"CREATE DATABASE {_DATABASE} ENCODING 'UTF8' TEMPLATE template0")
        self.url = urlsplit(url)._replace(path=f"/{_DATABASE}").geturl()
        return self.url

    def stop(self) -> None:
        """Stop the server, and wait until its last checkpoint is done."""
        end_server(self.data)
        while (self.data / "postmaster.pid").exists():
            time.sleep(0.1)

    def open(self) -> Store:
        """Open the database, empty if it is not there."""
        return open_store(self.folder, Installation(database="" if self.sqlite else self.start()))


@dataclass
class Rates:
    """The passages written a second for each ``STEP`` of a load, and the seconds of sealing it, kept in
    ``file`` with the database."""

    file: Path
    each: list[float] = field(default_factory=list[float])
    sealing: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        if self.file.exists():
            self.each, self.sealing = json.loads(self.file.read_text())

    def note(self) -> None:
        self.file.write_text(json.dumps([self.each, self.sealing]))


async def owner(store: Store, name: str) -> tuple[AgentId, int]:
    """The id of an archive of this name, made if it is not there, and the number of its last passage."""

    def work(tx: Any) -> AgentId:
        if not tx.embedders():
            tx.put_embedder(
                EmbedderRecord(FINGERPRINT, FINGERPRINT, DIMENSIONS, wanted=True, in_service=True)
            )
        return (tx.agent(name) or tx.create_agent(AgentRecord(name, {}, START))).id

    id = await store.write(work)
    every = await store.read(lambda tx: tx.search(id, "archival", Match(), Filter(), FINGERPRINT))
    return id, int(every.number[-1]) if len(every.number) else 0


async def add(store: Store, id: AgentId, rows: Rows, first: int, last: int) -> None:
    """Store these rows of ``rows`` with their vectors, in one transaction; they get the next numbers."""
    texts = rows.texts(first, last)
    vectors = rows.vectors(first, last)
    passages = [
        Passage(text, START + timedelta(minutes=number), rows.tags(number))
        for number, text in enumerate(texts, first)
    ]

    def work(tx: Any) -> None:
        stored = tx.insert_passages(id, passages)
        items = [PendingVector(id, "archival", passage.number, passage.text) for passage in stored]
        tx.put_vectors(FINGERPRINT, items, [vectors[n : n + 1] for n in range(len(items))])

    await store.write(work)


async def seal(store: Store, id: AgentId) -> float:
    """Seal what is to be sealed; return the seconds until searches use it, without those of cleaning up."""
    seconds: dict[str, float] = {}
    while True:
        begin = time.perf_counter()
        step = await store.build(lambda tx: tx.seal(id, SegmentSizes()))
        if not step:
            break
        seconds[step] = seconds.get(step, 0) + time.perf_counter() - begin
    if seconds:
        print("  sealed:", ", ".join(f"{step} {each:.1f} s" for step, each in seconds.items()), flush=True)
    return sum(seconds.get(step, 0) for step in ("plan", "build", "publish"))


async def load(store: Store, name: str, rows: Rows, rates: Rates | None = None) -> AgentId:
    """Store the rows that are not there yet, sealed as they come; return the archive's id. ``rates`` gets the
    passages written a second for each ``STEP``, and the seconds of sealing after it."""
    id, done = await owner(store, name)
    begin, begun = time.perf_counter(), done
    for first in range(done + 1, rows.size + 1, BATCH):
        last = min(first + BATCH - 1, rows.size)
        await add(store, id, rows, first, last)
        if rates and (last % STEP == 0 or last == rows.size):
            rates.each.append((last - begun) / (time.perf_counter() - begin))
            print(f"  {last:>9,} rows, {rates.each[-1]:,.0f} a second", flush=True)
            rates.sealing.append(await seal(store, id))
            rates.note()
            begin, begun = time.perf_counter(), last
    return id
