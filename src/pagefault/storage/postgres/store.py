"""A PostgreSQL database as a store: opening it, running work in transactions, turn locks, closing.

Work runs on as many threads as there are connections. A write is one transaction at READ COMMITTED, a read
one snapshot. Leaves out what the work does.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from pagefault.errors import StorageError, TurnHeldError
from pagefault.storage import TurnHold, Workers
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.postgres.building import Builder
from pagefault.storage.postgres.connection import (
    Driver,
    PostgresConnection,
    adapt,
    failure,
    is_passing,
    is_uncertain,
    place_of,
)
from pagefault.storage.postgres.leases import LEASE, Leases
from pagefault.storage.postgres.opening import conninfo_of, prepare
from pagefault.storage.postgres.policies import TenantRole
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
from pagefault.storage.postgres.transaction import OutOfOrderError, PostgresTransaction
from pagefault.storage.postgres.turn_write import TurnWrite
from pagefault.storage.signals import AgentReady
from pagefault.types import AgentId

__all__ = ["PostgresStore"]

T = TypeVar("T")
Pool = ConnectionPool[Driver]
Connected = Callable[[], AbstractContextManager[Driver]]

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
        builder: Builder,
        leases: Leases,
        cache: IndexCache,
        longest_write: float,
        signals: PostgresSignals,
        role: TenantRole,
        *,
        distributed: bool,
    ) -> None:
        self._pool = pool
        self._role = role
        self._builder = builder
        self._cache = cache
        self._leases = leases
        leases.became_ready = lambda agent: signals.send_to_all(AgentReady(agent))
        self._writing: dict[AgentId, Future[Any]] = {}  # the last write of each turn
        self._place = pool.name
        self._longest_write = longest_write
        self._distributed = distributed
        self._threads = ThreadPoolExecutor(pool.max_size, thread_name_prefix="pagefault-postgres")
        self._closed = False
        self._process = os.getpid()
        self.signals = signals
        self.workers: Workers = self._leases

    @classmethod
    def open(
        cls,
        url: str,
        *,
        connections: int = 8,
        patience: float = 10.0,
        longest_write: float = 30.0,
        lease: float = LEASE,
        cache: IndexCache | None = None,
        wake_url: str = "",
    ) -> PostgresStore:
        """Open the database, making or upgrading its tables if need be.

        ``url`` is a libpq URL (``postgresql://user@host/name``); ``connections`` how many to hold at most,
        and so how many transactions run at once, apart from one that renews leases and one that builds;
        ``patience``, in seconds, how long to wait for the server; ``longest_write``, in seconds, after how
        long the server gives up a write, so that a process that is paused in the midst of one holds up
        nobody; ``lease``, in seconds (an hour at most), after how long without a renewal others take this
        process's turns over; ``cache`` what searches keep in memory (default: 256 MB); ``wake_url``, if a
        pooler stands before the database, a URL past it, for notifications. Raises ``StorageError``, and
        ``UsageError`` for a URL that is none.
        """
        conninfo = conninfo_of(url, patience)
        waking = conninfo_of(wake_url, patience, "wake_url") if wake_url else conninfo
        distributed, role = prepare(conninfo), TenantRole()
        pool, alone = (
            Pool(
                conninfo, name=place_of(conninfo), kwargs={"autocommit": True}, min_size=0, max_size=size,
                max_idle=idle, open=False, timeout=patience, reconnect_timeout=patience, num_workers=1,
                configure=partial(_ready, longest_write=longest_write, distributed=distributed, role=role),
            )
            for size, idle in ((connections, 600.0), (1, 60.0))
        )  # fmt: skip
        pool.open()
        leases, signals = Leases(partial(connect, conninfo, lease), lease), PostgresSignals(waking, pool)
        cached = cache or IndexCache()
        builder = Builder(alone)
        return cls(pool, builder, leases, cached, longest_write, signals, role, distributed=distributed)

    async def write(self, work: Callable[[PostgresTransaction], T], hold: TurnHold | None = None) -> T:
        writing = self._submit(work, WRITE, hold)
        if hold:
            self._writing[hold.agent] = writing
        return await asyncio.wrap_future(writing)

    async def read(self, work: Callable[[PostgresTransaction], T]) -> T:
        return await asyncio.wrap_future(self._submit(work, READ, None))

    async def build(self, work: Callable[[PostgresTransaction], T]) -> T:
        self._refuse_if_closed()
        run = partial(self._retry, work, WRITE, None, self._builder.connection)
        return await asyncio.wrap_future(self._builder.submit(run))

    @asynccontextmanager
    async def turn_lock(self, agent: AgentId) -> AsyncGenerator[TurnHold]:
        self._refuse_if_closed()
        hold = self._leases.enter(agent)
        try:
            yield hold
        finally:
            writing = self._writing.pop(agent, None)
            if self._closed or self._is_forked:
                pass  # closing frees it; a forked process has none
            elif hold.worker or (writing and not writing.done()):  # it is freed whatever cancels the caller
                await asyncio.shield(asyncio.wrap_future(self._threads.submit(self._leave, hold, writing)))
            else:
                self._leases.leave(hold)

    async def close(self) -> None:
        """Finish what is queued, give up what is being built, free all leases and close the connections.
        Closing again does nothing."""
        if not self._closed and not self._is_forked:
            self._closed = True
            await asyncio.to_thread(self._builder.close)
            await asyncio.to_thread(self._threads.shutdown)
            await asyncio.to_thread(self._leases.close)
            await asyncio.to_thread(self.signals.close)
            await asyncio.to_thread(self._pool.close)

    def _leave(self, hold: TurnHold, writing: Future[Any] | None) -> None:
        """End a turn once its last write is done, which may run on when its caller was cancelled."""
        if writing:
            wait([writing])
        self._leases.leave(hold)

    def _submit(
        self, work: Callable[[PostgresTransaction], T], kind: str, hold: TurnHold | None
    ) -> Future[T]:
        self._refuse_if_closed()
        return self._threads.submit(self._retry, work, kind, hold, self._pool.connection)

    @property
    def _is_forked(self) -> bool:
        """Return whether this is a child of the process that opened the store, and whose it stays."""
        return os.getpid() != self._process

    def _refuse_if_closed(self) -> None:
        if self._is_forked:
            raise StorageError(
                f"The store of {self._place} was opened before the process forked; open it anew in the child."
            )
        if self._closed:
            raise StorageError(f"The store of {self._place} is closed; open it again.")

    def _retry(
        self, work: Callable[[PostgresTransaction], T], kind: str, hold: TurnHold | None, connected: Connected
    ) -> T:
        """Run work in a transaction, again if others were in the way or the connection had been lost."""
        pauses, first = list(_PAUSES), frozenset[AgentId]()
        while True:
            try:
                return self._attempt(work, kind, hold, connected, first)
            except OutOfOrderError as error:
                first = frozenset(error.agents)
            except _TryAgainError as error:
                if not pauses:
                    raise failure(error.cause, self._place) from error.cause
                time.sleep(random.uniform(0.5, 1.0) * pauses.pop(0))

    def _attempt(
        self,
        work: Callable[[PostgresTransaction], T],
        kind: str,
        hold: TurnHold | None,
        connected: Connected,
        first: frozenset[AgentId],
    ) -> T:
        committing, worker = False, self._worker(hold)
        try:
            with connected() as driver:
                turn = None
                try:
                    # A statement with others in it is none for a single node.
                    keeps = kind == WRITE and not self._distributed
                    connection, role = PostgresConnection(driver, keeps=keeps), self._role.of(driver)
                    with pipeline(driver):
                        begin(driver, kind, self._longest_write)
                        cache = self._cache if kind == READ else None
                        transaction = PostgresTransaction(
                            connection, cache, first, reaches_others=not self._distributed, role=role
                        )
                        if hold:
                            turn = TurnWrite(transaction, hold, worker)
                            turn.begin(driver)
                        result = work(transaction)
                        if turn:
                            turn.check()
                        committing = kind == WRITE
                        connection.send("COMMIT")
                    if turn:
                        turn.committed()
                    return result
                except psycopg.Error as error:
                    raise self._failed(error, driver, committing, turn) from error
        except PoolTimeout:
            raise StorageError(
                f"The database {self._place} cannot be reached, or all its connections are busy; start it, "
                "or try again."
            ) from None

    def _failed(
        self, error: psycopg.Error, driver: Driver, committing: bool, turn: TurnWrite | None
    ) -> Exception:
        """Return the error to raise for one of the server, or of the connection to it."""
        if committing and is_uncertain(error, lost=driver.broken):
            if turn:
                turn.lost(self._leases)
            return StorageError(_UNKNOWN.format(place=self._place))
        if turn and turn.is_held_up(error):
            return TurnHeldError(turn.agent)
        if is_passing(error, lost=driver.broken) or self._role.may_have_changed(error):
            return _TryAgainError(error)
        return failure(error, self._place)

    def _worker(self, hold: TurnHold | None) -> str:
        """The worker that is to take the lease of a turn; empty if none has to."""
        try:
            return self._leases.worker() if hold and not hold.worker else ""
        except psycopg.Error as error:
            raise failure(error, self._place) from error


class _TryAgainError(Exception):
    """The same transaction may succeed if it is run again."""

    def __init__(self, cause: psycopg.Error) -> None:
        super().__init__()
        self.cause = cause


def _ready(driver: Driver, longest_write: float, distributed: bool, role: TenantRole) -> None:
    role.read(driver)
    plans = {} if distributed else ONE_PLAN
    configure(driver, limits_of(driver, longest_write) | plans)
    adapt(driver)
