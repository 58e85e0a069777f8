"""Prefetch: memory that comes before it is asked for. When it comes, and when it does not; that it is exactly
once, in view as it was admitted, the first to go, not indexed, within its bounds, and never in the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest

from conftest import Machine, Rig
from machine import FragileStore, Killed
from pagefault.agent import prefetch
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import AgentSettings, Installation, parse_settings
from pagefault.context.queue_log import read_queue
from pagefault.embedders import Vectors
from pagefault.errors import EmbedderError
from pagefault.kernel.facts import remember
from pagefault.models import Completion, Prompt
from pagefault.models.tokens import HeuristicCounter
from pagefault.storage import Filter, Match, Transaction
from pagefault.storage.terms import terms
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.memory import MemoryDatabase, MemoryStore
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event, Message, Output, Role

pytestmark = pytest.mark.anyio

T = TypeVar("T")

ON: dict[str, Any] = {"window": 16_384, "prefetch": 0.10, "prefetch_tokens": 400}
ASKS = "What is the name of Clara's cat?"
FACT = "Clara has a cat named Biscuit."
WORDS = "the quick brown fox jumps over the lazy dog and runs away " * 3


def obliging(prompt: Prompt) -> Completion:
    return Completion("They talked.") if prompt.plain else Completion(calls=(say("I see."),))


OPENING = (Role.USER, Role.EVENT, Role.ALERT)


async def forget(rig: Rig) -> None:
    """Put what was said out of view."""
    await rig.kernel.flush("ana")


async def prefetched(rig: Rig) -> list[Message]:
    return [row for row in await rig.log() if row.role is Role.PREFETCH and row.text]


async def skipped(rig: Rig) -> str:
    """Why nothing was prefetched for the last message."""
    return [row for row in await rig.log() if row.role in OPENING][-1].meta.skipped


async def test_what_is_out_of_view_comes_with_the_message_that_asks(machine: Machine) -> None:
    model = ScriptedModel(obliging)
    async with machine.open(model, **ON) as rig:
        await rig.send(FACT)
        await forget(rig)
        outputs = await rig.send(ASKS)
        (row,) = await prefetched(rig)
        assert "m1" in row.meta.sources
        shown = [m.text for m in model.prompts[-1].messages]
        at = next(n for n, text in enumerate(shown) if ASKS in text)
        assert shown[at + 1] == row.shown
        assert FACT in row.shown
        assert "[on 2026-03-01]\n[m1 user]" in row.shown
        assert [m.role for m in model.prompts[-1].messages][at : at + 2] == ["user", "user"]
        assert "prefetched" in [o.type for o in outputs]


async def test_what_is_in_view_is_not_repeated(machine: Machine) -> None:
    async with machine.open(ScriptedModel(obliging), **ON) as rig:
        await rig.send(FACT)
        await rig.send(ASKS)
        assert await prefetched(rig) == []
        assert "not in view" in await skipped(rig)
        await forget(rig)
        await rig.send(ASKS)
        await rig.send(f"Please tell me: {ASKS}")
        assert [row.meta.sources.count("m1") for row in await prefetched(rig)] == [1]


async def test_what_was_said_twice_comes_once(machine: Machine) -> None:
    async with machine.open(ScriptedModel(obliging), **ON) as rig:
        await rig.send(FACT)
        await rig.send(f"{FACT} ")
        await forget(rig)
        await rig.send(ASKS)
        (row,) = await prefetched(rig)
        assert row.shown.count(FACT) == 1


async def test_of_a_long_message_what_is_not_on_its_first_page_comes(machine: Machine) -> None:
    async with machine.open(ScriptedModel(obliging), **ON) as rig:
        await rig.send(f"Clara's cat is grey. {WORDS * 150} Robert's parrot is called Ferdinand. {WORDS}")
        await rig.send("Which colour is the cat of Clara?")
        assert [row.meta.pages > 1 for row in await rig.log() if row.seq == 1] == [True]
        assert "not in view" in await skipped(rig)
        await rig.send("How is the parrot of Robert called?")
        assert ["Ferdinand" in row.shown for row in await prefetched(rig)] == [True]


async def test_facts_and_documents_come_too_and_in_the_order_of_their_times(machine: Machine) -> None:
    async with machine.open(ScriptedModel(obliging), **ON) as rig:
        await rig.send(FACT)
        rig.clock.advance(3600)
        await remember(rig.kernel, "ana", "The cat of Clara is three years old.")
        rig.clock.advance(3600)
        await rig.send("Clara said that the cat is ill.")
        await forget(rig)
        await rig.send("How old is the cat of Clara?")
        (row,) = await prefetched(rig)
        assert [source for source in row.meta.sources if source != "m3"][:2] == ["m1", "p1"]
        assert "[p1]" in row.shown


async def test_0_is_the_way_of_the_paper(machine: Machine) -> None:
    async with machine.open(ScriptedModel(obliging), prefetch=0.0, window=16_384) as rig:
        await rig.send(FACT)
        await forget(rig)
        await rig.send(ASKS)
        assert await prefetched(rig) == []
        assert await skipped(rig) == ""


@pytest.mark.parametrize("text", ["I fed the cat of Clara today.", "Thanks, that was all."])
async def test_a_message_that_asks_for_nothing_brings_nothing(machine: Machine, text: str) -> None:
    async with machine.open(ScriptedModel(obliging), **ON) as rig:
        await rig.send(FACT)
        await forget(rig)
        await rig.send(text)
        assert await prefetched(rig) == []
        assert "asks for nothing" in await skipped(rig)


@pytest.mark.parametrize("kind", ["timer", "alert", "login", "upload_finished", "door_opened"])
async def test_an_event_that_says_what_happened_brings_nothing(machine: Machine, kind: str) -> None:
    async with machine.open(ScriptedModel(obliging), **ON) as rig:
        await rig.send(FACT)
        await forget(rig)
        await rig.send(Event(kind, ASKS))
        assert await prefetched(rig) == []
        assert await skipped(rig) == ""


async def test_another_agent_that_asks_gets_what_this_one_knows_and_no_agent_what_another_knows(
    machine: Machine,
) -> None:
    def script(prompt: Prompt) -> Any:
        asked = any("ask Ana" in m.text for m in prompt.messages)
        return [call("send_to_agent", name="ana", text=ASKS)] if asked else obliging(prompt)

    async with machine.open(ScriptedModel(script), **ON) as rig:
        await rig.send(FACT)
        await forget(rig)
        await rig.kernel.create_agent("bob", parse_settings({"zone": "UTC", "agents": True, **ON}))
        async for _ in rig.kernel.send("bob", "ask Ana"):
            pass
        await rig.kernel.idle()
        assert ["m1" in row.meta.sources for row in await prefetched(rig)] == [True]
        async for _ in rig.kernel.send("bob", ASKS):
            pass
        bob = await rig.kernel.record("bob")
        log = await rig.kernel.store.read(lambda tx: tx.messages(bob.id))
        assert not [row for row in log if row.role is Role.PREFETCH]


async def test_it_keeps_to_its_share_and_to_its_cap(machine: Machine) -> None:
    count = HeuristicCounter().count
    async with machine.open(ScriptedModel(obliging), **ON) as rig:
        for number in range(40):
            await remember(rig.kernel, "ana", f"Clara's cat number {number}: {WORDS}")
        await rig.send(ASKS)
        for share, cap in ((0.25, 150), (0.02, 2000)):
            settings = {"zone": "UTC", **ON, "prefetch": share, "prefetch_tokens": cap}
            await rig.kernel.change_settings("ana", parse_settings(settings))
            await rig.send(f"Tell me again: {ASKS}")
            row = (await prefetched(rig))[-1]
            room = (await rig.process()).memory.sizes().room
            assert row.tokens <= min(cap, share * room)
            assert row.tokens == count(row.shown) + 4
            assert row.tokens > 60


async def test_it_is_not_found_and_has_no_vector(machine: Machine) -> None:
    async with machine.open(ScriptedModel(obliging), **ON) as rig:
        await rig.send(FACT)
        await forget(rig)
        await rig.send(ASKS)
        (row,), ana = await prefetched(rig), (await rig.kernel.record("ana")).id

        def look(tx: Transaction) -> tuple[list[int], list[int]]:
            words = Match(tuple(terms("Biscuit")))
            every = Filter(roles=tuple(Role))
            found = tx.search(ana, "recall", words, every, "")
            waiting = [of.number for of in tx.pending_vectors("x", 100) if of.tier == "recall"]
            return found.number[found.matched].tolist(), waiting

        found, waiting = await rig.kernel.store.read(look)
        assert found == [1]
        assert row.seq not in waiting


async def test_it_goes_at_a_flush_at_which_the_summariser_sees_what_the_agent_saw(machine: Machine) -> None:
    model = ScriptedModel(obliging)
    async with machine.open(model, **ON) as rig:
        await rig.send(FACT)
        await forget(rig)
        await rig.send(ASKS)
        await rig.send("And this stays in view.")
        model.prompts.clear()
        await rig.kernel.flush("ana")
        (summarised,) = model.prompts
        assert [m.text for m in summarised.messages if m.text.startswith("[prefetched")]
        assert "leave out greetings, chatter and what was only looked up" in summarised.messages[-1].text
        await rig.send("Go on.")
        assert "prefetched" not in repr(model.prompts[-1])


async def fill(rig: Rig, turns: int) -> list[str]:
    seen: list[str] = []
    for turn in range(turns):
        outputs = await rig.send(f"Do you recall what I told you of {turn}? {WORDS}")
        seen += [o.type for o in outputs if o.type in ("warned", "flushed", "alerted")]
    return seen


async def asked_again_and_again(
    machine: Machine, share: float, model: ScriptedModel, turns: int
) -> list[Message]:
    """The log of an agent that is asked, again and again, for what its memory holds."""
    machine.database = MemoryDatabase()
    async with machine.open(model, window=8192, prefetch=share, prefetch_tokens=2000) as rig:
        for number in range(200):
            await remember(rig.kernel, "ana", f"You told me of {number}: {WORDS}")
        await fill(rig, turns)
        return await rig.log()


@pytest.mark.parametrize("share", [0.05, 0.25])
async def test_it_brings_no_warning_and_no_eviction_sooner(machine: Machine, share: float) -> None:
    """What a flush evicts, and when, is as it would be without."""
    logs = [await asked_again_and_again(machine, each, ScriptedModel(obliging), 110) for each in (0.0, share)]
    paper, ours = [[row for row in log if row.role is not Role.PREFETCH] for log in logs]
    assert [row.text for row in ours] == [row.text for row in paper]
    assert [row.role for row in ours].count(Role.SUMMARY) == 2
    assert len(logs[1]) > len(ours)


async def test_the_prompt_changes_at_its_end_alone_until_what_was_prefetched_goes(machine: Machine) -> None:
    model = ScriptedModel(obliging)
    log = await asked_again_and_again(machine, 0.25, model, 30)
    ends = [row.seq for row in log if row.role is Role.PREFETCH and not row.shown]
    assert ends, "it went, and nothing else did"
    assert not [row for row in log if row.role is Role.SUMMARY]
    changes = [
        after.messages[: len(before.messages)] != before.messages for before, after in pairwise(model.prompts)
    ]
    assert sum(changes) == len(ends)


async def test_a_restarted_process_sees_the_same_queue(machine: Machine) -> None:
    model = ScriptedModel(obliging)
    async with machine.open(model, window=8192, prefetch=0.25, prefetch_tokens=2000) as rig:
        for number in range(200):
            await remember(rig.kernel, "ana", f"You told me of {number}: {WORDS}")
        for _ in range(40):
            await fill(rig, 1)
            record = await rig.kernel.record("ana")
            queue, _ = await rig.kernel.store.read(lambda tx, r=record: read_queue(tx, r))
            held = (await rig.process()).memory.queue
            assert queue == held
            assert (queue.tokens, queue.prefetched) == (held.tokens, held.prefetched)


class Troubled(HashEmbedder):
    """An embedder that does as it is told once it is in trouble."""

    trouble: Callable[[], Any] | None = None

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if self.trouble:
            await self.trouble()
        return await super().embed(texts)


async def hang() -> None:
    await asyncio.sleep(1000)


async def hang_on() -> None:
    """Take no notice of being cancelled, for a while."""
    for _ in range(3):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(1)


async def fail() -> None:
    raise EmbedderError("no vectors today")


class TroubledStore(MemoryStore):
    """A store whose reads do as they are told once it is in trouble."""

    trouble: Callable[[], Any] | None = None

    async def read(self, work: Callable[[Any], T]) -> T:
        if self.trouble:
            await self.trouble()
        return await super().read(work)


@pytest.mark.parametrize("trouble", [hang, hang_on, fail])
async def test_an_embedder_in_trouble_costs_the_row_and_not_the_turn(
    tmp_path: Path, trouble: Callable[[], Any]
) -> None:
    embedder = Troubled()
    parts = Parts(model=ScriptedModel(obliging), embedder=embedder, store=MemoryStore(MemoryDatabase()))
    async with open_kernel(tmp_path, parts, Installation()) as kernel:
        for name in ("ana", "bob"):
            await kernel.create_agent(name, parse_settings({"zone": "UTC", **ON}))
        ana = (await kernel.record("ana")).id
        assert await said(kernel, "ana", FACT) == ["I see."]
        await kernel.flush("ana")
        await kernel.settled()
        embedder.trouble = trouble
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(said, kernel, "ana", ASKS)
            assert await said(kernel, "bob", "hello") == ["I see."]
        log = await kernel.store.read(lambda tx: tx.messages(ana))
        opening = next(row for row in log if row.text == ASKS)
        came = [row.meta.sources for row in log if row.role is Role.PREFETCH]
        by_words = ["m1" in sources for sources in came] == [True]
        assert by_words or "0.25 s" in opening.meta.skipped
        assert by_words or trouble is not fail


async def test_both_storages_are_searched_with_one_vector(tmp_path: Path) -> None:
    embedded = list[str]()

    class Counted(HashEmbedder):
        async def embed(self, texts: Sequence[str]) -> Vectors:
            embedded.extend(texts)
            return await super().embed(texts)

    parts = Parts(model=ScriptedModel(obliging), embedder=Counted(), store=MemoryStore(MemoryDatabase()))
    async with open_kernel(tmp_path, parts, Installation()) as kernel:
        await kernel.create_agent("ana", parse_settings({"zone": "UTC", **ON}))
        await said(kernel, "ana", FACT)
        await remember(kernel, "ana", "The cat of Clara is three years old.")
        await kernel.flush("ana")
        await kernel.settled()
        embedded.clear()
        process = await kernel.process("ana")
        opening = Message(Role.USER, ASKS, process.program.prefetcher.clock.now())
        _, row = await process.program.prefetcher.rows(Event("message", ASKS), opening, process.memory)
        assert {"m1", "p1"} <= set(row.meta.sources)
        assert len(embedded) == 1


@pytest.mark.parametrize("trouble", [hang, fail])
async def test_a_store_in_trouble_costs_the_row_and_not_the_turn(
    machine: Machine, trouble: Callable[[], Any]
) -> None:
    store = TroubledStore(machine.database)
    async with machine.open(ScriptedModel(obliging), store=store, **ON) as rig:
        await rig.send(FACT)
        await forget(rig)
        process = await rig.process()
        store.trouble = trouble
        opening = Message(Role.USER, ASKS, rig.clock.now())
        (row,) = await process.program.prefetcher.rows(Event("message", ASKS), opening, process.memory)
        store.trouble = None
        assert (
            row.meta.skipped
            == {
                hang: f"it took more than {prefetch.SECONDS:g} s",
                fail: "it failed: no vectors today",
            }[trouble]
        )


async def said(kernel: Any, name: str, text: str) -> list[str]:
    with anyio.fail_after(60):
        return [o.text async for o in kernel.send(name, text) if o.type == "said"]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("dies_at", range(1, 6))
async def test_it_is_there_once_whenever_the_process_dies(
    machine: Machine, dies_at: int, before: bool
) -> None:
    async with machine.open(ScriptedModel(obliging), **ON) as rig:
        await rig.send(FACT)
        await forget(rig)
    asks = Event("message", ASKS, key="once")
    for dying in (dies_at, None):
        store = FragileStore(MemoryStore(machine.database), dying, before)
        with suppress(BaseExceptionGroup, Killed):
            async with machine.open(ScriptedModel(obliging), store=store, **ON) as rig:
                await rig.kernel.post("ana", asks)
                await rig.kernel.idle()
        if store.dead:
            store.inner.crash()  # type: ignore[union-attr]
    async with machine.open(ScriptedModel(obliging), **ON) as rig:
        log = await rig.log()
        asked = [row.seq for row in log if row.text == ASKS]
        came = [row.seq for row in log if row.role is Role.PREFETCH]
        answers = [row for row in log if row.role is Role.ASSISTANT and row.event == log[asked[0] - 1].event]
    assert len(asked) == 1
    assert came == [asked[0] + 1]
    assert len(answers) == 1


async def test_a_turn_stays_at_two_writes(machine: Machine) -> None:
    store = Counting(machine.database)
    async with machine.open(ScriptedModel(obliging), store=store, **ON) as rig:
        await rig.send(FACT)
        await forget(rig)
        store.writes = 0
        outputs: list[Output] = await rig.send(ASKS)
        assert "prefetched" in [o.type for o in outputs]
        assert store.writes == 2


class Counting(MemoryStore):
    writes = 0

    async def write(self, work: Callable[[Any], T], hold: Any = None) -> T:
        self.writes += 1
        return await super().write(work, hold)


def test_what_is_on_by_default_goes_by_the_window() -> None:
    settings = AgentSettings()
    assert settings.prefetch_share(4096) == 0.0
    assert settings.prefetch_share(128_000) == 0.10
    assert AgentSettings(prefetch=0.2).prefetch_share(4096) == 0.2
    assert AgentSettings(prefetch=0.0).prefetch_share(128_000) == 0.0
