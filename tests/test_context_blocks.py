"""The main context of each past step, from the log: byte for byte the prompt that the model was given then.

Also what is said where that cannot be known, and that the cost does not grow with the log.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import Machine, Rig
from image_files import PNG
from pagefault import Event
from pagefault.config import parse_settings
from pagefault.context import Compiler, MainContext, Queue
from pagefault.context.images_in_view import ImagesInView
from pagefault.errors import ContextLengthExceeded, NotFoundError
from pagefault.images import read_image
from pagefault.kernel.facts import remember
from pagefault.kernel.sections import add_section, edit_section, remove_section
from pagefault.models import Completion, Prompt, PromptMessage
from pagefault.storage import Store
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Message, QueueState, Role
from pagefault.views.context import ContextBlocks, context_blocks

pytestmark = pytest.mark.anyio

LONG = "The harbour at low tide smells of tar, 海港退潮时有焦油味. " * 12


async def recompiled(rig: Rig, seen: ContextBlocks) -> Sequence[PromptMessage]:
    """The prompt that the blocks of a step make, compiled as a turn compiles it."""
    record = await rig.kernel.record("ana")
    by_id = {row.id: row for row in await rig.log()}
    instructions = "".join(block.text for block in seen.blocks if block.kind == "instructions")
    sections = [block.text for block in seen.blocks if block.kind == "section"]
    head = "\n".join(["<working_context>", *sections, "</working_context>"])
    rows = [by_id[block.id] for block in seen.blocks if block.id]
    for row, block in zip(rows, [block for block in seen.blocks if block.id], strict=True):
        assert block.text in (row.shown, row.text)
        assert (block.kind, block.images) == (row.role.value, len(row.meta.shown_images))
    front = [row for row in rows if row.role is Role.SUMMARY or by_block(seen, row).pinned]
    queue = Queue(QueueState(head=head), *both(front), tuple(row for row in rows if row not in front))
    images = ImagesInView(record.id, rig.kernel.store)
    await images.load(queue)
    return Compiler().prompt(MainContext(instructions, (), queue), 1, images.held).messages


def by_block(seen: ContextBlocks, row: Message) -> Any:
    return next(block for block in seen.blocks if block.id == row.id)


def both(front: Sequence[Message]) -> tuple[Message | None, Message | None]:
    summary = next((row for row in front if row.role is Role.SUMMARY), None)
    return summary, next((row for row in front if row.role is not Role.SUMMARY), None)


async def steps(rig: Rig) -> list[ContextBlocks]:
    """All steps of the log, oldest first, found by going back from the newest."""
    found = list[ContextBlocks]()
    at = (await context_blocks(rig.kernel, "ana")).newest
    while at:
        seen = await context_blocks(rig.kernel, "ana", int(at[1:]))
        assert seen.step
        assert seen.step.id == at
        found.insert(0, seen)
        at = seen.step.before
    for seen, later in itertools.pairwise(found):
        assert seen.step
        assert later.step
        assert seen.step.after == later.step.id
    return found


def asked(model: ScriptedModel) -> list[Prompt]:
    """The requests of steps: not those for a summary."""
    return [prompt for prompt in model.prompts if prompt.functions and not prompt.plain]


async def check_all_steps(rig: Rig, prompts: Sequence[Prompt]) -> list[ContextBlocks]:
    found = await steps(rig)
    assert len(found) == len(prompts)
    for seen, prompt in zip(found, prompts, strict=True):
        assert await recompiled(rig, seen) == prompt.messages
        functions = [(block.name, block.text) for block in seen.blocks if block.kind == "function"]
        assert functions == [(each.name, each.description) for each in prompt.functions]
        assert sum(block.tokens for block in seen.blocks) == seen.prompt
        assert seen.prompt <= seen.usable <= seen.window
        assert 0 < seen.warn <= seen.flush <= seen.window
        assert not [why for why in seen.unknown if "settings" not in why]
    return found


def life(prompt: Prompt) -> Any:
    """A model that edits its memory, calls functions, and speaks."""
    if prompt.plain or not prompt.functions:
        return "They spoke of the harbour."
    last = prompt.messages[-1].text
    if "result" in last or prompt.messages[-1].role == "tool":
        return [say("Done. " + LONG[:200])]
    if "note" in last:
        edit = call("working_context_append", section="human", text=f"- {last[-30:]}")
        return Completion("I should keep this.", (edit, say("kept")), thinking="Let me think.")
    if "take m" in last:
        return [call("page_in", id="m1"), say("It is in view.")]
    if "look" in last:
        return [call("recall_search", query="harbour", heartbeat=True)]
    return [say("Yes. " + LONG[:300])]


async def live(rig: Rig) -> None:
    """Turns with flushes, edits from inside and outside, prefetched rows, failures and images."""
    await remember(rig.kernel, "ana", "The harbour master is called Oda.")
    for number in range(14):
        rig.clock.advance(60)
        await rig.send(f"note {number}: {LONG}")
        rig.clock.advance(60)
        await rig.send("look: what is the name of the harbour master?")
        if number == 4:
            rig.clock.advance(1)
            await edit_section(rig.kernel, "ana", "persona", "I am Ana of the harbour.")
            await rig.kernel.idle()
        if number in (3, 9):
            rig.clock.advance(1)
            await rig.send("take m1")
        if number == 6:
            rig.clock.advance(1)
            await rig.send(Event("message", "see this", contents=(read_image(PNG, "cat.png"),)))


async def test_every_past_step_is_shown_byte_for_byte(machine: Machine) -> None:
    model = ScriptedModel(life)
    async with machine.open(model, window=8192, prefetch=0.10, prefetch_tokens=200) as rig:
        await live(rig)
        log = await rig.log()
        assert sum(row.role is Role.SUMMARY for row in log) >= 2
        assert any(row.role is Role.PREFETCH for row in log)
        found = await check_all_steps(rig, asked(model))
        assert any(block.kind == "prefetch" for seen in found for block in seen.blocks)
        assert len({block.text for seen in found for block in seen.blocks if block.name == "human"}) >= 3
        assert len({block.text for seen in found for block in seen.blocks if block.name == "persona"}) == 2


async def test_images_that_were_seen_are_seen_again(machine: Machine) -> None:
    model = ScriptedModel([[say("a cat")], [say("yes")]])
    async with machine.open(model, window=8192, images=True) as rig:
        await rig.send(Event("message", "what is this?", contents=(read_image(PNG, "cat.png"),)))
        await rig.send("and now?")
        found = await check_all_steps(rig, asked(model))
        assert [max(block.images for block in seen.blocks) for seen in found] == [1, 1]
        assert model.prompts[0].messages[1].images


async def test_steps_with_edits_that_fold_at_once_are_exact(machine: Machine) -> None:
    model = ScriptedModel(life)
    async with machine.open(model, window=8192, fold_at_once=True) as rig:
        for number in range(5):
            rig.clock.advance(60)
            await rig.send(f"note {number}")
        found = await check_all_steps(rig, asked(model))
        assert len({block.text for seen in found for block in seen.blocks if block.name == "human"}) == 5


async def test_a_pinned_event_and_a_flush_within_a_turn_are_exact(machine: Machine) -> None:
    many = [[call("recall_search", query=f"harbour {n}", heartbeat=True)] for n in range(3)]
    model = ScriptedModel([*many, ContextLengthExceeded("too long"), "They met.", [say("done")]])
    async with machine.open(model, window=8192) as rig:
        await rig.send("look " + LONG)
        refused = 3  # the request that the provider would not take
        prompts = asked(model)
        found = await check_all_steps(rig, [*prompts[:refused], *prompts[refused + 1 :]])
        assert [seen.step and (seen.step.number, seen.step.of) for seen in found] == [
            (n, 4) for n in range(1, 5)
        ]
        assert [block.pinned for block in found[-1].blocks if block.kind == "user"] == [True]


async def test_sections_that_come_and_go_are_shown_as_they_were(machine: Machine) -> None:
    model = ScriptedModel(life)
    async with machine.open(model, window=8192) as rig:
        await rig.send("one")
        rig.clock.advance(60)
        await add_section(rig.kernel, "ana", "plans", limit=100, text="Sail <east>.")
        await rig.kernel.idle()
        rig.clock.advance(60)
        await rig.kernel.flush("ana", 0)
        await rig.send("two")
        rig.clock.advance(60)
        await remove_section(rig.kernel, "ana", "plans")
        await rig.kernel.idle()
        rig.clock.advance(60)
        await rig.kernel.flush("ana", 0)
        await rig.send("three")
        found = await check_all_steps(rig, asked(model))
        with_plans = ["plans" in [block.name for block in seen.blocks] for seen in found]
        assert with_plans[0] is False
        assert True in with_plans
        assert with_plans[-1] is False


async def test_as_it_stands_is_the_next_prompt_but_for_its_event(machine: Machine) -> None:
    model = ScriptedModel(life)
    async with machine.open(model, window=8192) as rig:
        with pytest.raises(NotFoundError, match="was not asked yet"):
            await context_blocks(rig.kernel, "ana", 5)
        empty = await context_blocks(rig.kernel, "ana")
        assert (empty.step, empty.newest, empty.queue) == (None, None, 0)
        await rig.send("one")
        now = await context_blocks(rig.kernel, "ana")
        assert (now.step, now.unknown) == (None, ())
        assert sum(block.tokens for block in now.blocks) == now.prompt
        shown = await recompiled(rig, now)
        await rig.send("two")
        assert model.prompts[-1].messages[: len(shown)] == tuple(shown)
        policy = (await rig.process()).memory.policy
        sizes = (await rig.process()).memory.sizes()
        head = now.instructions + now.working_context
        for line, says in ((now.warn, policy.warns), (now.flush, policy.flushes)):
            assert not says(replace(sizes, queue=line - head - 1))
            assert says(replace(sizes, queue=line - head))


async def test_a_state_that_cannot_be_known_is_said_to_be_unknown(machine: Machine) -> None:
    model = ScriptedModel(life)
    async with machine.open(model, window=8192) as rig:
        await rig.send("one")
        (first,) = await steps(rig)
        settings = parse_settings({"zone": "UTC", "window": 8192, "instructions": "Be brief. " * 40})
        await rig.kernel.change_settings("ana", settings)
        (seen,) = await steps(rig)
        unknown = [block for block in seen.blocks if block.kind == "unknown"]
        assert [(block.name, block.tokens) for block in unknown] == [
            ("instructions, functions", first.instructions)
        ]
        assert any("Instructions or functions were others then" in why for why in seen.unknown)
        assert [b for b in seen.blocks if b.kind == "section"] == [
            b for b in first.blocks if b.kind == "section"
        ]


async def test_a_step_of_an_earlier_version_is_shown_in_its_sizes(machine: Machine) -> None:
    async with machine.open(ScriptedModel(life), window=8192) as rig:
        await rig.send("one")
        record = await rig.kernel.record("ana")
        (row,) = [row for row in await rig.log() if row.meta.saw]
        assert row.meta.saw
        old = replace(row.meta.saw, usable=0, head="", fixed="")
        again = replace(row, completion=0, seq=0, meta=replace(row.meta, saw=old))
        await rig.kernel.store.write(lambda tx: tx.append(record.id, [again]))
        rig.kernel.forget("ana")
        seen = (await steps(rig))[-1]
        assert [(b.kind, b.tokens) for b in seen.blocks if b.kind == "unknown"] == [
            ("unknown", old.instructions), ("unknown", old.working_context)
        ]  # fmt: skip
        assert seen.unknown[0].startswith("The log does not record")
        assert [b.id for b in seen.blocks if b.kind == "user"] == ["m1"]


class Counted:
    """A store that counts the rows of the log which are read from it."""

    def __init__(self, store: Store) -> None:
        self.store, self.rows = store, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def read(self, work: Any) -> Any:
        def counted(tx: Any) -> Any:
            outer = self

            class Reading:
                def __getattr__(self, name: str) -> Any:
                    return getattr(tx, name)

                def within(self, *of: Any) -> Any:
                    nonlocal tx
                    tx = tx.within(*of)
                    return self

                def messages(self, *of: Any, **chosen: Any) -> Any:
                    found = tx.messages(*of, **chosen)
                    outer.rows += len(found)
                    return found

            return work(Reading())

        return await self.store.read(counted)


async def test_a_step_of_a_long_log_reads_a_window_of_it(machine: Machine) -> None:
    from pagefault.testing.memory import MemoryStore

    store = Counted(MemoryStore(machine.database))
    async with machine.open(ScriptedModel(life), window=8192, store=store) as rig:  # type: ignore[arg-type]
        await rig.send("one")
        record, at = await rig.kernel.record("ana"), rig.clock.now()
        heard = [Message(Role.ASSISTANT, f"heard {n}", at) for n in range(3000)]
        await rig.kernel.store.write(
            lambda tx: tx.append(record.id, heard, replace(record.queue, start=3100))
        )
        rig.kernel.forget("ana")
        await rig.send("two")
        store.rows = 0
        newest = await context_blocks(rig.kernel, "ana", 10**9)
        assert newest.step
        assert newest.step.before == "m2"
        assert (await context_blocks(rig.kernel, "ana", 0)).step == (
            await context_blocks(rig.kernel, "ana", 2)
        ).step
        first = await context_blocks(rig.kernel, "ana", 2999)
        assert first.step
        assert first.step.id == "m2"
        assert first.step.after == newest.step.id
        assert store.rows < 60


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_past_steps_are_exact_in_every_database(
    kind: str, machine: Machine, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model = ScriptedModel(life)
    store: Any = (
        SQLiteStore.open(tmp_path / "a.db")
        if kind == "sqlite"
        else PostgresStore.open(request.getfixturevalue("database"))
    )
    async with machine.open(model, window=8192, store=store, prefetch=0.10) as rig:
        await live(rig)
        await check_all_steps(rig, asked(model))
