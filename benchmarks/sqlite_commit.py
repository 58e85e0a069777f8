"""What a commit costs on SQLite, and why the store is built as it is.

One transaction is what a turn does most: append two rows (with their lexical index) and save the queue; 4
statements and a commit. Compared: the store, its transaction without threads, the same work through
SQLAlchemy Core; group commit on and off; ``synchronous`` NORMAL and FULL. Then search, the turn lock and
opening.

    python benchmarks/sqlite_commit.py [--transactions 2000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import bindparam, create_engine, event, insert, text, update

from pagefault.storage import Filter, Match, Transaction
from pagefault.storage.rows import micros
from pagefault.storage.schema import agents, messages
from pagefault.storage.sqlite import SQLiteStore
from pagefault.storage.sqlite.connection import Connection, Synchronous
from pagefault.storage.sqlite.transaction import SQLiteTransaction
from pagefault.storage.terms import terms
from pagefault.types import AgentId, AgentRecord, Message, QueueState, Role

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SENTENCES = (
    "I moved from Lisbon to Porto in March, and my sister Clara came along with her two cats and a piano.",
    "Noted: you live in Porto now, with Clara; shall I remind you of the piano tuner on Thursday at three?",
)
ROWS = [
    Message(role, sentence, NOW, sentence, 25)
    for role, sentence in zip((Role.USER, Role.ASSISTANT), SENTENCES, strict=True)
]
QUEUE = QueueState(head="You are Ana.\n" * 50)


def turn(agent: AgentId, tx: Transaction) -> None:
    tx.append(agent, ROWS)
    tx.save_queue(agent, QUEUE)


def timed(name: str, times: int, work: Callable[[], None]) -> None:
    """Run ``work`` that does ``times`` transactions and print what one costs."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"{name:<58}{cpu / times * 1e6:>9.0f}{wall / times * 1e6:>9.0f}{times / wall:>9.0f}")


def new_agent(store: SQLiteStore) -> AgentId:
    async def create() -> AgentId:
        return (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))).id

    return asyncio.run(create())


def through_the_store(
    path: Path, times: int, *, together: int = 256, at_once: int = 1, synchronous: Synchronous = "NORMAL"
) -> None:
    store = SQLiteStore.open(path, synchronous=synchronous, together=together)
    agent = new_agent(store)

    async def caller() -> None:
        for _ in range(times // at_once):
            await store.write(lambda tx: turn(agent, tx))

    async def callers() -> None:
        await asyncio.gather(*(caller() for _ in range(at_once)))

    grouped = "grouped" if together > 1 else "one by one"
    name = f"store, {at_once} caller(s), {grouped}, {synchronous}"
    timed(name, times // at_once * at_once, lambda: asyncio.run(callers()))
    asyncio.run(store.close())


def without_threads(path: Path, times: int) -> None:
    asyncio.run(SQLiteStore.open(path).close())
    connection = Connection(path, synchronous="NORMAL", busy_timeout=1.0)
    tx = SQLiteTransaction(connection)
    agent = tx.create_agent(AgentRecord("ana", {}, NOW)).id

    def work() -> None:
        for _ in range(times):
            connection.run("BEGIN IMMEDIATE")
            turn(agent, tx)
            connection.run("COMMIT")

    timed("plain sqlite3, no threads, NORMAL", times, work)
    connection.close()


def through_sqlalchemy(path: Path, times: int) -> None:
    """The same statements by Core's usual way: built once, cached compilation, an engine's connection."""
    store = SQLiteStore.open(path)
    agent = new_agent(store)
    asyncio.run(store.close())
    take = (
        update(agents)
        .where(agents.c.id == bindparam("of_agent"))
        .values(
            last_seq=agents.c.last_seq + bindparam("count"),
            recall_rows=agents.c.recall_rows + bindparam("rows"),
            recall_units=agents.c.recall_units + bindparam("more_units"),
        )
        .returning(agents.c.last_seq)
    )
    index = text("INSERT INTO lexicon (rowid, units) VALUES (:key, :units)")
    save = update(agents).where(agents.c.id == bindparam("of_agent"))
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", lambda driver, _: driver.execute("PRAGMA synchronous = NORMAL"))  # pyright: ignore
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))  # pyright: ignore

    def row(message: Message, seq: int, units: int) -> dict[str, Any]:
        return {
            "agent": agent,
            "seq": seq,
            "role": message.role,
            "at": micros(message.at),
            "tokens": message.tokens,
            "units": units,
            "embed": True,
            "meta": json.dumps({}),
            "text": message.text,
            "shown": message.shown,
        }

    queue = {"start": 1, "summary": None, "pinned": None, "head": QUEUE.head, "warned": False, "ratio": 1.0}

    def work() -> None:
        with engine.connect() as connection:
            for _ in range(times):
                with connection.begin():
                    units = [terms(message.text) for message in ROWS]
                    counts = {"count": 2, "rows": 2, "more_units": sum(map(len, units))}
                    first = connection.execute(take, {"of_agent": agent, **counts}).scalar_one() - 1
                    numbered = list(enumerate(zip(ROWS, units, strict=True), first))
                    connection.execute(insert(messages), [row(m, seq, len(u)) for seq, (m, u) in numbered])
                    keys = [
                        (agent << 33 | seq, " ".join(f"r{agent}·{x}" for x in u)) for seq, (_, u) in numbered
                    ]
                    connection.execute(index, [{"key": key, "units": joined} for key, joined in keys])
                    connection.execute(save, {"of_agent": agent, **queue})

    timed("SQLAlchemy Core, no threads, NORMAL", times, work)
    engine.dispose()


