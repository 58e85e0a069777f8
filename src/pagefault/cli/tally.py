"""What was spent, added up: tokens and dollars of many requests, as a line, as cells, as JSON values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pagefault.accounting.prices import Prices
from pagefault.message_meta import RequestUsage
from pagefault.storage import RowUsage

__all__ = ["HEAD", "Tally", "tally_of"]

HEAD = ["requests", "in", "cached", "out", "thinking", "cost"]
"""The columns of ``Tally.cells``."""

_TOKENS = ("input", "cached", "written", "output", "thinking")


@dataclass(slots=True)
class Tally:
    """Sums over requests. ``cost`` is in dollars, of those with a known price; ``unpriced`` are the models
    without one; ``estimated`` counts requests of which the provider reported nothing."""

    requests: int = 0
    input: int = 0
    cached: int = 0
    written: int = 0
    output: int = 0
    thinking: int = 0
    cost: float = 0.0
    estimated: int = 0
    unpriced: set[str] = field(default_factory=set[str])
    _errors: list[float] = field(default_factory=list[float])

    def add(self, request: RequestUsage, cost: float | None) -> None:
        self.requests += 1
        for name in _TOKENS:
            setattr(self, name, getattr(self, name) + getattr(request.usage, name))
        self.estimated += request.estimated
        if cost is None:
            self.unpriced.add(request.model)
        else:
            self.cost += cost
        if request.ratio:
            self._errors.append(1 / request.ratio - 1)

    @property
    def measured(self) -> int:
        """Requests of which our own count can be held against the provider's."""
        return len(self._errors)

    @property
    def error(self) -> float | None:
        """By how many percent our own count of a prompt is off on average; above 0: too many."""
        return round(100 * sum(self._errors) / len(self._errors), 1) if self._errors else None

    @property
    def money(self) -> str:
        """The cost; a price that is not known is said."""
        known = f"${self.cost:.4f}" if 0 < self.cost < 1 else f"${self.cost:,.2f}"
        if not self.unpriced:
            return known
        return f"{known} + unknown" if self.cost else "unknown"

    @property
    def line(self) -> str:
        """For a person, after a turn."""
        if not self.requests:
            return "nothing"
        cached = f" ({100 * self.cached / self.input:.0f} % cached)" if self.cached else ""
        thinking = f" ({self.thinking:,} thinking)" if self.thinking else ""
        about = "about " if self.estimated else ""
        return f"{about}{self.input:,} in{cached}, {self.output:,} out{thinking}, {self.money}"

    @property
    def cells(self) -> list[str]:
        numbers = (self.requests, self.input, self.cached, self.output, self.thinking)
        return [*(f"{number:,}" for number in numbers), self.money]

    @property
    def data(self) -> dict[str, Any]:
        """``cost`` is null if no price at all is known."""
        nothing = bool(self.unpriced) and not self.cost
        return {
            "requests": self.requests,
            **{name: getattr(self, name) for name in _TOKENS},
            "estimated": self.estimated,
            "cost": None if nothing else round(self.cost, 8),
            "unpriced": sorted(self.unpriced),
        }


def tally_of(rows: Iterable[RowUsage], prices: Prices) -> Tally:
    """The sum of what rows tell of."""
    tally = Tally()
    for row in rows:
        for request in row.usage:
            tally.add(request, prices.cost(request, row.at))
    return tally
