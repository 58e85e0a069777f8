"""Leases: which worker runs an agent's turns, until when, and what becomes of the agents of one that is gone.

A worker is an open store. Its row in ``workers`` says until when, by the server's clock, all its leases are
good: one thread renews them with one statement, however many turns are open. ``agents.holder`` says whose
lease an agent is, until the turn's last write or the next one of ``free``. A worker that is not renewed is
reaped by whoever sees it: its agents' fences are raised, so that it can write no more, and they are free.
Left out: the statements that take a lease in a turn's first write and free it in the last (``transaction``).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from pagefault.errors import TurnHeldError
from pagefault.redaction import logger_of
from pagefault.storage import TurnHold
from pagefault.storage.postgres.connection import Driver
from pagefault.storage.postgres.sessions import WRITE, begin, pipeline
from pagefault.storage.sql.part import RAISED
from pagefault.types import AgentId

__all__ = ["LEASE", "Leases"]

logger = logger_of(__name__)

LEASE = 6.0
"""Seconds for which a lease is good."""
_RENEWALS = 3  # a lease, while all goes well
_SWEEP = 5.0  # leases between two looks for agents whose holder is no worker
_BATCH = 500  # agents that are freed in one transaction
_RENEW = """
    UPDATE workers SET until = now() + make_interval(secs => %(lease)s), serves = %(serves)s
    WHERE id = %(me)s RETURNING id"""
_REGISTER = "INSERT INTO workers VALUES (%(me)s, now() + make_interval(secs => %(lease)s), %(serves)s)"
# The server's clock may have been set back: nobody has a lease for so long.
_GONE = "until NOT BETWEEN now() AND now() + interval '1 hour'"
_WORKERS = f"SELECT id, serves, {_GONE}, until::text FROM workers ORDER BY id"
_RESIGN = "UPDATE workers SET until = '-infinity', serves = false WHERE id = %(worker)s"
# Of several that reap a worker one does. The worker itself, if it lives on, waits with its renewal.
_EXPIRED = f"SELECT id FROM workers WHERE id = %(worker)s AND {_GONE} FOR NO KEY UPDATE SKIP LOCKED"
_HELD = "SELECT id FROM agents WHERE holder = %(worker)s AND id > %(after)s ORDER BY id LIMIT %(limit)s"
# An agent whose row is locked, perhaps by the paused worker itself, must not hold up the others.
_TAKE_AWAY = f"""
    WITH free AS MATERIALIZED (
        SELECT id FROM agents WHERE id = %(agent)s AND holder = %(worker)s FOR NO KEY UPDATE SKIP LOCKED)
    UPDATE agents SET lease_fence = {RAISED}, holder = NULL FROM free
    WHERE agents.id = %(agent)s AND agents.id = free.id RETURNING agents.id, ready IS NOT NULL"""
_REMOVE = "DELETE FROM workers WHERE id = %(worker)s"
_HOLDERS = "SELECT DISTINCT holder FROM agents WHERE holder IS NOT NULL"
_ENTER_LOST = """
    INSERT INTO workers (id, until, serves) VALUES (%(worker)s, '-infinity', false) ON CONFLICT DO NOTHING"""
# No renewal waits for a lock: a row that is locked is left for later.
_OURS = "agents.id = %(agent)s AND holder = %(worker)s AND lease_fence = %(fence)s"
_FREE = f"""
    WITH free AS MATERIALIZED (SELECT id FROM agents WHERE {_OURS} FOR NO KEY UPDATE SKIP LOCKED)
    UPDATE agents SET holder = NULL FROM free WHERE agents.id = %(agent)s AND agents.id = free.id"""
_NOT_FREE = f"SELECT id FROM agents WHERE {_OURS}"


class Leases:
    """The leases of one store, each good for ``lease`` seconds, and ``storage.Workers`` of it. ``connect``
    makes the connection that renews them, when first needed."""

    def __init__(self, connect: Callable[[], Driver], lease: float) -> None:
        self.me = ""
        self.peers: tuple[str, ...] = ()
        self.became_ready: Callable[[AgentId], None] = lambda _: None
        """Called, in any thread, for each agent that waits for a turn and was freed of a gone worker."""
        self._connect = connect
        self._lease = lease
        self._serves = False
        self._good_until = 0.0  # of the monotonic clock
        self._driver: Driver | None = None
        self._busy = threading.Lock()  # held by whoever uses the connection
        self._entered: set[AgentId] = set()
        self._unfreed: list[dict[str, Any]] = []
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._soon = threading.Event()
        self._closed = False

    async def others(self) -> set[tuple[str, str]]:
        with suppress(psycopg.Error):  # else nobody can be waited for
            return await asyncio.to_thread(self._others)
        return set()

    def serve(self) -> None:
        self._serves = True
        self._start()

    def enter(self, agent: AgentId) -> TurnHold:
        """Let one part of this process try for the agent's turn; ``TurnHeldError`` if another does."""
        if agent in self._entered:
            raise TurnHeldError(agent)
        self._entered.add(agent)
        return TurnHold(agent)

    def leave(self, hold: TurnHold) -> None:
        """Let others try for the turn. A lease that is still held is freed, later if the server is away."""
        if hold.worker:
            self.free(hold.agent, hold.worker, hold.fence)
        self._entered.discard(hold.agent)

    def worker(self) -> str:
        """The name to take a lease with, which is good now: registered or renewed first if need be. May raise
        ``psycopg.Error``."""
        if time.monotonic() >= self._good_until:
            self._renew(if_due=True)
        self._start()
        return self.me

    def free(self, agent: AgentId, worker: str, fence: int | None) -> None:
        """Free a lease unless it is another's by now, later if the server is away."""
        self._unfreed.append({"agent": agent, "worker": worker, "fence": fence})
        with suppress(psycopg.Error):
            self._free_unfreed()

    def close(self) -> None:
        """Free all leases, if the server is there; else they end by themselves."""
        self._closed = True
        self._soon.set()
        if self._thread is not None:
            self._thread.join()
        with suppress(psycopg.Error):
            if self.me:
                with self._connected() as driver:
                    driver.execute(_RESIGN, {"worker": self.me})
                self._reap(self.me)
        if self._driver is not None:
            self._driver.close()

    def _start(self) -> None:
        """Renew from now on, in a thread; in a new one if an unforeseen fault has ended that."""
        with self._starting:
            if not (self._closed or (self._thread and self._thread.is_alive())):
                self._thread = threading.Thread(target=self._run, name="pagefault-leases", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        failed, sweep_at = False, time.monotonic() + _SWEEP * self._lease
        while not self._closed:
            try:
                gone = self._renew()
                self._free_unfreed()
                if time.monotonic() >= sweep_at:
                    self._enter_lost()
                    sweep_at = time.monotonic() + _SWEEP * self._lease
                for worker in gone:
                    self._reap(worker)
                failed = False
            except psycopg.Error as error:
                if not failed:
                    logger.warning("leases of %s are not renewed: %s", self.me, str(error).split("\n")[0])
                failed = True
            self._soon.wait(self._lease / (4 * _RENEWALS if failed else _RENEWALS))

    def _renew(self, *, if_due: bool = False) -> list[str]:
        """Renew the leases, under a new name if the worker was reaped; the workers that are to be reaped."""
        for may_be_lost in (self._driver is not None, False):
            try:
                with self._connected() as driver:
                    if if_due and time.monotonic() < self._good_until:
                        return []
                    return self._renewed(driver)
            except psycopg.OperationalError:
                if not may_be_lost:
                    raise
        raise AssertionError

    def _renewed(self, driver: Driver) -> list[str]:
        begun = time.monotonic()
        own = {"me": self.me, "lease": self._lease, "serves": self._serves}
        if not (self.me and driver.execute(_RENEW, own).fetchone()):
            own["me"] = f"{socket.gethostname()[:60]}-{os.getpid()}-{secrets.token_hex(4)}"
            driver.execute(_REGISTER, own)
        workers = driver.execute(_WORKERS).fetchall()
        self.me, self._good_until = str(own["me"]), begun + self._lease
        self.peers = tuple(worker for worker, serves, gone, _ in workers if serves and not gone)
        return [worker for worker, _, gone, _ in workers if gone and worker != self.me]

    def _others(self) -> set[tuple[str, str]]:
        me = self.worker()  # from now on this one reaps, too
        with self._connected() as driver:
            return {(name, until) for name, _, _, until in driver.execute(_WORKERS).fetchall() if name != me}

    def _free_unfreed(self) -> None:
        """Free what waits for it, many at once; what is being written stays for the next time."""
        if self._unfreed:
            with self._connected() as driver:
                some = self._unfreed[:_BATCH]
                with pipeline(driver):
                    asked = [(driver.execute(_FREE, each), driver.execute(_NOT_FREE, each)) for each in some]
                    left = [each for each, (_, held) in zip(some, asked, strict=True) if held.fetchone()]
                self._unfreed[: len(some)] = left

    def _enter_lost(self) -> None:
        """Enter holders of leases that are no workers as workers that are gone. A lease becomes one's if the
        worker was reaped while it took it, or if its row was deleted."""
        with self._connected() as driver:
            holders = {worker for (worker,) in driver.execute(_HOLDERS).fetchall()}
            known = {worker for worker, *_ in driver.execute(_WORKERS).fetchall()}
            for worker in sorted(holders - known):
                driver.execute(_ENTER_LOST, {"worker": worker})

    def _reap(self, worker: str) -> None:
        """Free the agents of a worker that is gone, and delete its row unless some cannot be freed yet."""
        after, all_freed = 0, True
        while True:
            with self._connected() as driver:
                begin(driver, WRITE, self._lease)
                if not driver.execute(_EXPIRED, {"worker": worker}).fetchone():  # or another one reaps it
                    driver.execute("ROLLBACK")
                    return
                some = {"worker": worker, "after": after, "limit": _BATCH}
                held = [agent for (agent,) in driver.execute(_HELD, some).fetchall()]
                freed = _taken_away(driver, worker, held)
                all_freed &= len(freed) == len(held)
                if len(held) < _BATCH and all_freed:
                    driver.execute(_REMOVE, {"worker": worker})
                driver.execute("COMMIT")
            for agent, is_ready in freed:
                if is_ready:
                    self.became_ready(agent)
            if len(held) < _BATCH:
                return
            after = held[-1]

    @contextmanager
    def _connected(self) -> Generator[Driver]:
        """The connection, for this thread alone; after an error it is made anew the next time."""
        with self._busy:
            driver = self._driver = self._driver or self._connect()
            try:
                yield driver
            except psycopg.Error:
                self._driver = None
                driver.close()
                raise


def _taken_away(driver: Driver, worker: str, held: list[int]) -> list[tuple[AgentId, bool]]:
    """Free these agents of the worker, but for those whose rows are locked; whether each waits for a turn."""
    with pipeline(driver):
        cursors = [driver.execute(_TAKE_AWAY.encode(), {"agent": agent, "worker": worker}) for agent in held]
        rows = [row for cursor in cursors for row in cursor.fetchall()]
    return [(AgentId(agent), bool(is_ready)) for agent, is_ready in rows]
