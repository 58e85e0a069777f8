"""The outbox as a state machine: agents edit what they share and insert into an archive, processes die at any
write, several deliver at once; each insert is in the archive once, each edit in every copy in the order of
versions, and each agent gets one event an edit of another.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from machine import FragileStore
from pagefault.errors import FunctionError, StorageError
from pagefault.functions.section_edits import SectionEdit
from pagefault.functions.sharing import send, text_of, write_shared
from pagefault.functions.working_context import WorkingContext
from pagefault.kernel.outbox import Deliverer
from pagefault.models.tokens import HeuristicCounter
from pagefault.shared import Attachment, Outgoing, SharedRecord
from pagefault.storage import Transaction, TurnHold
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.clock import FixedClock
from pagefault.testing.memory import MemoryDatabase, MemoryStore
from pagefault.testing.memory_transaction import MemoryTransaction
from pagefault.testing.postgres import Databases
from pagefault.testing.store_opening import NOW
from pagefault.types import AgentId, AgentRecord, Event, Section

T = TypeVar("T")

NAMES = ("ana", "bo", "cy")
NIGHTLY = settings.get_current_profile_name() == "nightly"
COUNTER = HeuristicCounter()

Inner = MemoryStore | SQLiteStore | PostgresStore


class World:
    """Three agents that share the section ``plan`` and the archive ``manuals``; what was sent and written."""

    def __init__(self, opened: Callable[[], Inner], database: MemoryDatabase | None = None) -> None:
        self.opened = opened
        self.database = database
        self.clock = FixedClock(step=1.0)
        self.store: Inner = opened()
        self.sent: list[str] = []  # texts of passages
        self.serial = 0

    async def make(self) -> None:
        def work(tx: Transaction) -> tuple[SharedRecord, list[AgentId], SharedRecord]:
            plan = tx.create_shared(SharedRecord("section", "plan", NOW))  # its id is less than theirs
            agents = [tx.create_agent(AgentRecord(name, {}, NOW)).id for name in NAMES]
            manuals = tx.create_shared(SharedRecord("archive", "manuals", NOW))
            section = tx.put_section(plan.id, Section("plan", "what we do", 100_000), NOW)
            for agent in agents:
                tx.attach(agent, Attachment("section", "plan", NOW))
                tx.attach(agent, Attachment("archive", "manuals", NOW))
                tx.put_section(agent, section, NOW)
                tx.set_delivered(agent, plan.id, 1)
            return plan, agents, manuals

        self.plan, self.agents, self.manuals = await self.store.write(work)

    def deliverer(self, store: FragileStore | Inner) -> Deliverer:
        return Deliverer(store, self.clock, COUNTER, lambda: None)

    def context(self, agent: AgentId) -> WorkingContext:
        return WorkingContext(agent, self.clock, COUNTER, COUNTER, 8, lambda: 0, lambda: None)

    def word(self) -> str:
        self.serial += 1
        return f"w{self.serial}"

    async def edit(self, agent: AgentId, edit: SectionEdit) -> None:
        await self.store.write(lambda tx: self.context(agent).edit(tx, "plan", edit))

    async def insert(self, agent: AgentId) -> None:
        self.sent.append(self.word())
        await self.store.write(
            lambda tx: send(tx, agent, "archive:manuals", "insert", NOW, text=self.sent[-1], tags=["t"])
        )

    async def delivered(self) -> None:
        """All that can be delivered is, after what failed has rested."""
        for _ in range(6):
            self.clock.advance(3600)
            if await self.deliverer(self.store).deliver():
                return
        raise AssertionError("something is never delivered")

    async def check(self) -> None:
        """Everything was applied once, and in order."""
        assert await self.store.read(lambda tx: tx.outboxes()) == []
        passages = await self.store.read(lambda tx: tx.passages(self.manuals.id, range(1, 999)))
        assert sorted(p.text for p in passages) == sorted(self.sent)
        history = await self.versions(self.plan.id)
        for agent, name in zip(self.agents, NAMES, strict=True):
            assert await self.versions(agent) == history, name
            events = await self.events(agent)
            edits = [text for text in history[1:] if text.rsplit("\n", 1)[-1].split(" ")[-1] != name]
            assert [e.text.rpartition("reads: ")[2] for e in events if "reads: " in e.text] == edits, name

    async def versions(self, owner: AgentId) -> list[str]:
        found = await self.store.read(lambda tx: tx.section_history(owner, "plan"))
        return [section.text for _, section in found]

    async def events(self, agent: AgentId) -> list[Event]:
        return await self.store.read(lambda tx: tx.events(agent))


class OutboxMachine(RuleBasedStateMachine):
    """Edit, insert, deliver, die; at the end all is delivered and checked."""

    is_distributed = False

    def opened(self) -> Callable[[], Inner]:
        database = MemoryDatabase(is_distributed=self.is_distributed)
        return lambda: MemoryStore(database)

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="pagefault-outbox-"))
        self.runner = asyncio.Runner()
        self.world: World | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @property
    def there(self) -> World:
        assert self.world
        return self.world

    @initialize()
    def make(self) -> None:
        self.world = World(self.opened())
        self.run(self.there.make())

    @rule(who=st.integers(0, 2))
    def append(self, who: int) -> None:
        world = self.there
        self.run(world.edit(world.agents[who], SectionEdit("append", f"{world.word()} {NAMES[who]}")))

    @rule()
    def edit_from_outside(self) -> None:
        world = self.there

        def work(tx: Transaction) -> None:
            tx.delivered(world.plan.id, world.plan.id)
            section = text_of(tx, world.plan)
            text = f"{section.text}\n{world.word()} person".strip()
            write_shared(tx, world.plan, Section("plan", "what we do", 100_000, text), NOW)

        self.run(world.store.write(work))

    @rule(who=st.integers(0, 2))
    def insert(self, who: int) -> None:
        self.run(self.there.insert(self.there.agents[who]))

    @rule(dies_at=st.integers(1, 12), before=st.booleans())
    def deliver_and_die(self, dies_at: int, before: bool) -> None:
        store = FragileStore(self.there.opened(), dies_at, before)

        async def life() -> None:
            with suppress(BaseException):
                await self.there.deliverer(store).deliver()
            if not isinstance(store.inner, MemoryStore):
                await store.inner.close()

        self.run(life())

    @rule()
    def deliver_twice_at_once(self) -> None:
        async def both() -> None:
            other = self.there.opened()
            stores = (self.there.store, other)
            await asyncio.gather(*(self.there.deliverer(store).deliver() for store in stores))
            await other.close()

        self.run(both())

    @rule()
    def settle(self) -> None:
        async def settle() -> None:
            await self.there.delivered()
            await self.there.check()

        self.run(settle())

    def teardown(self) -> None:
        if self.world:
            self.settle()
            self.run(self.there.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)


class DistributedMachine(OutboxMachine):
    is_distributed = True


class MachineOnDisk(OutboxMachine):
    def opened(self) -> Callable[[], Inner]:
        return lambda: SQLiteStore.open(self.folder / "db")


class MachineOnServer(OutboxMachine):
    databases: Databases

    def opened(self) -> Callable[[], Inner]:
        self.url = self.databases.new()
        return lambda: PostgresStore.open(self.url, connections=2)

    def teardown(self) -> None:
        super().teardown()
        self.databases.drop(self.url)


usual = settings(
    max_examples=200 if NIGHTLY else 20,
    stateful_step_count=30 if NIGHTLY else 20,
    deadline=timedelta(minutes=2),
    suppress_health_check=[HealthCheck.too_slow],
)

TestInMemory = OutboxMachine.TestCase
TestInMemory.settings = usual
TestDistributed = DistributedMachine.TestCase
TestDistributed.settings = usual
TestOnDisk = pytest.mark.slow(MachineOnDisk.TestCase)
TestOnDisk.settings = settings(usual, max_examples=100 if NIGHTLY else 6)


@pytest.mark.slow
@pytest.mark.usefixtures("a_server")
class TestOnServer(MachineOnServer.TestCase):
    settings = settings(usual, max_examples=60 if NIGHTLY else 4)

    @pytest.fixture
    def a_server(self, databases: Databases) -> None:
        MachineOnServer.databases = databases


def in_world(work: Callable[[World], Coroutine[Any, Any, None]], *, is_distributed: bool = True) -> None:
    database = MemoryDatabase(is_distributed=is_distributed)

    async def run() -> None:
        world = World(lambda: MemoryStore(database), database)
        await world.make()
        await work(world)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("insert", "no JSON"),
        ("insert", "[]"),
        ("insert", '{"text": 3, "tags": []}'),
        ("insert", '{"text": "no tags"}'),
        ("destroy", "{}"),
        ("delete", '{"number": "1"}'),
        ("delete", '{"number": true}'),
    ],
)
def test_a_poisoned_effect_is_parked_with_the_reason_and_stops_nobody(kind: str, payload: str) -> None:
    async def work(world: World) -> None:
        ana, bo, _ = world.agents
        poison = Outgoing("archive:manuals", kind, payload, NOW)
        await world.insert(ana)
        await world.store.write(lambda tx: tx.put_outgoing(ana, poison))
        for agent in (ana, bo):
            await world.insert(agent)
            await world.edit(agent, SectionEdit("append", f"{world.word()} {NAMES[agent - ana]}"))
        await world.delivered()
        (left,) = await world.store.read(lambda tx: tx.outgoing(ana))
        assert (left.number, left.kind) == (2, kind)
        assert left.parked
        assert await world.store.read(lambda tx: tx.outboxes()) == [ana]
        await world.store.write(lambda tx: tx.remove_outgoing(ana, 2))
        await world.check()

    in_world(work)


def test_a_poisoned_text_of_a_section_is_parked_and_the_next_ones_reach_the_copies() -> None:
    async def work(world: World) -> None:
        poison = Outgoing("section:plan", "written", '{"version": 2}', NOW)
        await world.store.write(lambda tx: tx.put_outgoing(world.plan.id, poison))
        await world.edit(world.agents[0], SectionEdit("append", "w1 ana"))
        await world.delivered()
        (left,) = await world.store.read(lambda tx: tx.outgoing(world.plan.id))
        assert left.parked == "the payload of written has no text"
        await world.store.write(lambda tx: tx.remove_outgoing(world.plan.id, 1))
        await world.check()

    in_world(work)


def test_an_effect_that_is_parked_and_sent_again_is_applied_once() -> None:
    async def work(world: World) -> None:
        ana = world.agents[0]
        await world.insert(ana)
        await world.insert(ana)
        await world.store.write(lambda tx: tx.park_outgoing(ana, 1, "why"))
        await world.delivered()

        def again(tx: Transaction) -> int:
            (effect,) = tx.outgoing(ana)
            tx.remove_outgoing(ana, effect.number)
            return tx.put_outgoing(ana, effect).number

        assert await world.store.write(again) == 3
        await world.delivered()
        await world.check()

    in_world(work)


def test_a_process_that_was_paused_with_an_effect_that_was_sent_again_does_not_apply_it() -> None:
    async def work(world: World) -> None:
        ana = world.agents[0]
        await world.insert(ana)

        def again(tx: Transaction) -> None:
            (effect,) = tx.outgoing(ana)
            tx.park_outgoing(ana, effect.number, "why")
            tx.remove_outgoing(ana, effect.number)
            tx.put_outgoing(ana, effect)

        async def meanwhile() -> None:
            await world.store.write(again)
            await world.insert(ana)
            assert await world.deliverer(world.store).deliver()

        paused = FragileStore(world.store, pauses_at=1, meanwhile=meanwhile)
        await world.deliverer(paused).deliver()
        await world.delivered()
        await world.check()

    in_world(work)


def test_an_effect_read_late_does_not_overtake_the_one_before_it() -> None:
    """One process has only the second effect in hand, as the first was parked when it looked."""

    async def work(world: World) -> None:
        ana = world.agents[0]
        await world.insert(ana)
        await world.store.write(lambda tx: tx.park_outgoing(ana, 1, "why"))
        await world.insert(ana)

        async def meanwhile() -> None:
            await world.store.write(lambda tx: tx.park_outgoing(ana, 1, ""))

        paused = FragileStore(world.store, pauses_at=1, meanwhile=meanwhile)
        await world.deliverer(paused).deliver()
        await world.delivered()
        await world.check()

    in_world(work)


def test_what_was_sent_to_an_archive_that_is_gone_comes_back_as_an_event() -> None:
    async def work(world: World) -> None:
        ana = world.agents[0]
        await world.insert(ana)
        await world.store.write(lambda tx: tx.delete_agent(world.manuals.id))
        await world.delivered()
        (event,) = await world.events(ana)
        assert event.text == "Your change (insert) of the shared archive manuals was not made: it was deleted"
        assert await world.store.read(lambda tx: tx.outboxes()) == []

    in_world(work)


def test_an_edit_that_another_one_made_impossible_comes_back_as_an_event() -> None:
    async def work(world: World) -> None:
        ana, bo, _ = world.agents
        await world.edit(ana, SectionEdit("append", "red"))
        await world.delivered()
        await world.edit(ana, SectionEdit("replace", "blue", "red"))
        await world.edit(bo, SectionEdit("replace", "green", "red"))
        with pytest.raises(FunctionError):  # refused at once, if it can be
            await world.edit(bo, SectionEdit("replace", "x", "yellow"))
        await world.delivered()
        assert (await world.versions(world.plan.id))[-1] == "blue"
        texts = [event.text for event in await world.events(bo)]
        assert texts[1].startswith(
            "Your change (replace) of the shared section plan was not made: old occurs 0"
        )
        assert texts[2].endswith("edited by agent ana; it now reads: blue")

    in_world(work)


@pytest.mark.parametrize(("is_distributed", "later"), [(False, 3600), (True, 3600), (False, -3600)])
def test_a_copy_that_cannot_be_written_to_holds_up_no_other(is_distributed: bool, later: int) -> None:
    """It is tried again after a pause, though the clock is put back meanwhile."""

    class NoRoom(MemoryStore):
        refused = True

        async def write(self, work: Callable[[MemoryTransaction], T], hold: TurnHold | None = None) -> T:
            def guarded(tx: MemoryTransaction) -> T:
                before = [len(tx.section_history(AgentId(id), "plan")) for id in range(9)]
                result = work(tx)
                after = [len(tx.section_history(AgentId(id), "plan")) for id in range(9)]
                if self.refused and before[3] != after[3]:
                    raise StorageError("no room")
                return result

            return await super().write(guarded, hold)

    async def work(world: World) -> None:
        ana, bo, cy = world.agents
        assert bo == 3
        store = world.store = NoRoom(world.database)
        await world.edit(ana, SectionEdit("append", "w1 ana"))
        deliverer = world.deliverer(store)
        assert not await deliverer.deliver()
        assert len(await world.versions(cy)) == 2
        assert len(await world.versions(bo)) == 1
        await world.edit(cy, SectionEdit("append", "w2 cy"))
        assert not await deliverer.deliver()
        assert len(await world.versions(ana)) == 3
        store.refused = False
        world.clock.advance(later)
        assert await deliverer.deliver()
        await world.check()

    in_world(work, is_distributed=is_distributed)


def test_an_effect_waits_for_a_target_that_cannot_be_written_to_as_long_as_that_takes() -> None:
    away = {"now": True}

    class Watching(MemoryTransaction):
        def delivered(self, target: AgentId, sender: AgentId) -> int:
            if away["now"]:
                raise StorageError("the server is away")
            return super().delivered(target, sender)

    class Away(MemoryStore):
        async def write(self, work: Callable[[MemoryTransaction], T], hold: TurnHold | None = None) -> T:
            def guarded(tx: MemoryTransaction) -> T:
                tx.__class__ = Watching
                return work(tx)

            return await super().write(guarded, hold)

    async def work(world: World) -> None:
        ana = world.agents[0]
        store = world.store = Away(world.database)
        await world.insert(ana)
        await world.insert(ana)
        deliverer = world.deliverer(store)
        for _ in range(30):
            assert not await deliverer.deliver()
            world.clock.advance(3600)
        assert [each.parked for each in await store.read(lambda tx: tx.outgoing(ana))] == ["", ""]
        away["now"] = False
        assert await deliverer.deliver()
        await world.check()

    in_world(work)


def test_an_edit_that_is_refused_counts_as_a_message_between_agents() -> None:
    """An agent that tries again and again comes to an end by that."""

    async def work(world: World) -> None:
        ana, bo, _ = world.agents
        await world.edit(ana, SectionEdit("append", "red"))
        await world.delivered()
        for agent, text in ((ana, "blue"), (bo, "green")):
            await world.edit(agent, SectionEdit("replace", text, "red"))
        await world.delivered()
        refused = [event for event in await world.events(bo) if "was not made" in event.text]
        assert [event.hops for event in refused] == [1]

    in_world(work)


def test_an_effect_that_the_database_refuses_again_and_again_is_parked() -> None:
    class Full(MemoryStore):
        async def write(self, work: Callable[[MemoryTransaction], T], hold: TurnHold | None = None) -> T:
            def guarded(tx: MemoryTransaction) -> T:
                result = work(tx)
                if any(p.text == "w1" for p in tx.passages(AgentId(5), range(9))):
                    raise StorageError("too large")
                return result

            return await super().write(guarded, hold)

    async def work(world: World) -> None:
        ana = world.agents[0]
        world.store = Full(world.database)
        await world.insert(ana)
        await world.insert(ana)
        deliverer = world.deliverer(world.store)
        for _ in range(9):
            assert not await deliverer.deliver()
            assert not await deliverer.deliver()  # it rests
            world.clock.advance(3600)
        assert [each.parked for each in await world.store.read(lambda tx: tx.outgoing(ana))] == ["", ""]
        assert await deliverer.deliver()
        (left,) = await world.store.read(lambda tx: tx.outgoing(ana))
        assert left.parked == "too large"
        passages = await world.store.read(lambda tx: tx.passages(world.manuals.id, range(9)))
        assert [p.text for p in passages] == ["w2"]

    in_world(work)


@pytest.mark.slow
def test_agents_edit_and_processes_deliver_all_at_once(databases: Databases) -> None:
    async def run(url: str) -> None:
        world = World(lambda: PostgresStore.open(url, connections=4))
        await world.make()
        other = world.opened()
        stores = (world.store, other)

        async def editing(agent: AgentId, name: str, store: Inner) -> None:
            async with store.turn_lock(agent) as hold:
                for n in range(12):
                    edit = SectionEdit("append", f"{n} {name}")
                    await store.write(lambda tx, edit=edit: world.context(agent).edit(tx, "plan", edit), hold)

        async def delivering(store: Inner) -> None:
            deliverer = world.deliverer(store)
            for _ in range(12):
                await deliverer.deliver()
                world.clock.advance(3600)

        jobs = [editing(a, n, stores[a % 2]) for a, n in zip(world.agents, NAMES, strict=True)]
        async with asyncio.timeout(120):
            await asyncio.gather(*jobs, *map(delivering, stores))
        await world.delivered()
        await world.check()
        assert len(await world.versions(world.plan.id)) == 37
        await other.close()
        await world.store.close()

    with databases.one() as url:
        asyncio.run(run(url))
