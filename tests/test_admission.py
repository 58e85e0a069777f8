"""Admission: how many turns a process opens, and who is next."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, load_installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import UsageError
from pagefault.kernel.admission import Admission
from pagefault.kernel.ready import ReadyQueue
from pagefault.kernel.slot import Slots
from pagefault.kernel.tasks import CountedTasks
from pagefault.models import Completion, Prompt, StreamItem
from pagefault.process_limits import MB, memory_limit, memory_used, most_turns
from pagefault.storage import Transaction
from pagefault.storage.holding import SoleWorker, ranked
from pagefault.testing.clock import FixedClock
from pagefault.testing.memory import MemoryStore
from pagefault.testing.models import ScriptedModel
from pagefault.testing.store_opening import NOW
from pagefault.types import AgentRecord, Event


@pytest.mark.parametrize("by", ["file", "environment"])
def test_the_earlier_name_of_the_setting_is_refused_with_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by == "file":
        (tmp_path / "config.toml").write_text("concurrency = 16\n", "utf-8")
    else:
        monkeypatch.setenv("PAGEFAULT_CONCURRENCY", "16")
    with pytest.raises(UsageError, match=r"no setting concurrency, read .*; it is called open_turns now"):
        load_installation(tmp_path)
    monkeypatch.delenv("PAGEFAULT_CONCURRENCY", raising=False)
    (tmp_path / "config.toml").write_text("open_turns = 16\n", "utf-8")
    assert load_installation(tmp_path).open_turns == 16


@dataclass
class Reading:
    """A clock and a reading of memory that are set by hand."""

    seconds: float = 0.0
    bytes: int = 0
    readings: int = 0

    def now(self) -> float:
        return self.seconds

    def used(self) -> int:
        self.readings += 1
        return self.bytes


def filled(most: int, bound: int, a_turn: int, base: int = 50_000_000) -> tuple[Admission, Reading]:
    """An admission that was asked for room until it gave none, turns taking so many bytes each."""
    reading = Reading()
    admission = Admission(most, bound, reading.used, reading.now)
    while True:
        reading.seconds += 0.11
        reading.bytes = max(reading.bytes, base + admission.open * a_turn)
        if not (room := admission.room()):
            return admission, reading
        for _ in range(min(room, 10)):
            admission.enter()


def test_turns_are_bounded_by_their_number() -> None:
    admission = Admission(3)
    assert admission.room() == 3
    for left in (2, 1, 0):
        admission.enter()
        assert admission.room() == left
    admission.leave()
    assert admission.room() == 1


@pytest.mark.parametrize("a_turn", [20_000, 100_000, 1_000_000])
def test_memory_bounds_the_turns_whatever_one_takes(a_turn: int) -> None:
    admission, reading = filled(100_000, 150_000_000, a_turn)
    assert 149_000_000 < reading.bytes < 150_000_000 + 10 * a_turn
    assert admission.open == pytest.approx(100_000_000 / a_turn, rel=0.1, abs=10)


def test_memory_that_turns_gave_back_to_python_serves_as_many_again() -> None:
    admission, reading = filled(100_000, 150_000_000, 100_000)
    most = admission.open
    for _ in range(most):
        admission.leave()
    reading.seconds += 1  # what the process takes stays the same
    assert admission.room() == pytest.approx(most, abs=10)


def test_memory_that_something_else_takes_leaves_a_few_turns(caplog: pytest.LogCaptureFixture) -> None:
    admission, reading = filled(100_000, 150_000_000, 100_000)
    reading.seconds, reading.bytes = reading.seconds + 1, 400_000_000
    assert admission.room() == 0
    for _ in range(admission.open):
        admission.leave()
    assert 1 <= admission.room() < 10
    assert len([record for record in caplog.records if "the setting memory" in record.getMessage()]) == 1
    reading.seconds, reading.bytes = reading.seconds + 1, 60_000_000  # it was given back to the system
    assert admission.room() == 900


def test_memory_is_read_now_and_then_not_for_each_turn() -> None:
    reading = Reading()
    admission = Admission(1000, 100_000_000, reading.used, reading.now)
    for _ in range(500):
        assert admission.room()
        admission.enter()
    assert reading.readings == 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no bound by memory")
def test_the_limits_of_this_process_are_known_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    used, limit = memory_used(), memory_limit()
    assert used > 10 * MB
    assert limit is not None
    assert limit > 50 * MB

    def few(_: int) -> tuple[int, int]:
        return 256, 4096

    monkeypatch.setattr("resource.getrlimit", few)
    assert most_turns(4000) == 64
    assert most_turns(10) == 10


async def served(home: Path, waiting: dict[tuple[str, str], int], open_turns: int) -> list[str]:
    """The agents in the order of their turns; ``waiting`` gives the events of each, by tenant and name."""
    store = MemoryStore()
    order: list[str] = []

    def post_all(tx: Transaction) -> None:
        for (tenant, name), events in waiting.items():
            values = parse_settings({"zone": "UTC", "style": "native"}).model_dump(mode="json")
            agent = tx.create_agent(AgentRecord(name, values, NOW, tenant=tenant))
            for _ in range(events):
                tx.post(agent.id, Event("message", f"from {name}", at=NOW))

    def answer(prompt: Prompt) -> Completion:
        order.append(prompt.messages[-1].text.rpartition(" ")[2])
        return Completion("ok")

    parts = Parts(ScriptedModel(answer, window=32_768), NullEmbedder(), store)
    await store.write(post_all)
    async with open_kernel(home, parts, Installation(open_turns=open_turns)) as kernel:
        await kernel.recover()
    return order


@given(
    tenants=st.lists(st.lists(st.integers(1, 8), min_size=1, max_size=4), min_size=1, max_size=4),
    open_turns=st.integers(1, 4),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
def test_no_agent_waits_for_more_than_a_round_of_others(
    tmp_path: Path, tenants: list[list[int]], open_turns: int
) -> None:
    waiting = {(f"t{t}", f"a{t}.{n}"): events for t, of in enumerate(tenants) for n, events in enumerate(of)}
    order = anyio.run(served, tmp_path, waiting, open_turns)
    assert sorted(order) == sorted(name for (_, name), events in waiting.items() for _ in range(events))
    for (tenant, name), _ in waiting.items():
        others = len(tenants[int(tenant[1:])])
        round = len(tenants) * others + 2 * open_turns
        turns = [-1, *(place for place, each in enumerate(order) if each == name)]
        gaps = [after - before - 1 for before, after in pairwise(turns)]
        assert max(gaps) <= round, (name, gaps, order)


@dataclass
class CountingModel:
    """Counts how many answers are being made at once."""

    name: str = "counting"
    window: int = 32_768
    open: int = 0
    most: int = 0

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        del prompt
        self.open += 1
        self.most = max(self.most, self.open)
        await anyio.sleep(0.005)
        self.open -= 1
        yield Completion("ok")


@pytest.mark.parametrize("found", [True, False], ids=["found waiting", "posted here"])
def test_no_more_turns_are_open_than_are_admitted(found: bool, tmp_path: Path) -> None:
    async def serve() -> None:
        model, store = CountingModel(), MemoryStore()
        parts = Parts(model, NullEmbedder(), store)
        names = [f"a{n}" for n in range(12)]
        async with open_kernel(tmp_path, parts, Installation(open_turns=3)) as kernel:
            for name in names:
                agent = await kernel.create_agent(name, parse_settings({"zone": "UTC", "style": "native"}))
                if found:
                    await store.write(lambda tx, id=agent.id: tx.post(id, Event("message", "hi", at=NOW)))
            async with anyio.create_task_group() as tasks:
                for name in () if found else names:
                    tasks.start_soon(kernel.post, name, Event("message", "hi"))
            await kernel.recover()
            assert await kernel.waiting() == []
        assert (model.open, model.most) == (0, 3)

    anyio.run(serve)


class OneOfTwo(SoleWorker):
    """Serves beside a worker that never looks."""

    me, peers = "here", ("elsewhere", "here")


@pytest.mark.anyio
async def test_what_another_worker_comes_first_for_is_left_to_it_for_a_moment(tmp_path: Path) -> None:
    store, clock, order = MemoryStore(), FixedClock(), list[str]()
    store.workers = OneOfTwo()

    def post_to_all(tx: Transaction) -> list[AgentRecord]:
        values = parse_settings({"zone": "UTC", "style": "native"}).model_dump(mode="json")
        agents = [tx.create_agent(AgentRecord(f"a{number}", values, NOW)) for number in range(20)]
        for agent in agents:
            tx.post(agent.id, Event("message", agent.name, at=NOW))
        return agents

    def answer(prompt: Prompt) -> Completion:
        order.append(prompt.messages[-1].text.rpartition(" ")[2])
        return Completion("ok")

    agents = await store.write(post_to_all)
    first = {agent.name for agent in agents if ranked(OneOfTwo.peers, agent.id)[0] == "here"}
    assert 0 < len(first) < len(agents)
    parts = Parts(ScriptedModel(answer, window=32_768), NullEmbedder(), store, clock=clock)
    async with open_kernel(tmp_path, parts) as kernel:
        for _ in range(3):
            await kernel.wake_waiting()
            await kernel.idle()
            assert set(order) == first
        clock.advance(1)
        await kernel.wake_waiting()
        await kernel.idle()
    assert sorted(order) == sorted(agent.name for agent in agents)


@pytest.mark.anyio
async def test_an_event_is_served_at_once_where_there_is_room_for_those_who_wait_too() -> None:
    ready = ReadyQueue(
        Slots(MemoryStore(), defaultdict(set)),
        Admission(1000),
        FixedClock(),
        CountedTasks(),
        lambda _: None,
        more=True,
    )
    assert ready.has_room
    ready.admission.most = 10
    assert not ready.has_room
