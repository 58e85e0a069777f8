"""Archives from outside: made, attached, filled, renamed and deleted, by the library and the command line.

Left out: what the model does with them (``test_archive_functions``) and their storage (``test_storage``).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

import pagefault
from conftest import Run
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import AgentSettings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import ArgumentTypeError, NameTakenError, NotFoundError, UsageError
from pagefault.ingest import File, load
from pagefault.ingest.sources import SourceContent
from pagefault.kernel import archives
from pagefault.kernel.edits import delete_passage, edit_passage
from pagefault.kernel.facts import remember
from pagefault.loading_settings import LoadingSettings
from pagefault.models import Prompt, StreamItem
from pagefault.shared import Archive, Attachment
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import EventKind, Role
from pagefault.views import archives as views
from pagefault.views import documents, memory
from test_forged_frames import ATTACK, faults

pytestmark = pytest.mark.anyio


def home(tmp_path: Path, answers: int = 40) -> pagefault.Pagefault:
    model = ScriptedModel([[say("ok")]] * answers)
    return pagefault.open(tmp_path / "home", model=model, parts=Parts(embedder=NullEmbedder()))


async def inbox(pf: pagefault.Pagefault, name: str) -> list[tuple[str, str]]:
    """The events that an agent ever had, by kind."""
    record = await pf.kernel.record(name)
    found = await pf.kernel.store.read(lambda tx: tx.events(record.id))
    return [(event.kind, event.text) for event in found]


async def delete_between_turns(pf: pagefault.Pagefault, name: str) -> None:
    with anyio.fail_after(30):
        while name in await pf.agents():
            with suppress(UsageError):  # it is in the middle of a turn
                await pf.delete(name)
            await anyio.sleep(0.01)


async def test_two_agents_share_what_is_loaded_once_and_learn_of_it_by_one_event(tmp_path: Path) -> None:
    source = tmp_path / "boiler.txt"
    source.write_text("The valve of boiler 7 closes with a quarter turn to the left.")
    async with home(tmp_path) as pf:
        ana, bo = await pf.agent("ana"), await pf.agent("bo")
        made = await pf.archives.create("manuals", "what the house runs on")
        assert (made.name, made.passages, made.agents) == ("manuals", 0, ())
        await pf.archives.attach("manuals", "ana")
        await bo.archives.attach("manuals", read_only=True)
        report = await pf.archives.load("manuals", source)
        assert (report.event, report.informed) == (None, ("ana", "bo"))
        again = await pf.archives.load("manuals", source)
        assert (again.items[0].state, again.informed) == ("unchanged", ())
        for agent in (ana, bo):
            (hit,) = (await agent.search("boiler valve", tier="archival")).results
            assert hit.id == "manuals/p1"
            assert (await agent.passages.get("manuals/p1")).document == "manuals/d1"
            assert (await agent.documents.page("manuals/d1")).number == 1
        await pf.kernel.idle()
        told = [text for kind, text in await inbox(pf, "bo") if kind == EventKind.UPLOAD_FINISHED]
        assert told == ['Loaded into archive manuals: manuals/d1 "boiler" (1 page).']
        (view,) = await bo.archives.list()
        assert (view.passages, view.documents, view.agents, view.readers) == (1, 1, ("ana", "bo"), ("bo",))


async def test_the_passages_of_an_archive_are_kept_edited_and_deleted_by_both_forms_of_their_ids(
    tmp_path: Path,
) -> None:
    async with home(tmp_path) as pf:
        await pf.archives.create("notes")
        first = await pf.archives.insert("notes", "the red key", tags=["#keys"])
        assert first == "notes/p1"
        edited = await edit_passage(pf.kernel, Archive("notes"), first, "the blue key")
        assert edited.id == "notes/p2"
        assert (await pf.archives.passage("notes", "p2")).tags == ("keys",)
        assert (await pf.archives.passage("notes", edited.id)).text == "the blue key"
        assert [hit.id for hit in await pf.archives.search("notes", "key")] == [edited.id]
        with pytest.raises(NotFoundError, match="no passage p999; `pagefault archive search notes`"):
            await delete_passage(pf.kernel, Archive("notes"), "p999")
        with pytest.raises(UsageError, match="'other/p2' is not of archive notes"):
            await delete_passage(pf.kernel, Archive("notes"), "other/p2")
        for wrong in ("notes/d2", "notes/notes/p2", "m1", "", "p٧"):
            with pytest.raises(UsageError, match="is not the id of a passage"):
                await delete_passage(pf.kernel, Archive("notes"), wrong)
        await pf.archives.delete_passage("notes", edited.id)
        assert (await pf.archives.get("notes")).passages == 0


async def test_an_agent_changes_by_id_what_is_attached_to_it_unless_it_is_read_only(tmp_path: Path) -> None:
    source = tmp_path / "boiler.txt"
    source.write_text("The valve of boiler 7 closes to the left.")
    async with home(tmp_path) as pf:
        ana = await pf.agent("ana")
        for name in ("notes", "other"):
            await pf.archives.create(name)
            await pf.archives.insert(name, "the red key")
        await ana.archives.attach("notes", read_only=True)
        await pf.archives.load("notes", source)
        for change in (
            partial(ana.passages.edit, "notes/p1", "the blue key"),
            partial(ana.passages.delete, "notes/p1"),
            partial(ana.documents.delete, "notes/d1"),
        ):
            with pytest.raises(
                UsageError, match="notes is attached to agent ana read-only; `pagefault archive`"
            ):
                await change()
        with pytest.raises(UsageError, match="no archive other attached; attached are notes"):
            await ana.passages.delete("other/p1")
        await ana.archives.attach("notes")
        with pytest.raises(UsageError, match="notes/p2 is part of document notes/d1"):
            await ana.passages.edit("notes/p2", "the blue key")
        assert await ana.passages.edit("notes/p1", "the blue key") == "notes/p3"
        assert (await ana.documents.find("notes/d1", "VALVE")).document == "notes/d1"
        await ana.documents.delete("notes/d1")
        await ana.passages.delete("notes/p3")
        with pytest.raises(NotFoundError, match="no passage notes/p3"):
            await ana.passages.delete("notes/p3")
        assert [(a.passages, a.documents) for a in await pf.archives.list()] == [(0, 0), (1, 0)]


async def test_an_agent_searches_one_archive_alone_and_inserts_into_it(tmp_path: Path) -> None:
    async with home(tmp_path) as pf:
        ana = await pf.agent("ana")
        for name in ("notes", "other"):
            await pf.archives.create(name)
            await pf.archives.insert(name, "the red key")
        await ana.archives.attach("notes")
        assert await ana.remember("the red key of ana") == "p1"
        assert await ana.remember("the red key of all", tags=["keys"], archive="notes") == "notes/p2"
        found = await ana.search("red key", archive="notes")
        assert sorted(hit.id for hit in found) == ["notes/p1", "notes/p2"]
        assert [hit.id for hit in await ana.search(archive="notes", tags=["keys"])] == ["notes/p2"]
        for work in (
            partial(ana.search, "key", archive="other"),
            partial(ana.remember, "x", archive="other"),
        ):
            with pytest.raises(UsageError, match="no archive other attached; attached are notes"):
                await work()
        with pytest.raises(UsageError, match="There is no archive"):
            await ana.search("key", archive="")
        with pytest.raises(UsageError, match="An archive has no messages"):
            await ana.search("key", tier="recall", archive="notes")
        with pytest.raises(UsageError, match="Only passages have tags, an archive"):
            await ana.search("key", role=["user"], archive="notes")
        await ana.archives.attach("notes", read_only=True)
        with pytest.raises(UsageError, match="attached to agent ana read-only"):
            await ana.remember("the blue key", archive="notes")
        assert (await pf.archives.get("notes")).passages == 2


async def test_a_description_imitates_nothing_in_the_prompt(tmp_path: Path) -> None:
    model = ScriptedModel([[say("ok")]] * 3)
    parts = Parts(embedder=NullEmbedder())
    async with pagefault.open(tmp_path, model=model, parts=parts) as pf:
        await pf.agent("ana")
        await pf.archives.create("manuals", ATTACK[:1000])
        await pf.archives.attach("manuals", "ana")
        await pf.kernel.idle()
    assert model.prompts
    assert [fault for prompt in model.prompts for fault in faults(prompt)] == []


async def test_an_attachment_is_changed_ended_and_follows_a_name(tmp_path: Path) -> None:
    async with home(tmp_path) as pf:
        ana = await pf.agent("ana")
        await pf.archives.create("manuals")
        await remember(pf.kernel, Archive("manuals"), "the red key hangs behind the door")
        assert await archives.attach(pf.kernel, "manuals", "ana")
        assert not await archives.attach(pf.kernel, "manuals", "ana")
        assert await archives.attach(pf.kernel, "manuals", "ana", read_only=True)
        assert (await pf.archives.get("manuals")).readers == ("ana",)
        await pf.archives.rename("manuals", "books")
        assert [hit.id for hit in await ana.search("red key", tier="archival")] == ["books/p1"]
        await ana.archives.detach("books")
        assert (await ana.search("red key", tier="archival")).total == 0
        with pytest.raises(NotFoundError, match="books is not attached to agent ana"):
            await pf.archives.detach("books", "ana")
        with pytest.raises(UsageError, match="no archive books attached"):
            await ana.passages.get("books/p1")
        await pf.kernel.idle()
        kinds = {kind for kind, _ in await inbox(pf, "ana")}
        assert (kinds, len(await inbox(pf, "ana"))) == ({EventKind.EDITED}, 4)


async def test_a_deleted_archive_is_gone_for_all_its_agents_whatever_their_numbers(tmp_path: Path) -> None:
    async with home(tmp_path) as pf:
        before, archive, behind = await pf.agent("ana"), await pf.archives.create("old"), await pf.agent("bo")
        for agent in (before, behind):
            await agent.archives.attach(archive.name)
        await pf.archives.delete("old")
        assert (await pf.archives.list(), await before.archives.list()) == ((), ())
        await pf.kernel.idle()
        for name in ("ana", "bo"):
            assert (await inbox(pf, name))[-1][1] == "Archive old was deleted, with all that was in it."
        await pf.archives.create("old")
        assert await behind.archives.list() == ()


async def test_another_process_sees_an_attachment_at_its_next_event(tmp_path: Path) -> None:
    async with home(tmp_path) as pf, home(tmp_path) as other:
        ana = await pf.agent("ana")
        await ana.send("hello")
        await other.archives.create("manuals")
        await other.archives.attach("manuals", "ana")
        await other.kernel.idle()
        await ana.send("hello again")
        names = [f["name"] for f in (await ana.context()).functions]
        assert "document_list" in names


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ärger", "archive:x", "..", "x" * 65, "a\nb"])
async def test_a_name_that_could_not_stand_before_an_id_is_refused(tmp_path: Path, name: str) -> None:
    async with home(tmp_path) as pf:
        with pytest.raises(UsageError, match="cannot be the name of an archive"):
            await pf.archives.create(name)


async def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    async with home(tmp_path) as pf:
        with pytest.raises(NotFoundError, match="no archive x; `pagefault archive create` makes one"):
            await pf.archives.get("x")
        await pf.archives.create("manuals")
        with pytest.raises(NotFoundError, match="There is no archive x; there are manuals"):
            await pf.archives.search("x", "key")
        for number in range(8):
            await pf.archives.create(f"a{number}")
        with pytest.raises(NotFoundError, match="There is no archive x; `pagefault archive list` shows"):
            await pf.archives.get("x")
        with pytest.raises(NotFoundError, match=r"`pagefault agent list` shows those there are\.$"):
            await pf.archives.attach("manuals", "archive:manuals")
        with pytest.raises(NotFoundError, match="There is no agent ana"):
            await pf.archives.attach("manuals", "ana")
        with pytest.raises(UsageError, match="Name the agent"):
            await pf.archives.attach("manuals")
        await pf.agent("bo")
        with pytest.raises(NotFoundError, match="There is no agent ana"):
            await pf.archives.attach("manuals", "bo", "ana")
        assert (await pf.archives.get("manuals")).agents == ()
        with pytest.raises(UsageError, match="already an archive"):
            await pf.archives.create("manuals")
        with pytest.raises(UsageError, match="1,000 at most"):
            await pf.archives.create("long", "x" * 1001)
        with pytest.raises(ArgumentTypeError, match="name is a string"):
            await pf.archives.create(7)  # pyright: ignore[reportArgumentType]


def test_a_script_shares_an_archive(tmp_path: Path) -> None:
    model = ScriptedModel([[say("ok")]] * 9)
    with pagefault.Agent("ana", home=tmp_path, model=model, parts=Parts(embedder=NullEmbedder())) as ana:
        ana.archives.create("manuals")
        ana.archives.attach("manuals")
        assert ana.archives.insert("manuals", "the red key") == "manuals/p1"
        assert [hit.id for hit in ana.search("key", tier="archival")] == ["manuals/p1"]
        assert [archive.name for archive in ana.archives.list()] == ["manuals"]


def test_the_command_line_does_all_that_the_library_does(run: Run, tmp_path: Path) -> None:
    def data(*arguments: str) -> Any:
        ran = run(*arguments, "--json")
        assert ran.code == 0, ran.err
        return ran.json

    (tmp_path / "boiler.txt").write_text("The valve of boiler 7 closes to the left.")
    for name in ("ana", "bo"):
        data("agent", "create", name)
    assert data("archive", "create", "manuals", "--description", "house")["description"] == "house"
    assert "already an archive" in run("archive", "create", "manuals").err
    both = ("--agent", "ana", "--agent", "bo")
    assert data("archive", "attach", "manuals", *both, "--read-only")["readers"] == ["ana", "bo"]
    assert "no agent cy" in run("archive", "attach", "manuals", "--agent", "cy").err
    loaded = data("archive", "load", "manuals", str(tmp_path / "boiler.txt"))
    assert (loaded["documents"][0]["id"], loaded["informed"]) == ("manuals/d1", ["ana", "bo"])
    assert data("archive", "insert", "manuals", "the red key", "--tag", "keys")["id"] == "manuals/p2"
    assert [hit["id"] for hit in data("archive", "search", "manuals", "boiler")["results"]] == ["manuals/p1"]
    found = data("archive", "search", "manuals", "--tag", "keys")
    assert [hit["id"] for hit in found["results"]] == ["manuals/p2"]
    assert data("document", "list", "--archive", "manuals")["results"][0]["id"] == "manuals/d1"
    assert data("document", "show", "d1", "--archive", "manuals")["page"]["number"] == 1
    assert data("document", "show", "manuals/d1", "--agent", "ana")["page"]["number"] == 1
    assert data("document", "list", "--agent", "ana")["total"] == 0
    data("archive", "remove", "manuals", "manuals/p2")
    data("document", "delete", "manuals/d1", "--archive", "manuals")
    data("archive", "rename", "manuals", "books")
    assert [each["name"] for each in data("archive", "list", "--agent", "ana")] == ["books"]
    assert data("archive", "show", "books")["passages"] == 0
    assert data("archive", "detach", "books", *both)["agents"] == []
    assert "say --yes" in run("archive", "delete", "books").err
    data("archive", "delete", "books", "--yes")
    assert data("archive", "list") == []


async def test_an_archive_is_looked_at_by_itself(tmp_path: Path) -> None:
    async with home(tmp_path) as pf:
        await pf.archives.create("notes")
        await pf.archives.insert("notes", "the red key")
        found = await memory.search(pf.kernel, Archive("notes"), "red key")
        assert [hit.tier for hit in found] == ["archival"]
        assert [each.name for each in await views.archives(pf.kernel)] == ["notes"]
        assert await pf.agents() == []


async def test_a_reply_names_what_was_found_in_an_archive_as_its_sources(tmp_path: Path) -> None:
    model = ScriptedModel([[say("ok")]])
    async with pagefault.open(tmp_path, model=model, parts=Parts(embedder=NullEmbedder())) as pf:
        ana = await pf.agent("ana")
        for name in ("manuals", "zoo"):  # the ids of one begin like those of messages
            await pf.archives.create(name)
            await pf.archives.insert(name, f"the red key of the {name}")
            model.script = [[say("ok")]]
            await ana.archives.attach(name)
            await pf.kernel.idle()
        search = call("archival_search", heartbeat=True, query="red key")
        model.script = [[search], [say("Behind the door.")]]
        reply = await ana.send("Where is the key?")
        assert {source.id for source in reply.sources} == {"manuals/p1", "zoo/p1"}
        model.script = [[search, call("archival_delete", id="zoo/p1")], [say("Gone.")]]
        assert [source.id for source in (await ana.send("And now?")).sources] == ["manuals/p1"]


async def test_an_archive_for_which_a_window_has_no_room_is_not_attached(tmp_path: Path) -> None:
    async with home(tmp_path) as pf:
        ana = await pf.agent("ana", window=4096)
        attached, why = 0, ""
        for number in range(60):
            name = f"archive-{number:03}-{'of-the-house-' * 3}"
            await pf.archives.create(name)
            try:
                await ana.archives.attach(name)
            except UsageError as error:
                why = str(error)
                break
            attached += 1
        assert "larger window" in why
        assert 0 < attached == len(await ana.archives.list())
        assert str(await ana.send("hello")) == "ok"
        await ana.archives.attach((await ana.archives.list())[0].name, read_only=True)  # takes no more room
        assert str(await ana.send("hello")) == "ok"


async def test_all_attached_agents_learn_of_a_load_in_one_transaction_and_none_twice(tmp_path: Path) -> None:
    source = tmp_path / "boiler.txt"
    source.write_text("The valve closes to the left.")
    kernel = open_kernel(tmp_path / "home", Parts(embedder=NullEmbedder()))  # it serves nobody
    names = [f"agent{number:03}" for number in range(100)]
    try:
        await archives.create(kernel, "manuals")
        for name in names:
            await kernel.create_agent(name, AgentSettings(model="offline"))
            await archives.attach(kernel, "manuals", name, read_only=True)
        parked = await kernel.record(names[1])
        await kernel.store.write(lambda tx: tx.park_agent(parked.id, "tired"))
        assert (await load(kernel, Archive("manuals"), [File(source)])).informed == tuple(names)
        (document,) = await documents.documents(kernel, Archive("manuals"))
        assert document.id == "manuals/d1"
        for name in names:
            record = await kernel.record(name)
            events = await kernel.store.read(lambda tx, id=record.id: tx.events(id))
            assert [event.kind for event in events] == [EventKind.EDITED, EventKind.UPLOAD_FINISHED]
            assert "manuals/d1" in events[-1].text
            again = replace(events[-1], id=0)
            posted = await kernel.store.write(lambda tx, id=record.id, again=again: tx.post(id, again))
            assert posted.id == events[-1].id
        assert (await views.archive(kernel, "manuals")).agents == tuple(names)
    finally:
        await kernel.close()


@pytest.mark.parametrize("on", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
async def test_changes_of_an_archive_at_the_same_time_leave_all_as_one_after_the_other(
    tmp_path: Path, on: str, request: pytest.FixtureRequest
) -> None:
    with ExitStack() as stack:
        url = None
        if on == "postgres":
            url = stack.enter_context(request.getfixturevalue("databases").one())
        model, parts = ScriptedModel(lambda _: [say("ok")]), Parts(embedder=NullEmbedder())
        async with (
            pagefault.open(tmp_path, database=url, model=model, parts=parts) as one,
            pagefault.open(tmp_path, database=url, model=model, parts=parts) as two,
        ):
            names = ["ana", "bo", "cy", "di"]
            for name in names:
                await one.agent(name)
            await one.archives.create("manuals")
            refused = list[str]()

            async def tried(work: Callable[[], Awaitable[object]]) -> None:
                try:
                    await work()
                except (NotFoundError, NameTakenError) as error:
                    refused.append(str(error))

            async with anyio.create_task_group() as tasks:
                for turn in range(6):
                    for pf, name in zip((one, two, one, two), names, strict=True):
                        change = pf.archives.attach
                        tasks.start_soon(tried, partial(change, "manuals", name, read_only=turn % 2 == 0))
                        tasks.start_soon(tried, partial(pf.archives.insert, "manuals", f"{name} {turn}"))
                    tasks.start_soon(tried, partial(two.archives.rename, "manuals", "books"))
                    tasks.start_soon(tried, partial(one.archives.detach, "manuals", names[turn % 4]))
                    tasks.start_soon(tried, partial(one.archives.delete, "books"))
                    tasks.start_soon(tried, partial(two.archives.create, "manuals"))
            assert all(text.startswith(("There is", "Archive ")) for text in refused)
            there = {archive.name: archive for archive in await one.archives.list()}
            for name in names:
                agent = await two.agent(name)
                attached = {each.name for each in await agent.archives.list()}
                assert attached == {each.name for each in there.values() if name in each.agents}
                assert str(await agent.send("hello")) == "ok"
            for pf in (one, two):
                await pf.kernel.idle()
            assert await one.parked() == {}


@pytest.mark.parametrize("on", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
async def test_a_document_loaded_by_two_at_once_is_there_once_and_known_to_each_agent(
    tmp_path: Path, on: str, request: pytest.FixtureRequest
) -> None:
    source = tmp_path / "boiler.txt"
    source.write_text("The valve of boiler 7 closes to the left.")
    with ExitStack() as stack:
        url = None
        if on == "postgres":
            url = stack.enter_context(request.getfixturevalue("databases").one())
        model, parts = ScriptedModel(lambda _: [say("ok")]), Parts(embedder=NullEmbedder())
        async with (
            pagefault.open(tmp_path, database=url, model=model, parts=parts) as one,
            pagefault.open(tmp_path, database=url, model=model, parts=parts) as two,
        ):
            await one.archives.create("manuals")
            for name in ("ana", "bo"):
                await one.agent(name)
                await one.archives.attach("manuals", name)
            async with anyio.create_task_group() as tasks:
                for pf in (one, two, one, two):
                    tasks.start_soon(pf.archives.load, "manuals", source)
                tasks.start_soon(delete_between_turns, two, "bo")
            view = await two.archives.get("manuals")
            assert (view.passages, view.documents, view.agents) == (1, 1, ("ana",))
            (document,) = await one.archives.documents("manuals")
            for pf in (one, two):
                await pf.kernel.idle()
            told = [text for kind, text in await inbox(one, "ana") if kind == EventKind.UPLOAD_FINISHED]
            assert any(document.id in text for text in told)


class DetachingModel(ScriptedModel):
    """Searches twice in one turn; between the two the archive is detached."""

    detach: Callable[[], Awaitable[None]]

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        if len(self.prompts) == 1:
            await self.detach()
        async for item in super().stream(prompt):
            yield item


async def test_an_archive_detached_during_a_turn_is_not_read_in_the_rest_of_it(tmp_path: Path) -> None:
    search = call("archival_search", heartbeat=True, query="red key")
    model = DetachingModel([[search], [search], [say("Done.")], [say("ok")]])
    async with pagefault.open(tmp_path, model=model, parts=Parts(embedder=NullEmbedder())) as pf:
        ana = await pf.agent("ana")
        model.detach = partial(ana.archives.detach, "manuals")
        await pf.archives.create("manuals")
        await pf.archives.insert("manuals", "the red key")
        kernel = pf.kernel
        record = await kernel.record("ana")
        now = kernel.clock.now()
        await kernel.store.write(lambda tx: tx.attach(record.id, Attachment("archive", "manuals", now)))
        await ana.send("Where is the key?")
        await kernel.idle()
        rows = await kernel.store.read(lambda tx: tx.messages(record.id, roles=(Role.RESULT,)))
        found = ["the red key" in row.text for row in rows if row.name == "archival_search"]
        assert found == [True, False]
        assert (await ana.archives.list(), await pf.parked()) == ((), {})


async def test_a_load_goes_on_into_a_renamed_archive_and_ends_with_a_deleted_one(tmp_path: Path) -> None:
    sources = [tmp_path / f"boiler{number}.txt" for number in (1, 2, 3)]
    for source in sources:
        source.write_text(f"The valve of {source.stem} closes to the left.")
    kernel = open_kernel(tmp_path / "home", Parts(embedder=NullEmbedder()))  # it serves nobody

    @dataclass(frozen=True)
    class Changing(File):
        change: Callable[[], Awaitable[None]] = field(kw_only=True)

        async def read(self, limits: LoadingSettings) -> SourceContent:
            await self.change()
            return await File.read(self, limits)

    try:
        await archives.create(kernel, "manuals")
        ana = await kernel.create_agent("ana", AgentSettings(model="offline"))
        await archives.attach(kernel, "manuals", "ana")
        first, second, third = sources
        change = partial(archives.rename, kernel, "manuals", "books")
        report = await load(
            kernel, Archive("manuals"), [File(first), Changing(second, change=change), File(third)]
        )
        assert ([item.state for item in report.items], report.informed) == (["loaded"] * 3, ("ana",))
        last = (await kernel.store.read(lambda tx: tx.events(ana.id)))[-1]
        assert all(f"books/d{number}" in last.text for number in (1, 2, 3))
        first.write_text("Another text.")
        change = partial(archives.delete, kernel, "books")
        with pytest.raises(NotFoundError, match="There is no archive books"):
            await load(kernel, Archive("books"), [Changing(first, change=change)])
        last = (await kernel.store.read(lambda tx: tx.events(ana.id)))[-1]
        assert last.text == "Archive books was deleted, with all that was in it."
    finally:
        await kernel.close()
