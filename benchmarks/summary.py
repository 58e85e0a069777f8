"""The summary tables of ``docs/benchmarks.md`` from the results of earlier runs, in Markdown.

    python benchmarks/summary.py [--evidence DIR] [--retrieval FILE ...] [--prefetch FILE]

``--evidence`` is the ``--out`` of ``tasks.py``: evidence in context by task, prefetch beside it, weak and
strong callers. ``--retrieval`` is the ``--out`` of ``pagefault bench retrieval``, several for several
embedders or sets of languages; ``--prefetch`` that of ``prefetch.py``. Nothing is run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

EVIDENCE = ("evidence_in_context", "evidence_at_first", "context_tokens", "evidence_tokens")
SPENT = (
    "evidence_at_first",
    "evidence_in_context",
    "prefetch_tokens",
    "context_tokens",
    "completions",
    "lookups",
    "recall_lookups",
)
CALLING = ("evidence_in_context", "evidence_at_first", "accuracy", "completions", "lookups", "recall_lookups")
RETRIEVAL = ("recall@5", "recall@10", "ndcg@10", "mrr")
HEADS = {
    "evidence_in_context": "evidence in context", "evidence_at_first": "at first",
    "context_tokens": "tokens of the prompt", "evidence_tokens": "retrieved", "prefetch_tokens": "prefetched",
    "lookups": "look-ups", "recall_lookups": "ended in recall",
}  # fmt: skip
SPANNED = {"evidence_in_context"}
"""Measures that are shown with their intervals."""
MEMGPT = "memgpt"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], names: int) -> None:
    """Print a Markdown table; all columns but the first ``names`` are numbers."""
    print(f"\n| {' | '.join(head)} |")
    print(f"|{'|'.join('---' if n < names else '---:' for n in range(len(head)))}|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def figure(measure: str, found: dict[str, Any] | None, *, spanned: bool = False) -> str:
    """A mean, with its interval where that is wanted; empty if there is none."""
    if found is None:
        return ""
    if measure.endswith("_tokens"):
        return f"{found['mean']:,.0f}"
    if measure in ("completions", "lookups", "recall_lookups"):
        return f"{found['mean']:.2f}"
    interval = f" ({found['low']:.3f}-{found['high']:.3f})" if spanned or measure in SPANNED else ""
    return f"{found['mean']:.3f}{interval}"


def cells(entry: dict[str, Any], measures: Sequence[str]) -> list[str]:
    return [figure(measure, entry.get(measure)) for measure in measures]


def heads(measures: Sequence[str]) -> list[str]:
    return [HEADS.get(measure, measure) for measure in measures]


def runs_in(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and the results of each run, in the order of the names."""
    for file in sorted(folder.glob("*/results.json")):
        yield file.parent.name, json.loads(file.read_text("utf-8"))


def show_evidence(folder: Path) -> None:
    """Evidence in context: a table for each run."""
    for name, run in runs_in(folder):
        if not run.get("caller"):
            print(f"\n### {name}, window {run['window']:,}, {run['items']} items, {run['made']['at'][:10]}")
            rows = [[f"`{name}`", *cells(entry, EVIDENCE)] for name, entry in run["strategies"].items()]
            table(["", *heads(EVIDENCE)], rows, 1)


def show_prefetching(folder: Path) -> None:
    """Agents that prefetch beside those that do not, and what it takes."""
    rows = [
        [run, f"{found['window']:,}", f"`{name}`", *cells(entry, SPENT)]
        for run, found in runs_in(folder)
        if not found.get("caller") and any("+prefetch" in name for name in found["strategies"])
        for name, entry in found["strategies"].items()
        if name.partition("+")[0] == MEMGPT
    ]
    if rows:
        print("\n### Prefetch")
        table(["run", "window", "", *heads(SPENT)], rows, 3)


