"""What a report says, as values: sections of notes, tables, charts and samples, one for each run.

The page and the Markdown file are made from the same values, so they cannot differ in a figure. Leaves out
how they look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pagefault.bench import TASKS
from pagefault.bench.report.charts import Chart, charts, windows_chart
from pagefault.bench.report.figures import headline, label, measures_of, shown, stand_in, strategies_of
from pagefault.bench.report.paper import FLAT, PAPER, SOURCES, published
from pagefault.bench.report.reading import Run, Scores, part_of

__all__ = ["Report", "Sample", "Section", "Table", "report_of"]

_SAMPLES = 5
_LONGEST = 400  # characters of a reply that is shown
_LISTED = 10  # failures that are told one by one
_NONE = "–"


@dataclass(frozen=True, slots=True)
class Table:
    """``names``: so many columns at the left hold words, the others figures. ``published``: the columns that
    hold figures of the paper."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    names: int = 1
    published: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Sample:
    """An item with what each strategy replied."""

    question: str
    gold: str
    replies: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """``key`` names it within the page; ``about`` is the line under the title."""

    key: str
    title: str
    about: str
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    samples: tuple[Sample, ...] = ()
    judging: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    title: str
    notes: tuple[str, ...]
    sections: tuple[Section, ...]


def report_of(folder: Path, runs: Sequence[Run], unread: Sequence[str]) -> Report:
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
        sections.insert(0, Section("overview", "Overview", "", (), (_overview(ordered),), across))
    notes = (
        "Scores are means over items, with their 95 % bootstrap intervals in brackets.",
        "Columns headed “paper (model)” and dashed lines are figures that the MemGPT paper published "
        f"({PAPER}), of its own models. They were not measured here.",
        *(f"Left out of this report: {sentence}" for sentence in unread),
    )
    return Report(f"pagefault bench: {folder.resolve().name}", notes, tuple(sections))


def _section(key: str, run: Run) -> Section:
    data = Path(str(run.settings.get("path") or "data that is not named")).name
    about = f"{run.model}, window of {run.window:,} tokens, data: {data}, folder: {run.folder.name}"
    beside = _beside_the_paper(run)
    failures = _failures(run)
    tables = [_scores(run), *([beside] if beside else []), _spending(run), *([failures] if failures else [])]
    title = TASKS.get(run.task, run.task).partition(":")[0].partition(" (")[0].rstrip(".")
    return Section(
        key, f"{run.task}: {title}" if title != run.task else title, about, tuple(_notes(run)),
        (*tables, _settings(run)), tuple(charts(run)), tuple(_samples(run)), run.judging,
    )  # fmt: skip


def _notes(run: Run) -> Iterator[str]:
    """What a reader must know before the figures."""
    if sentence := stand_in(run.model):
        yield sentence
    if not run.finished:
        yield "This run has no results.json yet: it is under way or was broken off. What is done is shown."
    else:
        if others := [name for name in run.strategies if name not in run.counted]:
            named = ", ".join(others)
            yield f"Not part of the last command, so scored from all the items that are there: {named}."
        for name in run.counted:
            entry = run.strategies[name]
            more = len(run.items.get(name, ())) - entry.n - entry.does_not_fit
            if more > 0:
                yield (
                    f"{name}: the folder holds {more} more items than were scored; the run is under way, or "
                    "its last command had a smaller --limit."
                )
    if run.stopped:
        yield f"The run stopped before its end: {run.stopped}"
    if run.left_out:
        yield f"{len(run.left_out)} wrong records were left out, the first of them: {run.left_out[0]}"
    for name, entry in strategies_of(run):
        if entry.why:
            yield f"{name} does not fit at {entry.does_not_fit} items: {entry.why}"
        missing = (run.wanted or 0) - entry.n - entry.does_not_fit - len(entry.failed)
        if missing > 0:
            yield f"{name}: {missing} of {run.wanted} items are not done."


def _overview(runs: Sequence[Run]) -> Table:
    rows = [
        (
            run.task, name, run.model, f"{run.window:,}", run.folder.name, str(entry.n), label(headline(run)),
            shown(headline(run), entry.measures.get(headline(run))),
        )
        for run in runs
        for name, entry in strategies_of(run)
    ]  # fmt: skip
    head = ("task", "strategy", "model", "window", "folder", "n", "measure", "score")
    return Table("All runs", head, tuple(rows), names=5)


def _scores(run: Run) -> Table:
    """Every measure of every strategy, over all items and by part."""
    measures = measures_of(run)
    rows: list[tuple[str, ...]] = []
    for name, entry in strategies_of(run):
        unfit = [item.part for item in run.items.get(name, ()) if item.unfit]
        rows.append(_row("all", name, entry, measures, entry.does_not_fit, str(len(entry.failed))))
        for part in sorted({*entry.parts, *unfit} if entry.parts else (), key=_numbers_first):
            scores = entry.parts.get(part) or Scores(n=0, measures={})
            rows.append(_row(part or _NONE, name, scores, measures, unfit.count(part), ""))
    order = list(dict.fromkeys(sorted((row[0] for row in rows), key=_numbers_first)))
    rows.sort(key=lambda row: (row[0] != "all", order.index(row[0])))
    head = ("part", "strategy", "n", "unfit", "failed", *(label(measure) for measure in measures))
    note = (
        "unfit: items that the strategy cannot answer in this window; failed: items at which the model "
        "failed. Neither is in n."
    )
    if all(row[0] == "all" for row in rows):
        return Table("Scores", head[1:], tuple(row[1:] for row in rows), note)
    return Table("Scores", head, tuple(rows), note, names=2)


