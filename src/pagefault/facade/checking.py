"""Arguments of the faces are checked against their annotations: a wrong type is one sentence.

Only what a caller without a type checker gets wrong: strings, numbers, lists of strings (where one string
stands for a list of it). Values and ranges are the business of what is called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import date, timedelta
from functools import wraps
from os import PathLike
from types import NoneType
from typing import Any, ParamSpec, TypeVar

from pagefault.errors import ArgumentTypeError
from pagefault.types import Event, EventKind

__all__ = ["checked", "checked_methods", "event_of"]

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)

_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "a string"),
    "str | None": ((str, NoneType), "a string"),
    "str | Path": ((str, PathLike), "a path"),
    "Path | str | None": ((str, PathLike, NoneType), "a path"),
    "int": ((int,), "a whole number"),
    "int | None": ((int, NoneType), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "True or False"),
    "datetime | date | str | None": ((date, str, NoneType), "a time"),
    "When": ((date, timedelta, str, NoneType), "a time"),
}
_STRINGS = ("Sequence[str]", "Sequence[str] | None")


def checked_methods(face: C) -> C:
    """Check the arguments of all public methods of a class."""
    for name, value in list(vars(face).items()):
        if inspect.isfunction(value) and not name.startswith("_"):
            setattr(face, name, checked(value))
    return face


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Check the arguments of a function; ``ArgumentTypeError`` names the first that is of the wrong type."""
    signature = inspect.signature(function)
    kinds = {name: str(parameter.annotation) for name, parameter in signature.parameters.items()}
    many = {p.name for p in signature.parameters.values() if p.kind is p.VAR_POSITIONAL}

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        for name, value in bound.arguments.items():
            each = value if name in many else (value,)
            given = tuple(_checked(name, kinds[name], one) for one in each)
            bound.arguments[name] = given if name in many else given[0]
        return function(*bound.args, **bound.kwargs)

    return call


def _checked(name: str, kind: str, value: Any) -> Any:
    if kind in _STRINGS:
        return (value,) if isinstance(value, str) else value
    types, what = _KINDS.get(kind, ((object,), ""))
    if isinstance(value, types):
        return value
    raise ArgumentTypeError(f"{name} is {what}, and {value!r} is none; write {name}={_EXAMPLES[what]}.")


_EXAMPLES = {
    "a string": '"..."', "a path": '"some/path"', "a whole number": "1", "a number": "0.5",
    "a time": '"tomorrow 9am"', "True or False": "True",
}  # fmt: skip


def event_of(given: object) -> Event:
    """The event that is meant, a user message if it is a string; ``ArgumentTypeError`` for anything else."""
    if isinstance(given, Event):
        return given
    if isinstance(given, str):
        return Event(EventKind.MESSAGE, given)
    raise ArgumentTypeError(
        f"An agent is sent a string or a pagefault.Event, not {type(given).__name__}; "
        'write send("...") or send(Event("door_opened", "...")).'
    )
