"""Names of measures, figures as they are written, and which measure comes first.

Leaves out where it is shown.
"""

from __future__ import annotations

from pagefault.bench.in_context import MEASURES
from pagefault.bench.report.reading import Entry, StoredInterval, StoredRun
from pagefault.bench.tasks import task_named
from pagefault.errors import UsageError

__all__ = ["COUNTED", "headline", "label", "measures_of", "shown", "stand_in", "strategies_of"]

_LABELS = {
    "rouge_l_recall": "ROUGE-L recall",
    "answer_token_recall": "answer-token recall",
    "token_f1": "token F1",
    "mean_length": "mean length, words",
    "evidence_in_context": "evidence in context",
    "evidence_at_first": "evidence at first",
    "evidence_seen": "evidence seen",
    "context_tokens": "tokens of the prompt",
    "evidence_tokens": "tokens retrieved",
    "lookups": "look-ups",
    "recall_lookups": "of them ended in recall",
    "judged": "accuracy by judge",
    "wrongly_answered": "wrongly answered",
    "kept": "facts kept",
    "prefetch_tokens": "tokens prefetched",
    "flushes": "flushes, mean",
    "idle_prefetched": "prefetched, but nothing asked",
    "sim_1": "SIM-1",
    "sim_3": "SIM-3",
    "sim_h": "SIM-H",
}
_PLACES = {
    "mean_length": 1, "flushes": 1, "context_tokens": 0, "evidence_tokens": 0, "completions": 2, "lookups": 2,
    "recall_lookups": 2, "prefetch_tokens": 0,
}  # fmt: skip
"""Decimals of a count; all other measures are shares or cosines, with three."""
COUNTED = ("prefetch_tokens", "flushes", "idle_prefetched")  # by a strategy, beside its scores
_RECALLS = {"rouge_l_recall", "answer_token_recall"}  # of an answer, so that quoting at length pays
_BESIDE_RECALL = ("token_f1", "mean_length")

_STAND_INS = {
    "offline": (
        "The model “offline” is a demo: rules that search and quote, and no language model. Its answers are "
        "not scored, because that would measure the rules; shown is the gold evidence in its prompts. For "
        "scores of answers name a model, for instance --model openai:gpt-4o-mini."
    ),
    "reference-policy": (
        "The model “reference-policy” is a stand-in: fixed rules that follow the task without a mistake. Its "
        "scores are an upper bound that shows the mechanics of memory; they are no result of a model."
    ),
}


def stand_in(model: str) -> str:
    """A note on a model that is no language model; empty if it is one."""
    return _STAND_INS.get(model, "")


def label(measure: str) -> str:
    return _LABELS.get(measure, measure.replace("_", " "))


def shown(measure: str, interval: StoredInterval | None) -> str:
    """``0.812 (0.780–0.850)``."""
    if interval is None:
        return "–"
    mean, low, high = (
        f"{x:,.{_PLACES.get(measure, 3)}f}" for x in (interval.mean, interval.low, interval.high)
    )
    return f"{mean} ({low}–{high})"


def strategies_of(run: StoredRun) -> list[tuple[str, Entry]]:
    """The strategies of a run, MemGPT first, a sweep in order of K."""

    def place(name: str) -> tuple[bool, str, int]:
        plain, _, number = name.partition("@")
        return not name.startswith("memgpt"), plain, int(number) if number.isdecimal() else 0

    return [(name, run.strategies[name]) for name in sorted(run.strategies, key=place)]


def measures_of(run: StoredRun) -> list[str]:
    """The measures that a run has, the task's headline first, the judge's beside it; length and token F1
    beside a recall; evidence in context behind them."""
    try:
        first = task_named(run.task).measures
    except UsageError:
        first = ()
    there = dict.fromkeys(measure for entry in run.strategies.values() for measure in entry.measures)
    beside = _BESIDE_RECALL if _RECALLS & there.keys() else ()
    order = dict.fromkeys(
        [*first[:1], "judged", *beside, *(m for m in first if m not in COUNTED), *MEASURES, *there]
    )
    return [measure for measure in order if measure in there]


def headline(run: StoredRun) -> str:
    """The measure that a run is summed up by."""
    return next(iter(measures_of(run)), "")
