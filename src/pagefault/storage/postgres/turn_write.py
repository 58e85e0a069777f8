"""One transaction of a turn on PostgreSQL: the lease that it takes or is checked to have.

Left out: the leases, their renewal and their end (``leases``).
"""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from psycopg.errors import LockNotAvailable

from pagefault.storage import TurnHold
from pagefault.storage.postgres.connection import Driver
from pagefault.storage.postgres.leases import Leases
from pagefault.storage.postgres.sessions import set_local
from pagefault.storage.postgres.transaction import PostgresTransaction

__all__ = ["TurnWrite"]

_TAKING = {"lock_timeout": "200ms"}
"""For whoever writes to the agent at the moment: one that is paused in a write must not hold up a thread for
long. The agent then counts as held by another."""


class TurnWrite:
    """One transaction under a hold: it takes the lease if that is nobody's, before its work, or is checked
    to have it still."""

    def __init__(self, transaction: PostgresTransaction, hold: TurnHold, worker: str) -> None:
        self.agent = hold.agent
        self._transaction = transaction
        self._hold = hold
        self._worker = transaction.leases[hold.agent] = hold.worker or worker
        self._fence = hold.fence
        self._taken: Callable[[], int | None] | None = None

    def begin(self, driver: Driver) -> None:
        """Take the lease, if the hold has none yet, before any other statement."""
        if not self._hold.worker:
            set_local(driver, _TAKING)
            self._taken = self._transaction.take_lease(self._hold, self._worker)

    def check(self) -> None:
        """Refuse what was done, if the turn is another's: ``TurnHeldError``, ``TurnLostError``."""
        if self._taken is None:
            self._hold.check(self._transaction.fence(self._hold.agent))
            return
        self._fence = self._taken()
        if self._fence is None:
            self._hold.refuse(self._transaction.fence(self._hold.agent))

    def is_held_up(self, error: psycopg.Error) -> bool:
        """Return whether the lease could not be taken because others were writing to the agent."""
        return not self._hold.worker and isinstance(error, LockNotAvailable)

    def committed(self) -> None:
        """Let the hold know how it stands now."""
        if self._fence is not None:
            self._hold.fence, self._hold.worker = self._fence, self._transaction.leases[self._hold.agent]

    def lost(self, leases: Leases) -> None:
        """Free the lease that the transaction took, if it was committed after all."""
        if self._taken is not None:
            leases.free(self._hold.agent, self._worker, self._fence)
