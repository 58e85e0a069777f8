"""Undo where more than the log is concerned: the outbox, sections folded at once, exports from before
it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

import pagefault
from conftest import Machine, Rig
from image_files import GIF, PNG
from pagefault.assembly import Parts
from pagefault.build import open_transfer
from pagefault.embedders.null import NullEmbedder
from pagefault.images import Image, read_image
from pagefault.kernel import archives
from pagefault.kernel.withdrawing import undo
from pagefault.models import Prompt
from pagefault.shared import Archive
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.clock import FixedClock
from pagefault.testing.memory import MemoryDatabase, MemoryStore
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.transfer import check, import_agents
from pagefault.types import Message, Role
from pagefault.views import memory
from test_word_segments import Silent

pytestmark = pytest.mark.anyio

FORMAT_4 = Path(__file__).parent / "exported_format_4.jsonl"
"""An export from before there was undo: two turns, with a passage, an edit and a timer in the first."""


async def rows(rig: Rig) -> list[Message]:
    record = await rig.kernel.record("ana")
    return await rig.kernel.store.read(lambda tx: tx.messages(record.id, withdrawn=True))


async def test_what_went_to_an_archive_by_the_outbox_stays_and_is_named(machine: Machine) -> None:
    """On several servers an insert is sent; it is not taken back, whether it has arrived or not."""
    script = [
        [call("archival_insert", heartbeat=True, text="The mill is red.", archive="manuals")],
        [say("ok")],
    ]
    store = MemoryStore(MemoryDatabase(is_distributed=True))
    async with machine.open(ScriptedModel([]), store=store) as rig:
        await archives.create(rig.kernel, "manuals")
        await archives.attach(rig.kernel, "manuals", "ana")
        await rig.kernel.idle()
    store = MemoryStore(store.database)
    async with machine.open(ScriptedModel([*script, *script]), store=store) as rig:
        for _ in range(2):
            await rig.send("Save it.")
            (call_id,) = [row.id for row in await rows(rig) if row.name == "archival_insert"
                          and row.role is Role.CALL and row.withdrawn is None]  # fmt: skip
            report = await undo(rig.kernel, "ana")
            assert report.not_undone == (f"archive manuals was written ({call_id})",)
            assert report.passages == ()
            assert await rig.kernel.deliverer.deliver()
            archive = (await rig.kernel.record(Archive("manuals"))).id
            found = await rig.kernel.store.read(lambda tx, id=archive: tx.stored_passages(id))
            assert [each.text for each in found] == ["The mill is red."]  # an equal fact is kept once


async def test_a_section_folded_at_once_is_in_the_prompt_as_it_was(machine: Machine) -> None:
    edit = call("working_context_append", heartbeat=True, section="human", text="Likes tea.")
    model = ScriptedModel([[say("ok")], [edit], [say("ok")], [say("ok")]])
    async with machine.open(model, fold_at_once=True) as rig:
        await rig.send("one")
        before = model.prompts[-1].messages
        await rig.send("I like tea.")
        assert "Likes tea." in model.prompts[-1].messages[0].text
        report = await undo(rig.kernel, "ana")
        assert report.sections == ("human",)
        await rig.send("two")
        assert model.prompts[-1].messages[: len(before)] == before, "the prefix is that of then"


def shown(prompt: Prompt) -> list[bytes]:
    """The images of a prompt that a model which sees is sent."""
    return [image.data for message in prompt.messages for image in message.images]


@pytest.mark.parametrize("is_reopened", [False, True])
async def test_an_image_of_a_turn_that_is_undone_is_not_shown_and_a_retry_shows_it_again(
    tmp_path: Path, is_reopened: bool
) -> None:
    model = ScriptedModel([])
    parts = Parts(model=model, embedder=NullEmbedder(), clock=FixedClock(step=1.0))
    hash = read_image(PNG).media.hash
    async with pagefault.open(tmp_path, parts=parts) as pf:
        ana = await pf.agent("ana")
        await ana.send("This is me.", images=[Image(GIF, "me.gif")])
        before = model.prompts[-1]
        assert shown(before) == [GIF]
        await ana.send("And these?", images=[Image(PNG, "cat.png"), Image(GIF, "me.gif")])
        assert shown(model.prompts[-1]) == [GIF, PNG, GIF]
        await ana.undo()
        if not is_reopened:
            await ana.send("Go on.")
    async with pagefault.open(tmp_path, parts=parts) as pf:
        ana = await pf.agent("ana")
        if is_reopened:
            await ana.send("Go on.")
        after = model.prompts[-1]
        assert after.messages[: len(before.messages)] == before.messages, "with the bytes of the images"
        assert (after.functions, shown(after)) == (before.functions, [GIF])
        assert not [each for each in after.messages if "cat.png" in each.text]
        assert await ana.media(hash) == PNG  # it is stored, as the row is

        await ana.send("Look.", images=[Image(PNG, "cat.png")])
        asked = model.prompts[-1]
        await ana.retry()
        assert shown(model.prompts[-1]) == shown(asked) == [GIF, PNG]
        assert model.prompts[-1].messages[:-1] == asked.messages[:-1]
        assert model.prompts[-1].messages[-1].images == asked.messages[-1].images
        await ana.edit(None, "Look again.")
        assert shown(model.prompts[-1]) == [GIF, PNG]
        assert "Look again." in model.prompts[-1].messages[-1].text
        await ana.undo(to=0)
        await ana.send("Hello.")
        assert shown(model.prompts[-1]) == []


async def test_an_agent_exported_before_there_was_undo_is_imported_and_undone(
    machine: Machine, tmp_path: Path
) -> None:
    """Its passage and its timer do not know their turn, so they stay; its section is put back by time."""
    place = tmp_path / "a.db"
    SQLiteStore.open(place)
    database = open_transfer(place)
    try:
        import_agents(database, io.BytesIO(FORMAT_4.read_bytes()), "the file", None, Silent(), trust=True)
        assert list(check(database, Silent())) == []
    finally:
        database.close()
    async with machine.open(ScriptedModel([]), store=SQLiteStore.open(place)) as rig:
        assert [row.withdrawn for row in await rows(rig)] == [None] * 14
        assert (await undo(rig.kernel, "ana")).point == "m10"
        report = await undo(rig.kernel, "ana")
        assert (report.point, report.sections, report.passages, report.timers) == ("m0", ("human",), (), ())
        record = await rig.kernel.record("ana")
        assert record.hold == ""
        sections = await rig.kernel.store.read(lambda tx: tx.sections(record.id))
        assert "Likes tea." not in " ".join(section.text for section in sections)
        assert [hit.text for hit in (await memory.search(rig.kernel, "ana", "tea")).results] == [
            "Ana likes tea."
        ]
