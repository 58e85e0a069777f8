"""The bounds of one sleep, in completions, tokens and money."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pagefault.message_meta import RequestUsage

__all__ = ["PriceOf", "SleepLimits"]

PriceOf = Callable[[RequestUsage, datetime], float | None]
"""The cost of a request in US dollars; None if no price is known."""


def _unknown(_request: RequestUsage, _at: datetime) -> None:
    """No price is known."""


@dataclass(frozen=True, slots=True)
class SleepLimits:
    """The bounds of one sleep of an agent. ``after``: seconds of rest until it sleeps, None: never by itself;
    ``steps``: completions; ``tokens`` of input and output, ``cost`` in US dollars."""

    after: float | None = None
    steps: int = 6
    tokens: int = 40_000
    cost: float | None = None
    price: PriceOf = _unknown

    def excess(self, spent: Sequence[RequestUsage], next_request: int, now: datetime) -> str:
        """The reason why a request of so many tokens is not made after what was ``spent``; empty if it is."""
        used = sum(each.usage.input + each.usage.output for each in spent)
        if used + next_request > self.tokens:
            return (
                f"{used:,} of {self.tokens:,} tokens (the setting sleep_tokens) are used, and the next "
                f"request may take {next_request:,}."
            )
        if self.cost is None:
            return ""
        paid = 0.0
        for each in spent:
            if (price := self.price(each, now)) is None:
                return f'No price of {each.model} is known; set [prices."{each.model}"] or no sleep_cost.'
            paid += price
        return f"${paid:,.4f} of ${self.cost:,.4f} (the setting sleep_cost) are spent." * (paid >= self.cost)
