"""The parts that a process offers its agents: the program's tools, and models that can be used as set."""

from __future__ import annotations

from collections.abc import Sequence

from pagefault.config import AgentSettings
from pagefault.errors import PagefaultError
from pagefault.functions import Function
from pagefault.kernel import Kernel

__all__ = ["can_use_model", "program_tools"]


def program_tools(kernel: Kernel, names: Sequence[str] | None = None) -> tuple[Function, ...]:
    """The program's tools, or those of them with these names."""
    return kernel.assembly.tools.chosen(names)


async def can_use_model(kernel: Kernel, settings: AgentSettings) -> bool:
    """Return whether the model of the settings is known here and has what it needs: a package, a key. Nothing
    is sent to hosted providers."""
    try:
        window, _ = await kernel.window(settings)
        kernel.models.model(settings.model, window, settings.request_settings)
    except PagefaultError:
        return False
    return True
