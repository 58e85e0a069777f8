"""The table that `pagefault bench TASK` prints when it is done, and what is to be said below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from pagefault.bench.in_context import MEASURES
from pagefault.bench.report.figures import COUNTED, stand_in
from pagefault.bench.tasks import Task

__all__ = ["show"]

_IN_THE_REPORT = {"completions", "lookups", "recall_lookups", "idle_prefetched"}
"""Measures that have no column here, for want of room."""


def show(found: dict[str, Any], task: Task) -> None:
    """A row for each strategy: the headline with its interval, the means of the other measures; below it the
    headline by parts."""
    strategies: dict[str, dict[str, Any]] = found["strategies"]
    there = {measure for one in strategies.values() for measure in one}
    scored = [measure for measure in task.measures if measure not in COUNTED]
    wanted = (m for m in (*scored, "judged", *MEASURES, *COUNTED) if m not in _IN_THE_REPORT)
    headline, *others = [m for m in wanted if m in there] or task.measures
    head = [Column(_words(measure), overflow="fold") for measure in (headline, "95 %", *others)]
    table = Table(Column("strategy", no_wrap=True), "n", *head, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, one in strategies.items():
        table.add_row(name, str(one["n"]), *_figures(one, headline, others, between=True))
        for part, own in one.get("parts", {}).items():
            table.add_row(f"  {part}", str(own["n"]), *_figures(own, headline, others, between=False))
    Console().print(table)
    for note in _notes(found):
        print(note)


def _figures(one: dict[str, Any], headline: str, others: Sequence[str], *, between: bool) -> Iterator[str]:
    """The cells of a row behind its name and number of items."""
    interval = one.get(headline)
    yield _mean(headline, one)
    yield f"{interval['low']:.3f} {interval['high']:.3f}" if between and interval else ""
    yield from (_mean(measure, one) for measure in others)


def _notes(found: dict[str, Any]) -> Iterator[str]:
    """Sentences below the table: what is missing in it, and why."""
    if sentence := stand_in(found["model"]):
        yield sentence
    for name, one in found["strategies"].items():
        if one.get("why"):
            yield f"{name}: {one['why']}"
        if failed := one.get("failed"):
            first = next(iter(failed.values()))
            yield f"{name}: {len(failed)} items failed and wait for the next run; {first}"
    if found["left_out"]:
        yield f"{len(found['left_out'])} records were left out."
    if stopped := found["stopped"]:
        yield f"{stopped} The same command goes on where this run stopped."


def _words(measure: str) -> str:
    """A measure's name, so that a narrow column can break it."""
    return measure.replace("_", " ")


def _mean(measure: str, one: dict[str, Any]) -> str:
    interval: dict[str, float] | None = one.get(measure)
    if interval is None:
        return ""
    return f"{interval['mean']:,.0f}" if measure.endswith("_tokens") else f"{interval['mean']:.3f}"
