"""An archive of a million passages: search by vector and by words, recall, writing, disk, the first page.

Rows are real vectors and mixtures of them, texts pieces of real ones, both from files; without these, random
mixtures and words with natural frequencies. Questions likewise: ``--questions`` of the archive's own domain
and ``--foreign`` ones, a line each. What is loaded stays in ``--folder`` and is not loaded again; ``--tuned``
starts the same server with 2 GB of shared buffers and 1.5 GB for building. Prints each figure beside its aim.

    python benchmarks/archive_scale.py --folder DIR [--rows 1000000] [--vectors FILE] [--texts FILE]
        [--questions FILE] [--foreign FILE] [--tuned | --sqlite] [--only NAME ...] [--json OUT]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg

import archive_aims as aims
from archive_aims import Archive, Figures
from archive_load import MAIN, Place, Rates, load, seal
from archive_rows import Questions, Rows, asked, drawn

MEASURES: dict[str, Callable[[Archive], Awaitable[Figures]]] = {
    "sealing": aims.sealing,
    "vectors": aims.vectors,
    "words": aims.words,
    "search": aims.whole,
    "filters": aims.filters,
    "disk": lambda archive: disk(archive),
    "writing": aims.writing,
    "dead": aims.dead,
    "cold": aims.cold,
}
AIMS = {
    "vectors p50": 25, "vectors p95": 60, "recall@10": 0.98, "recall@200": 0.95, "foreign recall@10": 0.85,
    "words p50": 60, "words top 10": 0.95, "filtered returned": 1, "dead returned": 1, "disk, bytes": 2500,
    "written/s": 1500, "loaded/s, slowest": 1500, "cold s": 1, "sealing 50k s": 40, "build s": 600,
}  # fmt: skip
"""At a million rows."""

AT_LEAST = {name for name in AIMS if "/s" in name or "@" in name or "top" in name or "returned" in name}
"""Shares and rates; the rest are at most as large."""

_TEXTS = "SELECT sum(octet_length(text) + octet_length(title)) FROM passages"


async def disk(archive: Archive) -> Figures:
    """The bytes of the whole database for each passage, without those of the texts."""
    place = archive.place
    if place.sqlite:
        files = sum(file.stat().st_size for file in place.folder.glob("pagefault.db*"))
        with sqlite3.connect(place.folder / "pagefault.db") as db:
            texts = db.execute(_TEXTS.replace("octet_length(", "length(")).fetchone()[0]
        return {"disk, bytes": (files - texts) / archive.rows.size}
    with psycopg.connect(place.url, autocommit=True) as db:
        found = db.execute(f"SELECT pg_database_size(current_database()) - ({_TEXTS})").fetchone()
    assert found
    return {"disk, bytes": float(found[0]) / archive.rows.size}


def holds(name: str, value: float) -> bool | None:
    """Whether a figure keeps to its aim; None if it has none."""
    if name not in AIMS:
        return None
    return value >= AIMS[name] if name in AT_LEAST else value <= AIMS[name]


def show(name: str, value: float) -> None:
    mark = {None: "", True: "holds", False: "MISSED"}[holds(name, value)]
    aim = f"aim {AIMS[name]:g}" if mark else ""
    print(f"  {name:>20} {value:10.4g}  {aim:>10} {mark}", flush=True)


async def measured(options: argparse.Namespace, rows: Rows, own: Questions, foreign: Questions) -> Figures:
    place = Place(options.folder, tuned=options.tuned, sqlite=options.sqlite)
    note = options.folder / ("sqlite.json" if options.sqlite else "postgres.json")
    store = place.open()
    figures: Figures = {}
    try:
        rates = Rates(note)
        id = await load(store, MAIN, rows, rates)
        if seconds := await seal(store, id):
            rates.sealing.append(seconds)
            rates.note()
        archive = Archive(place, store, id, rows, own, foreign, rates)
        for name in options.only:
            begin = time.perf_counter()
            found = await MEASURES[name](archive)
            print(f"{name} ({time.perf_counter() - begin:.0f} s, load {os.getloadavg()[0]:.1f})", flush=True)
            for title, value in found.items():
                show(title, value)
            figures |= found
        await archive.store.close()
    finally:
        place.stop()
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the databases are kept")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--words", type=int, default=40, help="words of a passage")
    parser.add_argument("--vectors", type=Path, help="a .npy of real embeddings")
    parser.add_argument("--texts", type=Path, help="JSON Lines with real texts")
    parser.add_argument("--questions", type=Path, help="questions of the texts' domain, a line each")
    parser.add_argument("--foreign", type=Path, help="questions of other domains")
    parser.add_argument("--asked", type=int, default=200, help="so many of each at most")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--tuned", action="store_true", help="a server with memory to build in")
    which.add_argument("--sqlite", action="store_true")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    rows = Rows(options.rows, options.vectors, options.texts, options.words)
    own, foreign = (
        asked(file, options.asked) if file else drawn(rows, options.asked, foreign=is_foreign)
        for file, is_foreign in ((options.questions, False), (options.foreign, True))
    )
    figures = asyncio.run(measured(options, rows, own, foreign))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if any(holds(name, value) is False for name, value in figures.items()) else 0


if __name__ == "__main__":
    sys.exit(main())
