"""Reading stored values that may be damaged: what cannot be read is named, and harms no other row.

Left out: the rows themselves (``rows``), and looking for all that is damaged (``transfer.values``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from pagefault.errors import DamageError

__all__ = ["UNREADABLE", "reads", "require"]

T = TypeVar("T")

UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""The exceptions of code that reads a value which is not what it must be."""


def reads(what: str, number: int) -> Callable[[Callable[[Any], T]], Callable[[Any], T]]:
    """Make a reader of rows say which one it cannot read. ``number``: where in the row its number stands."""

    def wrap(read: Callable[[Any], T]) -> Callable[[Any], T]:
        @wraps(read)
        def readable(row: Any) -> T:
            try:
                return read(row)
            except UNREADABLE as error:
                raise DamageError(f"The stored {what} {row[number]} cannot be read ({error})") from error

        return readable

    return wrap


def require(*values: object, kind: type[object]) -> None:
    """SQLite keeps values of any type in any column; ``TypeError`` for one of another."""
    for value in values:
        if not isinstance(value, kind):
            raise TypeError(f"{str(value)[:40]!r} is no {'text' if kind is str else 'number'}")
