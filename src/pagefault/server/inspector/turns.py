"""The turns of an agent: a list, and one of them as a flame of its steps, with what each saw, did and cost.

The log has the time at which each row was committed: a bar ends there, and begins where the one before ends.
Left out: the reading of turns (``views.turns``, ``views.trace``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response

from pagefault.server.api.values import LARGEST, EventNumber, Name
from pagefault.server.inspector.drawing import shares
from pagefault.server.inspector.pages import AgentVisit
from pagefault.types import Role
from pagefault.views.asking import number_of
from pagefault.views.history import LogRow
from pagefault.views.trace import Trace, TraceStep, trace
from pagefault.views.turns import turns

__all__ = ["routes"]

routes = APIRouter(prefix="/agents/{name}/turns")
"""The routes of turns."""

_PAGE = 20  # turns
_LEAST = 1.2  # percent of the flame that a bar takes at least


@dataclass(frozen=True, slots=True)
class _Bar:
    """One bar of the flame. ``kind``: ``model``, ``call`` or ``flush``; ``step``: its step's number, 0 for
    none; ``row``: the id of the row that was committed at its end."""

    kind: str
    label: str
    seconds: float
    step: int
    row: str
    failed: bool
    x: float = 0.0
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class _Band:
    """The bars of one step together."""

    step: int
    x: float
    width: float


@routes.get("")
async def turns_page(
    name: Name, page: AgentVisit, before: Annotated[int | None, Query(ge=1, lt=LARGEST)] = None
) -> Response:
    """List the turns, newest first."""
    found = await turns(page.kernel, name, before=before, limit=_PAGE)
    return page.show("turns.html", name=name, turns=found.turns, before=found.before, first=before is None)


@routes.get("/{event}")
async def turn_page(name: Name, event: EventNumber, page: AgentVisit) -> Response:
    """Show one turn step by step."""
    found = await trace(page.kernel, name, event)
    bars = _placed(_bars(found))
    return page.show(
        "turn.html", name=name, trace=found, bars=bars, bands=_bands(bars),
        steps=[(number, step, *_sizes(step)) for number, step in enumerate(found.steps, 1)],
    )  # fmt: skip


def _bars(found: Trace) -> list[_Bar]:
    """The bars of a turn, in the order of the log: model, calls and flushes take time."""
    numbers = {step.completion: number for number, step in enumerate(found.steps, 1)}
    rows = [row for step in found.steps for row in step.rows] + list(found.between)
    bars, last, seen = list[_Bar](), None, set[int]()
    for row in sorted(rows, key=lambda row: number_of(row.id, "m")):
        kind = _kind(row, seen)
        if kind and last is not None:
            step = 0 if row.completion is None else numbers.get(row.completion, 0)
            label = row.name or "" if kind == "call" else ""
            bars.append(_Bar(kind, label, _seconds(last, row.at), step, row.id, row.failed))
        if row.completion is not None:
            seen.add(row.completion)
        last = row.at
    return bars


def _kind(row: LogRow, seen: set[int]) -> str:
    """The kind of the bar that a row ends; empty for one that was committed with the row before it."""
    if row.role is Role.SUMMARY:
        return "flush"
    if row.completion is not None and row.completion not in seen:
        return "model"
    return "call" if row.role is Role.RESULT else ""


def _seconds(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds())


def _placed(bars: Sequence[_Bar]) -> list[_Bar]:
    places = shares([bar.seconds for bar in bars], _LEAST)
    return [
        _Bar(bar.kind, bar.label, bar.seconds, bar.step, bar.row, bar.failed, x, width)
        for bar, (x, width) in zip(bars, places, strict=True)
    ]


def _bands(bars: Sequence[_Bar]) -> list[_Band]:
    bands = list[_Band]()
    for number in dict.fromkeys(bar.step for bar in bars if bar.step):
        own = [bar for bar in bars if bar.step == number]
        start, end = own[0].x, own[-1].x + own[-1].width
        bands.append(_Band(number, start, round(end - start, 3)))
    return bands


def _sizes(step: TraceStep) -> tuple[float, float]:
    """The share of a step's input that came from the provider's cache, and how often it was asked again."""
    spent = step.spent
    return (spent.cached / spent.input if spent.input else 0.0), max(0, spent.requests - 1)
