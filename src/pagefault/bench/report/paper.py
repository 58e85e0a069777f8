"""The figures of the MemGPT paper that stand beside ours: arXiv 2310.08560v2, Tables 2, 3, Figures 5, 7.

The two figures are read from the vector paths of the PDF. They are facts of another publication, of its
models and its data, and no measurement of ours. Leaves out all of the paper that no task here repeats.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FLAT", "PAPER", "SOURCES", "Published", "published"]

PAPER = "arXiv 2310.08560v2"

SOURCES = {"dmr": "Table 2", "opener": "Table 3", "docqa": "Figure 5", "nested-kv": "Figure 7"}
"""Where in the paper, by task."""

FLAT = "flat"
"""The part of a figure that holds whatever K is."""

_GPT_35, _GPT_4, _TURBO = "GPT-3.5 Turbo", "GPT-4", "GPT-4 Turbo"


@dataclass(frozen=True, slots=True)
class Published:
    """One figure. ``strategy``: the counterpart here; ``part``: K of a retriever-reader, or a level."""

    strategy: str
    measure: str
    part: str
    model: str
    value: float


def published(task: str) -> list[Published]:
    """The paper's figures for a task; none if it has no such experiment."""
    return {"dmr": _dmr, "opener": _opener, "docqa": _docqa, "nested-kv": _nested_kv}.get(task, list)()


def _dmr() -> list[Published]:
    rows = (
        ("recursive-summary", "judged", {_GPT_35: 0.387, _GPT_4: 0.321, _TURBO: 0.353}),
        ("recursive-summary", "rouge_l_recall", {_GPT_35: 0.394, _GPT_4: 0.296, _TURBO: 0.359}),
        ("memgpt", "judged", {_GPT_35: 0.669, _GPT_4: 0.925, _TURBO: 0.934}),
        ("memgpt", "rouge_l_recall", {_GPT_35: 0.629, _GPT_4: 0.814, _TURBO: 0.827}),
    )
    return [
        Published(strategy, measure, "", model, value)
        for strategy, measure, values in rows
        for model, value in values.items()
    ]


def _opener() -> list[Published]:
    rows = (
        ("human", "human", (0.800, 0.800, 1.000)),
        ("memgpt", _GPT_35, (0.830, 0.812, 0.817)),
        ("memgpt", _GPT_4, (0.868, 0.843, 0.773)),
        ("memgpt", _TURBO, (0.857, 0.828, 0.767)),
    )
    return [
        Published(strategy, measure, "", model, value)
        for strategy, model, values in rows
        for measure, value in zip(("sim_1", "sim_3", "sim_h"), values, strict=True)
    ]


def _docqa() -> list[Published]:
    sweep = (1, 5, 10, 20, 50, 100, 200)
    curves = {
        _GPT_35: (0.24, 0.42, 0.56, 0.56, 0.46, 0.38, 0.28),
        _GPT_4: (0.42, 0.60, 0.70, 0.60, 0.54, 0.34, 0.12),
        _TURBO: (0.38, 0.54, 0.66, 0.68, 0.62, 0.64, 0.56),
    }
    flat = {_GPT_35: 0.40, _GPT_4: 0.72, _TURBO: 0.72}
    return [
        Published("retriever-reader", "accuracy", str(most), model, value)
        for model, values in curves.items()
        for most, value in zip(sweep, values, strict=True)
    ] + [Published("memgpt", "accuracy", FLAT, model, value) for model, value in flat.items()]


def _nested_kv() -> list[Published]:
    curves = {
        ("full", _GPT_35): (1.0, 0.0, 0.0, 0.0),
        ("full", _GPT_4): (0.9, 0.3, 0.1, 0.0),
        ("full", _TURBO): (1.0, 0.5, 0.2, 0.0),
        ("memgpt", _GPT_35): (1.0, 0.2, 0.1, 0.0),
        ("memgpt", _GPT_4): (1.0, 1.0, 1.0, 1.0),
        ("memgpt", _TURBO): (1.0, 1.0, 0.7, 0.6),
    }
    return [
        Published(strategy, "accuracy", str(level), model, value)
        for (strategy, model), values in curves.items()
        for level, value in enumerate(values)
    ]
