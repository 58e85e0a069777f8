"""How a figure is named and written, and which measure comes first.

Leaves out where it is shown.
"""

from __future__ import annotations

from pagefault.bench.report.reading import Entry, Interval, Run
from pagefault.bench.tasks import task_named
from pagefault.errors import UsageError

__all__ = ["headline", "label", "measures_of", "shown", "stand_in", "strategies_of"]

_LABELS = {
    "rouge_l_recall": "ROUGE-L recall",
    "answer_token_recall": "answer-token recall",
    "token_f1": "token F1",
    "mean_length": "mean length, words",
    "evidence_recall": "evidence recall",
    "judged": "accuracy by judge",
    "wrongly_answered": "wrongly answered",
    "kept": "facts kept",
    "flushes": "flushes, mean",
    "sim_1": "SIM-1",
    "sim_3": "SIM-3",
    "sim_h": "SIM-H",
}
_COUNTS = {"mean_length", "flushes"}  # all other measures are shares or cosines
_RECALLS = {"rouge_l_recall", "answer_token_recall"}  # of an answer, so that quoting at length pays
_BESIDE_RECALL = ("token_f1", "mean_length")

_STAND_INS = {
    "offline": (
        "The model “offline” is a stand-in: rules that search and quote, and no language model. Its scores "
        "show what the memory brings into view; they say nothing about how well a model answers."
    ),
    "reference-policy": (
        "The model “reference-policy” is a stand-in: fixed rules that follow the task without a mistake. Its "
        "scores are an upper bound that shows the mechanics of memory; they are no result of a model."
    ),
}


def stand_in(model: str) -> str:
    """What it means that this model is no language model; empty if it is one."""
    return _STAND_INS.get(model, "")


def label(measure: str) -> str:
    return _LABELS.get(measure, measure.replace("_", " "))


def shown(measure: str, interval: Interval | None) -> str:
    """``0.812 (0.780–0.850)``."""
    if interval is None:
        return "–"
    places = 1 if measure in _COUNTS else 3
    return f"{interval.mean:.{places}f} ({interval.low:.{places}f}–{interval.high:.{places}f})"


def strategies_of(run: Run) -> list[tuple[str, Entry]]:
    """The strategies of a run, MemGPT first, a sweep in order of K."""

    def place(name: str) -> tuple[bool, str, int]:
        plain, _, number = name.partition("@")
        return not name.startswith("memgpt"), plain, int(number) if number.isdecimal() else 0

    return [(name, run.strategies[name]) for name in sorted(run.strategies, key=place)]


def measures_of(run: Run) -> list[str]:
    """The measures that a run has, the task's headline first, the judge's beside it; length and token F1
    beside a recall."""
    try:
        first = task_named(run.task).measures
    except UsageError:
        first = ()
    there = dict.fromkeys(measure for entry in run.strategies.values() for measure in entry.measures)
    head = first[:1]
    beside = _BESIDE_RECALL if _RECALLS & there.keys() else ()
    return [
        measure for measure in dict.fromkeys([*head, "judged", *beside, *first, *there]) if measure in there
    ]


def headline(run: Run) -> str:
    """The measure that a run is summed up by."""
    return next(iter(measures_of(run)), "")
