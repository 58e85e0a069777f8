"""Signals over LISTEN and NOTIFY: one thread with one connection, made when there is something to do.

NOTIFY takes a lock over the whole database at its commit, so what is sent within 20 ms is one transaction.
The connection is ``wake_url``'s where a pooler stands before the database: in transaction mode that passes no
notification on. So a probe, sent over the other connections, must come back before ``alive`` is true. Left
out: the text of a payload (``payloads``).
"""

from __future__ import annotations

import os
import secrets
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from selectors import EVENT_READ, DefaultSelector
from time import monotonic
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from pagefault.redaction import logger_of
from pagefault.storage.payloads import decoded, encoded
from pagefault.storage.postgres.connection import Driver, place_of
from pagefault.storage.signals import Signal, SignalArrivals, SignalQueue

__all__ = ["PostgresSignals"]

logger = logger_of(__name__)

_TOGETHER = 0.02  # seconds between two transactions that notify
_PAYLOADS = 64  # in one of them at most
_READ = 64 * 1024  # bytes of payloads that are read in that time; what is more is dropped unread
_PROBES = (5.0, 10.0, 30.0, 60.0)  # seconds until a probe that has not come back is followed by the next
_LONGEST_PAUSE = 10.0  # seconds between tries to connect
_LASTED = 10.0  # seconds after which a connection counts as one that works
_CLOSING = 2.0  # seconds in which what is queued at the end may be sent

_WHERE = "SELECT concat_ws('/', current_database(), current_schema(), secret) FROM signals"
_NOTIFY = """
    SELECT set_config('synchronous_commit', 'off', true), pg_notify(%s, payload)
    FROM unnest(%s::text[]) AS payload"""  # local to its transaction: a pooler shares the connection
_NO_NOTIFICATIONS = (
    "No notification of %s arrives, as behind a pooler in transaction mode or from another database; set "
    "wake_url to a URL of the same database on the server itself. Until then inboxes are polled."
)


def _channel(place: str) -> str:
    """The channel of the installation in this schema of this database; who may not read its tables cannot
    know it."""
    return f"pagefault_{sha256(place.encode()).hexdigest()[:32]}"


