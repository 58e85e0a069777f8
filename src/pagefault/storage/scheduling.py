"""The part of the transaction protocol on schedules: timers, and which are due."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pagefault.types import AgentId, Schedule

__all__ = ["Due", "SchedulingTransaction"]

Due = tuple[AgentId, Schedule]


class SchedulingTransaction(Protocol):
    """The work on timers."""

    def add_schedule(self, agent: AgentId, schedule: Schedule) -> Schedule: ...
    def add_sleep(self, agent: AgentId, due: datetime) -> None:
        """Have the agent fall asleep at that time (the schedule ``SLEEP_TIMER``), unless it is to already."""
        ...

    def schedules(self, agent: AgentId, *, withdrawn: bool = False) -> list[Schedule]:
        """The timers that were set, by number; ``withdrawn``: also those that were undone, which
        nothing else here finds."""
        ...

    def move_schedule(self, agent: AgentId, number: int, due: datetime) -> None: ...
    def remove_schedule(self, agent: AgentId, number: int) -> bool: ...
    def park_schedule(self, agent: AgentId, number: int, why: str) -> None: ...
    def due_schedules(
        self, now: datetime, limit: int, *, agent: AgentId | None = None, after: Due | None = None
    ) -> list[Due]:
        """Up to ``limit`` schedules with due <= now that are not parked, oldest first: of all agents or of
        one; those ``after`` the last of an earlier list."""
        ...
