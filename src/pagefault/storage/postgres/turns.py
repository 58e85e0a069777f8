"""Turn locks: PostgreSQL's advisory locks, held by a connection that does nothing else.

The end of a process ends its connection, and the server frees what it held. The process may also lose the
connection and live on, or be paused while it is lost. Hence the fence: who takes a turn raises the agent's
fence number, and a write with an older number is refused (``store``).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import psycopg

from pagefault.storage.postgres.connection import Driver
from pagefault.types import AgentId

__all__ = ["TurnLocks"]

_OURS = 0x7066 << 48
"""Advisory locks share one space of numbers with other programs on the database: ours begin with "pf"."""


class TurnLocks:
    """The locks of one store. ``connect`` makes the connection that holds them, when first needed."""

    def __init__(self, connect: Callable[[], Driver]) -> None:
        self._connect = connect
        self._driver: Driver | None = None
        self._held: set[AgentId] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pagefault-turns")

    def take(self, agent: AgentId) -> Future[bool]:
        """Try, without waiting for others, to take an agent's lock. The future raises ``psycopg.Error``."""
        return self._thread.submit(self._take, agent)

    def free(self, agent: AgentId) -> Future[None]:
        return self._thread.submit(self._free, agent)

    def close(self) -> Future[None]:
        """Free them all."""
        done = self._thread.submit(self._drop)
        self._thread.shutdown(wait=False)
        return done

    def _take(self, agent: AgentId) -> bool:
        if agent in self._held:  # PostgreSQL would let the same connection in twice
            return False
        if self._driver is not None:
            try:
                return self._ask(self._driver, agent)
            except psycopg.OperationalError:  # it was lost; what it held is behind its fences
                self._drop()
        self._driver = self._connect()
        return self._ask(self._driver, agent)

    def _ask(self, driver: Driver, agent: AgentId) -> bool:
        row = driver.execute("SELECT pg_try_advisory_lock(%s)", (_OURS + agent,)).fetchone()
        if row is None or not row[0]:
            return False
        self._held.add(agent)
        return True

    def _free(self, agent: AgentId) -> None:
        self._held.discard(agent)
        if self._driver is not None:
            with suppress(psycopg.Error):  # a lost connection has freed it already
                self._driver.execute("SELECT pg_advisory_unlock(%s)", (_OURS + agent,))

    def _drop(self) -> None:
        if self._driver is not None:
            self._driver.close()
            self._driver = None
