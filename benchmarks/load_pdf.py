"""A long PDF made, loaded by the command line, found by search, leafed through by an agent.

Pages are sentences of common words, each page its own; some hold a fact that stands nowhere else. Loading is
timed in a process of its own, whose largest memory is the system's count, then loaded again unchanged. With
``--vectors`` the shipped embedder then gives every chunk its vectors, which takes minutes. The agent's calls
are made by a scripted model, so what is shown is what a model would read.

    python benchmarks/load_pdf.py [--pages 1000] [--vectors] [--keep FILE.pdf]
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import anyio

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.kernel import Kernel
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event

WORDS = """
    harbour tide letter winter captain lantern garden market river answer stone window bridge morning ledger
    silver copper orchard journey engine paper mountain valley street signal journal compass anchor cargo
    record witness council museum library railway station theatre kitchen village island summer weather the a
    of and in with for under over after before while since near beside against opened carried measured noted
    repaired described followed crossed counted kept left found returned promised older quiet narrow distant
"""
BIRDS = ("heron", "egret", "plover", "curlew", "avocet", "dunlin", "bittern", "ruff")
MOST_SECONDS = 60.0
MOST_MEGABYTES = 400


def needles(pages: int) -> dict[int, str]:
    """By page, a fact that stands on no other."""
    places = [1 + (pages - 1) * n // (len(BIRDS) - 1) for n in range(len(BIRDS))]
    return {
        page: f"The {bird} vault opens with code {bird}-{4711 + page}."
        for page, bird in zip(places, BIRDS, strict=True)
    }


def make(path: Path, pages: int) -> None:
    """About 1,900 characters a page, 50 pages a chapter."""
    from fpdf import FPDF

    chance, facts, words, made = random.Random(11), needles(pages), WORDS.split(), FPDF()
    made.set_title("The Harbour Ledger")
    made.set_font("times", size=11)
    for page in range(1, pages + 1):
        made.add_page()
        if page % 50 == 1:
            made.start_section(f"Chapter {page // 50 + 1}")
        sentences = [
            " ".join(chance.choices(words, k=chance.randint(8, 16))).capitalize() + "." for _ in range(24)
        ]
        if page in facts:
            sentences.insert(12, facts[page])
        made.multi_cell(0, 5, " ".join(sentences))
    made.output(str(path))


def loaded(home: Path, path: Path) -> tuple[float, float]:
    """Seconds and, of the largest process so far, megabytes that `pagefault load` takes."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "pagefault", "load", str(path), "--agent", "ana", "--home", str(home)]
    environment = os.environ | {"PAGEFAULT_EMBEDDER": "null"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    seconds = time.perf_counter() - begin
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


async def called(kernel: Kernel, model: ScriptedModel, name: str, **arguments: object) -> tuple[str, float]:
    """The result of an agent's call, and the milliseconds of the whole turn."""
    model.script = [[call(name, heartbeat=True, **arguments)], [say("ok")]]
    begin = time.perf_counter()
    results = [
        o.text
        async for o in kernel.send("ana", Event("asked", "go"))
        if o.name == name and o.type == "returned"
    ]
    return results[0], (time.perf_counter() - begin) * 1000


async def leaf(home: Path, pages: int, vectors: bool) -> list[str]:
    """Look for every fact by search and by text, open its page; what went wrong."""
    model, wrong, times = ScriptedModel([]), list[str](), dict[str, list[float]]()
    installation = Installation(embedder="minilm" if vectors else "null")
    async with open_kernel(home, Parts(model=model), installation) as kernel:
        await kernel.recover()
        if vectors:
            begin = time.perf_counter()
            await kernel.settled()
            print(f"{'vectors of all chunks':<44}{time.perf_counter() - begin:>10.1f} s")
        for page, fact in needles(pages).items():
            code, bird = fact.split()[-1].rstrip("."), fact.split()[1]
            for name, arguments, expected in (
                ("archival_search", {"query": code}, f"The Harbour Ledger, p. {page}]"),
                (
                    "archival_search",
                    {"query": f"Which code opens the {bird} vault?"},
                    f"The Harbour Ledger, p. {page}]",
                ),
                ("document_find", {"id": "d1", "text": code.upper()}, f"[d1 p. {page}]"),
                ("document_open", {"id": "d1", "page": page}, fact),
            ):
                result, took = await called(kernel, model, name, **arguments)
                times.setdefault(f"{name}({', '.join(arguments)})", []).append(took)
                first = result if name == "document_open" else result.partition("\n")[2].partition("\n")[0]
                if expected not in first:
                    wrong.append(f"{name} {arguments}: {result[:200]!r}")
    for name, taken in times.items():
        print(f"{name + ', a turn, median':<44}{sorted(taken)[len(taken) // 2]:>10.1f} ms")
    return wrong


async def made_agent(home: Path) -> None:
    """In a large window, so that no flush comes between that would ask the scripted model for a summary."""
    kernel = open_kernel(home, installation=Installation(embedder="null"))
    await kernel.create_agent("ana", parse_settings({"window": 65_536}))
    await kernel.store.close()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--vectors", action="store_true", help="with the shipped embedder")
    parser.add_argument("--keep", type=Path, help="where to leave the PDF")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        home, path = Path(scratch, "home"), options.keep or Path(scratch, "ledger.pdf")
        begin = time.perf_counter()
        make(path, options.pages)
        print(f"{'pages':<44}{options.pages:>10,}")
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        print(f"{f'the PDF, {size}, made':<44}{time.perf_counter() - begin:>10.1f} s")
        anyio.run(made_agent, home)
        seconds, megabytes = loaded(home, path)
        print(f"{'pagefault load':<44}{seconds:>10.1f} s{options.pages / seconds:>10.0f} pages/s")
        print(f"{'its largest memory':<44}{megabytes:>10.0f} MB")
        print(f"{'pagefault load, unchanged':<44}{loaded(home, path)[0]:>10.1f} s")
        print(f"{'the database':<44}{(home / 'pagefault.db').stat().st_size / 1e6:>10.1f} MB")
        wrong = anyio.run(leaf, home, options.pages, options.vectors)
    print(f"{'facts not found where they stand':<44}{len(wrong):>10}")
    for line in wrong:
        print(line, file=sys.stderr)
    return 0 if not wrong and seconds <= MOST_SECONDS and megabytes <= MOST_MEGABYTES else 1


if __name__ == "__main__":
    sys.exit(main())
