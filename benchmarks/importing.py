"""Imports of a large history: rows a second without vectors, once, and once more when all of it is known.

    python benchmarks/importing.py [--rows N] [--kinds jsonl,chatgpt,whatsapp]

The history is made here: messages of 5 to 60 words of English, five minutes apart. Each kind is imported into
a new database in a process of its own, whose peak of memory is measured. Left out: vectors, which are made
in the background, and documents.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
START = datetime(2020, 1, 1, tzinfo=UTC)
TOGETHER = 50  # messages of a conversation


def messages(rows: int) -> Iterator[tuple[int, datetime, str]]:
    chance = random.Random(1)
    words = sorted({word for word in (HERE / "README.md").read_text("utf-8").split() if word.isalpha()})
    for number in range(rows):
        text = " ".join(chance.choices(words, k=chance.randint(5, 60)))
        yield number, START + timedelta(minutes=5 * number), text


def jsonl(path: Path, rows: int) -> Path:
    with path.with_suffix(".jsonl").open("w") as file:
        for number, at, text in messages(rows):
            role = ("user", "assistant")[number % 2]
            file.write(
                json.dumps({"role": role, "content": text, "at": at.isoformat(), "id": str(number)}) + "\n"
            )
    return path.with_suffix(".jsonl")


def whatsapp(path: Path, rows: int) -> Path:
    with path.with_suffix(".txt").open("w") as file:
        for number, at, text in messages(rows):
            file.write(f"{at:%d/%m/%Y, %H:%M} - {('Ana', 'Bo')[number % 2]}: {text}\n")
    return path.with_suffix(".txt")


def chatgpt(path: Path, rows: int) -> Path:
    with path.with_suffix(".json").open("w") as file:
        file.write("[")
        nodes = dict[str, Any]()
        for number, at, text in messages(rows):
            content = {"content_type": "text", "parts": [text]}
            role = ("user", "assistant")[number % 2]
            message = {
                "id": str(number), "author": {"role": role, "name": None, "metadata": {}}, "content": content,
                "create_time": at.timestamp(), "recipient": "all", "metadata": {"model_slug": "gpt-4o"},
            }  # fmt: skip
            parent = str(number - 1) if nodes else None
            nodes[str(number)] = {"id": str(number), "parent": parent, "children": [], "message": message}
            if len(nodes) == TOGETHER or number == rows - 1:
                talk = {
                    "title": "",
                    "create_time": at.timestamp(),
                    "mapping": nodes,
                    "current_node": str(number),
                }
                file.write(f"{',' if number >= TOGETHER else ''}{json.dumps(talk | {'id': str(number)})}")
                nodes.clear()
        file.write("]")
    return path.with_suffix(".json")


KINDS = {"jsonl": jsonl, "chatgpt": chatgpt, "whatsapp": whatsapp}


async def measure(path: Path, home: Path) -> dict[str, Any]:
    from pagefault.assembly import Parts
    from pagefault.build import open_kernel
    from pagefault.config import Installation, parse_settings
    from pagefault.embedders.null import NullEmbedder
    from pagefault.importers.runner import ImportWishes, import_source

    kernel = open_kernel(home, Parts(embedder=NullEmbedder()), Installation())
    found: dict[str, Any] = {"file, MB": round(path.stat().st_size / 1e6, 1)}  # noqa: ASYNC240
    for what in ("new", "known"):
        began, used = time.perf_counter(), time.process_time()
        report = await import_source(kernel, path, parse_settings({"zone": "UTC"}), ImportWishes("ana"))
        counts = report.agents[0].messages
        rows = counts.added + counts.known
        found[f"{what}, rows"] = counts.added if what == "new" else counts.known
        found[f"{what}, rows/s"] = round(rows / (time.perf_counter() - began))
        found[f"{what}, rows a CPU second"] = round(rows / (time.process_time() - used))
    await kernel.close()
    found["peak of memory, MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)  # in a process of its own
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.file:
            print(json.dumps(asyncio.run(measure(given.file, Path(folder)))))
            return
        for kind in given.kinds.split(","):
            path = KINDS[kind](Path(folder) / "history", given.rows)
            command = [sys.executable, __file__, "--file", str(path)]
            ran = subprocess.run(command, check=True, capture_output=True, text=True)
            print(kind, json.dumps(json.loads(ran.stdout.splitlines()[-1])), flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
