"""Every task of ``pagefault bench`` with the offline model, and the report: on small data that is shipped, or
on the published sets as ``docs/benchmarks.md`` has them.

On the small data it shows that all of it runs; the figures mean little. One thing is an aim in both forms:
the reference policy finds the end of every nested chain.

    python benchmarks/tasks.py [--out DIR]
    python benchmarks/tasks.py --data DIR --archive DIR/retrieval/nq_oracle/docs.jsonl.gz --out DIR

``--data`` has a folder for each set: ``dmr``, ``docqa``, ``nested_kv``, ``locomo``, ``longmemeval``. That
form takes half an hour and more, and goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

OUT = Path(__file__).parents[1] / "build" / "bench"
SMALL: dict[str, list[str]] = {
    "dmr": ["dmr"],
    "opener": ["opener", "--strategy", "memgpt,human"],
    "docqa": ["docqa", "--strategy", "memgpt,retriever-reader@1,retriever-reader@5"],
    "nested-kv": ["nested-kv", "--window", "8192", "--limit", "1"],
    "locomo": ["locomo", "--strategy", "memgpt,truncate"],
    "longmemeval": ["longmemeval", "--strategy", "memgpt,truncate"],
    "retention": [
        "retention", "--set", "3", "--limit", "10", "--strategy", "memgpt,memgpt-without-both,truncate",
    ],
}  # fmt: skip
"""By folder: the task with its options."""

OTHERS = "recursive-summary,truncate,full,retriever-reader,flare,ircot,pages,generative-agents"
WINDOW = ["--window", "4096"]


def published(data: Path, archive: Path | None, out: Path) -> dict[str, list[str]]:
    """The same on the published sets; ``archive`` has more documents for ``docqa``."""
    documents = data / "docqa"
    if archive:
        documents = out / "data" / "docqa"
        documents.mkdir(parents=True, exist_ok=True)
        for file in [*(data / "docqa").iterdir(), archive]:
            shutil.copy(file, documents)
    dialogues = ["--data", str(data / "dmr"), *WINDOW]
    return {
        "dmr": ["dmr", *dialogues, "--strategy", f"memgpt,memgpt-without-recall,{OTHERS}"],
        "opener": ["opener", *dialogues],
        "docqa": ["docqa", "--data", str(documents), *WINDOW],
        "nested-kv": ["nested-kv", "--data", str(data / "nested_kv"), "--window", "8192"],
        "locomo": ["locomo", "--data", str(data / "locomo"), *WINDOW, "--strategy", f"memgpt,{OTHERS}"],
        "longmemeval": ["longmemeval", "--data", str(data / "longmemeval"), *WINDOW],
        **{f"retention-{window}": ["retention", "--window", window] for window in ("4096", "8192", "16384")},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="a folder of the published sets; else what is shipped")
    parser.add_argument("--archive", type=Path, help="documents that join the archive of docqa")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder for results")
    options = parser.parse_args()
    out: Path = options.out
    if options.data:
        runs = published(options.data, options.archive, out)
    else:
        shutil.rmtree(out, ignore_errors=True)
        runs = SMALL
    commands = {name: [*run, "--out", str(out / name)] for name, run in runs.items()}
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
