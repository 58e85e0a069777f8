"""The settings of an agent's sleep: when it tidies its memory by itself, and what that may cost."""

from __future__ import annotations

from pydantic import BaseModel, Field

from pagefault.accounting.sleep import PriceOf, SleepLimits

__all__ = ["LONGEST_WAIT", "SleepSettings"]

LONGEST_WAIT = 1e10
"""The most seconds after which something is to happen: three centuries. Dates end with the year 9999."""


class SleepSettings(BaseModel):
    """Seconds of rest, and the bounds of one sleep."""

    sleep_after: float | None = Field(
        default=None,
        gt=0.0,
        le=LONGEST_WAIT,
        description="seconds of rest until it tidies its memory",
    )
    sleep_steps: int = Field(default=6, ge=1, description="completions for one sleep")
    sleep_tokens: int = Field(default=40_000, ge=1, description="tokens of input and output for one sleep")
    sleep_cost: float | None = Field(default=None, gt=0.0, description="US dollars for one sleep")

    def sleep_limits(self, price: PriceOf) -> SleepLimits:
        return SleepLimits(self.sleep_after, self.sleep_steps, self.sleep_tokens, self.sleep_cost, price)
