"""The cost of loading small documents and a page of HTML: the child process that reads them included.

Each load is a command of its own in a home of its own, without vectors; the median of some runs. Memory is
that of the largest process.

    python benchmarks/load_documents.py [--runs 5]
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

WORDS = ("harbour", "tide", "letter", "winter", "captain", "lantern", "garden", "market", "river", "answer")


def page(megabytes: float) -> str:
    """Ordinary HTML: paragraphs with links and emphasis, headings, lists and tables."""
    parts, size = ["<html><head><title>Harbours</title></head><body>"], 0
    while size < megabytes * 1e6:
        number = len(parts)
        text = " ".join(WORDS[(number * 7 + step) % len(WORDS)] for step in range(40))
        part = f"<p class='x'>{text} <a href='/{number}' title='x'>{number}</a> <b>{text[:9]}</b>.</p>\n"
        if number % 10 == 0:
            part = f"<h2>{number}</h2><ul><li>a</li></ul><table><tr><td>1</td><td>2</td></tr></table>"
        parts.append(part)
        size += len(part)
    return "".join(parts)


def loaded(files: Sequence[Path]) -> float:
    """Seconds that `pagefault load` of these files takes, in a new home."""
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"PAGEFAULT_EMBEDDER": "null", "PAGEFAULT_HOME": home}
        base = [sys.executable, "-m", "pagefault"]
        subprocess.run([*base, "agent", "create", "ana"], check=True, capture_output=True, env=environment)
        begin = time.perf_counter()
        command = [*base, "load", *map(str, files), "--agent", "ana"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        return time.perf_counter() - begin


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args(arguments).runs
    with tempfile.TemporaryDirectory() as scratch:
        small = [Path(scratch, f"{number}.md") for number in range(100)]
        for file in small:
            file.write_text(f"# Note {file.stem}\n\nThe tide turns at noon.\n")
        large = Path(scratch, "page.html")
        large.write_text(page(1))
        cases = {"one small file": small[:1], "100 small files": small, "1 MB of HTML": [large]}
        for name, files in cases.items():
            seconds = statistics.median(loaded(files) for _ in range(runs))
            print(f"{name:<24}{seconds:>8.2f} s")
    print(
        f"{'the largest process':<24}{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:>8.0f} MB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
