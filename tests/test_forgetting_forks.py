"""Forgetting reaches each fork, whatever was forgotten, deleted or broken off before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from conftest import Machine, Rig
from pagefault.config import parse_settings
from pagefault.kernel.facts import remember
from pagefault.kernel.forgetting import LiteralQuery, Selection, forget
from pagefault.kernel.forking import fork
from pagefault.kernel.origins import forks_of
from pagefault.names import system_key
from pagefault.storage import Transaction
from pagefault.storage.forking import ForkPlace
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.models import ScriptedModel, say
from pagefault.types import AgentId, Event, EventKind

pytestmark = pytest.mark.anyio

SECRET = "4711-Aurora"
ABOUT = Selection(query=LiteralQuery(SECRET))


def model() -> ScriptedModel:
    return ScriptedModel(lambda _: [say("It was created.")])


async def tell(rig: Rig, *names: str) -> None:
    for name in names:
        async for _ in rig.kernel.send(name, f"The code is {SECRET}."):
            pass
        await rig.kernel.idle()


async def who_has_it(rig: Rig) -> list[str]:
    """The agents, and drafts of agents, that have the secret in a message, a passage or an event."""

    def having(tx: Transaction) -> list[str]:
        return [each.name for each in (*tx.agents(), *tx.drafts()) if SECRET in "".join(texts(tx, each.id))]

    return await rig.kernel.store.read(having)


def texts(tx: Transaction, id: AgentId) -> Iterator[str]:
    yield from (row.text for row in tx.messages(id, withdrawn=True))
    yield from (passage.text for passage in tx.stored_passages(id))
    yield from (event.text for event in tx.events(id))


def everything(rig: Rig) -> Selection:
    return Selection(since=rig.clock.now() - timedelta(days=1))


def of_text(text: str) -> Callable[[Rig], Selection]:
    return lambda _: Selection(query=LiteralQuery(text))


@pytest.mark.parametrize("before", [everything, of_text("created"), of_text("2026"), of_text("ana")])
async def test_a_fork_is_found_whatever_was_forgotten_before(
    machine: Machine, before: Callable[[Rig], Selection]
) -> None:
    async with machine.open(model()) as rig:
        await tell(rig, "ana")
        rig.clock.advance(1)
        await fork(rig.kernel, "ana", "bo")
        await forget(rig.kernel, "ana", before(rig))
        await tell(rig, "bo")
        await forget(rig.kernel, "ana", ABOUT)
        assert await who_has_it(rig) == []


async def test_a_fork_of_a_fork_that_is_deleted_is_found(machine: Machine) -> None:
    async with machine.open(model()) as rig:
        await tell(rig, "ana")
        for name, new in (("ana", "bo"), ("bo", "cy"), ("cy", "di")):
            rig.clock.advance(1)
            await fork(rig.kernel, name, new)
        for name in ("cy", "bo"):
            await rig.kernel.delete(name)
        await tell(rig, "di")
        await forget(rig.kernel, "ana", Selection(ids=("m1",)))  # a row of all that were forked
        assert SECRET not in (await rig.kernel.store.read(lambda tx: first_text(tx, "di")))
        assert await who_has_it(rig) == ["di"]
        await forget(rig.kernel, "ana", ABOUT)
        assert await who_has_it(rig) == []


def first_text(tx: Transaction, name: str) -> str:
    record = tx.agent(name)
    assert record is not None
    return tx.messages(record.id)[0].text


async def test_nothing_is_left_in_a_fork_that_was_broken_off(machine: Machine, tmp_path: Path) -> None:
    async with machine.open(model(), store=SQLiteStore.open(tmp_path / "a.db")) as rig:
        await tell(rig, "ana")
        await remember(rig.kernel, "ana", f"a note of {SECRET}")
        ana, write = await rig.kernel.record("ana"), rig.kernel.store.write
        draft = await write(lambda tx: tx.begin_fork(ana.id, "bo", rig.clock.now()))
        place: ForkPlace | None = ForkPlace()
        while place is not None:
            place = await write(lambda tx, place=place: tx.copy_next(ana.id, draft.id, place))
        assert await who_has_it(rig) == ["ana", draft.name]
        await forget(rig.kernel, "ana", ABOUT)
        assert await who_has_it(rig) == []


@pytest.mark.parametrize("words", [{"name": SECRET}, {"name": "ana", "more": SECRET}])
async def test_a_note_with_words_of_its_own_loses_these_and_the_fork_is_found_still(
    machine: Machine, words: dict[str, str]
) -> None:
    """As an earlier version wrote it, or a file brings it."""
    async with machine.open(model()) as rig:
        ana = await rig.kernel.record("ana")
        rig.clock.advance(1)
        bo = await rig.kernel.create_agent("bo", parse_settings({"zone": "UTC"}))
        note = json.dumps({**words, "created": ana.created.isoformat(), "at": 0})
        posted = Event(EventKind.EDITED, note, system_key("forked"), at=rig.clock.now())
        event = await rig.kernel.store.write(lambda tx: tx.post(bo.id, posted))
        await rig.kernel.store.write(lambda tx: tx.set_event(bo.id, event.id, "done"))
        for _ in range(2):
            await forget(rig.kernel, "ana", ABOUT)
            assert await who_has_it(rig) == []
            found = await rig.kernel.store.read(lambda tx: forks_of(tx, ana))
            assert [each.name for each in found] == ["bo"]
            await tell(rig, "bo")


@pytest.mark.parametrize("text", [SECRET, json.dumps([[SECRET, 1]]), json.dumps({"created": SECRET}), "[]"])
async def test_what_only_has_the_key_of_a_note_goes_as_all_else(machine: Machine, text: str) -> None:
    async with machine.open(model()) as rig:
        ana = await rig.kernel.record("ana")
        posted = Event(EventKind.EDITED, f"{text} ", system_key("forked"), at=rig.clock.now())
        event = await rig.kernel.store.write(lambda tx: tx.post(ana.id, posted))
        await rig.kernel.store.write(lambda tx: tx.set_event(ana.id, event.id, "done"))
        await forget(rig.kernel, "ana", ABOUT)
        assert await who_has_it(rig) == []
        assert await rig.kernel.store.read(lambda tx: forks_of(tx, ana)) == []
