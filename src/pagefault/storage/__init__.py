"""The store protocol: recall storage, archival storage, working context, inbox, schedules, vectors.

Work on a store is a plain function of a ``Transaction``, run whole or not at all: one hop to the
store's thread, one commit. That is how a memory function's effect and its result message commit
together. Ranking is not here: a store filters, matches and scores; ``pagefault.retrieval`` ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from pagefault.storage.embedding import EmbedderRecord, PendingVector
from pagefault.storage.holding import TurnHold
from pagefault.storage.matching import (
    BEST_WINDOW,
    LONGEST_NAME,
    SESSION_GAP,
    Filter,
    Found,
    Match,
    OtherVector,
)
from pagefault.storage.signals import Signals
from pagefault.storage.transaction import Transaction
from pagefault.storage.usage import RowUsage, UsageTotal
from pagefault.types import AgentId

__all__ = [
    "BEST_WINDOW",
    "LONGEST_NAME",
    "SESSION_GAP",
    "EmbedderRecord",
    "Filter",
    "Found",
    "Match",
    "OtherVector",
    "PendingVector",
    "RowUsage",
    "Store",
    "Transaction",
    "TurnHold",
    "UsageTotal",
]

T = TypeVar("T")


class Store(Protocol):
    """A database. ``write`` is atomic and durable when it returns; ``read`` sees one snapshot.

    A ``work`` function must be quick, must not block on anything else, and may be called from the
    store's own thread. What it raises is raised to the caller, and its writes are undone.
    """

    @property
    def signals(self) -> Signals: ...

    async def write(self, work: Callable[[Transaction], T], hold: TurnHold | None = None) -> T:
        """Run work that writes. With a ``hold`` it is refused (``TurnLostError``) once another process has
        taken the agent's turn lock, as may happen if this one was paused, lost its connection or its file."""
        ...

    async def read(self, work: Callable[[Transaction], T]) -> T: ...

    def turn_lock(self, agent: AgentId) -> AbstractAsyncContextManager[TurnHold | None]:
        """Try, without waiting, to become the one process that runs this agent's turns; the context value is
        the hold that the writes of the turn carry, None if another process has it. Freed when the process
        dies."""
        ...

    async def close(self) -> None: ...
