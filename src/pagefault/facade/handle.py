"""The address of one agent in an open installation, shared by all objects that stand for parts of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pagefault.errors import UsageError

if TYPE_CHECKING:
    from pagefault.kernel import Kernel

__all__ = ["Handle", "OpenKernel", "agents_of"]


class OpenKernel(Protocol):
    """Gives the kernel while it is open; ``UsageError`` once it is not."""

    @property
    def kernel(self) -> Kernel: ...


@dataclass(slots=True)
class Handle:
    """An agent by name. ``name`` changes when the agent is renamed."""

    opened: OpenKernel
    name: str

    @property
    def kernel(self) -> Kernel:
        """The kernel; ``UsageError`` if it is closed."""
        return self.opened.kernel


async def agents_of(
    opened: OpenKernel, own: Handle | None, agents: tuple[str, ...], example: str
) -> tuple[str, ...]:
    """The agents named or, if none is, the ``own`` one. ``UsageError`` with the ``example`` if there is none;
    ``NotFoundError`` if one is not there, before anything is changed."""
    names = agents or ((own.name,) if own else ())
    if not names:
        raise UsageError(f"Name the agent: {example}.")
    from pagefault.views.agents import check_agents

    await check_agents(opened.kernel, names)
    return names