class PostgresSignals:
    """``pagefault.storage.signals.Signals`` on one database. ``conninfo`` is of the connection that listens;
    ``pool`` has the store's own ones."""

    def __init__(self, conninfo: str, pool: ConnectionPool[Driver]) -> None:
        self._conninfo = conninfo
        self._pool = pool
        self._place = place_of(conninfo)
        self._name = secrets.token_hex(8)
        self.channel = ""
        self._queue = SignalQueue()
        self._unsent: deque[str] = deque()
        self._sent = 0.0  # when the last transaction was
        self._arrivals = SignalArrivals()
        self._heard: list[Signal] = []
        self._budget, self._budget_from = _READ, 0.0  # bytes to read until ``_TOGETHER`` after that time
        self._wanted = self._listening = self._alive = self._warned = False
        self._probes, self._probe_at = 0, 0.0
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._pipe = (-1, -1)  # wakes the thread

    @property
    def alive(self) -> bool:
        return self._alive

    def send(self, signal: Signal) -> None:
        self._queue.put(signal)
        self._wake()

    def send_to_all(self, signal: Signal) -> None:
        """Send a signal that this process is to receive, too."""
        self._arrivals.put([signal])
        self.send(signal)

    async def received(self) -> Sequence[Signal]:
        self._wanted = True
        self._wake()
        return await self._arrivals.take()

    def close(self) -> None:
        """Send what is queued, if that can be done soon, and end. Closing again does nothing."""
        self._over.set()
        if self._thread and self._process == os.getpid():
            with self._lock:
                self._poke()
            self._thread.join(_CLOSING)

    def _wake(self) -> None:
        """Have the thread look, and run if it does not. A fork leaves its parent's alone, and has none."""
        if self._process != os.getpid() or self._over.is_set():
            return
        with self._lock:
            if self._thread is None:
                self._pipe = os.pipe()
                for end in self._pipe:
                    os.set_blocking(end, False)
                self._thread = threading.Thread(target=self._run, name="pagefault-signals", daemon=True)
                self._thread.start()
            self._poke()

    def _poke(self) -> None:
        with suppress(OSError):  # it is poked already, or has ended
            os.write(self._pipe[1], b"1")

    # in the thread

    def _run(self) -> None:
        failures = 0
        while not self._over.is_set() or (failures == 0 and self._queue):
            began = monotonic()
            try:
                self.channel = self.channel or _channel(self._ask(_WHERE))
                with psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None) as driver:
                    self._talk(driver)
            except (psycopg.Error, OSError) as error:
                self._alive = self._listening = False
                failures = failures + 1 if monotonic() - began < _LASTED else 1
                if failures == 1 and not self._over.is_set():
                    said = str(error).partition("\n")[0]
                    logger.warning("no signals on %s, inboxes are polled: %s", self._place, said)
                self._over.wait(min(_LONGEST_PAUSE, 0.1 * 2.0**failures))
        self._alive = False
        with self._lock:
            for end in self._pipe:
                os.close(end)
            self._pipe = (-1, -1)

    def _ask(self, statement: str, *values: object) -> Any:
        """The first value that a statement on one of the store's own connections gives."""
        with self._pool.connection() as driver:
            row = driver.execute(statement.encode(), values).fetchone()
        return row and row[0]

    def _talk(self, driver: Driver) -> None:
        """Send and listen until the store is closed. Raises ``psycopg.Error``."""
        driver.add_notify_handler(lambda notify: self._hear(notify.payload))
        with DefaultSelector() as selector:
            selector.register(driver.fileno(), EVENT_READ)
            selector.register(self._pipe[0], EVENT_READ)
            while not (over := self._over.is_set()):
                if self._wanted:
                    self._listen(driver)
                self._send(driver)
                self._hand_over()  # what came during a statement
                selector.select(self._pause())
                with suppress(BlockingIOError):
                    os.read(self._pipe[0], 4096)
                driver.pgconn.consume_input()
                while notify := driver.pgconn.notifies():
                    self._hear(notify.extra.decode(errors="replace"), idle=True)
                self._hand_over()
            while over and (self._queue or self._unsent):
                self._sent = 0.0
                self._send(driver)

    def _hand_over(self) -> None:
        self._arrivals.put(self._heard)
        self._heard = []

    def _pause(self) -> float | None:
        """Return the seconds until there is something to do unasked; None: there is nothing."""
        at = [self._sent + _TOGETHER] if self._queue or self._unsent else []
        at += [self._probe_at] if self._listening and not self._alive else []
        return max(0.0, min(at) - monotonic()) if at else None

    def _send(self, driver: Driver) -> None:
        """Send what is queued, unless something was sent just now."""
        if not (self._queue or self._unsent) or monotonic() < self._sent + _TOGETHER:
            return
        if not self._unsent:
            self._unsent += encoded(self._name, self._queue.take())
        payloads = [self._unsent.popleft() for _ in range(min(_PAYLOADS, len(self._unsent)))]
        driver.execute(_NOTIFY.encode(), (self.channel, payloads))
        self._sent = monotonic()

    def _listen(self, driver: Driver) -> None:
        """Listen, and see by a probe whether it is any use."""
        if not self._listening:
            driver.execute(f"LISTEN {self.channel}".encode())
            self._listening, self._probes, self._probe_at = True, 0, 0.0
        if not self._alive and monotonic() >= self._probe_at:
            if self._probes and not self._warned:
                self._warned = True
                logger.warning(_NO_NOTIFICATIONS, self._place)
            self._ask(_NOTIFY, self.channel, list(encoded(self._name, ())))
            self._probe_at = monotonic() + _PROBES[min(self._probes, len(_PROBES) - 1)]
            self._probes += 1

    def _hear(self, payload: str, idle: bool = False) -> None:
        """Keep a payload's signals. ``idle``: it came between statements; only so does a probe count, because
        a pooler may pass on what comes during one."""
        now = monotonic()
        if now >= self._budget_from + _TOGETHER:
            self._budget, self._budget_from = _READ, now
        self._budget -= len(payload)
        if self._budget < 0 or (read := decoded(payload)) is None:
            return
        sender, signals = read
        if sender != self._name:
            self._heard += signals
        elif idle and not signals:
            self._alive = True
