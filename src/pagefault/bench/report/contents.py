"""The contents of a report, as values: for each run a section of notes, tables, charts and samples.

The page and the Markdown file are made from the same values, so they cannot differ in a figure. Leaves out
how they look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pagefault.bench import TASKS
from pagefault.bench.report import tables
from pagefault.bench.report.charts import charts, windows_chart
from pagefault.bench.report.figures import stand_in, strategies_of
from pagefault.bench.report.paper import PAPER
from pagefault.bench.report.reading import Entry, StoredRun
from pagefault.bench.report.values import Report, ReportSection, Sample

__all__ = ["report_of"]

_SAMPLES = 5
_LONGEST = 400  # characters of a reply that is shown


def report_of(folder: Path, runs: Sequence[StoredRun], unread: Sequence[str]) -> Report:
    """The report of the runs of a folder. ``unread``: what is said of those that could not be read."""
    order = list(TASKS)
    ordered = sorted(
        runs,
        key=lambda run: (
            order.index(run.task) if run.task in order else len(order),
            run.task, run.model, run.window, str(run.folder),
        ),
    )  # fmt: skip
    sections = [_section(f"run{number}", run) for number, run in enumerate(ordered, 1)]
    if len(sections) > 1:
        across = tuple(chart for task in ("retention",) if (chart := windows_chart(ordered, task)))
        sections.insert(0, ReportSection("overview", "Overview", "", (), (tables.overview(ordered),), across))
    notes = (
        "Scores are means over items, with their 95 % bootstrap intervals in brackets.",
        "Columns headed “paper (model)” and dashed lines are figures that the MemGPT paper published "
        f"({PAPER}), of its own models. They were not measured here.",
        *(f"Left out of this report: {sentence}" for sentence in unread),
    )
    return Report(f"pagefault bench: {folder.resolve().name}", notes, tuple(sections))


def _section(key: str, run: StoredRun) -> ReportSection:
    data = Path(str(run.settings.get("path") or "data that is not named")).name
    about = f"{run.model}, window of {run.window:,} tokens, data: {data}, folder: {run.folder.name}"
    shown = [
        tables.scores(run), tables.beside_the_paper(run), tables.spending(run), tables.failures(run),
        tables.settings(run),
    ]  # fmt: skip
    title = TASKS.get(run.task, run.task).partition(":")[0].partition(" (")[0].rstrip(".")
    return ReportSection(
        key, f"{run.task}: {title}" if title != run.task else title, about, tuple(_notes(run)),
        tuple(table for table in shown if table), tuple(charts(run)), tuple(_samples(run)), run.judging,
    )  # fmt: skip


def _notes(run: StoredRun) -> Iterator[str]:
    """Notes that a reader needs before the figures."""
    if sentence := stand_in(run.model):
        yield sentence
    if not run.finished:
        yield "This run has no results.json yet: it is under way or was broken off. What is done is shown."
    elif others := [name for name in run.strategies if name not in run.counted]:
        named = ", ".join(others)
        yield f"Not part of the last command, so scored from all the items that are there: {named}."
    if run.stopped:
        yield f"The run stopped before its end: {run.stopped}"
    if run.left_out:
        yield f"{len(run.left_out)} wrong records were left out, the first of them: {run.left_out[0]}"
    for name, entry in strategies_of(run):
        yield from _notes_on(run, name, entry)


def _notes_on(run: StoredRun, name: str, entry: Entry) -> Iterator[str]:
    """Notes on the items of one strategy that are not among its scores."""
    more = len(run.items.get(name, ())) - entry.n - entry.does_not_fit
    if run.finished and name in run.counted and more > 0:
        yield (
            f"{name}: the folder holds {more} more items than were scored; the run is under way, or its last "
            "command had a smaller --limit."
        )
    if entry.why:
        yield f"{name} does not fit at {entry.does_not_fit} items: {entry.why}"
    missing = (run.wanted or 0) - entry.n - entry.does_not_fit - len(entry.failed)
    if missing > 0:
        yield f"{name}: {missing} of {run.wanted} items are not done."


def _samples(run: StoredRun) -> Iterator[Sample]:
    """Items at even distances, whatever their scores."""
    most = max(run.items.values(), key=len, default=())
    by_id = {name: {item.id: item for item in items} for name, items in run.items.items()}
    step = max(1, len(most) // _SAMPLES)
    for item in most[::step][:_SAMPLES]:
        said = [(name, items[item.id]) for name, items in by_id.items() if item.id in items]
        yield Sample(
            item.question or "(a login: the agent opens the conversation)",
            " / ".join(item.gold) or "(none: the texts have no answer)",
            tuple((name, _cut(one.unfit or one.reply)) for name, one in said),
        )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … ({len(text):,} characters)"
