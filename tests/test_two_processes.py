"""Several processes, threads and tasks on one installation: all find it made, and no message is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

import pagefault
from conftest import Machine
from pagefault.assembly import Parts
from pagefault.build import open_kernel, open_store
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import StorageError
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.memory import MemoryDatabase, MemoryStore
from pagefault.testing.models import ScriptedModel, say
from pagefault.testing.postgres import Databases
from pagefault.testing.store_opening import can_take_turn
from pagefault.types import AgentId, AgentRecord, Event, Role

EIGHT = [f"Hello, this is number {number}." for number in range(8)]


async def messages(home: Path, database: str = "") -> list[str]:
    """What users said to the agent ``default``, and the number of answers must be the same."""
    store = open_store(home, Installation(database=database))
    (record,) = await store.read(lambda tx: tx.agents())
    rows = await store.read(lambda tx: tx.messages(record.id))
    await store.close()
    users = [row.text for row in rows if row.role is Role.USER]
    assert sum(row.role is Role.ASSISTANT for row in rows) == len(users)
    return sorted(users)


def all_at_once(commands: Sequence[tuple[list[str], str]], home: Path) -> list[tuple[int, str]]:
    """Exit code and stderr of each command, with what it reads from stdin."""
    environment = os.environ | {"PAGEFAULT_EMBEDDER": "null", "PAGEFAULT_HOME": str(home)}
    pipe = subprocess.PIPE
    children = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)
        for command, _ in commands
    ]

    def end(child: subprocess.Popen[str], typed: str) -> tuple[int, str]:
        _, said = child.communicate(typed, 120)
        return child.returncode, said

    with ThreadPoolExecutor(len(children)) as threads:
        return list(threads.map(end, children, [typed for _, typed in commands]))


_SEND = "import sys, pagefault; pagefault.Agent(database=sys.argv[1] or None).send(sys.argv[2])"


@pytest.mark.slow
@pytest.mark.parametrize("server", [False, True])
@pytest.mark.parametrize("chats", [False, True])
def test_eight_processes_begin_at_once(
    chats: bool, server: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    databases: Databases | None = request.getfixturevalue("databases") if server else None
    url = databases.new(empty=True) if databases else ""
    home = tmp_path / "a" / "home"
    chosen = ["--database", url] if url else []
    ended = all_at_once(
        [
            ([sys.executable, "-m", "pagefault", *chosen, "chat"], f"{text}\n")
            if chats
            else ([sys.executable, "-c", _SEND, url, text], "")
            for text in EIGHT
        ],
        home,
    )
    assert [code for code, _ in ended] == [0] * 8, [said for _, said in ended]
    assert anyio.run(messages, home, url) == EIGHT
    if databases:
        databases.drop(url)


def test_eight_threads_begin_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGEFAULT_EMBEDDER", "null")
    home = tmp_path / "home"

    def send(text: str) -> str:
        with pagefault.Agent(home=home) as agent:
            return agent.send(text).text

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(send, EIGHT))
    assert anyio.run(messages, home) == EIGHT


def test_eight_tasks_begin_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGEFAULT_EMBEDDER", "null")
    home = tmp_path / "home"

    async def work() -> None:
        async with pagefault.open(home) as pf:

            async def send(text: str) -> None:
                assert (await (await pf.agent()).send(text)).text

            await asyncio.gather(*map(send, EIGHT))

    asyncio.run(work())
    assert anyio.run(messages, home) == EIGHT


class PausedStore(MemoryStore):
    """Pauses the first look of a kernel at an agent that another runs, after it saw no event."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.paused, self.go = anyio.Event(), anyio.Event()

    async def read(self, work: Any) -> Any:
        found = await super().read(work)
        if saw_nothing(found) and not self.paused.is_set():
            self.paused.set()
            await self.go.wait()
        return found


def saw_nothing(found: Any) -> bool:
    return type(found) is tuple and isinstance(found[0], AgentRecord) and found[1:] == (None,)


