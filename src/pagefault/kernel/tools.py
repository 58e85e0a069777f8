"""Tools that come and go while a kernel runs. Left out: which of them an agent is offered (``assembly``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pagefault.kernel import Kernel

__all__ = ["add_tool", "remove_tool"]


def add_tool(kernel: Kernel, call: Callable[..., Any]) -> None:
    """Offer a callable to the agents from their next event on; ``UsageError`` if it cannot be a tool, or its
    name is taken. Each agent's prompt changes with it, from the functions on."""
    kernel.assembly.tools.add(call)
    kernel.scheduler.slots.reload()


def remove_tool(kernel: Kernel, name: str) -> None:
    """Offer a tool no longer from each agent's next event on; ``NotFoundError`` if there is none of this
    name. A turn that is open still has it."""
    kernel.assembly.tools.remove(name)
    kernel.scheduler.slots.reload()
