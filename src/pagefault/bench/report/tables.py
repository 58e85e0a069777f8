"""The tables of a report: scores, scores beside the paper's, tokens and time, failures, settings.

Leaves out how figures are written (``figures``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pagefault.bench.report.figures import headline, label, measures_of, shown, strategies_of
from pagefault.bench.report.paper import FLAT, PAPER, SOURCES, Published, published
from pagefault.bench.report.reading import Scores, StoredRun, part_of
from pagefault.bench.report.values import ReportTable

__all__ = ["beside_the_paper", "failures", "overview", "scores", "settings", "spending"]

_LISTED = 10  # failures that are listed one by one
NONE = "–"


def overview(runs: Sequence[StoredRun]) -> ReportTable:
    rows = [
        (
            run.task, name, run.model, f"{run.window:,}", run.folder.name, str(entry.n), label(headline(run)),
            shown(headline(run), entry.measures.get(headline(run))),
        )
        for run in runs
        for name, entry in strategies_of(run)
    ]  # fmt: skip
    head = ("task", "strategy", "model", "window", "folder", "n", "measure", "score")
    return ReportTable("All runs", head, tuple(rows), names=5)


def scores(run: StoredRun) -> ReportTable:
    """Every measure of every strategy, over all items and by part."""
    measures = measures_of(run)
    rows: list[tuple[str, ...]] = []
    for name, entry in strategies_of(run):
        unfit = [item.part for item in run.items.get(name, ()) if item.unfit]
        rows.append(_row("all", name, entry, measures, entry.does_not_fit, str(len(entry.failed))))
        for part in sorted({*entry.parts, *unfit} if entry.parts else (), key=_numbers_first):
            scores = entry.parts.get(part) or Scores(n=0, measures={})
            rows.append(_row(part or NONE, name, scores, measures, unfit.count(part), ""))
    order = list(dict.fromkeys(sorted((row[0] for row in rows), key=_numbers_first)))
    rows.sort(key=lambda row: (row[0] != "all", order.index(row[0])))
    head = ("part", "strategy", "n", "unfit", "failed", *(label(measure) for measure in measures))
    note = (
        "unfit: items that the strategy cannot answer in this window; failed: items at which the model "
        "failed. Neither is in n."
    )
    if all(row[0] == "all" for row in rows):
        return ReportTable("Scores", head[1:], tuple(row[1:] for row in rows), note)
    return ReportTable("Scores", head, tuple(rows), note, names=2)


def _row(
    part: str, name: str, scores: Scores, measures: Sequence[str], unfit: int, failed: str
) -> tuple[str, ...]:
    figures = [shown(measure, scores.measures.get(measure)) for measure in measures]
    return (part, name, str(scores.n), str(unfit), failed, *figures)


def _numbers_first(part: str) -> tuple[int, int, str]:
    return (0, int(part), "") if part.isdecimal() else (1, 0, part)


def beside_the_paper(run: StoredRun) -> ReportTable | None:
    """Ours in one column, the paper's in those behind it; None where the run has none of its measures."""
    figures = published(run.task)
    measured = {measure for entry in run.strategies.values() for measure in entry.measures}
    if not any(one.measure in measured for one in figures):
        return None
    models = list(dict.fromkeys(one.model for one in figures))
    rows = list(_rows_beside(run, figures, models))
    part = {"docqa": "K", "nested-kv": "level"}.get(run.task, "part")
    head = ("measure", "strategy", part, f"measured ({run.model})", *(f"paper ({m})" for m in models))
    cells = [head, *rows]
    if not any(row[2] for row in rows):  # a task without parts
        cells = [(*row[:2], *row[3:]) for row in cells]
    columns = len(cells[0])
    return ReportTable(
        f"Beside the paper's {SOURCES[run.task]}",
        cells[0],
        tuple(cells[1:]),
        f"paper (model): published in {PAPER}, {SOURCES[run.task]}; other models, other items.",
        names=columns - 1 - len(models),
        published=frozenset(range(columns - len(models), columns)),
    )