def show_callers(folder: Path) -> None:
    """Weak and strong callers, over all items and by level."""
    called = [found for _, found in runs_in(folder) if found.get("caller")]
    rows = [
        [found["task"], found["caller"]["name"], f"`{name}`", *cells(entry, CALLING)]
        for found in called
        for name, entry in found["strategies"].items()
    ]
    if rows:
        print("\n### Weak and strong callers")
        table(["task", "caller", "", *heads(CALLING)], rows, 3)
    levels = [
        [found["caller"]["name"], f"`{name}`", HEADS.get(measure, measure), *by_level(entry, measure)]
        for found in called
        if found["task"] == "nested-kv"
        for name, entry in found["strategies"].items()
        for measure in ("accuracy", "evidence_in_context")
    ]
    if levels:
        table(["caller", "", "by level", *"01234"], levels, 3)


def by_level(entry: dict[str, Any], measure: str) -> Iterator[str]:
    for level in sorted(entry["parts"]):
        yield f"{entry['parts'][level][measure]['mean']:.2f}"


def show_retrieval(file: Path) -> None:
    """Retrieval in percent: every method on every set."""
    rows = [
        [name, f"`{method}`", *(f"{100 * scores[measure]:.1f}" for measure in RETRIEVAL)]
        for name, methods in json.loads(file.read_text("utf-8"))["sets"].items()
        for method, scores in methods.items()
    ]
    print(f"\n### Retrieval, {file.stem}")
    table(["set", "", *RETRIEVAL], rows, 2)


def show_prefetch(found: dict[str, Any]) -> None:
    """The trade-off of prefetch, as ``prefetch.py`` found it."""
    print(f"\n### What a prefetched row holds, {found['at']}")
    rows = [
        [
            one["set"], f"{one['window']:,}", str(one["cap"]), str(one["n"]),
            figure("evidence_at_first", one["evidence_at_first"], spanned=True),
            figure("prefetch_tokens", one["prefetch_tokens"]),
            ", ".join(f"{why}: {count}" for why, count in one["skipped"].items() if count),
        ]
        for one in found["packed"]
    ]  # fmt: skip
    table(["set", "window", "cap", "n", "evidence", "tokens", "no row"], rows, 2)
    print("\n### What prefetch costs a conversation")
    lived = [
        [
            one["set"], f"{one['window']:,}", str(one["cap"]), str(one["turns"]),
            f"{one['flushes_in_100_turns']:.2f}", f"{one['prefetched']:.3f}",
            figure("idle_prefetched", one["idle_prefetched"], spanned=True),
            f"{one['prefetch_tokens']:,.0f}", f"{one['context_tokens']:,.0f}",
        ]
        for one in found["lived"]
    ]  # fmt: skip
    head = ("set", "window", "cap", "turns", "flushes in 100 turns", "turns with a row")
    table([*head, "of those that ask nothing", "tokens of a row", "tokens of a prompt"], lived, 2)
    if gate := found.get("gate"):
        idle, asking = (figure("", gate[name], spanned=True) for name in ("idle_passed", "asking_passed"))
        print(f"\nOf {gate['idle']} labelled texts that ask nothing the gate passes {idle},")
        print(f"of {gate['labelled'] - gate['idle']} that ask {asking}.")
    for name, share in found.get("ended_in_recall", {}).items():
        print(f"\nLook-ups of questions on {name} that end in recall: {figure('', share, spanned=True)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--evidence", type=Path, help="the folder of the runs of tasks.py")
    parser.add_argument(
        "--retrieval", type=Path, nargs="*", default=[], help="scores of pagefault bench retrieval"
    )
    parser.add_argument("--prefetch", type=Path, help="the figures of prefetch.py")
    options = parser.parse_args()
    if not (options.evidence or options.retrieval or options.prefetch):
        parser.error("nothing to show; give --evidence, --retrieval or --prefetch")
    if options.evidence and not any(runs_in(options.evidence)):
        parser.error(f"{options.evidence} has no results.json; give the --out of tasks.py")
    if options.evidence:
        show_evidence(options.evidence)
        show_prefetching(options.evidence)
        show_callers(options.evidence)
    for file in options.retrieval:
        show_retrieval(file)
    if options.prefetch:
        show_prefetch(json.loads(options.prefetch.read_text("utf-8")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
