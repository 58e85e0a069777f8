"""Scores as JSON and as tables; the command's work from a folder to a file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from pagefault.bench.retrieval import datasets
from pagefault.bench.retrieval.measures import MEASURES
from pagefault.bench.retrieval.scores import Scores, SetScores, score_set
from pagefault.build import make_embedder

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["as_json", "run", "tables"]


def run(
    folder: Path, chosen: Sequence[str], embedder: str, *, ablate: bool, pooled: bool, file: Path | None
) -> None:
    """Score the sets of a folder (all, or those chosen), print them, and write JSON to ``file``."""
    from rich.console import Console
    from rich.progress import Progress

    made = make_embedder(embedder, threads=os.cpu_count() or 1)
    scored: list[SetScores] = []
    with Progress(console=Console(stderr=True)) as progress:
        for name in chosen or datasets.names(folder):
            dataset = datasets.load(folder, name, pooled=pooled)
            task = progress.add_task(name, total=sum(len(pool.questions) for pool in dataset.pools))

            async def score(dataset: datasets.Dataset = dataset, task: Any = task) -> SetScores:
                return await score_set(
                    dataset, made, ablate=ablate, progress=lambda done: progress.advance(task, done)
                )

            scored.append(anyio.run(score))
            if file is not None:  # after each set: what is measured is not lost
                file.write_text(json.dumps(as_json(scored), indent=2) + "\n", "utf-8")
    console = Console()
    for table in tables(scored):
        console.print(table)


def as_json(scored: Sequence[SetScores]) -> dict[str, Any]:
    """``sets`` by name, in each the methods with their measures and ``queries``; ``without_gold`` by name;
    ``ablation`` by name if it was asked for."""
    found: dict[str, Any] = {
        "sets": {
            one.name: {method: _rounded(scores, one.queries) for method, scores in one.methods.items()}
            for one in scored
        },
        "without_gold": {one.name: one.without_gold for one in scored},
    }
    if any(one.without for one in scored):
        found["ablation"] = {
            one.name: {part: _rounded(scores, one.queries) for part, scores in one.without.items()}
            for one in scored
        }
    return found


def _rounded(scores: Scores, queries: int) -> dict[str, float | int]:
    return {**{name: round(value, 6) for name, value in scores.items()}, "queries": queries}


def tables(scored: Sequence[SetScores]) -> list[Table]:
    """In percent: every method on every set, then recall@10 of the ranker without each of its parts."""
    from rich.table import Table

    found = Table("set", "queries", "method", *(name.replace("recall", "R").upper() for name in MEASURES))
    for one in scored:
        for method, scores in one.methods.items():
            figures = [f"{100 * scores[name]:.1f}" for name in MEASURES]
            head = (one.name, str(one.queries)) if method == "pagefault" else ("", "")
            found.add_row(*head, method, *figures, end_section=method == "rrf")
    if not any(one.without for one in scored):
        return [found]
    ablation = Table("recall@10 without", *(one.name for one in scored))
    ablation.add_row("nothing", *(_percent(one.methods, "pagefault") for one in scored))
    for part in scored[0].without:
        ablation.add_row(part, *(_percent(one.without, part) for one in scored))
    return [found, ablation]


def _percent(scores: Mapping[str, Scores], name: str) -> str:
    return f"{100 * scores[name]['recall@10']:.1f}"
