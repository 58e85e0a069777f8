"""Sleep on demand: an agent tidies its memory now.

Left out: when it does so by itself (``resting``), and the turn (``agent.sleeping``).
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from math import inf

from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.kernel.posting import EventOutputs, posting
from pagefault.types import Event, EventKind

__all__ = ["sleep"]


def sleep(kernel: Kernel, name: str, most: float = inf) -> AbstractAsyncContextManager[EventOutputs]:
    """Let an agent tidy its memory now; give what ``Kernel.posting`` gives."""
    if not kernel.scheduler.is_running:
        raise UsageError("The kernel is not running; use it as `async with kernel:`.")
    event = Event(EventKind.SLEEP, at=kernel.clock.now())
    return posting(kernel.scheduler, kernel.tenant, name, event, most)
