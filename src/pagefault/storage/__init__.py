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
from pagefault.storage.holding import TurnHold, Workers
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
    "Workers",
]

T = TypeVar("T")


class Store(Protocol):
    """A database. ``write`` is atomic and durable when it returns; ``read`` sees one snapshot.

    A ``work`` function must be quick, must not block on anything else, and may be called from the
    store's own thread. What it raises is raised to the caller, and its writes are undone.
    """

    @property
    def signals(self) -> Signals: ...
    @property
    def workers(self) -> Workers: ...
    async def write(self, work: Callable[[Transaction], T], hold: TurnHold | None = None) -> T:
        """Run work that writes. With a ``hold`` it is a write of the agent's turn, and nothing is written if
        the turn is another's: ``TurnHeldError`` if the first write finds it so, ``TurnLostError`` once it was
        taken over, as may happen if this process was paused, lost its connection or its file.

        What was read of the agent before the first write may be old by then: that write reads it again.
        """
        ...

    async def read(self, work: Callable[[Transaction], T]) -> T: ...

    async def build(self, work: Callable[[Transaction], T]) -> T:
        """As ``write``, for work that may take minutes. Nobody waits for it: it takes none of the connections
        of others, and closing the store undoes it."""
        ...

    def turn_lock(self, agent: AgentId) -> AbstractAsyncContextManager[TurnHold]:
        """Try, without waiting, to become the one who runs this agent's turns; the context value is the hold
        that the writes of the turn carry. ``TurnHeldError``, here or at the first write, if another has it.
        Freed with the write that leaves nothing in the inbox, when the context is left, or when the process
        dies."""
        ...

    async def close(self) -> None: ...
