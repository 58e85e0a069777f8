"""How fast an agent moves, and in how much memory: exports, imports, copies, checks, backups.

    python benchmarks/moving.py --rows 100000

An agent with so many messages of some 30 words, each with a vector of 384 dimensions. A server of one's own
is started for PostgreSQL; it does not wait for its disk. Memory is the most this process has held so far.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from pagefault.build import open_transfer
from pagefault.storage import EmbedderRecord
from pagefault.storage.row_transfer import OWNED, Row, TransferDatabase
from pagefault.storage.sqlite.transfer import SQLiteTransfer
from pagefault.testing.postgres import Databases, start_server, stop_server
from pagefault.transfer import check, copy_agents, export_agents, import_agents

TABLES = {table.name: table for table in OWNED}
OWN: Row = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, None, None, "", False, 1.0, "{}")


class Silent:
    def begin(self, what: str, total: int) -> None: ...
    def advance(self, rows: int) -> None: ...


def fill(database: TransferDatabase, count: int) -> None:
    random.seed(1)
    words = [f"word{n}" for n in range(20_000)]
    weights = [1 / (n + 10) for n in range(20_000)]
    vectors = np.random.default_rng(1)
    with database.writing() as rows:
        rows.put_embedder(EmbedderRecord("f", "f", 384))
        agent = rows.create("ana", (OWN[0], count, *OWN[2:]))
        for first in range(1, count + 1, 1000):
            numbers = range(first, min(first + 1000, count + 1))
            texts = [" ".join(random.choices(words, weights, k=30)) for _ in numbers]
            rows.restore(
                agent,
                TABLES["messages"],
                [
                    (seq, "user", seq * 10**6, None, None, 40, True, None, None, "", "{}", text, text)
                    for seq, text in zip(numbers, texts, strict=True)
                ],
            )
            halves = vectors.standard_normal((len(numbers), 384)).astype("<f2")
            rows.restore(
                agent,
                TABLES["vectors"],
                [
                    ("recall", "f", seq, 0, b"x" * 16, half.tobytes())
                    for seq, half in zip(numbers, halves, strict=True)
                ],
            )
        rows.finish(agent)


@contextmanager
def timed(what: str, rows: int) -> Generator[None]:
    began = time.perf_counter()
    yield
    took = time.perf_counter() - began
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{what:28} {took:7.1f} s {rows / took:10,.0f} messages/s {held:6,} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast an agent moves.")
    parser.add_argument("--rows", type=int, default=100_000)
    count: int = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        home, server = Path(folder), Path(folder) / "server"
        databases = Databases(start_server(server))
        try:
            run(home, databases, count)
        finally:
            databases.close()
            stop_server(server)


def run(home: Path, databases: Databases, count: int) -> None:
    with closing(SQLiteTransfer.open(home / "a.db")) as here:
        with timed("made", count):
            fill(here, count)
        with timed("backup", count):
            here.backup(home / "backup.db", lambda _, __: None)
        with timed("export", count), (home / "ana.jsonl").open("wb") as file:
            export_agents(here, ["ana"], file, "0.1.0", Silent())
        with timed("check", count):
            assert check(here, Silent()) == []
        with (
            closing(open_transfer(home / "b.db", make=True)) as there,
            timed("import", count),
            (home / "ana.jsonl").open("rb") as file,
        ):
            import_agents(there, file, "ana.jsonl", None, Silent(), trust=True)
        with databases.one() as url, closing(open_transfer(url)) as there:
            with timed("copy SQLite to PostgreSQL", count):
                copy_agents(here, there, [], Silent())
            with timed("check PostgreSQL", count):
                assert check(there, Silent()) == []
            with (
                closing(open_transfer(home / "c.db", make=True)) as back,
                timed("copy PostgreSQL to SQLite", count),
            ):
                copy_agents(there, back, [], Silent())


if __name__ == "__main__":
    main()
