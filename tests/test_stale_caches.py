"""An agent that another process deletes and creates anew, or renames: every cache sees the new one.

Two kernels on one database stand for two processes: in memory, on a file, on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import NotFoundError
from pagefault.kernel import Kernel, facts
from pagefault.models import Prompt
from pagefault.storage import Store, Transaction
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.memory import MemoryDatabase, MemoryStore
from pagefault.testing.models import Item, ScriptedModel, say
from pagefault.types import Event, EventKind, Output, Role
from pagefault.views.history import history
from pagefault.views.memory import search

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def open_one(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """A store on the data of this test, each time another."""
    if request.param == "memory":
        database = MemoryDatabase()
        return lambda: MemoryStore(database)
    if request.param == "sqlite":
        return lambda: SQLiteStore.open(tmp_path / "pagefault.db")
    url: str = request.getfixturevalue("database")
    return lambda: PostgresStore.open(url, connections=2)


def answer(prompt: Prompt) -> Item:
    """How many messages of the user are in view, and whose they are."""
    persona = "new" if "I am new" in str(prompt) else "old"
    users = sum(message.role == "user" and "[user" in message.text for message in prompt.messages)
    return [say(f"{persona}, {users}")]


@asynccontextmanager
async def two(open_one: Callable[[], Store], home: Path) -> AsyncGenerator[tuple[Kernel, Kernel]]:
    """Two kernels; the agent ana has heard the first one."""
    parts = [Parts(model=ScriptedModel(answer), embedder=NullEmbedder(), store=open_one()) for _ in "ab"]
    async with (
        open_kernel(home, parts[0], Installation()) as one,
        open_kernel(home, parts[1], Installation()) as other,
    ):
        await one.create_agent("ana", parse_settings({"zone": "UTC"}))
        assert await said(one, "ana", "the word is heron") == "old, 1"
        await facts.remember(one, "ana", "the old heron")
        assert len((await search(one, "ana", "heron")).results) == 3  # the reply beside the word, too
        yield one, other


async def said(kernel: Kernel, name: str, text: str) -> str:
    with anyio.fail_after(60):
        outputs = [output async for output in kernel.send(name, text)]
    assert outputs[-1].type == "done"
    return " ".join(output.text for output in outputs if output.type == "said")


def new() -> dict[str, object]:
    section = {"name": "persona", "description": "who you are", "limit": 100, "text": "I am new."}
    return {"zone": "UTC", "sections": [section]}


async def recreated(other: Kernel) -> None:
    await other.delete("ana")
    await other.create_agent("ana", parse_settings(new()))


async def renamed(other: Kernel) -> None:
    await other.rename("ana", "bob")
    await other.create_agent("ana", parse_settings(new()))


@pytest.mark.parametrize("change", [recreated, renamed])
async def test_a_message_goes_to_the_agent_that_has_the_name_now(
    change: Callable[[Kernel], Awaitable[None]], open_one: Callable[[], Store], tmp_path: Path
) -> None:
    async with two(open_one, tmp_path) as (one, other):
        async with one.listen("ana") as heard:
            await change(other)
            assert await said(one, "ana", "hello") == "new, 1"
            assert await said(other, "ana", "hello from there") == "new, 2"
            assert await said(one, "ana", "hello again") == "new, 3"
            assert [o.text for o in _all(heard) if o.type == "said"] == []  # they were another agent's
            if change is recreated:
                with pytest.raises(anyio.EndOfStream):
                    heard.receive_nowait()
            else:
                assert await said(one, "bob", "and you?") == "old, 2"
                assert [o.text for o in _all(heard) if o.type == "said"] == ["old, 2"]
        rows = (await history(one, "ana", roles=(Role.USER,))).rows
        assert [row.text for row in rows] == ["hello", "hello from there", "hello again"]
        assert (await search(one, "ana", "heron")).results == ()


async def test_who_waits_hears_the_agent_that_has_the_event(
    open_one: Callable[[], Store], tmp_path: Path
) -> None:
    async with two(open_one, tmp_path) as (one, other):
        heard, old = list[str](), (await one.record("ana")).id

        def pending(tx: Transaction) -> list[Event]:
            return tx.events(old, state="pending")

        async def wait() -> None:
            heard.append(await said(one, "ana", "hello"))

        admission = one.scheduler.admission
        most, admission.most, admission.memory = admission.most, 0, None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            with anyio.fail_after(60):
                while not await one.store.read(pending):  # noqa: ASYNC110  until it is stored
                    await anyio.sleep(0.01)
            await renamed(other)
            admission.most = most
            assert [await said(one, "ana", text) for text in ("one", "two")] == ["new, 1", "new, 2"]
            await one.wake_waiting()
        assert heard == ["old, 2"]


@pytest.mark.parametrize("change", [recreated, renamed])
async def test_what_is_changed_from_outside_is_changed_of_the_new_agent(
    change: Callable[[Kernel], Awaitable[None]], open_one: Callable[[], Store], tmp_path: Path
) -> None:
    async with two(open_one, tmp_path) as (one, other):
        await change(other)
        await facts.remember(one, "ana", "the new heron")
        assert [item.text for item in (await search(one, "ana", "heron")).results] == ["the new heron"]
        assert [item.text for item in (await search(other, "ana", "heron")).results] == ["the new heron"]
        posted = await one.post("ana", Event(EventKind.MESSAGE, "posted"))
        assert posted.id == 1
        assert (await one.record("ana")).id != 1
        assert "I am new" in str((await one.process("ana")).prompt())


async def test_an_agent_that_is_gone_is_said_and_the_others_go_on(
    open_one: Callable[[], Store], tmp_path: Path
) -> None:
    async with two(open_one, tmp_path) as (one, other):
        await one.create_agent("cleo", parse_settings({"zone": "UTC"}))
        await other.delete("ana")
        for attempt in (
            lambda: said(one, "ana", "hello"),
            lambda: one.post("ana", Event(EventKind.MESSAGE, "hello")),
            lambda: one.process("ana"),
            lambda: one.outputs("ana"),
            lambda: facts.remember(one, "ana", "x"),
        ):
            with pytest.raises(NotFoundError, match="There is no agent ana"):
                await attempt()
        assert await said(one, "cleo", "hello") == "old, 1"
        await other.rename("cleo", "dora")
        with pytest.raises(NotFoundError, match="There is no agent cleo"):
            await said(one, "cleo", "hello")
        assert await said(one, "dora", "hello") == "old, 2"


async def test_new_settings_of_another_process_count_at_the_next_message(
    open_one: Callable[[], Store], tmp_path: Path
) -> None:
    async with two(open_one, tmp_path) as (one, other):
        await other.change_settings("ana", parse_settings({**new(), "window": 6144}))
        assert (await one.process("ana")).memory.budget.window == 6144
        assert await said(one, "ana", "hello") == "old, 2"
        assert (await one.record("ana")).settings["window"] == 6144


def _all(heard: MemoryObjectReceiveStream[Output]) -> list[Output]:
    found: list[Output] = []
    while heard.statistics().current_buffer_used:
        found.append(heard.receive_nowait())
    return found
