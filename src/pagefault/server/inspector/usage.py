"""Usage: tokens and money by day and by model, as plots and tables, and what is left of the day's budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Response

from pagefault.server.api.values import Name
from pagefault.server.inspector.drawing import Column, columns, round_top, shares
from pagefault.server.inspector.pages import AgentVisit, Visit, WebPage
from pagefault.views.spending import LONGEST, BudgetView, DailyUsage, budgets, daily_usage
from pagefault.views.usage import Spending

__all__ = ["routes"]

routes = APIRouter()
"""The routes of usage."""

_SPANS = (7, 30, 90, 365)
_MOST_BUDGETS = 100  # agents whose budgets are looked at

Days = Annotated[int, Query(ge=1, le=LONGEST)]


@dataclass(frozen=True, slots=True)
class _Plot:
    """Columns of the days: tokens that were not cached, cached, and output; ``top``: tokens at the upper
    edge; ``days`` and their sums beside them."""

    top: float
    columns: Sequence[Column]
    days: Sequence[tuple[str, Spending]]


@routes.get("/usage")
async def usage_page(page: Visit, days: Days = 30) -> Response:
    """Show the usage of all agents that the visitor may reach."""
    caller = page.caller
    names = await caller.names()
    found = await daily_usage(page.kernel, days=days, of=names if caller.is_limited else None)
    whole = not (caller.is_limited or caller.tenant)
    limits = await budgets(page.kernel, names[:_MOST_BUDGETS], installation=whole)
    return _show(page, "usage.html", found, limits, days, agents=len(names))


@routes.get("/agents/{name}/usage")
async def agent_usage_page(name: Name, page: AgentVisit, days: Days = 30) -> Response:
    """Show the usage of one agent."""
    found = await daily_usage(page.kernel, name, days=days)
    return _show(page, "agent_usage.html", found, await budgets(page.kernel, [name]), days, name)


def _show(
    page: WebPage, template: str, found: DailyUsage, limits: Sequence[BudgetView], days: int, name: str = "",
    agents: int = 1,
) -> Response:  # fmt: skip
    models = dict[str, Spending]()
    for used in found.used:
        models[used.model] = models.get(used.model, Spending()) + used.spent
    ordered = sorted(models.items(), key=lambda each: -(each[1].input + each[1].output))
    widths = shares([spent.input + spent.output for _, spent in ordered], 0.5)
    return page.show(
        template, name=name, plot=_plot(found), found=found, spans=_SPANS, days=days, limits=limits,
        models=[(model, spent, width) for (model, spent), (_, width) in zip(ordered, widths, strict=True)],
        base=("agents", name, "usage") if name else ("usage",), agents=agents, most=_MOST_BUDGETS,
    )  # fmt: skip


def _plot(found: DailyUsage) -> _Plot:
    sums = dict.fromkeys(found.days, Spending())
    for used in found.used:
        sums[used.day] = sums.get(used.day, Spending()) + used.spent
    stacks = [(spent.input - spent.cached, spent.cached, spent.output) for spent in sums.values()]
    top = round_top(max(map(sum, stacks), default=0))
    return _Plot(top, columns(stacks, top), list(sums.items()))
