"""A database whose files are deleted, moved, replaced or truncated while it is open: the next write says so,
and nothing is written where nobody will find it."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pagefault.errors import StorageError
from pagefault.storage.sqlite import SQLiteStore
from pagefault.types import AgentId, AgentRecord, Message, Role

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ANA = AgentId(1)


def restore(path: Path) -> None:
    """Put a backup in its place."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(f"{path}.copy")) as copy:
        source.backup(copy)
    os.replace(f"{path}.copy", path)


def restore_in_place(path: Path) -> None:
    with closing(sqlite3.connect(f"{path}.new")) as copy:
        copy.execute("CREATE TABLE agents (id)")
        copy.commit()
    shutil.copyfile(f"{path}.new", path)


def remove(*ends: str) -> Callable[[Path], None]:
    def work(path: Path) -> None:
        for end in ends:
            Path(f"{path}{end}").unlink()

    return work


def truncate(share: float) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, int(path.stat().st_size * share) // 4096 * 4096)


GONE = r"pagefault\.db was deleted, moved or replaced while it was open, .*; put it back, or start pagefault"
BESIDE = r"pagefault\.db-{}, a part of the database, was deleted or replaced .*; end all processes"
CUT = r"pagefault\.db was truncated while it was open; restore it from a backup"
DAMAGED = rf"{CUT}|is damaged; restore it from a backup"
FATES: dict[str, tuple[Callable[[Path], object], str]] = {
    "deleted": (remove(""), GONE),
    "its folder deleted": (lambda path: shutil.rmtree(path.parent), GONE),
    "its folder moved": (lambda path: path.parent.rename(path.parent.with_name("elsewhere")), GONE),
    "restored": (restore, GONE),
    "restored in place": (restore_in_place, DAMAGED),
    "emptied": (truncate(0), CUT),
    "cut in half": (truncate(0.5), CUT),
    "without its log": (remove("-wal"), BESIDE.format("wal")),
    "without its index": (remove("-shm"), BESIDE.format("shm")),
    "without both": (remove("-wal", "-shm"), BESIDE.format("wal")),
}


@pytest.mark.parametrize("fate", FATES)
def test_the_next_write_notices(fate: str, tmp_path: Path) -> None:
    path = tmp_path / "home" / "pagefault.db"
    happen, sentence = FATES[fate]
    store = SQLiteStore.open(path)

    async def work() -> None:
        await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))
        for number in range(120):  # some of it is in the file, some in the log
            await store.write(lambda tx, n=number: tx.append(ANA, [said(f"number {n} " * 400)]))
        happen(path)
        for _ in range(2):
            with pytest.raises(StorageError, match=sentence):
                await store.write(lambda tx: tx.append(ANA, [said("into the void")]))
        if sentence == GONE:
            with pytest.raises(StorageError, match=GONE):
                await store.read(lambda tx: tx.agents())
        await store.close()

    asyncio.run(work())


def test_a_file_that_is_put_back_is_written_again(tmp_path: Path) -> None:
    path, away = tmp_path / "home" / "pagefault.db", tmp_path / "away"
    store = SQLiteStore.open(path)

    async def work() -> None:
        await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))
        path.parent.rename(away)
        with pytest.raises(StorageError, match=GONE):
            await store.write(lambda tx: tx.append(ANA, [said("refused")]))
        away.rename(path.parent)
        assert (await store.write(lambda tx: tx.append(ANA, [said("kept")])))[0].seq == 1
        await store.close()

    asyncio.run(work())


def test_what_is_deleted_during_a_write_is_not_acknowledged(tmp_path: Path) -> None:
    store = SQLiteStore.open(tmp_path / "pagefault.db")

    async def work() -> None:
        with pytest.raises(StorageError, match=GONE):
            await store.write(
                lambda tx: (
                    tx.create_agent(AgentRecord("ana", {}, NOW)),
                    (tmp_path / "pagefault.db").unlink(),
                )
            )
        await store.close()

    asyncio.run(work())


def test_a_vacuum_is_no_truncation(tmp_path: Path) -> None:
    path = tmp_path / "pagefault.db"
    store = SQLiteStore.open(path)

    async def work() -> None:
        await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))
        bob = await store.write(lambda tx: tx.create_agent(AgentRecord("bob", {}, NOW)))
        for _ in range(60):
            await store.write(lambda tx: tx.append(bob.id, [said("much to say " * 2000)]))
        await store.write(lambda tx: tx.delete_agent(bob.id))
        before = path.stat().st_size
        with closing(sqlite3.connect(path)) as other:
            other.execute("VACUUM")
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert path.stat().st_size < before
        for number in range(3):
            stored = await store.write(lambda tx: tx.append(ANA, [said("still here")]))
            assert stored[0].seq == number + 1
        await store.close()

    asyncio.run(work())


def test_a_folder_of_locks_that_is_removed_is_made_again(tmp_path: Path) -> None:
    store = SQLiteStore.open(tmp_path / "pagefault.db")

    async def work() -> None:
        await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))
        shutil.rmtree(tmp_path / "locks")
        async with store.turn_lock(ANA) as hold:
            await store.write(lambda tx: tx.append(ANA, [said("kept")]), hold)
        await store.close()

    asyncio.run(work())


_FULL = f"""
import asyncio, resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_gone_files import fill
asyncio.run(fill(sys.argv[1]))
"""


async def fill(path: str) -> None:
    """Write until no file may grow any more, then less."""
    store = SQLiteStore.open(path)
    await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
    kept = 0
    while True:
        try:
            await store.write(lambda tx: tx.append(ANA, [said("word " * 20_000)]))
        except StorageError as error:
            print(error)
            break
        kept += 1
    assert len(await store.read(lambda tx: tx.messages(ANA))) == kept > 0
    await store.close()


def test_a_file_that_may_not_grow_is_said_and_what_was_kept_is_kept(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _FULL, str(tmp_path / "a.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The database") == 1
    assert "disk" in done.stdout


def said(text: str) -> Message:
    return Message(Role.USER, text, NOW)
