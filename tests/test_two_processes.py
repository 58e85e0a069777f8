"""Several processes, threads and tasks on one installation: all find it made, and no message is lost."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import pytest

import pagefault
from pagefault.build import open_store
from pagefault.config import Installation
from pagefault.types import Role

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
    with ThreadPoolExecutor(len(children)) as threads:
        ended = threads.map(lambda of: of[0].communicate(of[1][1], 120), zip(children, commands, strict=True))
    return [(child.returncode, said) for child, (_, said) in zip(children, ended, strict=True)]


_SEND = "import sys, pagefault; pagefault.Agent(database=sys.argv[1] or None).send(sys.argv[2])"


@pytest.mark.slow
@pytest.mark.parametrize("server", [False, True])
@pytest.mark.parametrize("chats", [False, True])
def test_eight_processes_begin_at_once(
    chats: bool, server: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    databases = request.getfixturevalue("databases") if server else None
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
