"""A clock that stands still until it is moved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


@dataclass(slots=True)
class FixedClock:
    """``now`` is what it was set to; ``step`` seconds are added at each look."""

    at: datetime = START
    step: float = 0.0

    def now(self) -> datetime:
        seen, self.at = self.at, self.at + timedelta(seconds=self.step)
        return seen

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self.at += timedelta(seconds=seconds)
