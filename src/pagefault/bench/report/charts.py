"""The charts of a report as values: evidence over tokens, the paper's Figures 5 and 7, the ablation.

Leaves out how a chart is drawn (``plots``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pagefault.bench.report.figures import strategies_of
from pagefault.bench.report.paper import FLAT, PAPER, SOURCES, Published, published
from pagefault.bench.report.reading import Scores, StoredInterval, StoredRun, part_of

__all__ = ["Chart", "Point", "Series", "charts", "windows_chart"]

_SWEEP = "retriever-reader@"
_OVER_K = {"evidence_seen": "Gold documents seen", "evidence_in_context": "Gold documents in context"}
"""Titles of the charts over K, by measure; the second counts what was cut only in part."""
_KEPT = {"kept": "facts kept, share", "evidence_in_context": "facts in context, share"}
"""The y axis of the retention charts, by measure: the second where answers are not scored."""


@dataclass(frozen=True, slots=True)
class Point:
    """``low`` and ``high``: the 95 % interval; None for a figure of the paper."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """``paper``: published, not measured. ``model``: of a published one."""

    name: str
    points: tuple[Point, ...]
    paper: bool = False
    model: str = ""
    memgpt: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """``y`` goes from 0 to 1. ``log``: the scale of ``x``; it is labelled where there are points."""

    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    log: bool = False
    note: str = ""


def charts(run: StoredRun) -> Iterator[Chart]:
    """The charts of one run; none for most tasks."""
    note = f"Solid: measured ({run.model}), with 95 % intervals."
    beside = (
        f"{note} Dashed: the paper's {SOURCES.get(run.task, '')} ({PAPER}), published and not measured here."
    )
    if points := tuple(_over_tokens(run)):
        yield Chart(
            "Evidence in context, and the tokens that the answering prompt takes",
            "tokens of the prompt (log scale)", "gold evidence in context, share", points, True, note,
        )  # fmt: skip
    if run.task == "docqa":
        yield from _evidence_over_k(run, note)
    if run.task == "docqa" and (ours := _swept(run, "accuracy")):
        yield Chart(
            f"Accuracy over the number of documents, as in {SOURCES['docqa']}",
            "documents retrieved, K (log scale)", "accuracy, share of questions",
            (*ours, *_flat_or_swept(published("docqa"))), True, beside,
        )  # fmt: skip
    if run.task == "nested-kv" and (ours := _by_part(run, "accuracy")):
        yield Chart(
            f"Accuracy over nesting levels, as in {SOURCES['nested-kv']}",
            "nesting levels", "accuracy, share of questions", (*ours, *_over_parts(published("nested-kv"))),
            note=beside,
        )  # fmt: skip
    if run.task == "retention" and (ours := _by_part(run, _kept(run))):
        yield Chart(
            "Facts kept, by mechanism and number of flushes",
            "flushes aimed at (log scale)", _KEPT[_kept(run)], ours, True, note,
        )  # fmt: skip


def windows_chart(runs: Sequence[StoredRun], task: str) -> Chart | None:
    """Facts kept over windows, where the same model ran with several of them on the same data."""
    ran = [run for run in runs if run.task == task]
    if (
        len({run.window for run in ran}) < 2
        or len({(run.model, run.settings.get("data")) for run in ran}) > 1
    ):
        return None
    lines: dict[str, list[Point]] = {}
    measure = _kept(ran[0])
    for run in sorted(ran, key=lambda run: run.window):
        for name, entry in strategies_of(run):
            if measure in entry.measures:
                lines.setdefault(name, []).append(_point(run.window, entry.measures[measure]))
    series = [Series(name, tuple(points)) for name, points in lines.items()]
    note = f"Measured ({ran[0].model}) over all numbers of flushes, with 95 % intervals."
    return Chart(
        "Facts kept, by mechanism and window", "window, tokens (log scale)", _KEPT[measure],
        tuple(series), True, note,
    )  # fmt: skip


def _kept(run: StoredRun) -> str:
    scored = any("kept" in entry.measures for entry in run.strategies.values())
    return "kept" if scored else "evidence_in_context"


def _over_tokens(run: StoredRun) -> Iterator[Series]:
    """A mark for each strategy, a line for a sweep."""
    lines: dict[str, list[Point]] = {}
    for name, entry in strategies_of(run):
        evidence, tokens = (entry.measures.get(m) for m in ("evidence_in_context", "context_tokens"))
        if evidence and tokens:
            lines.setdefault(name.partition("@")[0], []).append(_point(tokens.mean, evidence))
    yield from (Series(name, tuple(sorted(points, key=lambda p: p.x))) for name, points in lines.items())


def _point(x: float, interval: StoredInterval) -> Point:
    return Point(x, interval.mean, interval.low, interval.high)


def _evidence_over_k(run: StoredRun, note: str) -> Iterator[Chart]:
    """The gold documents that came into view, and what of them stands in the answering prompt, over K."""
    for measure, title in _OVER_K.items():
        if ours := _swept(run, measure):
            yield Chart(
                f"{title}, over the number of documents", "documents retrieved, K (log scale)",
                f"{title.lower()}, share", ours, True, note,
            )  # fmt: skip


def _swept(run: StoredRun, measure: str) -> tuple[Series, ...]:
    """A measure of the retriever-reader over K; a strategy that has no K is flat over the same range."""
    sweep: dict[float, StoredInterval] = {}
    others: dict[str, StoredInterval] = {}
    for name, entry in strategies_of(run):
        if figure := entry.measures.get(measure):
            if name.startswith(_SWEEP) and name.removeprefix(_SWEEP).isdecimal():
                sweep[int(name.removeprefix(_SWEEP))] = figure
            else:
                others[name] = figure
    ends = (min(sweep), max(sweep)) if len(sweep) > 1 else (1, 200)
    flat = [Series(name, tuple(_point(x, interval) for x in ends)) for name, interval in others.items()]
    curve = tuple(_point(most, sweep[most]) for most in sorted(sweep))
    return (*flat, *([Series("retriever-reader", curve)] if curve else []))


def _by_part(run: StoredRun, measure: str) -> tuple[Series, ...]:
    """A line for each strategy over parts that are numbers."""
    found: list[Series] = []
    for name, entry in strategies_of(run):
        parts = sorted({item.part for item in run.items.get(name, ())} | set(entry.parts))
        scored: list[tuple[int, Scores | None]] = [
            (int(part), part_of(run, name, part)) for part in parts if part.isdecimal()
        ]
        points = [
            _point(x, scores.measures[measure])
            for x, scores in sorted(scored, key=lambda one: one[0])
            if scores and measure in scores.measures
        ]
        if points:
            found.append(Series(name, tuple(points)))
    return tuple(found)


def _over_parts(figures: Sequence[Published]) -> Iterator[Series]:
    for strategy, model in dict.fromkeys((one.strategy, one.model) for one in figures):
        own = [one for one in figures if (one.strategy, one.model) == (strategy, model)]
        yield _published(strategy, model, [Point(float(one.part), one.value) for one in own])


def _flat_or_swept(figures: Sequence[Published]) -> Iterator[Series]:
    sweep = [float(one.part) for one in figures if one.part != FLAT]
    yield from _over_parts([one for one in figures if one.part != FLAT])
    for one in figures:
        if one.part == FLAT:
            ends = [Point(x, one.value) for x in (min(sweep), max(sweep))]
            yield _published(one.strategy, one.model, ends)


def _published(strategy: str, model: str, points: Sequence[Point]) -> Series:
    memgpt = strategy == "memgpt"
    return Series(f"paper: {'MemGPT, ' if memgpt else ''}{model}", tuple(points), True, model, memgpt)