def search_lock_and_opening(path: Path, rows: int) -> None:
    store = SQLiteStore.open(path)
    agent = new_agent(store)
    random = np.random.default_rng(1)
    words = [f"word{n}" for n in range(5_000)]
    texts = [" ".join(words[int(n)] for n in random.zipf(1.3, 30) % 5_000) for _ in range(rows)]
    vectors = random.standard_normal((rows, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    async def fill() -> None:
        await store.write(lambda tx: tx.append(agent, [Message(Role.USER, text, NOW) for text in texts]))
        waiting = await store.read(lambda tx: tx.pending_vectors("f", rows))
        await store.write(lambda tx: tx.put_vectors("f", waiting, list(vectors[:, None])))

    asyncio.run(fill())
    matches = {
        "two rare words": Match(tuple(terms("word1000 word2000"))),
        "exact": Match(exact=(tuple(terms("word1000")),)),
        "rare words and vector": Match(tuple(terms("word1000 word2000")), vector=vectors[0]),
        "nothing (browse)": Match(),
    }

    async def once(match: Match) -> int:
        found = await store.read(lambda tx: tx.search(agent, "recall", match, Filter(), "f"))
        return len(found.number)

    async def waiting() -> int:
        return len(await store.read(lambda tx: tx.pending_vectors("f", 32)))

    print(f"\nof {rows} rows with vectors:")
    for name, match in matches.items():
        print(f"  search, {name:<44}{milliseconds(lambda m=match: asyncio.run(once(m))):>9.2f} ms")
    print(f"  {'pending vectors, none':<52}{milliseconds(lambda: asyncio.run(waiting())):>9.2f} ms")

    async def lock(times: int) -> None:
        for _ in range(times):
            async with store.turn_lock(agent):
                pass

    took = milliseconds(lambda: asyncio.run(lock(100))) / 100
    print(f"  {'turn lock, taken and freed':<52}{took * 1e3:>9.0f} µs")
    asyncio.run(store.close())
    opened: list[SQLiteStore] = []
    took = milliseconds(lambda: opened.append(SQLiteStore.open(path)))
    print(f"  {'opening a current file':<52}{took:>9.2f} ms")
    for one in opened:
        asyncio.run(one.close())


def milliseconds(work: Callable[[], object], times: int = 15) -> float:
    """The median wall time of ``work``."""
    taken: list[float] = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--transactions", type=int, default=2_000)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: the temporary folder)")
    options = parser.parse_args()
    times: int = options.transactions
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        print(f"{'per transaction of 2 rows and the queue':<58}{'CPU µs':>9}{'wall µs':>9}{'per s':>9}")
        without_threads(folder / "plain.db", times)
        through_sqlalchemy(folder / "core.db", times)
        levels: tuple[Synchronous, ...] = ("NORMAL", "FULL")
        for synchronous in levels:
            for at_once, together in ((1, 256), (32, 256), (32, 1)):
                path = folder / f"{synchronous}-{at_once}-{together}.db"
                through_the_store(path, times, together=together, at_once=at_once, synchronous=synchronous)
        search_lock_and_opening(folder / "search.db", options.rows)


if __name__ == "__main__":
    main()
