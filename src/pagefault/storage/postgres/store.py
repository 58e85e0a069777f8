"""A PostgreSQL database as a store: opening it, running work in transactions, turn locks, closing.

Work runs on as many threads as there are connections. A write is one transaction at READ COMMITTED, a read
one snapshot. Leaves out what the work does.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from pagefault.errors import StorageError
from pagefault.storage import TurnHold
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.postgres.connection import (
    Driver,
    PostgresConnection,
    adapt,
    failure,
    is_passing,
    place_of,
)
from pagefault.storage.postgres.opening import conninfo_of, prepare
from pagefault.storage.postgres.sessions import (
    ONE_PLAN,
    READ,
    WRITE,
    begin,
    configure,
    connect,
    limits_of,
    pipeline,
)
from pagefault.storage.postgres.signals import PostgresSignals
from pagefault.storage.postgres.transaction import PostgresTransaction
from pagefault.storage.postgres.turns import TurnLocks
from pagefault.types import AgentId

__all__ = ["PostgresStore"]

T = TypeVar("T")
Pool = ConnectionPool[Driver]

_PAUSES = (0.0, 0.01, 0.03, 0.1, 0.3)
"""Seconds before each further try of a transaction that others got in the way of, or whose connection was
lost."""
_UNKNOWN = (
    "The connection to {place} was lost while a change was being committed; look whether it was kept before "
    "making it again."
)


class PostgresStore:
    """``pagefault.storage.Store`` on one database. Make it with ``open``.

    A caller that is cancelled while its work runs does not stop the work: it may be committed still. Work
    that the server could not carry out because of other transactions is run again, so it may run more than
    once; its effects in the database are committed once.
    """

    def __init__(
        self,
        pool: Pool,
        locks: TurnLocks,
        cache: IndexCache,
        longest_write: float,
        signals: PostgresSignals,
        *,
        distributed: bool,
    ) -> None:
        self._pool = pool
        self._cache = cache
        self._locks = locks
        self._place = pool.name
        self._longest_write = longest_write
        self._keeps = not distributed  # a statement with others in it is none for a single node
        self._threads = ThreadPoolExecutor(pool.max_size, thread_name_prefix="pagefault-postgres")
        self._closed = False
        self.signals = signals

    @classmethod
    def open(
        cls,
        url: str,
        *,
        connections: int = 8,
        patience: float = 10.0,
        longest_write: float = 30.0,
        cache: IndexCache | None = None,
        wake_url: str = "",
    ) -> PostgresStore:
        """Open the database, making or upgrading its tables if need be.

        ``url`` is a libpq URL (``postgresql://user@host/name``); ``connections`` how many to hold at most,
        and so how many transactions run at once, apart from one for the turn locks; ``patience``, in
        seconds, how long to wait for the server; ``longest_write``, in seconds, after how long the server
        gives up a write, so that a process that is paused in the midst of one holds up nobody; ``cache``
        what searches keep in memory (default: 256 MB); ``wake_url``, if a pooler stands before the database,
        a URL past it, for notifications. Raises ``StorageError``, and ``UsageError`` for a URL that is none.
        """
        conninfo = conninfo_of(url, patience)
        waking = conninfo_of(wake_url, patience, "wake_url") if wake_url else conninfo
        distributed = prepare(conninfo)
        pool = Pool(
            conninfo,
            name=place_of(conninfo),
            kwargs={"autocommit": True},
            min_size=0,
            max_size=connections,
            open=False,
            configure=partial(_ready, longest_write=longest_write, distributed=distributed),
            timeout=patience,
            reconnect_timeout=patience,
            num_workers=1,
        )
        pool.open()
        locks = TurnLocks(partial(connect, conninfo))
        signals = PostgresSignals(waking, pool)
        return cls(pool, locks, cache or IndexCache(), longest_write, signals, distributed=distributed)

    async def write(self, work: Callable[[PostgresTransaction], T], hold: TurnHold | None = None) -> T:
        return await asyncio.wrap_future(self._submit(work, WRITE, hold))

    async def read(self, work: Callable[[PostgresTransaction], T]) -> T:
        return await asyncio.wrap_future(self._submit(work, READ, None))

    @asynccontextmanager
    async def turn_lock(self, agent: AgentId) -> AsyncGenerator[TurnHold | None]:
        hold = await self._begin_turn(agent)
        if hold is None:
            yield None
            return
        try:
            yield hold
        finally:
            if not self._closed:  # closing has freed it already; else it is freed whatever cancels the caller
                await asyncio.shield(asyncio.wrap_future(self._locks.free(agent)))

    async def close(self) -> None:
        """Finish what is queued and close the connections. Closing again does nothing."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._threads.shutdown)
            await asyncio.wrap_future(self._locks.close())
            await asyncio.to_thread(self.signals.close)
            await asyncio.to_thread(self._pool.close)

    async def _begin_turn(self, agent: AgentId) -> TurnHold | None:
        self._refuse_if_closed()
        taking = self._locks.take(agent)
        try:
            return await asyncio.wrap_future(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(lambda done: self._give_back(agent, done))
            raise
        except psycopg.Error as error:
            raise failure(error, self._place) from error

    def _give_back(self, agent: AgentId, taking: Future[TurnHold | None]) -> None:
        """Free what was taken for a caller who has gone."""
        if not taking.cancelled() and taking.exception() is None and taking.result():
            self._locks.free(agent)

    def _submit(
        self, work: Callable[[PostgresTransaction], T], kind: str, hold: TurnHold | None
    ) -> Future[T]:
        self._refuse_if_closed()
        return self._threads.submit(self._insist, work, kind, hold)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise StorageError(f"The store of {self._place} is closed; open it again.")

    def _insist(self, work: Callable[[PostgresTransaction], T], kind: str, hold: TurnHold | None) -> T:
        """Run work in a transaction, again if others were in the way or the connection had been lost."""
        for pause in _PAUSES:
            try:
                return self._attempt(work, kind, hold)
            except _TryAgainError:
                time.sleep(random.uniform(0.5, 1.0) * pause)
        try:
            return self._attempt(work, kind, hold)
        except _TryAgainError as error:
            raise failure(error.cause, self._place) from error.cause

    def _attempt(self, work: Callable[[PostgresTransaction], T], kind: str, hold: TurnHold | None) -> T:
        committing = False
        try:
            with self._pool.connection() as driver:
                try:
                    connection = PostgresConnection(driver, keeps=kind == WRITE and self._keeps)
                    with pipeline(driver):
                        begin(driver, kind, self._longest_write)
                        cache = self._cache if kind == READ else None
                        transaction = PostgresTransaction(connection, cache)
                        result = work(transaction)
                        if hold:
                            hold.check(transaction.fence(hold.agent))
                        committing = kind == WRITE
                        connection.send("COMMIT")
                    return result
                except psycopg.Error as error:
                    if driver.broken and committing:
                        raise StorageError(_UNKNOWN.format(place=self._place)) from error
                    if is_passing(error, lost=driver.broken):
                        raise _TryAgainError(error) from error
                    raise failure(error, self._place) from error
        except PoolTimeout:
            raise StorageError(
                f"The database {self._place} cannot be reached, or all its connections are busy; start it, "
                "or try again."
            ) from None


class _TryAgainError(Exception):
    """The same transaction may succeed if it is run again."""

    def __init__(self, cause: psycopg.Error) -> None:
        super().__init__()
        self.cause = cause


def _ready(driver: Driver, longest_write: float, distributed: bool) -> None:
    plans = {} if distributed else ONE_PLAN
    configure(driver, limits_of(driver, longest_write) | plans)
    adapt(driver)
