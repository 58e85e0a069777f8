"""A large CSV file loaded by the command line, killed in the middle, and loaded again.

The first load is killed (`kill -9`) when its first part is stored; the second goes on. Memory is the largest
sum of both processes, the command's and its child's, looked at ten times a second. No vectors. Linux only.

    python benchmarks/load_table.py [--megabytes 100]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

WORDS = ("harbour", "tide", "letter", "winter", "captain", "lantern", "garden", "market", "river", "answer")
PAGEFAULT = (sys.executable, "-m", "pagefault")


def make(path: Path, megabytes: float) -> int:
    """Write a table of ordinary rows; return how many."""
    draw, size, rows = random.Random(1), 0, 0
    with path.open("w") as file:
        file.write("id,name,port,price,note\n")
        while size < megabytes * 1e6:
            rows += 1
            words = draw.choices(WORDS, k=10)
            size += file.write(
                f'{rows},{words[0]},"Faro, {words[1]}",{rows % 997 / 10},"{" ".join(words)}"\n'
            )
    return rows


def family(process: int) -> Iterator[int]:
    """A process and those that it started, whichever thread did."""
    yield process
    try:
        for thread in Path(f"/proc/{process}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from family(int(child))
    except OSError:  # it has just ended
        return


def resident(process: int) -> float:
    """Megabytes that a process holds."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def parts(environment: dict[str, str]) -> int:
    listed = subprocess.run(
        [*PAGEFAULT, "document", "list", "--agent", "ana", "--json"],
        capture_output=True,
        check=True,
        env=environment,
    )
    return int(json.loads(listed.stdout)["total"])


def load(path: Path, environment: dict[str, str], *, kill: bool) -> tuple[float, float, Counter[str]]:
    """Seconds, megabytes and how many documents there are of each state; ``kill`` after the first part."""
    begin, peak = time.perf_counter(), 0.0
    command = [*PAGEFAULT, "load", str(path), "--agent", "ana", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as run:
        looked = begin
        while run.poll() is None:
            peak = max(peak, sum(map(resident, family(run.pid))))
            if kill and time.perf_counter() - looked > 2:
                looked = time.perf_counter()
                if parts(environment):
                    run.kill()
            time.sleep(0.1)
        printed = run.stdout.read() if run.stdout else b""
    states = (
        Counter(item["state"] for item in json.loads(printed)["documents"]) if printed else Counter[str]()
    )
    return time.perf_counter() - begin, peak, states


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        environment = os.environ | {"PAGEFAULT_EMBEDDER": "null", "PAGEFAULT_HOME": f"{scratch}/home"}
        subprocess.run(
            [*PAGEFAULT, "agent", "create", "ana"], check=True, capture_output=True, env=environment
        )
        path = Path(scratch, "table.csv")
        print(f"{make(path, given.megabytes):,} rows, {path.stat().st_size / 1e6:.0f} MB")
        for name, kill in (("killed", True), ("again", False), ("unchanged", False)):
            seconds, peak, states = load(path, environment, kill=kill)
            print(
                f"{name}: {seconds:.0f} s, {peak:.0f} MB, {dict(states)}, {parts(environment)} parts stored"
            )


if __name__ == "__main__":
    main()
