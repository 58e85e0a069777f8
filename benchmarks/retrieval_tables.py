"""Retrieval before and after a change, as Markdown, from files of `pagefault bench retrieval --out`.

Each side may be several files, of different folders of data; a set is shown if both sides have it. In
percent: recall@10 and NDCG@10 of each set, then `first` and recall@10 by category. In brackets are the 95 %
bootstrap intervals of the figures after the change. Those of two sides may overlap where a difference is
sure, because both are of the same questions.

    python benchmarks/retrieval_tables.py --before FILE [FILE ...] --after FILE [FILE ...]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Methods = Mapping[str, Mapping[str, Any]]  # by name: the measures, their intervals, the number of questions

_BASELINES = ("dense", "bm25", "rrf")


def merged(files: Sequence[Path], part: str) -> dict[str, Any]:
    """One part of several files, by set."""
    found: dict[str, Any] = {}
    for file in files:
        found |= json.loads(file.read_text("utf-8")).get(part, {})
    return found


def markdown(before: Sequence[Path], after: Sequence[Path]) -> Iterator[str]:
    """The lines of all tables."""
    old, new = merged(before, "sets"), merged(after, "sets")
    shared = [name for name in new if name in old]
    yield from _head("set", "questions", "", "before", "after", "change", *_BASELINES)
    for name in shared:
        yield from _rows(name, old[name], new[name], ("recall@10", "ndcg@10"))
    olds, news = merged(before, "categories"), merged(after, "categories")
    for name in shared:
        if name in olds and len(news.get(name, {})) > 1:
            yield ""
            yield from _head(f"`{name}`", "questions", "", "before", "after", "change", *_BASELINES)
            for category, methods in news[name].items():
                if category in olds[name]:
                    label = category.replace("_", " ")
                    yield from _rows(label, olds[name][category], methods, ("first", "recall@10"))


def _head(*columns: str) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"


def _rows(name: str, old: Methods, new: Methods, measures: Sequence[str]) -> Iterator[str]:
    """A row for each way of ranking that both sides have, and each measure; baselines are of the first."""
    rankers = [method for method in new if method in old and method not in _BASELINES]
    for method in rankers:
        for measure in measures:
            if measure in old[method] and measure in new[method]:
                figures = new[method]
                low, high = (f"{100 * bound:.0f}" for bound in figures["intervals"][measure])
                change = 100 * (figures[measure] - old[method][measure])
                cells = [
                    name,
                    str(figures["queries"]),
                    f"{measure} {method.removeprefix('pagefault')}".strip(),
                ]
                cells += [_percent(old[method], measure), f"{_percent(figures, measure)} ({low}-{high})"]
                cells += [f"{change:+.1f}", *(_percent(new[one], measure) for one in _BASELINES)]
                yield f"| {' | '.join(cells)} |"


def _percent(figures: Mapping[str, float], measure: str) -> str:
    return f"{100 * figures[measure]:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for side in ("before", "after"):
        parser.add_argument(f"--{side}", type=Path, nargs="+", required=True, metavar="FILE")
    given = parser.parse_args()
    print("\n".join(markdown(given.before, given.after)))


if __name__ == "__main__":
    main()
