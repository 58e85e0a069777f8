"""What an event of an agent takes in a PostgreSQL database, in rows and bytes, by table.

Agents are sent events of so many words by a scripted model that answers with as many, and have vectors of 384
dimensions. Tables are measured, with indexes, after half of the events and after all: the difference is given
for one event.

    python benchmarks/row_sizes.py [--database URL] [--agents 20] [--events 100] [--words 30] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import anyio
import psycopg

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.models import Completion, Prompt
from pagefault.storage.postgres.dialect import OWNED_TABLES
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.models import ScriptedModel
from pagefault.testing.postgres import server
from pagefault.types import Event, EventKind

_BYTES = """
    SELECT coalesce(sum(pg_total_relation_size(relid)), pg_total_relation_size(%(table)s::regclass))::bigint
    FROM pg_partition_tree(%(table)s::regclass)"""
_BYTES_ON_NODES = "SELECT citus_total_relation_size(%(table)s::regclass)"
_SPREAD = "SELECT count(*) FROM pg_class WHERE relname = 'pg_dist_partition'"
Sizes = dict[str, tuple[int, int]]


class Speech:
    """Texts whose words are as frequent as in a language."""

    def __init__(self, words: int) -> None:
        self._chosen = random.Random(1)
        self._words = words
        self._all = [f"word{n}" for n in range(20_000)]
        self._weights = [1 / (n + 10) for n in range(20_000)]

    def text(self) -> str:
        return " ".join(self._chosen.choices(self._all, self._weights, k=self._words))

    def answer(self, _: Prompt) -> Completion:
        return Completion(self.text())


async def send(database: str, agents: int, events: int, speech: Speech) -> None:
    """Send each agent so many events, and wait for their turns and vectors."""
    with tempfile.TemporaryDirectory() as home:
        parts = Parts(ScriptedModel(speech.answer, window=8192), HashEmbedder(384))
        async with open_kernel(Path(home), parts, Installation(database=database)) as kernel:
            known = {agent.name for agent in await kernel.agents()}
            for name in (f"a{n}" for n in range(agents)):
                if name not in known:
                    await kernel.create_agent(name, parse_settings({"zone": "UTC", "style": "native"}))
                for _ in range(events):
                    await kernel.post(name, Event(EventKind.MESSAGE, speech.text()))
            await kernel.idle()
            await kernel.settled()


def sizes(database: str) -> Sizes:
    with psycopg.connect(database, autocommit=True) as db:
        spread = db.execute(_SPREAD.encode()).fetchall() != [(0,)]
        found: Sizes = {}
        for table in ("agents", *OWNED_TABLES):
            db.execute(f"VACUUM {table}".encode())
            measure = _BYTES_ON_NODES if spread and table != "agent_names" else _BYTES
            (count,) = db.execute(f"SELECT count(*) FROM {table}".encode()).fetchall()[0]
            (size,) = db.execute(measure.encode(), {"table": table}).fetchall()[0]
            found[table] = (count, size)
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--database", default="", metavar="URL", help="an empty one; default: of a new server"
    )
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--events", type=int, default=100, help="of each agent")
    parser.add_argument("--words", type=int, default=30, help="of an event and of an answer")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    speech, half = Speech(given.words), given.events // 2
    with nullcontext() if given.database else server() as databases:
        database = databases.new() if databases else given.database
        anyio.run(send, database, given.agents, half, speech)
        before = sizes(database)
        anyio.run(send, database, given.agents, half, speech)
        after = sizes(database)
    turns = half * given.agents
    grown: dict[str, Any] = {}
    for table, (rows, size) in after.items():
        more, larger = rows - before[table][0], size - before[table][1]
        if more or larger:
            grown[table] = {"rows": round(more / turns, 2), "bytes": round(larger / turns)}
    total = {name: round(sum(each[name] for each in grown.values()), 1) for name in ("rows", "bytes")}
    figures = {"events": turns, "words": given.words, "an event": grown, "all": total}
    print(json.dumps(figures, indent=1))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
