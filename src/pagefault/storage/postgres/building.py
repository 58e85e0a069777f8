"""A thread and a connection of their own for work that takes minutes: no other work waits for it.

Both are made when they are first needed. Leaves out what is built (``hnsw``, ``word_segments``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg_pool import ConnectionPool

from pagefault.storage.postgres.connection import Driver

__all__ = ["Builder"]

T = TypeVar("T")

_BETWEEN = 0.1  # seconds between two requests to cancel


class Builder:
    """Runs one transaction at a time on the connection of ``pool``, which is not open yet."""

    def __init__(self, pool: ConnectionPool[Driver]) -> None:
        self._pool = pool
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="pagefault-building")
        self._last: Future[Any] | None = None
        self._driver: Driver | None = None

    def submit(self, run: Callable[[], T]) -> Future[T]:
        self._last = running = self._threads.submit(run)
        return running

    @contextmanager
    def connection(self) -> Generator[Driver]:
        self._pool.open()
        with self._pool.connection() as driver:
            self._driver = driver
            try:
                yield driver
            finally:
                self._driver = None

    def close(self) -> None:
        """Give up what runs. The server ignores a request to cancel that comes between two statements, so it
        is asked until nothing runs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._last and not self._last.done():
            if driver := self._driver:
                with suppress(psycopg.Error):
                    driver.cancel_safe(timeout=5)
            time.sleep(_BETWEEN)
        self._threads.shutdown()
        self._pool.close()
