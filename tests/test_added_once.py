"""Memories that are added once: by repeated calls, by several at once, and amid others nearly alike."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from conftest import Machine
from mcp_clients import memory_of
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel import edits, facts
from pagefault.storage import Store
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.models import ScriptedModel
from pagefault.testing.postgres import Databases
from pagefault.views import memory

pytestmark = pytest.mark.anyio

OpenStore = Callable[[], Store]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Opens one database, as each process does for itself."""
    if request.param == "sqlite":
        return partial(SQLiteStore.open, tmp_path / "a.db")
    databases: Databases = request.getfixturevalue("databases")
    return partial(PostgresStore.open, databases.new())


async def test_two_processes_add_one_text_at_once(tmp_path: Path, open_store: OpenStore) -> None:
    answers = list[tuple[str, bool]]()
    async with (
        open_kernel(
            tmp_path, Parts(ScriptedModel([]), NullEmbedder(), open_store()), Installation()
        ) as first,
        open_kernel(
            tmp_path, Parts(ScriptedModel([]), NullEmbedder(), open_store()), Installation()
        ) as other,
    ):
        await first.ensure_agent("ana", parse_settings({"zone": "UTC"}))

        async def add(kernel: object, text: str) -> None:
            kept = await facts.remember(kernel, "ana", text)  # pyright: ignore[reportArgumentType]
            answers.append((kept.id, kept.is_new))

        for text in ("Ann likes tea.", "Bo likes tea."):
            async with anyio.create_task_group() as tasks:
                for kernel in (first, other) * 4:
                    tasks.start_soon(add, kernel, text)
        assert len({id for id, _ in answers}) == 2
        assert sum(is_new for _, is_new in answers) == 2
        assert (await memory.search(first, "ana", tier="archival")).total == 2
        await edits.delete_passage(first, "ana", "p1")
        anew = [(await facts.remember(first, "ana", "Ann likes tea.")).is_new for _ in range(2)]
        assert anew == [True, False]
        with pytest.raises(NotFoundError, match="no agent bo"):
            await facts.remember(first, "bo", "x")
        with pytest.raises(UsageError, match="empty"):
            await facts.remember(first, "ana", " ")


async def test_a_text_amid_many_that_begin_alike_is_added_once(machine: Machine) -> None:
    begin = "The nightly backup of the server in the cellar went well and took some minutes. " * 6
    async with memory_of(machine, ScriptedModel([])) as asked:
        for is_new in (True, False):
            for run in range(40):
                given = {"text": f"{begin}Run {run}.", "tags": ["backup", "#", " "]}
                assert (await asked.data("add_memory", **given))["added"] is is_new
        listed = await asked.data("list_memories")
        assert listed["total"] == 40
        assert listed["memories"][0]["tags"] == ["backup"]


async def test_what_was_added_in_another_way_is_not_added_again(machine: Machine) -> None:
    async with memory_of(machine, ScriptedModel([])) as asked:
        await facts.remember(asked.server.kernel, "ana", "Ann likes tea.")
        assert await asked.data("add_memory", text="Ann likes tea.") == {"id": "p1", "added": False}
        await asked.data("delete_memory", id="p1")
        assert (await asked.data("add_memory", text="Ann likes tea."))["added"]
