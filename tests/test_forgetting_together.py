"""Forgetting beside something else: another forgetting, a fork; and what comes after it, such as undo."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from conftest import Machine, Rig
from pagefault.errors import UsageError
from pagefault.kernel import archives, facts
from pagefault.kernel.drafts import clear_drafts
from pagefault.kernel.forgetting import ForgetReceipt, LiteralQuery, Selection, forget, plan
from pagefault.kernel.forking import fork
from pagefault.kernel.sections import edit_section
from pagefault.kernel.withdrawing import edited, retried, undo
from pagefault.models import Completion
from pagefault.shared import Archive
from pagefault.storage import Store, Transaction, TurnHold
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.storage.within import TenantStore
from pagefault.testing.memory import MemoryStore
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.testing.postgres import Databases
from pagefault.types import AgentId, Message, Role
from test_forgetting import Stopping

pytestmark = pytest.mark.anyio

SECRET = "4711-Aurora"
ABOUT = Selection(query=LiteralQuery(SECRET))


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def stores(request: pytest.FixtureRequest, machine: Machine, tmp_path: Path) -> Sequence[Store]:
    """Two processes' stores of one database."""
    if request.param == "memory":
        return MemoryStore(machine.database), MemoryStore(machine.database)
    if request.param == "sqlite":
        return SQLiteStore.open(tmp_path / "a.db"), SQLiteStore.open(tmp_path / "a.db")
    databases: Databases = request.getfixturevalue("databases")
    url = databases.new()
    return PostgresStore.open(url), PostgresStore.open(url)


def rows_of(tx: Transaction, name: str) -> list[Message]:
    record = tx.agent(name)
    assert record is not None
    return tx.messages(record.id, withdrawn=True)


async def rows(rig: Rig, name: str = "ana") -> list[Message]:
    return await rig.kernel.store.read(lambda tx: rows_of(tx, name))


async def prompt_of(rig: Rig, model: ScriptedModel, text: str = "And now?") -> str:
    """The next prompt, as text."""
    model.prompts.clear()
    await rig.send(text)
    return "\n".join(message.text for message in model.prompts[0].messages)


async def test_two_forgettings_at_once_both_end_and_nothing_is_lost(
    machine: Machine, stores: Sequence[Store]
) -> None:
    model = ScriptedModel(lambda _: [say("ok")])
    async with machine.open(model, store=stores[0]) as one, machine.open(model, store=stores[1]) as two:
        for text in (f"The code is {SECRET}.", "I like tea.", f"Again: {SECRET}!"):
            await one.send(text)
        before, receipts = await rows(one), list[ForgetReceipt]()

        async def ask(rig: Rig) -> None:
            receipts.append(await forget(rig.kernel, "ana", ABOUT))

        async with anyio.create_task_group() as tasks:
            for rig in (one, two, one, two):
                tasks.start_soon(ask, rig)
        assert len(receipts) == 4
        assert sorted(receipt.total > 0 for receipt in receipts) == [False, False, False, True]
        stones = await one.kernel.store.read(lambda tx: tx.tombstones(before_agent(tx)))
        assert [stone.counts for stone in stones] == [r.counts for r in receipts if r.total]
        after = await rows(one)
        assert [row.text for row in after if row.name == "forgotten"] == [after[-1].text]
        for old, new in zip(before, after, strict=False):
            assert new == old if SECRET not in old.text else new.erased
        assert "tea" in await prompt_of(two, model)


def before_agent(tx: Transaction) -> Any:
    record = tx.agent("ana")
    assert record is not None
    return record.id


async def test_two_things_forgotten_at_once_have_a_receipt_each(
    machine: Machine, stores: Sequence[Store]
) -> None:
    model, words = ScriptedModel(lambda _: [say("ok")]), ("red", "green", "blue", "white")
    async with machine.open(model, store=stores[0]) as one, machine.open(model, store=stores[1]) as two:
        for word in (*words, "black"):
            await one.send(f"It is {word}.")
        found = dict[str, ForgetReceipt]()

        async def ask(rig: Rig, word: str) -> None:
            found[word] = await forget(rig.kernel, "ana", Selection(query=LiteralQuery(word)))

        async with anyio.create_task_group() as tasks:
            for rig, word in zip((one, two, one, two), words, strict=True):
                tasks.start_soon(ask, rig, word)
        assert [dict(found[word].counts) for word in words] == [{"message": 1, "event": 1}] * 4
        assert [row.text for row in await rows(one) if "It is" in row.text] == ["It is black."]


