"""Every task of ``pagefault bench`` on the small data that is shipped, with the offline model; the report.
What it shows is that all of it runs.

The figures mean little: the data is small, and the model a stand-in. One thing is an aim: the reference
policy finds the end of every nested chain.

    python benchmarks/tasks.py [--out DIR]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

OUT = Path(__file__).parents[1] / "build" / "bench"
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
    parser.add_argument("--out", type=Path, default=OUT, help="the folder for results; it is made anew")
    out: Path = parser.parse_args().out
    shutil.rmtree(out, ignore_errors=True)
    commands = {task: [task, "--out", str(out / task), *options] for task, options in TASKS.items()}
    for name, command in {**commands, "report": ["report", str(out)]}.items():
        print(f"\n-- pagefault bench {name}", flush=True)
        whole = [sys.executable, "-m", "pagefault", "bench", *command]
        if subprocess.run(whole, check=False, stderr=subprocess.DEVNULL).returncode:
            print(f"{name} failed")
            return 1
    chains = json.loads((out / "nested-kv" / "results.json").read_text("utf-8"))
    found = chains["strategies"]["memgpt"]["accuracy"]["mean"]
    print(f"\nnested chains followed to their end, through pages: {found:.0%} (aim 100 %)")
    return 0 if found == 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
