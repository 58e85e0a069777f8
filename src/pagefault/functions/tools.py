"""Tools: how a program marks its own functions for the model. Left out: their schemas (``describing``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

__all__ = ["ToolOptions", "tool"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """The arguments of ``tool``, kept until the function is registered."""

    idempotent: bool = False
    timeout: float | None = None


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(*, idempotent: bool = False, timeout: float | None = None) -> Callable[[F], F]: ...
def tool(
    function: Callable[..., Any] | None = None, /, *, idempotent: bool = False, timeout: float | None = None
) -> Any:
    """Mark a typed function, sync or async, as a tool; its docstring is its description.

    ``idempotent``: may be run again after a crash. ``timeout``: seconds, else the agent's setting.
    """

    def mark(marked: Callable[..., Any]) -> Callable[..., Any]:
        vars(marked)["__pagefault__"] = ToolOptions(idempotent, timeout)
        return marked

    return mark(function) if function is not None else mark
