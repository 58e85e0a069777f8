"""A thread that runs queued work in transactions on one connection, and commits for many at once.

Work may be queued from any thread and any event loop. All that waits is run one after another, each in
a savepoint of its own, and committed together; a result is handed out only after the commit. Leaves out
what the work does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Literal, TypeVar

from pagefault.errors import StorageError
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.sqlite.connection import Connection
from pagefault.storage.sqlite.files import FileWatch
from pagefault.storage.sqlite.purge import Purge
from pagefault.storage.sqlite.transaction import SQLiteTransaction

__all__ = ["Worker"]

T = TypeVar("T")


class _Job:
    """A piece of work and the future of its result. As a context manager it keeps what the work raises."""

    def __init__(self, work: Callable[[SQLiteTransaction], Any]) -> None:
        self.work = work
        self.future: Future[Any] = Future()
        self.result: Any = None
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        return error is not None

    def settle(self) -> None:
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Worker:
    """``begin`` opens a transaction; ``together`` is the most jobs that share one commit; ``cache``
    is for a connection that only reads. While nothing waits, what was deleted is purged."""

    def __init__(
        self,
        connection: Connection,
        *,
        begin: Literal["BEGIN", "BEGIN IMMEDIATE"],
        together: int,
        name: str,
        cache: IndexCache | None = None,
    ) -> None:
        self._connection = connection
        self._watch = FileWatch(connection)
        self._pid = os.getpid()
        self._cache = cache
        self._begin = begin
        self._together = together
        self._purge = None if begin == "BEGIN" else Purge(connection)
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._guard = Lock()  # so that no job can be queued behind the end of the queue
        self._closed: Future[None] | None = None
        # A daemon, so that a store nobody closed does not keep the process from ending; what was
        # acknowledged is committed, what was not is lost as with any sudden end.
        Thread(target=self._serve, name=name, daemon=True).start()

    def submit(self, work: Callable[[SQLiteTransaction], T]) -> Future[T]:
        """Queue work. Cancelling the future drops work that has not begun; begun work is committed."""
        job = _Job(work)
        with self._guard:
            if self._closed is not None:
                raise StorageError(f"The store of {self._connection.path} is closed; open it again.")
            if self._pid != os.getpid():
                raise StorageError(
                    f"The store of {self._connection.path} was opened before the process forked; open it "
                    "anew in the child."
                )
            self._queue.put(job)
        return job.future

    def close(self) -> Future[None]:
        """Finish what is queued, then close the connection; the future is done when that is done."""
        with self._guard:
            if self._closed is None:
                self._closed = Future()
                self._closed.set_running_or_notify_cancel()  # whoever waits may give up, the end comes
                self._queue.put(None)
            return self._closed

    def _serve(self) -> None:
        ended = False
        while not ended:
            queued = self._take()
            ended = queued[-1] is None
            jobs = [job for job in queued if job and job.future.set_running_or_notify_cancel()]
            if jobs:
                self._transact(jobs)
                for job in jobs:
                    job.settle()
                if self._purge is not None:
                    self._purge.look()
        if self._purge is not None:
            self._purge.finish()
        self._connection.close()
        if self._closed is not None:
            self._closed.set_result(None)

    def _take(self) -> list[_Job | None]:
        """Wait for a job, then take what else waits; None is the end of the queue, and comes last."""
        queued = [self._next()]
        while queued[-1] is not None and len(queued) < self._together:
            try:
                queued.append(self._queue.get_nowait())
            except Empty:
                break
        return queued

    def _next(self) -> _Job | None:
        """Wait for a job, and purge meanwhile: it waits for one step at most."""
        while self._purge is not None and self._purge.is_owed:
            try:
                return self._queue.get(timeout=self._purge.pause)
            except Empty:
                self._purge.step()
        return self._queue.get()

    def _transact(self, jobs: list[_Job]) -> None:
        connection = self._connection
        try:
            self._watch.check()
            if self._begin != "BEGIN":
                connection.check_writable()
            connection.run(self._begin)
            for job in jobs:
                self._attempt(job, alone=len(jobs) == 1)
            if connection.driver.in_transaction:
                connection.run("COMMIT")
            if self._begin != "BEGIN":  # else it was committed into a file that nobody will find
                self._watch.check()
        except StorageError as error:
            for job in jobs:
                job.error = error
            with suppress(StorageError):  # the first error was reported already
                connection.rollback()

    def _attempt(self, job: _Job, *, alone: bool) -> None:
        """Run one job; what it did is undone if it raises, and only that."""
        connection = self._connection
        if not alone:
            connection.run("SAVEPOINT job")
        with job:
            job.result = job.work(SQLiteTransaction(connection, self._cache))
        if job.error is not None and alone:
            connection.rollback()
        elif job.error is not None:
            if not connection.driver.in_transaction:  # SQLite undid it all: a full disk, an input error
                raise StorageError(f"The database {connection.path} undid a whole group: {job.error}")
            connection.run("ROLLBACK TO job")
        if not alone:
            connection.run("RELEASE job")
