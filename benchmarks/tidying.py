"""Doubles and contradictions found among pairs of facts, and what finding them costs when a fact is kept.

The pairs are our own, English and Chinese, an older fact and a newer one: ``data/tidying-1.tsv`` was written
before the rules were tuned, ``data/tidying-2.tsv`` when they stood. Each pair is kept by the product itself,
in a new storage; a double is found if the second fact is not stored, a contradiction if it takes the place of
the first. Beside it stands the plain rule: cosine of .95, and the same numbers and capitalised words.

python benchmarks/tidying.py [--embedders hash,minilm,multilingual] [--wrong] [--cost FACTS]

``--cost`` keeps so many different facts, and says what each took; run it with PYTHONPATH on an earlier
version to compare.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from pagefault.assembly import Parts
from pagefault.build import make_embedder, open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders import Embedder
from pagefault.kernel import Kernel
from pagefault.kernel.edits import delete_passage
from pagefault.kernel.facts import remember
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.memory import MemoryStore
from pagefault.testing.models import ScriptedModel

DATA = Path(__file__).parent / "data"
SETS = {"tuned on": "tidying-1.tsv", "held back": "tidying-2.tsv"}
NEAR = 0.95


@dataclass(frozen=True, slots=True)
class Pair:
    """Two facts, the older first. ``label``: whether they are what ``kind`` says."""

    kind: str
    language: str
    label: bool
    old: str
    new: str


@dataclass(slots=True)
class Count:
    """How often something was found rightly and wrongly, and missed."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    clear: int = 0

    def add(self, label: bool, found: bool) -> None:
        if label:
            self.right, self.missed = self.right + found, self.missed + (not found)
        else:
            self.wrong, self.clear = self.wrong + found, self.clear + (not found)

    @property
    def line(self) -> str:
        found = self.right + self.wrong
        precision = f"{self.right / found:.2f}" if found else "-"
        there = self.right + self.missed
        recall = f"{self.right / max(1, there):.2f} ({self.right} of {there})"
        return f"{precision} ({self.right} of {found}) | {recall}"


def pairs(name: str) -> Iterator[Pair]:
    for line in (DATA / name).read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            kind, language, label, old, new = line.split("\t")
            yield Pair(kind, language, label == "yes", old, new)


async def found(kernel: Kernel, pair: Pair) -> bool:
    """Keep both facts, and forget them again; whether the product found what the pair's kind says."""
    first = await remember(kernel, "ana", pair.old)
    second = await remember(kernel, "ana", pair.new)
    for id in {first.id, second.id}:
        await delete_passage(kernel, "ana", id)
    return not second.is_new if pair.kind == "double" else first.id in second.replaced


async def plainly(embedder: Embedder, pair: Pair) -> bool:
    """The plain rule of vectors, numbers and capitalised words."""
    one, other = await embedder.embed([pair.old, pair.new])
    sure = [sorted(re.findall(r"\d+|(?<!^)\b[A-Z]\w*", text)) for text in (pair.old, pair.new)]
    return bool(one @ other >= NEAR) and sure[0] == sure[1]


async def judge(name: str, embedder: Embedder, show: bool) -> None:
    parts = Parts(ScriptedModel([]), embedder, MemoryStore())
    with tempfile.TemporaryDirectory() as home:
        async with open_kernel(Path(home), parts, Installation()) as kernel:
            await kernel.ensure_agent("ana", parse_settings({"zone": "UTC"}))
            for what, file in SETS.items():
                for kind in ("double", "contradiction"):
                    ours, plain = Count(), Count()
                    for pair in (each for each in pairs(file) if each.kind == kind):
                        is_found = await found(kernel, pair)
                        ours.add(pair.label, is_found)
                        if kind == "double":
                            plain.add(pair.label, await plainly(embedder, pair))
                        if show and is_found != pair.label:
                            print(f"  {'wrong' if is_found else 'missed'}: {pair.old} | {pair.new}")
                    print(f"| {kind} | {what} | {name} | {ours.line} |")
                    if kind == "double":
                        print(f"| {kind} | {what} | {name}, plain rule | {plain.line} |")


async def cost(count: int) -> None:
    """The milliseconds of keeping each of so many facts, in a file."""
    took = list[float]()
    with tempfile.TemporaryDirectory() as home:
        async with open_kernel(Path(home), Parts(ScriptedModel([])), Installation()) as kernel:
            await kernel.ensure_agent("ana", parse_settings({"zone": "UTC"}))
            for number in range(count):
                begun = time.perf_counter()
                await remember(
                    kernel, "ana", f"Person{number} lives in Town{number % 97} and has {number} books."
                )
                took.append(1000 * (time.perf_counter() - begun))
    last = took[-count // 4 :]
    print(f"keeping a fact beside {count:,}: median {statistics.median(last):.2f} ms, ", end="")
    print(f"95 of 100 within {statistics.quantiles(last, n=20)[-1]:.2f} ms")


def embedder_named(name: str) -> Embedder:
    return HashEmbedder() if name == "hash" else make_embedder(name)


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--embedders", default="hash,minilm")
    parser.add_argument("--wrong", action="store_true", help="show the pairs that were judged wrongly")
    parser.add_argument("--cost", type=int, default=0, metavar="FACTS")
    asked = parser.parse_args(given)
    if asked.cost:
        return anyio.run(cost, asked.cost)
    print("| of | pairs | embedder | precision | recall |\n|---|---|---|---|---|")
    for name in asked.embedders.split(","):
        anyio.run(judge, name, embedder_named(name), asked.wrong)
    return None


if __name__ == "__main__":
    main()
