"""The benchmarks that need no outside data, one after another, in their quick form: what ``make bench`` runs.

Each is a script of its own with options for the long form; ``docs/benchmarks.md`` keeps the figures.

    python benchmarks/run_all.py [NAME ...]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
QUICK: dict[str, list[list[str]]] = {
    "footprint": [["--runs", "5"]],
    "turn_overhead": [["--turns", "30", "--repeats", "2"]],
    "prefix_share": [[]],
    "adapter_cpu": [["--requests", "12"]],
    "stream_delta": [[]],
    "row_security": [["--times", "100"]],
    "observer_cost": [["--turns", "40", "--repeats", "1"]],
    "server_load": [["--seconds", "2", "--streams", "100"]],
    "turn_http": [["--turns", "8", "--repeats", "1", "--agents", "1", "8"]],
    "wire_prefix": [["--turns", "100", "--windows", "4096"]],
    "sqlite_commit": [["--transactions", "1000", "--rows", "5000"]],
    "crash_matrix": [["--every", "120", "--kills", "12"]],
    "load_pdf": [["--pages", "200"]],
    "load_documents": [["--runs", "1"]],
    "fleet": [
        ["--events", "100"],
        ["--events", "100", "--postgres"],
        ["--agents", "200", "--think", "8", "--postgres"],
    ],
    "fleet_faults": [["kill", "stop", "--agents", "80", "--think", "4", "--rounds", "2", "--lasting", "10"]],
    "long_chat": [["--window", "4096"], ["--window", "8192"]],
    "tasks": [[]],
}
"""What runs, with which arguments; a benchmark that misses its aim exits with 1."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(QUICK)}; default: all")
    names: list[str] = parser.parse_args().names or list(QUICK)
    if unknown := [name for name in names if name not in QUICK]:
        parser.error(f"there is no benchmark {unknown[0]}; choose from {', '.join(QUICK)}")
    missed: list[str] = []
    for name in names:
        for arguments in QUICK[name]:
            title = " ".join([f"{name}.py", *arguments])
            print(f"\n== {title}", flush=True)
            begin = time.perf_counter()
            done = subprocess.run([sys.executable, str(HERE / f"{name}.py"), *arguments], check=False)
            print(f"({time.perf_counter() - begin:.0f} s)", flush=True)
            if done.returncode:
                missed.append(title)
    print(f"\nmissed its aim or failed: {', '.join(missed)}" if missed else "\nall aims met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
