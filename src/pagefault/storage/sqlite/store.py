"""A SQLite file as a store: opening it, handing it work, turn locks, closing.

Writes go to one thread and commit in groups; reads go to another with a connection and a snapshot of its
own, so that a slow search never holds up a write. Leaves out what the work does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from pagefault.errors import StorageError, TurnHeldError, TurnLostError
from pagefault.storage import TurnHold
from pagefault.storage.holding import SoleWorker
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.signals import SilentSignals
from pagefault.storage.sqlite.connection import Connection, Synchronous
from pagefault.storage.sqlite.opening import open_file
from pagefault.storage.sqlite.transaction import SQLiteTransaction
from pagefault.storage.sqlite.turns import TurnFiles
from pagefault.storage.sqlite.worker import Worker
from pagefault.types import AgentId

__all__ = ["SQLiteStore"]

T = TypeVar("T")


class SQLiteStore:
    """``pagefault.storage.Store`` on one file. Make it with ``open``.

    A caller that is cancelled while its work runs does not stop the work: it may be committed still.
    """

    signals = SilentSignals()
    workers = SoleWorker()

    def __init__(self, writer: Worker, reader: Worker, path: Path, locks: Path) -> None:
        self._writer = writer
        self._reader = reader
        self._turns = TurnFiles(locks, path.stem)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        synchronous: Synchronous = "NORMAL",
        locks: str | os.PathLike[str] | None = None,
        busy_timeout: float = 10.0,
        together: int = 256,
        cache: IndexCache | None = None,
    ) -> SQLiteStore:
        """Open the file, making it (0600, its folder 0700) or bringing it up to date if need be.

        A commit survives the death of the process; with ``synchronous="FULL"`` also the loss of power.
        ``locks`` is the folder of the turn locks (default: ``locks`` beside the file); ``busy_timeout``,
        in seconds, how long to wait for another process's write; ``together`` the most writes that share
        a commit; ``cache`` what searches keep in memory (default: 256 MB).
        Raises ``StorageError``.
        """
        path = Path(path).resolve()
        folder = Path(locks).resolve() if locks is not None else path.parent / "locks"
        writing = open_file(path, folder, synchronous=synchronous, busy_timeout=busy_timeout)
        try:
            reading = Connection(path, synchronous=synchronous, busy_timeout=busy_timeout, read_only=True)
        except StorageError:
            writing.close()
            raise
        writer = Worker(writing, begin="BEGIN IMMEDIATE", together=together, name="pagefault-writer")
        reader = Worker(
            reading, begin="BEGIN", together=1, name="pagefault-reader", cache=cache or IndexCache()
        )
        return cls(writer, reader, path, folder)

    async def write(self, work: Callable[[SQLiteTransaction], T], hold: TurnHold | None = None) -> T:
        if hold is None:
            return await asyncio.wrap_future(self._writer.submit(work))
        try:
            return await asyncio.wrap_future(self._writer.submit(partial(_fenced, work, hold)))
        except TurnLostError:
            self._turns.lose(hold.agent)
            raise

    async def read(self, work: Callable[[SQLiteTransaction], T]) -> T:
        return await asyncio.wrap_future(self._reader.submit(work))

    async def build(self, work: Callable[[SQLiteTransaction], T]) -> T:
        return await self.write(work)

    @asynccontextmanager
    async def turn_lock(self, agent: AgentId) -> AsyncGenerator[TurnHold]:
        descriptor = self._turns.take(agent)
        if descriptor is None:
            raise TurnHeldError(agent)
        try:
            yield TurnHold(agent, await self._fence(agent, descriptor))
        finally:
            self._turns.free(descriptor)

    async def _fence(self, agent: AgentId, descriptor: int) -> int:
        """The number to write with, of an agent whose lock was taken."""
        if (kept := self._turns.kept(agent, descriptor)) is not None:
            return kept
        raised = await self.write(lambda tx: tx.raise_fence(agent))
        if raised is not None:
            self._turns.keep(agent, descriptor, raised)
        return raised or 0

    async def close(self) -> None:
        """Finish what is queued and close the file. Closing again does nothing."""
        await asyncio.wrap_future(self._reader.close())
        await asyncio.wrap_future(self._writer.close())


def _fenced(work: Callable[[SQLiteTransaction], T], hold: TurnHold, tx: SQLiteTransaction) -> T:
    hold.check(tx.fence(hold.agent))
    return work(tx)
