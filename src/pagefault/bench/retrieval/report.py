"""Scores as JSON and as tables; the command's work from a folder to a file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from pagefault.bench.retrieval import datasets
from pagefault.bench.retrieval.measures import DEEPEST, MEASURES
from pagefault.bench.retrieval.scores import ABLATIONS, MethodScores, Scores, SetScores, score_set
from pagefault.build import make_embedder

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["as_json", "run", "tables"]


def run(
    folder: Path,
    chosen: Sequence[str],
    embedder: str,
    *,
    ablate: bool,
    pooled: bool,
    embedded: Sequence[float],
    file: Path | None,
) -> None:
    """Score the sets of a folder (all, or those chosen), print them, and write JSON to ``file``.

    The groups of a set are searched together if ``pooled``, or if there are several and in none a document
    could be missed among the ranks measured.
    """
    from rich.console import Console
    from rich.progress import Progress

    made = make_embedder(embedder, threads=os.cpu_count() or 1)
    scored: list[SetScores] = []
    with Progress(console=Console(stderr=True)) as progress:
        for name in chosen or datasets.names(folder):
            dataset = datasets.load(folder, name)
            if pooled or all(len(pool.documents) <= DEEPEST for pool in dataset.pools):
                dataset = dataset.in_one_pool()
            task = progress.add_task(name, total=sum(len(pool.questions) for pool in dataset.pools))

            async def score(dataset: datasets.Dataset = dataset, task: Any = task) -> SetScores:
                def advance(done: int) -> None:
                    progress.advance(task, done)

                return await score_set(dataset, made, ablate=ablate, embedded=embedded, progress=advance)

            scored.append(anyio.run(score))
            if file is not None:  # after each set: what is measured is not lost
                file.write_text(json.dumps(as_json(scored), indent=2) + "\n", "utf-8")
    console = Console()
    for table in tables(scored):
        console.print(table)


def as_json(scored: Sequence[SetScores]) -> dict[str, Any]:
    """By name of the set: ``sets`` with the methods, in each the means of the measures, their ``intervals``
    and ``queries``; ``categories`` with the same by category; ``without_gold``; ``ablation`` if it was asked
    for. ``pools``: how many parts of the set were searched apart."""
    found: dict[str, Any] = {
        "sets": {one.name: _methods(one.total) for one in scored},
        "without_gold": {one.name: one.without_gold for one in scored},
        "pools": {one.name: one.pools for one in scored},
        "categories": {
            one.name: {category: _methods(scores) for category, scores in one.categories.items()}
            for one in scored
            if one.categories
        },
    }
    if any(one.without for one in scored):
        found["ablation"] = {
            one.name: _methods(MethodScores(one.total.queries, one.without)) for one in scored
        }
    return found


def _methods(scores: MethodScores) -> dict[str, dict[str, Any]]:
    return {
        method: {
            **{name: figure["mean"] for name, figure in figures.items()},
            "intervals": {name: [figure["low"], figure["high"]] for name, figure in figures.items()},
            "queries": scores.queries,
        }
        for method, figures in scores.methods.items()
    }


def tables(scored: Sequence[SetScores]) -> Iterator[Table]:
    """In percent, with 95 % intervals: every method on every set; for each set with categories three of the
    measures by category; then recall@10 of the ranker without each of its parts."""
    yield _of_sets(scored)
    for one in scored:
        if len(one.categories) > 1:
            yield _by_category(one)
    if any(one.without for one in scored):
        yield _ablation(scored)


def _of_sets(scored: Sequence[SetScores]) -> Table:
    found = _table("set", "n", "method", *(name.replace("recall", "R").upper() for name in MEASURES))
    for one in scored:
        head = (one.name, str(one.total.queries))
        for method, figures in one.total.methods.items():
            cells = (_cell(figures, name, spanned=name == "recall@10") for name in MEASURES)
            found.add_row(*head, method, *cells)
            head = ("", "")
        found.add_section()
    return found


def _ablation(scored: Sequence[SetScores]) -> Table:
    found = _table("recall@10 without", *(one.name for one in scored))
    whole = [next(iter(one.total.methods.values())) for one in scored]
    found.add_row("nothing", *(_cell(scores, "recall@10") for scores in whole))
    for part in ABLATIONS:
        found.add_row(part, *(_cell(one.without[part], "recall@10") for one in scored))
    return found


def _by_category(one: SetScores) -> Table:
    found = _table("category", "n", one.name, *one.total.methods)
    for category, scores in {**one.categories, "all": one.total}.items():
        head = (category.replace("_", " "), str(scores.queries))
        for measure in ("first", "recall@10", "ndcg@10"):
            cells = (_cell(figures, measure, spanned=True) for figures in scores.methods.values())
            found.add_row(*head, measure.replace("recall", "R").upper(), *cells)
            head = ("", "")
    return found


def _table(*columns: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(*columns, box=SIMPLE_HEAD)


def _cell(scores: Scores, measure: str, *, spanned: bool = False) -> str:
    """A mean, and below it its interval; a dash if no question was measured."""
    if not scores:
        return "-"
    figure = scores[measure]
    interval = f"\n{100 * figure['low']:.0f}-{100 * figure['high']:.0f}" if spanned else ""
    return f"{100 * figure['mean']:.1f}{interval}"
