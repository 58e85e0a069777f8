"""The program of an agent: the model, functions and limits that its process runs with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pagefault.accounting.budget import Budgets
from pagefault.accounting.sleep import SleepLimits
from pagefault.agent.approval import Permissions
from pagefault.agent.prefetch import Prefetcher
from pagefault.agent.sleeping import is_sleep
from pagefault.functions.executor import FunctionExecutor
from pagefault.models import Model
from pagefault.observing import Observers
from pagefault.storage import Store
from pagefault.types import Event, EventKind, Style

__all__ = ["Program"]


@dataclass(frozen=True, slots=True)
class Program:
    """The parts and limits of one agent, put together by ``pagefault.assembly``."""

    store: Store
    model: Model
    executor: FunctionExecutor
    prefetcher: Prefetcher
    permissions: Permissions
    instructions: str
    style: Style = "memgpt"
    max_steps: int = 12
    warning_steps: int = 3
    sleep: SleepLimits = field(default_factory=SleepLimits)
    turn_timeout: float = 3600.0  # seconds
    fold_at_once: bool = False
    budgets: Budgets | None = None
    served_window: Callable[[], Awaitable[int | None]] | None = None  # the window the server says it serves
    observers: Observers = field(default_factory=Observers)
    has_new_functions: Callable[[], bool] = lambda: (
        False
    )  # others than it runs with, from its next loading on

    def most_steps(self, event: Event | None) -> int:
        """The completions that the event may take."""
        if is_sleep(event):
            return self.sleep.steps
        pressed = event is not None and event.kind == EventKind.PRESSURE
        return self.warning_steps if pressed else self.max_steps

    async def check_budgets(self) -> None:
        """Raise ``DailyBudgetSpent`` if a daily budget is used up."""
        if budgets := self.budgets:
            await budgets.store.read(budgets.check)
