"""A clock that stands still until a test moves it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


@dataclass(slots=True)
class FixedClock:
    """A clock set to ``at``; each ``now`` moves it forward by ``step`` seconds."""

    at: datetime = START
    step: float = 0.0

    def now(self) -> datetime:
        seen, self.at = self.at, self.at + timedelta(seconds=self.step)
        return seen

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self.at += timedelta(seconds=seconds)
