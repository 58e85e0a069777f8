"""Waiting for a condition, with a bound that only ends a test that hangs."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio

__all__ = ["PATIENCE", "eventually", "until"]

PATIENCE = 60.0
"""Seconds; a loaded machine takes some, only a test that hangs takes them all."""
_LOOK = 0.02


def eventually(holds: Callable[[], object]) -> None:
    """Return once it holds; what a process does is seen from outside only."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it never held"
        time.sleep(_LOOK)


async def until(holds: Callable[[], object | Awaitable[object]]) -> None:
    """The same, and others go on meanwhile."""
    end = time.monotonic() + PATIENCE
    while True:
        value = holds()
        if await value if isinstance(value, Awaitable) else value:
            return
        assert time.monotonic() < end, "it never held"
        await anyio.sleep(_LOOK)
