"""Retrieval before and after a change, as Markdown, from files of `pagefault bench retrieval --out`.

Each side may be several files, of different folders of data; a set is shown if both sides have it. In
percent: recall@10 / NDCG@10 of each set, and for the sets named behind --categories the share found first /
recall@10 by category. In brackets are the 95 % bootstrap intervals of recall@10 after the change. Those of
two sides may overlap where a difference is sure, because both are of the same questions.

    python benchmarks/retrieval_tables.py --before FILE ... --after FILE ... [--categories SET ...]
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


def markdown(before: Sequence[Path], after: Sequence[Path], by_category: Sequence[str]) -> Iterator[str]:
    """The lines of all tables."""
    old, new = merged(before, "sets"), merged(after, "sets")
    yield from _head("recall@10 / NDCG@10")
    for name in new:
        if name in old:
            yield from _rows(name, old[name], new[name], ("recall@10", "ndcg@10"))
    old, new = merged(before, "categories"), merged(after, "categories")
    for name in by_category:
        yield ""
        yield from _head(f"`{name}`: first / recall@10")
        for category in new[name]:
            if category in old[name]:
                methods = old[name][category], new[name][category]
                yield from _rows(category.replace("_", " "), *methods, ("first", "recall@10"))


def _head(what: str) -> Iterator[str]:
    yield f"| {what} | questions | before | after | change | dense | BM25 | fused |"
    yield f"|{'---|' * 8}"


def _rows(name: str, old: Methods, new: Methods, measures: tuple[str, str]) -> Iterator[str]:
    """A row for each way of ranking that both sides have; the baselines are those of the new side."""
    for method in (method for method in new if method in old and method not in _BASELINES):
        share = method.partition("@")[2]
        label = f"{name}, {share} embedded" if share else name
        cells = [label, str(new[method]["queries"]), _pair(old[method], measures)]
        cells += [_pair(new[method], measures, spanned=True), _change(old[method], new[method], measures)]
        cells += [_pair(new[one], measures) for one in _BASELINES]
        yield f"| {' | '.join(cells)} |"


def _pair(figures: Mapping[str, Any], measures: Sequence[str], *, spanned: bool = False) -> str:
    """Two measures in percent; a dash for one that was not measured."""
    cells: list[str] = []
    for measure in measures:
        cell = f"{100 * figures[measure]:.1f}" if measure in figures else "-"
        if spanned and measure == "recall@10":
            low, high = (f"{100 * bound:.0f}" for bound in figures["intervals"][measure])
            cell += f" ({low}-{high})"
        cells.append(cell)
    return " / ".join(cells)


def _change(old: Mapping[str, Any], new: Mapping[str, Any], measures: Sequence[str]) -> str:
    both = [measure for measure in measures if measure in old and measure in new]
    return " / ".join(f"{100 * (new[measure] - old[measure]):+.1f}" for measure in both)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for side in ("before", "after"):
        parser.add_argument(f"--{side}", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--categories", nargs="*", default=[], metavar="SET", help="sets shown by category")
    given = parser.parse_args()
    print("\n".join(markdown(given.before, given.after, given.categories)))


if __name__ == "__main__":
    main()