@pytest.mark.anyio
async def test_an_event_posted_while_nothing_was_to_be_followed_is_served(tmp_path: Path) -> None:
    database = MemoryDatabase()
    store, other = PausedStore(database), MemoryStore(database)
    parts = Parts(model=ScriptedModel(lambda _: [say("Hello.")]), store=store, embedder=NullEmbedder())
    async with open_kernel(tmp_path, parts, Installation()) as kernel:
        ana = await kernel.create_agent("ana", parse_settings({"zone": "UTC"}))
        async with other.turn_lock(ana.id):
            await kernel.wake("ana")
            await store.paused.wait()
        await kernel.post("ana", Event("message", "hi"))
        store.go.set()
        with anyio.fail_after(60):
            await kernel.idle()
    assert [event.state for event in await other.read(lambda tx: tx.events(ana.id))] == ["done"]


_STOPS = """
import asyncio, os, signal, sys, time
from datetime import UTC, datetime
from pagefault.storage.sqlite import SQLiteStore
from pagefault.types import AgentRecord

async def main():
    store = SQLiteStore.open(sys.argv[1])
    def work(tx):
        tx.create_agent(AgentRecord("bob", {}, datetime.now(UTC)))
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(1)  # another thread may have taken the signal; this one is stopped a moment later
    await store.write(work)
    await store.close()

asyncio.run(main())
"""


@contextmanager
def stopped_within_a_write(path: Path) -> Generator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", _STOPS, str(path)]) as child:
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGCONT)
        assert child.wait(60) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the holder of a lock is known on Linux only")
def test_a_process_that_is_stopped_within_a_write_blocks_others_for_a_bounded_time(tmp_path: Path) -> None:
    """Posting is refused with a sentence, nothing of it is kept, and all goes on with the process."""
    path = tmp_path / "pagefault.db"
    store = SQLiteStore.open(path, busy_timeout=0.2)
    held = r"pagefault\.db is locked by process {}, which is stopped; let it finish, end it, or try again"

    async def work() -> None:
        async with Machine(tmp_path).open(ScriptedModel([[say("one")], [say("two")]]), store=store) as rig:
            assert await rig.said("first") == "one"
            with stopped_within_a_write(path) as child:
                for _ in range(2):
                    with pytest.raises(StorageError, match=held.format(child.pid)):
                        await rig.kernel.post("ana", Event("message", "in vain"))
                assert [event.text for event in await rig.events()] == ["first"]
                assert len(await rig.kernel.agents()) == 1
            assert await rig.said("second") == "two"
            assert [event.text for event in await rig.events()] == ["first", "second"]

    asyncio.run(work())


_FORKS = """
import asyncio, os, sys
from pagefault.errors import StorageError
from pagefault.storage.sqlite import SQLiteStore
from pagefault.types import AgentId

async def main():
    store = SQLiteStore.open(sys.argv[1])
    async with store.turn_lock(AgentId(1)) as hold:
        child = os.fork()
        if not child:
            try:
                store._writer.submit(lambda tx: None)
            except StorageError as error:
                os.write(1, f"{error}\\n".encode())
            sys.stdin.read()
            os._exit(0)
    async with store.turn_lock(AgentId(1)):
        os.write(1, b"again\\n")
        os._exit(0)

asyncio.run(main())
"""


def test_a_forked_process_does_not_keep_a_turn(tmp_path: Path) -> None:
    """Neither when its parent has ended the turn, nor when its parent has died in one."""
    path, pipe = tmp_path / "pagefault.db", subprocess.PIPE
    store = SQLiteStore.open(path)

    with asyncio.Runner() as runner:
        record = AgentRecord("ana", {}, datetime.now(UTC))
        runner.run(store.write(lambda tx: tx.create_agent(record)))
        with subprocess.Popen([sys.executable, "-c", _FORKS, path], stdin=pipe, stdout=pipe, text=True) as it:
            assert it.stdout is not None
            said = {it.stdout.readline() for _ in range(2)}
            sentence = f"The store of {path} was opened before the process forked; open it anew in the child."
            assert said == {"again\n", f"{sentence}\n"}
            assert it.wait(60) == 0
            assert runner.run(can_take_turn(store, AgentId(1)))  # the child is still there
        runner.run(store.close())
