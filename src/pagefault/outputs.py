"""The items of the output buffer, which is a view of the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["CLOSING", "UNCOMMITTED", "Output", "OutputType"]

OutputType = Literal[
    "delta", "retracted", "noticed", "progress", "said", "thought", "called", "returned",
    "prefetched", "warned", "flushed", "withdrawn", "alerted", "waiting", "done",
]  # fmt: skip


UNCOMMITTED: frozenset[OutputType] = frozenset({"delta", "retracted", "noticed", "progress"})
"""Outputs that are not in the log; their position is the last one before them."""


CLOSING: frozenset[OutputType] = frozenset({"waiting", "done"})
"""Outputs after which the sender of an event hears no more of it: its turn is over, or waits for a decision.
They are not in the log either."""


@dataclass(frozen=True, slots=True)
class Output:
    """One item of the output buffer, which is a view of the log.

    ``position`` is the log number of the row it shows; a consumer that went away asks again from there.
    ``delta`` and ``retracted`` are not in the log: they carry an ``attempt`` id in ``data`` and the last
    position before them, and a delta in ``of`` whether it is ``said``, ``thought`` or ``thinking``, and in
    ``call`` which of a completion's calls says it.
    ``noticed`` (a retry, another model that takes over) is not in the log either, nor is ``progress`` (what
    the tool ``name`` reports of its call, whose id is in ``data``). ``done`` closes an event's turn;
    ``waiting`` says that it waits until calls of it are decided on, which ``data`` lists.
    """

    type: OutputType
    text: str
    event: int | None
    position: int
    name: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
