"""The address of one agent in an open installation, shared by all objects that stand for parts of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pagefault.kernel import Kernel

__all__ = ["Handle", "OpenKernel"]


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