def _row(
    part: str, name: str, scores: Scores, measures: Sequence[str], unfit: int, failed: str
) -> tuple[str, ...]:
    figures = [shown(measure, scores.measures.get(measure)) for measure in measures]
    return (part, name, str(scores.n), str(unfit), failed, *figures)


def _numbers_first(part: str) -> tuple[int, int, str]:
    return (0, int(part), "") if part.isdecimal() else (1, 0, part)


def _beside_the_paper(run: Run) -> Table | None:
    """Ours in one column, the paper's in those behind it."""
    figures = published(run.task)
    if not figures:
        return None
    models = list(dict.fromkeys(one.model for one in figures))
    values = {(one.measure, one.strategy, one.part, one.model): one.value for one in figures}
    keys = list(dict.fromkeys((one.measure, one.strategy, one.part) for one in figures))
    keys += [  # what the paper does not have, as a deeper level
        (measure, strategy, part)
        for measure, strategy in dict.fromkeys((one.measure, one.strategy) for one in figures)
        for part in (run.strategies[strategy].parts if strategy in run.strategies else ())
        if (measure, strategy, part) not in keys
    ]
    rows = [
        (
            label(measure), strategy, "any" if part == FLAT else part,
            _ours(run, measure, strategy, part),
            *(_printed(values.get((measure, strategy, part, model))) for model in models),
        )
        for measure, strategy, part in keys
    ]  # fmt: skip
    part_of = {"docqa": "K", "nested-kv": "level"}.get(run.task, "part")
    head = ("measure", "strategy", part_of, f"measured ({run.model})", *(f"paper ({m})" for m in models))
    kept = [n for n in range(len(head)) if n != 2 or any(row[2] for row in rows)]
    return Table(
        f"Beside the paper's {SOURCES[run.task]}",
        tuple(head[n] for n in kept),
        tuple(tuple(row[n] for n in kept) for row in rows),
        f"paper (model): published in {PAPER}, {SOURCES[run.task]}; other models, other items.",
        names=len(kept) - 1 - len(models),
        published=frozenset(range(len(kept) - len(models), len(kept))),
    )


def _ours(run: Run, measure: str, strategy: str, part: str) -> str:
    swept = strategy == "retriever-reader"
    entry = run.strategies.get(f"{strategy}@{part}" if swept else strategy)
    if entry is None:
        return _NONE
    scores = entry if swept or part in ("", FLAT) else part_of(run, strategy, part)
    return shown(measure, scores.measures.get(measure) if scores else None)


def _printed(value: float | None) -> str:
    if value is None:
        return _NONE
    return f"{value:.2f}" if round(value, 2) == value else f"{value:.3f}"


def _spending(run: Run) -> Table:
    """Tokens, cost and time of each strategy."""
    import numpy as np

    rows: list[tuple[str, ...]] = []
    for name, entry in strategies_of(run):
        spent = entry.spent
        seconds = [item.seconds for item in run.items.get(name, ())]
        p50, p95 = (f"{x:.3f}" for x in np.percentile(seconds, (50, 95))) if seconds else (_NONE, _NONE)
        each = f"{spent.seconds / spent.requests:.3f}" if spent.requests else _NONE
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
    return Table("Tokens, cost and time", head, tuple(rows), note)


def _failures(run: Run) -> Table | None:
    rows = [
        (name, id, why)
        for name, entry in strategies_of(run)
        for id, why in list(entry.failed.items())[:_LISTED]
    ]
    if not rows:
        return None
    note = f"At most {_LISTED} of each strategy. The same command tries them again."
    return Table("Items that failed", ("strategy", "item", "why"), tuple(rows), note, names=3)


def _settings(run: Run) -> Table:
    path = str(run.settings.get("path", ""))
    data = "small data of our own, shipped with pagefault" if path == "shipped" else Path(path).name or _NONE
    rows: dict[str, str] = {"task": run.task, "model that answered": run.model, "window": f"{run.window:,}"}
    for name, value in run.settings.items():
        if name not in ("path", "task", "window"):
            plain = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            rows[{"data": "data, SHA-256 (first 16)", "model": "model asked for"}.get(name, name)] = (
                plain or _NONE
            )
    rows |= {"data": data, "licence of the data, as its README has it": run.licence or "not known"}
    if path == "shipped":
        rows["licence of the data, as its README has it"] = "that of pagefault"
    rows |= {"results written": run.at or "not known", "made with": run.versions or "not known"}
    return Table("Settings", ("setting", "value"), tuple(rows.items()), names=2)


def _samples(run: Run) -> Iterator[Sample]:
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
