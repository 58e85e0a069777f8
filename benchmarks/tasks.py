"""Every task of ``pagefault bench`` with the demo model, and the report: on small data that is shipped, or on
the published sets as ``docs/benchmarks.md`` has them.

The demo's answers are not scored; what is measured is the gold evidence in the prompts, by strategy, and the
tokens that it takes. On the small data that shows that all of it runs, and the figures mean little. One thing
is an aim in both forms: the reference policy finds the end of every nested chain.

    python benchmarks/tasks.py [--out DIR]
    python benchmarks/tasks.py --data DIR --archive DIR/retrieval/nq_oracle/docs.jsonl.gz --out DIR

``--data`` has a folder for each set: ``dmr``, ``docqa``, ``nested_kv``, ``locomo``, ``longmemeval``,
``retrieval/beam_100K``. That form takes an hour, and goes on where it was stopped; ``--limit N`` takes the
first N items of each set.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from summary import show_callers, show_evidence, show_prefetching

OUT = Path(__file__).parents[1] / "build" / "bench"
OTHERS = "truncate,full,recursive-summary,retriever-reader,flare,ircot,pages,generative-agents"
PREFETCHING = "memgpt,memgpt+prefetch,memgpt+prefetch@600"
SMALL: dict[str, list[str]] = {
    "dmr": ["dmr", "--strategy", f"memgpt,{OTHERS}"],
    "opener": ["opener", "--strategy", "memgpt"],
    "docqa": ["docqa", "--strategy", "memgpt,retriever-reader@1,retriever-reader@5"],
    "nested-kv": ["nested-kv", "--window", "8192", "--limit", "1"],
    "nested-kv-weak": [
        "nested-kv", "--window", "8192", "--limit", "1", "--strategy", PREFETCHING, "--caller", "weak",
    ],
    "locomo": ["locomo", "--strategy", "memgpt,truncate"],
    "longmemeval": ["longmemeval", "--strategy", "memgpt,truncate"],
    "beam": ["beam", "--strategy", "memgpt,truncate"],
    "retention": [
        "retention", "--set", "3", "--limit", "10", "--strategy", "memgpt,memgpt-without-both,truncate",
    ],
}  # fmt: skip
"""By folder: the task with its options."""

NARROW, WIDE = "4096", "16384"  # windows
READERS = "truncate,recursive-summary,retriever-reader,flare,ircot,pages,generative-agents"
CALLERS = ("strong", "weak")


def published(data: Path, archive: Path | None, out: Path) -> dict[str, list[str]]:
    """The same on the published sets; ``archive`` has more documents for ``docqa``."""
    documents = data / "docqa"
    if archive:
        documents = out / "data" / "docqa"
        documents.mkdir(parents=True, exist_ok=True)
        for file in [*(data / "docqa").iterdir(), archive]:
            shutil.copy(file, documents)

    def on(task: str, folder: Path, strategies: str, window: str = NARROW) -> list[str]:
        return [task, "--data", str(folder), "--window", window, "--strategy", strategies]

    conversations = {
        "dmr": data / "dmr", "locomo": data / "locomo", "longmemeval": data / "longmemeval",
        "beam": data / "retrieval" / "beam_100K",
    }  # fmt: skip

    pairs = ["nested-kv", "--data", str(data / "nested_kv"), "--window", "8192"]
    return {
        "dmr": on("dmr", conversations["dmr"], f"{PREFETCHING},memgpt-without-recall,{OTHERS}"),
        "locomo": on("locomo", conversations["locomo"], f"{PREFETCHING},{READERS}"),
        "docqa": on("docqa", documents, f"{PREFETCHING},retriever-reader,flare,ircot,pages"),
        "longmemeval": on("longmemeval", conversations["longmemeval"], f"{PREFETCHING},{READERS}"),
        "beam": on("beam", conversations["beam"], f"{PREFETCHING},{READERS}"),
        "nested-kv": pairs,
        **{f"{task}-{WIDE}": on(task, folder, PREFETCHING, WIDE) for task, folder in conversations.items()},
        **{f"docqa-{name}": [*on("docqa", documents, PREFETCHING), "--caller", name] for name in CALLERS},
        **{
            f"dmr-{name}": [*on("dmr", data / "dmr", PREFETCHING, WIDE), "--preload", "--caller", name]
            for name in CALLERS
        },
        **{f"nested-kv-{name}": [*pairs, "--strategy", PREFETCHING, "--caller", name] for name in CALLERS},
        **{f"retention-{window}": ["retention", "--window", window] for window in ("4096", "8192", "16384")},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="a folder of the published sets; else what is shipped")
    parser.add_argument("--archive", type=Path, help="documents that join the archive of docqa")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder for results")
    parser.add_argument("--limit", type=int, help="the first N items of each published set")
    parser.add_argument("--only", nargs="*", metavar="FOLDER", help="some of the runs, by folder")
    options = parser.parse_args()
    out: Path = options.out
    if options.data:
        runs = published(options.data, options.archive, out)
        if options.limit:
            runs = {name: [*run, "--limit", str(options.limit)] for name, run in runs.items()}
    else:
        shutil.rmtree(out, ignore_errors=True)
        runs = SMALL
    runs = {name: run for name, run in runs.items() if not options.only or name in options.only}
    commands = {name: [*run, "--out", str(out / name)] for name, run in runs.items()}
    for name, command in {**commands, "report": ["report", str(out)]}.items():
        print(f"\n-- pagefault bench {name}", flush=True)
        whole = [sys.executable, "-m", "pagefault", "bench", *command]
        if subprocess.run(whole, check=False, stderr=subprocess.DEVNULL).returncode:
            print(f"{name} failed")
            return 1
    show_evidence(out)
    show_prefetching(out)
    show_callers(out)
    if "nested-kv" not in runs:
        return 0
    chains = json.loads((out / "nested-kv" / "results.json").read_text("utf-8"))
    found = chains["strategies"]["memgpt"]["accuracy"]["mean"]
    print(f"\nnested chains followed to their end, through pages: {found:.0%} (aim 100 %)")
    return 0 if found == 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
