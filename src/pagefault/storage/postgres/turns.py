"""Turn locks: PostgreSQL's advisory locks, held by a connection that does nothing else.

The end of a process ends its connection, and the server frees what it held. The process may also lose the
connection and live on, or be paused while it is lost. Hence the fence: who takes a turn raises the agent's
fence number in the same statement, and a write with an older number is refused (``store``). The statement
waits for the disk like any commit: if the server could lose a raise, two holders could have one number.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import psycopg
from psycopg.errors import LockNotAvailable

from pagefault.storage import TurnHold
from pagefault.storage.postgres.connection import Driver
from pagefault.types import AgentId

__all__ = ["TurnLocks"]

_OURS = 0x7066 << 48
"""Advisory locks share one space of numbers with other programs on the database: ours begin with "pf"."""
_TAKE = """
    WITH taken AS MATERIALIZED (SELECT pg_try_advisory_lock(%(lock)s) AS mine),
    raised AS (UPDATE agents SET lease_fence = lease_fence + 1 FROM taken WHERE id = %(agent)s AND mine
        RETURNING lease_fence)
    SELECT mine, (SELECT lease_fence FROM raised) FROM taken"""
_FREE = "SELECT pg_advisory_unlock(%(lock)s)"
_WAIT = "SET lock_timeout = '200ms'"
"""For whoever writes to the agent at the moment. All turns of a process wait behind one another here, so a
writer that is paused must not hold them up: then the agent counts as held by another."""


class TurnLocks:
    """The locks of one store. ``connect`` makes the connection that holds them, when first needed."""

    def __init__(self, connect: Callable[[], Driver]) -> None:
        self._connect = connect
        self._driver: Driver | None = None
        self._held: set[AgentId] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pagefault-turns")

    def take(self, agent: AgentId) -> Future[TurnHold | None]:
        """Try, without waiting for other turns, to take an agent's lock; the future may raise
        ``psycopg.Error``."""
        return self._thread.submit(self._take, agent)

    def free(self, agent: AgentId) -> Future[None]:
        return self._thread.submit(self._free, agent)

    def close(self) -> Future[None]:
        """Free them all."""
        done = self._thread.submit(self._drop)
        self._thread.shutdown(wait=False)
        return done

    def _take(self, agent: AgentId) -> TurnHold | None:
        if agent in self._held:  # PostgreSQL would let the same connection in twice
            return None
        if self._driver is not None:
            try:
                return self._ask(self._driver, agent)
            except psycopg.OperationalError:
                if not self._driver.broken:
                    raise
                self._drop()  # it was lost; what it held is behind its fences
        self._driver = self._connect()
        self._driver.execute(_WAIT)
        return self._ask(self._driver, agent)

    def _ask(self, driver: Driver, agent: AgentId) -> TurnHold | None:
        try:
            row = driver.execute(_TAKE, {"lock": _OURS + agent, "agent": agent}).fetchone()
        except psycopg.Error as error:
            self._unlock(driver, agent)  # a lock outlives the failure of the statement that took it
            if isinstance(error, LockNotAvailable):
                return None
            raise
        if row is None or not row[0]:
            return None
        self._held.add(agent)
        return TurnHold(agent, row[1] or 0)

    def _free(self, agent: AgentId) -> None:
        self._held.discard(agent)
        if self._driver is not None:
            self._unlock(self._driver, agent)

    def _unlock(self, driver: Driver, agent: AgentId) -> None:
        with suppress(psycopg.Error):  # a lost connection has freed it already
            driver.execute(_FREE, {"lock": _OURS + agent})

    def _drop(self) -> None:
        if self._driver is not None:
            self._driver.close()
            self._driver = None
