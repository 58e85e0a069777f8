"""Approvals: calls that wait until a person decides on them, and functions that are allowed for good.

Frozen values, as in ``types``. The id of an approval is that of the row of the log that has its call. They
are kept as long as the turn is open; the log keeps what was decided, with the call's result.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = ["Approval", "Decision", "Grant", "Remember", "function_of"]

Decision = Literal["", "approved", "refused", "expired", "cancelled"]
"""The decision on a call; empty: it waits for one. ``cancelled``: its turn is to end."""

Remember = Literal["once", "session", "always"]
"""The time for which an approval holds: for the one call, for the function while the kernel is open, or until
that is revoked."""


@dataclass(frozen=True, slots=True)
class Approval:
    """One call that a person decides on. ``number``: of its row in the log; ``event``: in whose turn it is;
    ``arguments``: a JSON object, as the call would be run; ``expires``: when it counts as refused, None:
    never. ``name``: the function's ``allowance``. ``changed``: other arguments, with which it was approved;
    ``by``: who decided, if that was said."""

    number: int
    event: int
    name: str
    arguments: str
    asked: datetime
    expires: datetime | None = None
    decision: Decision = ""
    note: str = ""
    changed: str | None = None
    decided: datetime | None = None
    by: str = ""

    @property
    def id(self) -> str:
        """The handle by which it is decided: ``m`` and the number of its row."""
        return f"m{self.number}"

    @property
    def function(self) -> str:
        return function_of(self.name)


@dataclass(frozen=True, slots=True)
class Grant:
    """A function that an agent may call without being asked, until that is revoked; ``name``: its
    ``allowance``."""

    name: str
    at: datetime
    by: str = ""

    @property
    def function(self) -> str:
        return function_of(self.name)


def function_of(allowance: str) -> str:
    """The name of the function in ``files_write#3fa9c1d2``."""
    return allowance.partition("#")[0]