@pytest.mark.parametrize("delay", range(6))
async def test_a_fork_made_while_something_is_forgotten_has_nothing_of_it(
    machine: Machine, stores: Sequence[Store], delay: int
) -> None:
    """Whichever of the two is first, and wherever they meet."""
    model = ScriptedModel(lambda _: [say("ok")])
    async with machine.open(model, store=stores[0]) as one, machine.open(model, store=stores[1]) as two:
        for text in (f"The code is {SECRET}.", "I like tea."):
            await one.send(text)
        await facts.remember(one.kernel, "ana", f"fact {SECRET}")

        async def make() -> None:
            for _ in range(delay):
                await one.kernel.store.read(lambda tx: tx.agent("ana"))
            await fork(two.kernel, "ana", "bo")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(make)
            await forget(one.kernel, "ana", ABOUT)
        for name in ("ana", "bo"):
            texts = [row.text for row in await rows(one, name)]
            assert "I like tea." in texts
            assert not [text for text in texts if SECRET in text], name
        assert (await plan(one.kernel, "ana", ABOUT)).is_empty
        assert (await plan(one.kernel, "bo", ABOUT)).is_empty
        assert await one.kernel.store.read(lambda tx: tx.drafts()) == []


async def test_a_draft_that_is_cleared_before_its_fork_holds_it_is_made_anew(
    machine: Machine, stores: Sequence[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ScriptedModel(lambda _: [say("ok")])
    async with machine.open(model, store=stores[0]) as one, machine.open(model, store=stores[1]) as two:
        await one.send("I like tea.")
        await two.kernel.record("ana")
        held, cleared = TenantStore.turn_lock, list[str]()

        @asynccontextmanager
        async def late(store: TenantStore, agent: AgentId) -> AsyncGenerator[TurnHold]:
            if store is two.kernel.store and not cleared:
                cleared.append("once")
                await clear_drafts(one.kernel)
            async with held(store, agent) as hold:
                yield hold

        monkeypatch.setattr(TenantStore, "turn_lock", late)
        await fork(two.kernel, "ana", "bo")
        assert cleared
        assert "I like tea." in [row.text for row in await rows(one, "bo")]
        assert await one.kernel.store.read(lambda tx: tx.drafts()) == []


async def test_a_draft_that_became_an_agent_is_not_cleared(
    machine: Machine, stores: Sequence[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who clears saw the draft, and comes to it when its fork is done."""
    model = ScriptedModel(lambda _: [say("ok")])
    async with machine.open(model, store=stores[0]) as one, machine.open(model, store=stores[1]) as two:
        await one.send("I like tea.")
        held, begun, seen, copied = TenantStore.turn_lock, anyio.Event(), anyio.Event(), anyio.Event()

        @asynccontextmanager
        async def late(store: TenantStore, agent: AgentId) -> AsyncGenerator[TurnHold]:
            if store is one.kernel.store:
                seen.set()
                await copied.wait()
            else:
                begun.set()
                await seen.wait()
            async with held(store, agent) as hold:
                yield hold

        monkeypatch.setattr(TenantStore, "turn_lock", late)

        async def make() -> None:
            await fork(two.kernel, "ana", "bo")
            copied.set()

        async def clear() -> None:
            await begun.wait()
            await clear_drafts(one.kernel)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(make)
            tasks.start_soon(clear)
        assert "I like tea." in [row.text for row in await rows(one, "bo")]


async def test_an_id_names_in_a_fork_what_both_have_and_nothing_else(machine: Machine) -> None:
    model = ScriptedModel(lambda _: [say("ok")])
    async with machine.open(model) as rig:
        await rig.send("one")
        await facts.remember(rig.kernel, "ana", "shared fact")
        rig.clock.advance(1)
        await fork(rig.kernel, "ana", "bo")
        rig.clock.advance(1)
        for name in ("ana", "bo"):
            await facts.remember(rig.kernel, name, f"fact of {name}")
            async for _ in rig.kernel.send(name, f"said to {name}"):
                pass
            await rig.kernel.idle()
        mine = next(row.id for row in await rows(rig) if row.text == "said to ana")
        assert next(row.id for row in await rows(rig, "bo") if row.text == "said to bo") == mine
        await forget(rig.kernel, "ana", Selection(ids=(mine, "p2")))
        assert "said to bo" in [row.text for row in await rows(rig, "bo")]
        assert "said to ana" not in [row.text for row in await rows(rig)]
        receipt = await forget(rig.kernel, "ana", Selection(ids=("m1", "p1")))
        assert receipt.counts["passage"] == 2
        assert "one" not in [row.text for name in ("ana", "bo") for row in await rows(rig, name)]
        bo = await rig.kernel.record("bo")
        passages = await rig.kernel.store.read(lambda tx: tx.stored_passages(bo.id))
        assert [passage.text for passage in passages] == ["fact of bo"]


def reading(prompt: Any) -> Any:
    """A model that reads the second page of a passage when it is asked of the mill."""
    last = prompt.messages[-1]
    if last.role == "user" and "mill" in last.text:
        return [call("archival_read", heartbeat=True, id="manuals/p1", page=2)]
    return [say("ok")]


@pytest.mark.parametrize("at", range(1, 9))
async def test_what_quotes_an_archive_is_found_again_after_a_crash_between_agents(
    machine: Machine, at: int
) -> None:
    """A result that shows a part of a passage has nothing of the query; its passage is there to the last."""
    store, model = Stopping(machine.database), ScriptedModel(reading)
    async with machine.open(model, store=store, window=4096) as rig:
        await archives.create(rig.kernel, "manuals")
        await facts.remember(rig.kernel, Archive("manuals"), f"{SECRET} {'grain ' * 9_000}")
        await archives.attach(rig.kernel, "manuals", "ana")
        await rig.kernel.idle()
        await rig.send("What of the mill?")
        (shown,) = [row.text for row in await rows(rig) if row.role is Role.RESULT and "grain" in row.text]
        assert SECRET not in shown
        rig.clock.advance(1)
        await fork(rig.kernel, "ana", "bo")
        store.at, store.after, store.writes = at, True, 0
        with suppress(SystemError):
            await forget(rig.kernel, "ana", ABOUT)
        store.at = -1
    async with machine.open(ScriptedModel([])) as rig:
        await forget(rig.kernel, "ana", ABOUT)
        for name in ("ana", "bo"):
            assert not [row.text for row in await rows(rig, name) if "grain" in row.text], name


# afterwards


async def flushed(rig: Rig) -> None:
    assert await rig.kernel.flush("ana", keep=0)


def summarising(prompt: Any) -> Any:
    """A model whose summaries have all words of what they are of."""
    if prompt.functions:
        return [say("ok")]
    words = {word for message in prompt.messages for word in message.text.split() if word.startswith("w0")}
    return Completion("Summary of " + " ".join(sorted(words)))


async def test_an_undo_to_a_point_whose_summary_was_forgotten_has_it_written_anew(machine: Machine) -> None:
    model = ScriptedModel(summarising)
    async with machine.open(model) as rig:
        for text in (f"w01 {SECRET}", "w02 tea"):
            await rig.send(text)
        await flushed(rig)
        await rig.send("w03 milk")
        point = (await rig.kernel.record("ana")).last_seq
        await rig.send("w04 juice")
        await forget(rig.kernel, "ana", ABOUT)
        await rig.send("w05 water")
        await undo(rig.kernel, "ana", to=point)
        seen = await prompt_of(rig, model)
        assert "w02" in seen, "the rows under the summary are under one again"
        assert "w03 milk" in seen
        assert "w01" not in seen
        assert "w04" not in seen
        assert "w05" not in seen
        await undo(rig.kernel, "ana", to=point)
        assert "w02" in await prompt_of(rig, model)


async def test_an_undo_behind_two_forgotten_summaries_has_the_rows_back_in_the_queue(
    machine: Machine,
) -> None:
    model = ScriptedModel(summarising)
    async with machine.open(model) as rig:
        for text in (f"w01 {SECRET}", "w02 tea"):
            await rig.send(text)
        await flushed(rig)
        point = (await rig.kernel.record("ana")).last_seq
        await rig.send("w03 milk")
        await flushed(rig)
        await forget(rig.kernel, "ana", ABOUT)
        await undo(rig.kernel, "ana", to=point)
        seen = await prompt_of(rig, model)
        assert "w02 tea" in seen
        assert "w03" not in seen
        assert "w01" not in seen


async def test_an_undo_does_not_empty_a_section_of_which_a_line_was_forgotten(machine: Machine) -> None:
    model = ScriptedModel(lambda _: [say("ok")])
    async with machine.open(model) as rig:
        await edit_section(rig.kernel, "ana", "human", f"Likes tea.\nHas {SECRET}.")
        await rig.send("one")
        await rig.kernel.idle()
        point = (await rig.kernel.record("ana")).last_seq
        await rig.send("two")
        await forget(rig.kernel, "ana", ABOUT)
        await edit_section(rig.kernel, "ana", "human", "Likes coffee.")
        await rig.send("three")
        await undo(rig.kernel, "ana", to=point)
        seen = await prompt_of(rig, model)
        assert "Likes tea." in seen
        assert SECRET not in seen


async def test_what_was_forgotten_is_not_answered_anew(machine: Machine) -> None:
    model = ScriptedModel(lambda _: [say("ok")])
    async with machine.open(model) as rig:
        await rig.send(f"The code is {SECRET}.")
        await forget(rig.kernel, "ana", ABOUT)
        with pytest.raises(UsageError, match="m1, which was answered last, was forgotten; write"):
            async with retried(rig.kernel, "ana"):
                pass
        async with edited(rig.kernel, "ana", None, "The code is gone.") as (_, _, outputs):
            assert [output.text async for output in outputs if output.type == "said"] == ["ok"]
