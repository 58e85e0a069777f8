"""pagefault: virtual memory for LLM agents.

The public names, and nothing that runs: each is loaded when it is first used, so that importing pagefault
is quick and has no side effects. Protocols and values for extensions are public in their own modules:
``pagefault.models``, ``.embedders``, ``.storage``, ``.types``, ``.errors``, ``.testing``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pagefault.errors import PagefaultError
    from pagefault.facade import Agent, AsyncAgent, Pagefault, open
    from pagefault.functions.tool_context import ToolContext
    from pagefault.functions.tools import tool
    from pagefault.images import Image
    from pagefault.kernel import Kernel
    from pagefault.types import Event, Output
    from pagefault.views.reply import Reply

__all__ = [
    "Agent",
    "AsyncAgent",
    "Event",
    "Image",
    "Kernel",
    "Output",
    "Pagefault",
    "PagefaultError",
    "Reply",
    "ToolContext",
    "__version__",
    "open",
    "tool",
]

__version__ = "0.1.0"

_HOMES = {
    "Agent": "facade",
    "AsyncAgent": "facade",
    "Event": "types",
    "Image": "images",
    "Kernel": "kernel",
    "Output": "types",
    "Pagefault": "facade",
    "PagefaultError": "errors",
    "Reply": "views.reply",
    "ToolContext": "functions.tool_context",
    "open": "facade",
    "tool": "functions.tools",
}


if not TYPE_CHECKING:  # a type checker would take it that every name exists

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'pagefault' has no attribute {name!r}")
        value = getattr(import_module(f"pagefault.{_HOMES[name]}"), name)
        globals()[name] = value  # found directly from now on
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
