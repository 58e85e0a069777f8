"""Every task of ``pagefault bench`` on the small data that is shipped, with the offline model: that all of it
runs.

The figures mean little: the data is small, and the model a stand-in. One thing is an aim: the reference
policy finds the end of every nested chain.

    python benchmarks/tasks.py [--out DIR]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

TASKS: dict[str, list[str]] = {
    "dmr": [],
    "opener": ["--strategy", "memgpt,human"],
    "docqa": ["--strategy", "memgpt,retriever-reader@1,retriever-reader@5"],
    "nested-kv": ["--window", "8192", "--limit", "1"],
    "locomo": ["--strategy", "memgpt,truncate"],
    "longmemeval": ["--strategy", "memgpt,truncate"],
    "retention": ["--set", "3", "--limit", "10", "--strategy", "memgpt,memgpt-without-both,truncate"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, help="keep the results in this folder")
    given: Path | None = parser.parse_args().out
    with tempfile.TemporaryDirectory() as scratch:
        out = given or Path(scratch)
        for task, options in TASKS.items():
            print(f"\n-- pagefault bench {task}", flush=True)
            command = [sys.executable, "-m", "pagefault", "bench", task, "--out", str(out / task), *options]
            if subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode:
                print(f"{task} failed")
                return 1
        chains = json.loads((out / "nested-kv" / "results.json").read_text("utf-8"))
    found = chains["strategies"]["memgpt"]["accuracy"]["mean"]
    print(f"\nnested chains followed to their end, through pages: {found:.0%} (aim 100 %)")
    return 0 if found == 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
