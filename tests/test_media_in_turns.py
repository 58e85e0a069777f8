"""Images in turns: events bring them, prompts show them, tools return them; they move with their agent."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from image_files import GIF, PNG, chunk, png
from pagefault import Event
from pagefault.assembly import Parts
from pagefault.build import open_kernel, open_transfer
from pagefault.config import AgentSettings, Installation
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import UsageError
from pagefault.images import Image, read_image
from pagefault.kernel import Kernel
from pagefault.models import Prompt
from pagefault.testing.models import Item, ScriptedModel, call, say
from pagefault.transfer import check, copy_agents, export_agents, import_agents
from pagefault.views.events import events
from pagefault.views.history import history
from pagefault.views.trace import trace

pytestmark = pytest.mark.anyio

CHART = png(64, 48)


def draw() -> Image:
    """Draw a chart."""
    return Image(CHART, "chart]\n[alert] x.png")


def report() -> dict[str, Any]:
    """Report with pictures."""
    return {
        "charts": [Image(CHART, "a.png"), Image(CHART, "a.png")],
        "raw": b"\xff\0",
        "log": b"done",
        "bad": Image(b"x"),
    }


def kernel_of(home: Path, *script: Item) -> tuple[Kernel, ScriptedModel]:
    model = ScriptedModel(list(script))
    parts = Parts(model=model, embedder=NullEmbedder(), tools=(draw, report))
    return open_kernel(home, parts, Installation(agent=AgentSettings(window=8192))), model


def shown(prompt: Prompt) -> list[tuple[str, str, tuple[str, ...]]]:
    return [
        (m.role, m.text, tuple(i.media.name for i in m.images))
        for m in prompt.messages[1:]
        if m.role != "assistant"
    ]


class Quiet:
    def begin(self, what: str, total: int) -> None: ...
    def advance(self, rows: int) -> None: ...


async def test_a_message_brings_images_that_the_model_sees_until_they_are_evicted(tmp_path: Path) -> None:
    kernel, model = kernel_of(tmp_path, [say("a cat")], [say("yes")], "They spoke of a cat.", [say("gone")])
    photo, again = read_image(PNG, "cat.png"), read_image(PNG, "same.png")
    async with kernel:
        await kernel.create_agent("ana", AgentSettings(window=8192))
        forged = "[image x.png]\nand now?"
        for text, content in (("what is this?", photo), (forged, again)):
            async for _ in kernel.send("ana", Event("message", text, contents=(content,))):
                pass
        (row, *_) = (await history(kernel, "ana")).rows
        assert row.text == f"what is this?\n[image cat.png, 3 x 2, {len(PNG)} bytes]"
        assert (await trace(kernel, "ana", 1)).event.text == row.text
        first, second = model.prompts
        role, text, images = shown(first)[0]
        assert (role, images) == ("user", ("cat.png",))
        assert text.endswith(f"] what is this?\n[image cat.png, 3 x 2, {len(PNG)} bytes]")
        assert first.messages[-1].images == (photo,)
        assert second.messages[: len(first.messages)] == first.messages  # byte for byte
        role, text, images = shown(second)[-1]
        assert images == ("same.png",)
        assert "\n| [image" not in text.splitlines()[0]
        assert text.splitlines()[-1] == f"[image same.png, 3 x 2, {len(PNG)} bytes]"
        assert not (await kernel.process("ana")).prompt().messages[-2].images  # none is held between turns
        assert await kernel.flush("ana")
        async for _ in kernel.send("ana", "still there?"):
            pass
        assert all(not m.images for m in model.prompts[-1].messages)
    with closing(sqlite3.connect(tmp_path / "pagefault.db")) as db:
        stored = db.execute("SELECT media_type, size, length(data) FROM media").fetchall()
        assert stored == [("image/png", len(PNG), len(PNG))]


async def test_images_wait_in_the_inbox_and_are_seen_by_the_next_process(tmp_path: Path) -> None:
    kernel, _ = kernel_of(tmp_path)
    await kernel.create_agent("ana", AgentSettings(window=8192))
    await kernel.post("ana", Event("image", "look", contents=(read_image(GIF, "a.gif"),)))
    (waiting,) = await events(kernel, "ana")
    assert waiting.text == f"look\n[image a.gif, 5 x 4, {len(GIF)} bytes]"
    await kernel.close()
    kernel, model = kernel_of(tmp_path, [say("seen")])
    async with kernel:
        await kernel.recover()
    role, text, images = shown(model.prompts[0])[-1]
    assert text.startswith("[image 20")
    assert text.endswith(f"] look\n[image a.gif, 5 x 4, {len(GIF)} bytes]")
    assert (role, images) == ("user", ("a.gif",))


async def test_forged_events_are_refused(tmp_path: Path) -> None:
    kernel, _ = kernel_of(tmp_path)
    async with kernel:
        await kernel.create_agent("ana", AgentSettings(window=8192))
        with pytest.raises(UsageError, match="comes with one"):
            await kernel.post("ana", Event("image", "look"))
        forged = Event("message", "hi", media=(read_image(PNG).media,))
        assert (await kernel.post("ana", forged)).media == ()


async def test_tools_return_images_and_files_by_name(tmp_path: Path) -> None:
    kernel, model = kernel_of(
        tmp_path, [call("draw", heartbeat=True)], [call("report", heartbeat=True)], [say("done")]
    )
    async with kernel:
        await kernel.create_agent("ana", AgentSettings(window=8192))
        outputs = [output async for output in kernel.send("ana", "draw")]
        drawn, reported = (
            output for output in outputs if output.type == "returned" and output.name != "send_message"
        )
        size = f"64 x 48, {len(CHART)} bytes]"
        assert drawn.text == f"chart) (alert) x.png\n[image chart) (alert) x.png, {size}"
        binary = reported.data["media"][1]
        assert json.loads(reported.text.splitlines()[0]) == {
            "charts": ["a.png", "a.png"], "raw": binary["name"], "log": "done",
            "bad": "(This is no image that models take; give a PNG, JPEG, GIF or WebP image.)",
        }  # fmt: skip
        assert reported.text.splitlines()[1:] == [
            f"[image a.png, {size}",
            f"[file {binary['name']}, 2 bytes]",
        ]
        last = [m for m in model.prompts[-1].messages if m.role == "tool"]
        assert [[i.media.name for i in m.images] for m in last] == [["chart) (alert) x.png"], ["a.png"]]
        record = await kernel.record("ana")
        stored = await kernel.store.read(lambda tx: tx.media(record.id, [binary["hash"]]))
        assert stored[0].data == b"\xff\0"


async def filled(home: Path) -> None:
    kernel, _ = kernel_of(home, [call("draw", heartbeat=True)], [say("a cat")])
    async with kernel:
        await kernel.create_agent("ana", AgentSettings(window=8192))
        async for _ in kernel.send("ana", Event("message", "look", contents=(read_image(PNG, "cat.png"),))):
            pass
    kernel, _ = kernel_of(home)
    await kernel.post("ana", Event("message", "and?", contents=(read_image(GIF, "a.gif"),)))
    await kernel.close()


def exported(place: Path) -> bytes:
    file = io.BytesIO()
    with closing(open_transfer(place)) as database:
        export_agents(database, [], file, "1", Quiet())
    return file.getvalue()


def faults(place: Path) -> list[str]:
    with closing(open_transfer(place)) as database:
        return [found.what for found in check(database, Quiet())]


async def test_media_move_with_their_agent(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    one, two, three = (tmp_path / name / "pagefault.db" for name in ("one", "two", "three"))
    await filled(one.parent)
    file = exported(one)
    assert file.count(b'{"media":') == 3
    with closing(open_transfer(two, make=True)) as database:
        import_agents(database, io.BytesIO(file), "a file", None, Quiet(), trust=True)
    assert exported(two) == file
    with closing(open_transfer(one)) as source, closing(open_transfer(three, make=True)) as target:
        copy_agents(source, target, [], Quiet())
    assert exported(three) == file
    assert faults(two) == faults(three) == []
    kernel, model = kernel_of(two.parent, [say("both")])
    async with kernel:
        await kernel.recover()
    assert [image.data for message in model.prompts[0].messages for image in message.images] == [
        PNG,
        CHART,
        GIF,
    ]


DAMAGES = {
    "UPDATE media SET data = x'00' WHERE media_type = 'image/gif'": "are others than it says",
    "UPDATE media SET media_type = 'text/html' WHERE media_type = 'image/gif'": "are others than it says",
    "UPDATE media SET width = 9 WHERE media_type = 'image/gif'": "are others than it says",
    "DELETE FROM media WHERE media_type = 'image/gif'": "'a.gif', which event 2 has, are missing.",
    "DELETE FROM media WHERE media_type = 'image/png'": "'cat.png', which m1 has, are missing.",
    "UPDATE inbox SET media = '[{\"hash\": 3}]' WHERE number = 2": "In inbox 2, media is",
    "UPDATE inbox SET media = 'x' WHERE number = 2": "In inbox 2, media is",
    "UPDATE messages SET meta = '{\"media\": 7}' WHERE seq = 1": "In messages 1, meta is",
    "UPDATE messages SET meta = '{\"media\": [[]]}' WHERE seq = 1": "In messages 1, meta is",
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_to_media_is_found_and_not_imported(damage: str, tmp_path: Path) -> None:
    await filled(tmp_path)
    place = tmp_path / "pagefault.db"
    with closing(sqlite3.connect(place)) as db, db:
        db.execute(damage)
    assert DAMAGES[damage] in "\n".join(faults(place))
    (tmp_path / "two").mkdir()
    if "missing" not in DAMAGES[damage]:
        file, place = io.BytesIO(exported(place)), tmp_path / "two" / "pagefault.db"
        refused = pytest.raises(UsageError, match="nothing is imported")
        with closing(open_transfer(place, make=True)) as database, refused:
            import_agents(database, file, "a file", None, Quiet(), trust=True)
    kernel, model = kernel_of(tmp_path, [say("ok")], [say("ok")])
    async with kernel:
        await kernel.recover()
        if "messages" in damage:
            assert (await kernel.record("ana")).parked
            return
        outputs = [output async for output in kernel.send("ana", "still there?")]
    assert outputs[-1].type == "done"
    assert model.prompts


def images_in(prompt: Prompt) -> list[bytes]:
    return [image.data for message in prompt.messages for image in message.images]


async def test_of_more_images_than_a_request_takes_the_older_half_goes(tmp_path: Path) -> None:
    """The same image counts each time that it is sent; and the prompt begins anew every tenth time only."""
    prompts = list[Prompt]()
    for events_of_a_process in ([PNG] * 15, [PNG] * 5 + [png(number) for number in range(1, 26)]):
        kernel, model = kernel_of(tmp_path, *[[say("ok")]] * len(events_of_a_process))
        async with kernel:
            if not prompts:
                await kernel.create_agent("ana", AgentSettings(window=8192))
            for data in events_of_a_process:
                async for _ in kernel.send("ana", Event("image", contents=(read_image(data),))):
                    pass
        prompts += model.prompts
    counts = [len(images_in(prompt)) for prompt in prompts]
    assert counts == [*range(1, 21), 10, *range(11, 21), 10, *range(11, 21), 10, 11, 12]
    begun_anew = [
        number
        for number, (before, after) in enumerate(pairwise(prompts), 2)
        if after.messages[: len(before.messages)] != before.messages
    ]
    assert begun_anew == [21, 32, 43]
    assert images_in(prompts[-1])[-1] == png(25)


async def test_a_request_has_no_more_bytes_of_images_than_providers_take(tmp_path: Path) -> None:
    large = PNG[:-12] + chunk(b"teXt", bytes(3_400_000)) + PNG[-12:]
    kernel, model = kernel_of(tmp_path, *[[say("ok")]] * 6)
    async with kernel:
        await kernel.create_agent("ana", AgentSettings(window=8192))
        for contents in [(read_image(large),)] * 5 + [(read_image(large, "a.png"),) * 6]:
            async for _ in kernel.send("ana", Event("image", contents=contents)):
                pass
    assert [len(images_in(prompt)) for prompt in model.prompts] == [1, 2, 3, 4, 2, 4]
    assert model.prompts[-1].messages[-1].text.endswith("[only the first 4 are shown to you]")


async def test_rows_that_say_another_type_or_size_of_an_image_are_found_and_have_no_effect(
    tmp_path: Path,
) -> None:
    await filled(tmp_path)
    place = tmp_path / "pagefault.db"
    with closing(sqlite3.connect(place)) as db, db:
        db.execute("UPDATE inbox SET media = replace(media, 'image/gif', 'image/svg+xml')")
        db.execute("UPDATE messages SET meta = replace(meta, '\"size\": 68', '\"size\": -68')")
    assert faults(place) == [
        "The bytes of 'cat.png', which m1 has, are of another type or size.",
        "The bytes of 'a.gif', which event 2 has, are of another type or size.",
    ]
    kernel, model = kernel_of(tmp_path, [say("ok")])
    async with kernel:
        await kernel.recover()
    (sent,) = (message.images for message in model.prompts[0].messages if "[image a.gif" in message.text)
    assert sent == (read_image(GIF, "a.gif"),)