def _rows_beside(
    run: StoredRun, figures: Sequence[Published], models: Sequence[str]
) -> Iterator[tuple[str, ...]]:
    values = {(one.measure, one.strategy, one.part, one.model): one.value for one in figures}
    for measure, strategy, part in _compared(run, figures):
        theirs = (_printed(values.get((measure, strategy, part, model))) for model in models)
        ours = _ours(run, measure, strategy, part)
        yield (label(measure), strategy, "any" if part == FLAT else part, ours, *theirs)


def _compared(run: StoredRun, figures: Sequence[Published]) -> list[tuple[str, str, str]]:
    """Measure, strategy and part of each row: those of the paper, then parts that only ours have."""
    keys = dict.fromkeys((one.measure, one.strategy, one.part) for one in figures)
    for measure, strategy in dict.fromkeys((one.measure, one.strategy) for one in figures):
        entry = run.strategies.get(strategy)
        keys |= dict.fromkeys((measure, strategy, part) for part in (entry.parts if entry else ()))
    return list(keys)


def _ours(run: StoredRun, measure: str, strategy: str, part: str) -> str:
    swept = strategy == "retriever-reader"
    entry = run.strategies.get(f"{strategy}@{part}" if swept else strategy)
    if entry is None:
        return NONE
    scores = entry if swept or part in ("", FLAT) else part_of(run, strategy, part)
    return shown(measure, scores.measures.get(measure) if scores else None)


def _printed(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:.2f}" if round(value, 2) == value else f"{value:.3f}"


def spending(run: StoredRun) -> ReportTable:
    """Tokens, cost and time of each strategy."""
    import numpy as np

    rows: list[tuple[str, ...]] = []
    for name, entry in strategies_of(run):
        spent = entry.spent
        seconds = [item.seconds for item in run.items.get(name, ())]
        p50, p95 = (f"{x:.3f}" for x in np.percentile(seconds, (50, 95))) if seconds else (NONE, NONE)
        each = f"{spent.seconds / spent.requests:.3f}" if spent.requests else NONE
        about = "≈ " if spent.estimated else ""
        cost = "not known" if spent.cost is None else f"{spent.cost:.4f}" if spent.cost else "0"
        rows.append(
            (
                name, f"{spent.requests:,}", f"{about}{spent.input:,}", f"{about}{spent.output:,}",
                f"{spent.cached:,}", cost, p50, p95, each,
            )
        )  # fmt: skip
    head = (
        "strategy", "requests", "tokens in", "tokens out", "of them cached", "cost, USD", "item p50, s",
        "item p95, s", "request mean, s",
    )  # fmt: skip
    note = (
        "An item's time is wall time, with several items at once; what items share (a conversation lived "
        "through) is in the time of the first of them. ≈: estimated, where the model reported no usage."
    )
    return ReportTable("Tokens, cost and time", head, tuple(rows), note)


def failures(run: StoredRun) -> ReportTable | None:
    rows = [
        (name, id, why)
        for name, entry in strategies_of(run)
        for id, why in list(entry.failed.items())[:_LISTED]
    ]
    if not rows:
        return None
    note = f"At most {_LISTED} of each strategy. The same command tries them again."
    return ReportTable("Items that failed", ("strategy", "item", "why"), tuple(rows), note, names=3)


def settings(run: StoredRun) -> ReportTable:
    path = str(run.settings.get("path", ""))
    data = "small data of our own, shipped with pagefault" if path == "shipped" else Path(path).name or NONE
    rows: dict[str, str] = {"task": run.task, "model that answered": run.model, "window": f"{run.window:,}"}
    for name, value in run.settings.items():
        if name not in ("path", "task", "window"):
            plain = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            rows[{"data": "data, SHA-256 (first 16)", "model": "model asked for"}.get(name, name)] = (
                plain or NONE
            )
    rows |= {"data": data, "licence of the data, as its README has it": run.licence or "not known"}
    if path == "shipped":
        rows["licence of the data, as its README has it"] = "that of pagefault"
    rows |= {"results written": run.at or "not known", "made with": run.versions or "not known"}
    return ReportTable("Settings", ("setting", "value"), tuple(rows.items()), names=2)
