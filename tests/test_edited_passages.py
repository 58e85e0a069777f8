"""Passages that are edited: each text has an id of its own, and all ids name the newest."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

import pagefault
from conftest import Run
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel import Kernel
from pagefault.kernel.archives import attach, create
from pagefault.kernel.edits import delete_passage, edit_passage
from pagefault.kernel.facts import remember
from pagefault.names import system_key
from pagefault.shared import Archive
from pagefault.storage import Store, Transaction
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.memory import MemoryDatabase, MemoryStore
from pagefault.testing.models import ScriptedModel
from pagefault.testing.postgres import Databases
from pagefault.types import Event, EventKind
from pagefault.views import memory

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return MemoryStore(MemoryDatabase())
    if request.param == "sqlite":
        return SQLiteStore.open(tmp_path / "a.db")
    databases: Databases = request.getfixturevalue("databases")
    return PostgresStore.open(databases.new())


@asynccontextmanager
async def kernel_of(store: Store, home: Path) -> AsyncGenerator[Kernel]:
    """A kernel with the agents ``ana`` and ``bo``, and the archive ``notes`` of both."""
    async with open_kernel(home, Parts(ScriptedModel([]), NullEmbedder(), store), Installation()) as kernel:
        await create(kernel, "notes")
        for name in ("ana", "bo"):
            await kernel.ensure_agent(name, parse_settings({"zone": "UTC"}))
            await attach(kernel, "notes", name)
        yield kernel


@pytest.mark.parametrize("archive", ["", "notes"])
async def test_each_id_that_a_passage_had_names_its_newest_text(
    store: Store, tmp_path: Path, archive: str
) -> None:
    async with kernel_of(store, tmp_path) as kernel:
        place = f"{archive}/" if archive else ""
        await remember(kernel, "ana", "Ann likes tea.", tags=["taste"], archive=archive or None)
        await remember(kernel, "ana", "Bo likes milk.", archive=archive or None)
        for id, text, stored in (
            ("p1", "Ann likes coffee.", "p3"),
            ("p3", "Ann likes cocoa.", "p4"),
            ("p1", "Ann likes water.", "p5"),
            ("p1", "Ann likes juice.", "p6"),
        ):
            assert (await edit_passage(kernel, "ana", f"{place}{id}", text)).id == f"{place}{stored}"
        for id in ("p1", "p3", "p4", "p5", "p6"):
            found = await memory.passage(kernel, "ana", f"{place}{id}")
            assert (found.id, found.text, found.tags) == (f"{place}p6", "Ann likes juice.", ("taste",))
        assert (await memory.passage(kernel, "ana", f"{place}p2")).text == "Bo likes milk."
        assert (await memory.search(kernel, "ana", tier="archival")).total == 2
        await delete_passage(kernel, "ana", f"{place}p3")
        for id in ("p1", "p3", "p6"):
            for gone in (
                memory.passage(kernel, "ana", f"{place}{id}"),
                edit_passage(kernel, "ana", f"{place}{id}", "x"),
                delete_passage(kernel, "ana", f"{place}{id}"),
            ):
                with pytest.raises(NotFoundError, match=f"There is no passage {place}{id}"):
                    await gone
        owner = (await kernel.record(Archive("notes") if archive else "ana")).id
        events = await kernel.store.read(lambda tx: tx.events(owner))
        assert {event.state for event in events if event.kind == EventKind.APPENDED} == {"done"}


async def test_an_id_of_one_agent_or_archive_leads_to_nothing_of_another(
    store: Store, tmp_path: Path
) -> None:
    async with kernel_of(store, tmp_path) as kernel:
        for name, archive in (("ana", None), ("bo", None), ("ana", "notes")):
            await remember(kernel, name, f"{name} {archive}", archive=archive)
        await edit_passage(kernel, "ana", "p1", "edited")
        assert (await memory.passage(kernel, "bo", "p1")).text == "bo None"
        assert (await memory.passage(kernel, "bo", "notes/p1")).text == "ana notes"
        await attach(kernel, "notes", "bo", read_only=True)
        await edit_passage(kernel, "ana", "notes/p1", "of both")
        assert (await memory.passage(kernel, "bo", "notes/p1")).id == "notes/p2"
        for refused in (
            edit_passage(kernel, "bo", "notes/p1", "x"),
            delete_passage(kernel, "bo", "notes/p1"),
        ):
            with pytest.raises(UsageError, match="read-only"):
                await refused


async def test_what_is_the_same_is_not_stored_again(store: Store, tmp_path: Path) -> None:
    async with kernel_of(store, tmp_path) as kernel:
        await remember(kernel, "ana", "Ann likes tea.", tags=["taste"])
        assert (await edit_passage(kernel, "ana", "p1", "Ann likes tea.")).id == "p1"
        assert (await edit_passage(kernel, "ana", "p1", "Ann likes tea.", tags=["#taste"])).id == "p1"
        assert (await edit_passage(kernel, "ana", "p1", "Ann likes tea.", tags=["drinks"])).id == "p2"
        assert (await memory.passage(kernel, "ana", "p1")).tags == ("drinks",)


async def test_of_two_who_edit_one_text_exactly_the_second_is_refused(store: Store, tmp_path: Path) -> None:
    async with kernel_of(store, tmp_path) as kernel:
        await remember(kernel, "ana", "Ann likes tea.")
        refused = list[str]()

        async def edit(text: str) -> None:
            try:
                await edit_passage(kernel, "ana", "p1", text, exact=True)
            except NotFoundError:
                refused.append(text)

        async with anyio.create_task_group() as tasks:
            for text in ("Ann likes coffee.", "Ann likes cocoa."):
                tasks.start_soon(edit, text)
        (hit,) = await memory.search(kernel, "ana", tier="archival")
        assert sorted([hit.text, *refused]) == ["Ann likes cocoa.", "Ann likes coffee."]
        with pytest.raises(NotFoundError):
            await delete_passage(kernel, "ana", "p1", exact=True)


async def test_of_two_who_edit_one_fact_both_are_heard(store: Store, tmp_path: Path) -> None:
    """Neither leaves a second passage behind, and the last one counts."""
    async with kernel_of(store, tmp_path) as kernel:
        await remember(kernel, "ana", "Ann likes tea.")
        stored = list[str]()

        async def edit(text: str) -> None:
            stored.append((await edit_passage(kernel, "ana", "p1", text)).id)

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(edit, f"Ann likes {number} cups.")
        (hit,) = await memory.search(kernel, "ana", tier="archival")
        assert sorted(stored) == [f"p{number}" for number in range(2, 10)]
        assert hit.id == "p9"


async def test_ids_that_lead_in_a_circle_end(store: Store, tmp_path: Path) -> None:
    """A file that is imported may bring any events."""
    async with kernel_of(store, tmp_path) as kernel:
        await remember(kernel, "ana", "Ann likes tea.")
        ana = (await kernel.record("ana")).id
        for of, to in ((1, 2), (2, 1), (3, 3), (4, None)):
            event = Event(EventKind.APPENDED, "", system_key(f"edited:p{of}"))

            def bring(tx: Transaction, event: Event = event, to: int | None = to) -> None:
                tx.set_event(ana, tx.post(ana, event).id, "done", to)

            await kernel.store.write(bring)  # at once: an event that waits would be served
        for id in ("p1", "p2", "p3", "p4"):
            with pytest.raises(NotFoundError):
                await memory.passage(kernel, "ana", id)


async def test_an_agent_that_moves_keeps_its_ids(run: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "ana.jsonl")
    async with pagefault.open(tmp_path / "home", parts=Parts(embedder=NullEmbedder())) as pf:
        memory = pf.memory("ana")
        fact = await memory.add("Ann likes tea.")
        await memory.update(fact.id, "Ann likes coffee.")
    await anyio.to_thread.run_sync(run, "db", "export", "ana", file)
    moved = await anyio.to_thread.run_sync(run, "db", "import", file, "--name", "bo")
    assert moved.code == 0, moved.err
    async with pagefault.open(tmp_path / "home", parts=Parts(embedder=NullEmbedder())) as pf:
        assert (await pf.memory("bo").get(fact.id)).text == "Ann likes coffee."
