"""The cost of quoting, in tokens: texts as people write and load them, before and after.

Run it by ``python benchmarks/quoting_cost.py [FOLDER]``: the shipped conversations and documents, the
project's pages and code, and the text files of a folder. Leaves out hostile text, which is made to be quoted.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from pagefault.models.tokens import HeuristicCounter
from pagefault.quoting import escaped, quoted

ROOT = Path(__file__).parent.parent
DATA = ROOT / "src" / "pagefault" / "bench" / "data"
COUNTER = HeuristicCounter()


def texts_in(value: Any) -> Iterator[str]:
    """The texts of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in cast("dict[str, Any]", value).values():
            yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from texts_in(inner)


def data(*folders: str) -> Iterator[str]:
    for path in sorted(path for folder in folders for path in (DATA / folder).rglob("*.json*")):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = [raw] if path.suffix == ".json" else raw.splitlines()
        for line in lines:
            yield from texts_in(json.loads(line))


def files(*patterns: str, under: Path = ROOT) -> Iterator[str]:
    for pattern in patterns:
        yield from (path.read_text("utf-8", "replace") for path in sorted(under.glob(pattern)))


def row(name: str, texts: Iterable[str]) -> str:
    kept = [text for text in texts if text.strip()]
    before = sum(map(COUNTER.count, kept))
    after = sum(COUNTER.count(quoted(text)) for text in kept)
    system = sum(COUNTER.count(escaped(text)) for text in kept)
    more, there = (100 * (count / max(1, before) - 1) for count in (after, system))
    return f"| {name} | {len(kept):,} | {before:,} | {more:.2f} % | {there:.2f} % |"


def main() -> None:
    print("| texts | number | tokens | quoted | in the system role |\n| --- | --- | --- | --- | --- |")
    print(row("conversations", data("dmr", "locomo", "longmemeval", "beam", "retention")))
    print(row("documents", data("docqa")))
    print(row("JSON of keys and values", data("nested-kv")))
    print(row("Markdown pages", files("*.md", "docs/*.md", "docs/zh/*.md")))
    print(row("Python code", files("src/**/*.py")))
    for folder in map(Path, sys.argv[1:]):
        print(row(str(folder), files("**/*.txt", "**/*.html", "**/*.log", "**/*.csv", under=folder)))


if __name__ == "__main__":
    main()
