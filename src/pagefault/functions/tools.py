"""Tools: how a program marks its own functions for the model. Left out: their schemas (``describing``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from inspect import ismethod
from typing import Annotated, Any, TypeVar, overload

from pydantic import BeforeValidator

from pagefault.errors import ArgumentTypeError

__all__ = ["ALL_ARGUMENTS", "CONTEXT_NAMES", "ToolNames", "ToolOptions", "tool"]

F = TypeVar("F", bound=Callable[..., Any])

ALL_ARGUMENTS, CONTEXT_NAMES = ("args", "arguments"), ("context", "ctx")
"""Parameters of a predicate that are given all arguments as a mapping, or the context, if the function has no
parameter of this name: a lambda cannot annotate them."""


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """The arguments of ``tool``, kept until the function is registered. Empty: the function's own."""

    name: str = ""
    description: str = ""
    idempotent: bool = False
    timeout: float | None = None
    approval: bool | Callable[..., object] = False


@overload
def tool(
    function: F,
    /,
    *,
    name: str = "",
    description: str = "",
    idempotent: bool = False,
    timeout: float | None = None,
    approval: bool | Callable[..., object] = False,
) -> F: ...
@overload
def tool(
    *,
    name: str = "",
    description: str = "",
    idempotent: bool = False,
    timeout: float | None = None,
    approval: bool | Callable[..., object] = False,
) -> Callable[[F], F]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str = "",
    description: str = "",
    idempotent: bool = False,
    timeout: float | None = None,
    approval: bool | Callable[..., object] = False,
) -> Any:
    """Mark a typed function, sync or async, as a tool; its docstring is its description.

    ``name``, ``description``: for the model, instead of the function's own. ``idempotent``: may be run again
    after a crash. ``timeout``: seconds, else the agent's setting. ``approval``: a person decides on each call
    before it is run, or on those for which a predicate, sync or async, returns a true value. It is given the
    arguments that it names, valid (all of them as ``args``), and the context if it asks for it (by its type
    or as ``ctx``), perhaps more than once; if it fails, the person is asked.
    """
    options = ToolOptions(name, description, idempotent, timeout, approval)

    def mark(marked: Any) -> Any:
        if ismethod(marked):  # its attributes are those of the function, which other instances share
            marked = partial(marked)
        try:
            vars(getattr(marked, "__func__", marked))["__pagefault__"] = options
        except TypeError:
            raise ArgumentTypeError(
                f"{marked!r} cannot be marked as a tool; write a function around it."
            ) from None
        return marked

    return mark(function) if function is not None else mark


def _names_of(value: object) -> object:
    """The value of a setting with names as it may be written in a variable: ``weather,order``."""
    if not isinstance(value, str):
        return value
    return tuple(name.strip() for name in value.split(",") if name.strip())


ToolNames = Annotated[tuple[str, ...], BeforeValidator(_names_of)]
"""Names of functions in a setting."""
