"""Workers on one database: who begins a turn, and what is heard of it elsewhere.

Signals are connected, and looks that need none are an hour apart unless a test says otherwise: what happens
here happens because of a signal.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.kernel import Kernel
from pagefault.models import Completion, Delta, Prompt, StreamItem
from pagefault.storage import Store
from pagefault.storage.holding import ranked
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.signals import (
    AgentReady,
    LogGrew,
    OutputsWanted,
    Signal,
    UncommittedOutput,
)
from pagefault.testing.memory import MemoryDatabase, MemorySignals, MemoryStore
from pagefault.types import UNCOMMITTED, AgentId, Event, EventKind, Output

pytestmark = pytest.mark.anyio

PATIENCE = 60.0
HOUR = 3600.0
PIECES = ("One ", "two ", "three.")


@dataclass
class SteppedModel:
    """Says ``PIECES``; after the first it waits for ``go``, if it is to."""

    name: str = "stepped"
    window: int = 8192
    waits: bool = False
    pause: float = 0.0
    began: anyio.Event = field(default_factory=anyio.Event)
    go: anyio.Event = field(default_factory=anyio.Event)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        del prompt
        for number, piece in enumerate(PIECES):
            if number == 1 and self.waits:
                self.began.set()
                await self.go.wait()
            await anyio.sleep(self.pause)
            yield Delta(piece)
        yield Completion("".join(PIECES))


@dataclass
class Fleet:
    """Makes workers on one database."""

    home: Path
    store: Callable[[], Store]
    safety: float = HOUR
    stores: list[Store] = field(default_factory=list[Store])

    def kernel(self, model: SteppedModel | None = None) -> Kernel:
        """A kernel that is not entered."""
        store = self.store()
        self.stores.append(store)
        parts = Parts(model=model or SteppedModel(), embedder=NullEmbedder(), store=store)
        return open_kernel(self.home, parts, Installation())

    @asynccontextmanager
    async def worker(
        self, model: SteppedModel | None = None, *, serves: bool = True
    ) -> AsyncGenerator[Kernel]:
        """A kernel that is entered, and hears the others."""
        kernel = self.kernel(model)
        kernel.scheduler.following.safety = self.safety
        async with kernel, anyio.create_task_group() as tasks:
            if not await kernel.agents():
                await kernel.create_agent("ana", parse_settings({"zone": "UTC", "style": "native"}))
            with anyio.fail_after(PATIENCE):
                while not kernel.store.signals.alive:  # noqa: ASYNC110
                    await anyio.sleep(0.01)
            if serves:
                tasks.start_soon(kernel.serve)
                await anyio.sleep(0.05)  # its first look is over
            yield kernel
            tasks.cancel_scope.cancel()

    @property
    def signals(self) -> list[MemorySignals]:
        return [store.signals for store in self.stores if isinstance(store.signals, MemorySignals)]


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.slow)])
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Fleet:
    if request.param == "memory":
        return request.getfixturevalue("memory_fleet")
    url = request.getfixturevalue("database")
    return Fleet(tmp_path, lambda: PostgresStore.open(url))


@pytest.fixture
def memory_fleet(tmp_path: Path) -> Fleet:
    database = MemoryDatabase()
    return Fleet(tmp_path, lambda: MemoryStore(database, connected=True))


async def until_done(outputs: MemoryObjectReceiveStream[Output], event: int | None = None) -> list[Output]:
    """The outputs until a turn ends."""
    heard: list[Output] = []
    with anyio.fail_after(PATIENCE):
        async for output in outputs:
            heard.append(output)
            if output.type == "done" and event in (None, output.event):
                break
    return heard


def committed(outputs: list[Output]) -> list[tuple[str, str]]:
    return [(o.type, o.text) for o in outputs if o.type not in UNCOMMITTED]


def deltas(outputs: list[Output]) -> str:
    return "".join(o.text for o in outputs if o.type == "delta")


SAID = [("said", "One two three."), ("done", "")]


async def post(kernel: Kernel, text: str = "hi") -> Event:
    return await kernel.post("ana", Event(EventKind.MESSAGE, text))


async def test_what_a_process_posts_that_serves_nothing_begins_elsewhere(fleet: Fleet) -> None:
    async with fleet.worker() as kernel, kernel.listen("ana") as outputs:
        poster = fleet.kernel()
        posted = await post(poster)
        await poster.close()
        assert committed(await until_done(outputs, posted.id)) == SAID


async def test_a_listener_hears_the_turn_of_another_worker(fleet: Fleet) -> None:
    model = SteppedModel(waits=True)
    async with fleet.worker(serves=False) as here, fleet.worker(model) as there:
        async with here.listen("ana") as outputs, there.listen("ana") as local:
            await anyio.sleep(0.1)  # the interest is known there
            await post(there)
            model.go.set()
            heard, own = await until_done(outputs), await until_done(local)
        assert committed(heard) == committed(own) == SAID
        assert deltas(heard) == deltas(own) == "One two three."
        assert [o.type for o in heard].index("said") > max(
            n for n, o in enumerate(heard) if o.type == "delta"
        )


async def test_deltas_come_while_the_model_speaks(fleet: Fleet) -> None:
    model = SteppedModel(waits=True)
    async with (
        fleet.worker(serves=False) as here,
        fleet.worker(model) as there,
        here.listen("ana") as outputs,
    ):
        await anyio.sleep(0.1)
        await post(there)
        with anyio.fail_after(PATIENCE):
            first = await outputs.receive()
        assert (first.type, first.text) == ("delta", "One ")
        model.go.set()
        assert committed(await until_done(outputs)) == SAID


async def test_a_listener_to_all_hears_them_too(fleet: Fleet) -> None:
    model = SteppedModel(waits=True)
    async with fleet.worker(serves=False) as here, fleet.worker(model) as there:
        async with here.listen_all() as outputs:
            await anyio.sleep(0.1)
            for _ in range(2):
                await post(there)
            model.go.set()
            heard: list[Output] = []
            with anyio.fail_after(PATIENCE):
                async for name, output in outputs:
                    assert name == "ana"
                    heard.append(output)
                    if [o.type for o in heard].count("done") == 2:
                        break
        assert committed(heard) == SAID * 2


async def test_a_listener_hears_nothing_of_what_was_before(fleet: Fleet) -> None:
    async with fleet.worker(serves=False) as here, fleet.worker() as there:
        await here.record("ana")
        assert [o async for o in there.send("ana", "before")]
        async with here.listen("ana") as outputs, here.listen_all() as all_outputs:
            await anyio.sleep(0.1)
            await post(there, "after")
            assert committed(await until_done(outputs)) == SAID
            assert all_outputs.statistics().current_buffer_used >= 2


async def test_a_sender_is_given_its_outputs_by_the_worker_that_runs_the_turn(fleet: Fleet) -> None:
    """The other is in a turn when the event is posted here, and takes it next."""
    model = SteppedModel(waits=True, pause=0.1)
    async with fleet.worker(serves=False) as here, fleet.worker(model) as there:
        before = await post(there, "first")
        await model.began.wait()
        heard: list[Output] = []

        async def send() -> None:
            heard.extend([output async for output in here.send("ana", "second")])

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send)
                await anyio.sleep(0.2)
                model.go.set()
        assert committed(heard) == SAID
        assert {o.event for o in heard} == {before.id + 1}
        assert deltas(heard) == "One two three."


async def test_after_a_crash_the_rest_is_heard_from_who_takes_the_turn(memory_fleet: Fleet) -> None:
    first, second = SteppedModel(waits=True), SteppedModel()
    async with (
        memory_fleet.worker(serves=False) as here,
        here.listen("ana") as outputs,
        memory_fleet.worker(first) as there,
        memory_fleet.worker(second) as other,
    ):
        await anyio.sleep(0.1)
        await post(there)
        await first.began.wait()
        assert isinstance(there.scheduler.store, MemoryStore)
        there.scheduler.store.crash()
        await other.recover()
        first.go.set()
        assert committed(await until_done(outputs)) == SAID


@pytest.mark.parametrize("lost", ["all", "at the poster"])
async def test_lost_signals_cost_time_only(memory_fleet: Fleet, lost: str) -> None:
    memory_fleet.safety = 0.05
    model = SteppedModel(waits=True)
    async with memory_fleet.worker(serves=False) as here, memory_fleet.worker(model) as there:
        for signals in memory_fleet.signals[: 1 if lost == "at the poster" else None]:
            signals.lost = True
        before = await post(there, "first")
        await model.began.wait()
        model.go.set()
        with anyio.fail_after(PATIENCE):
            heard = [output async for output in here.send("ana", "second")]
        assert committed(heard) == SAID
        assert {o.event for o in heard} == {before.id + 1}
        poster = memory_fleet.kernel()
        memory_fleet.signals[-1].lost = True
        async with there.listen("ana") as outputs:
            await post(poster, "third")
            assert committed(await until_done(outputs)) == SAID


def delta(text: str, position: int, start: int, attempt: str = "x") -> UncommittedOutput:
    output = Output("delta", text, 1, position, data={"attempt": attempt, "of": "said"})
    return UncommittedOutput(AgentId(1), output, 0, start)


HOSTILE: dict[str, list[Signal]] = {
    "agents that do not exist": [
        signal
        for number in range(50, 5000)
        for signal in (AgentReady(AgentId(number)), LogGrew(AgentId(number), 0, 9, 3))
    ],
    "agents that are not ready": [AgentReady(AgentId(1))] * 100,
    "rows that do not exist": [LogGrew(AgentId(1), 2**60, 2**62), delta("x", 2**62, 0), delta("y", 2**40, 0)],
    "events that do not exist": [LogGrew(AgentId(1), 0, 0, 77)],
    "interest in more than there is": [OutputsWanted(AgentId(number)) for number in range(1, 12_000)],
}


@pytest.mark.parametrize("signals", HOSTILE.values(), ids=HOSTILE)
async def test_signals_of_strangers_change_nothing(
    memory_fleet: Fleet, signals: list[Signal], caplog: pytest.LogCaptureFixture
) -> None:
    async with memory_fleet.worker(serves=False) as here, memory_fleet.worker() as there:
        stranger = memory_fleet.kernel()
        async with here.listen("ana") as outputs, here.listen_all() as all_outputs:
            await anyio.sleep(0.1)
            for signal in signals:
                stranger.store.signals.send(signal)
            await anyio.sleep(0.1)
            assert outputs.statistics().current_buffer_used == 0
            await post(there)
            assert committed(await until_done(outputs)) == SAID
            assert all_outputs.statistics().current_buffer_used >= 2
        assert not caplog.records


async def test_after_a_gap_the_deltas_of_an_attempt_are_dropped(memory_fleet: Fleet) -> None:
    async with memory_fleet.worker(serves=False) as here:
        sender = memory_fleet.kernel()
        async with here.listen("ana") as outputs:
            for signal in (
                delta("a", 0, 0), delta("b", 0, 1), delta("d", 0, 3), delta("e", 0, 4), delta("f", 0, 0, "y"),
            ):  # fmt: skip
                sender.store.signals.send(signal)
            await anyio.sleep(0.1)
            heard = [outputs.receive_nowait() for _ in range(outputs.statistics().current_buffer_used)]
        assert deltas(heard) == "abf"


async def test_outputs_that_nobody_wants_are_not_sent(memory_fleet: Fleet) -> None:
    async with memory_fleet.worker(), memory_fleet.worker() as there:
        spy = memory_fleet.kernel()
        assert [o async for o in there.send("ana", "hi")]
        with anyio.move_on_after(0.1):
            assert not await spy.store.signals.received()


@pytest.mark.slow
async def test_a_listener_hears_a_turn_though_all_signals_are_lost(memory_fleet: Fleet) -> None:
    async with (
        memory_fleet.worker(serves=False) as here,
        memory_fleet.worker() as there,
        here.listen("ana") as outputs,
    ):
        for signals in memory_fleet.signals:
            signals.lost = True
        await post(there)
        assert committed(await until_done(outputs)) == SAID


@dataclass
class NamedWorkers:
    """The ``Workers`` of a store, as the test says."""

    me: str
    peers: tuple[str, ...]

    def serve(self) -> None:
        pass


def named(kernel: Kernel, rank: int, agent: int = 1) -> None:
    """Make the worker of the kernel the first (0), second or third for the agent, beside others that are
    gone."""
    peers = ("a", "b", "c")
    kernel.scheduler.store.workers = NamedWorkers(ranked(peers, AgentId(agent))[rank], peers)  # pyright: ignore[reportAttributeAccessIssue]


async def test_the_second_worker_serves_what_the_first_does_not(memory_fleet: Fleet) -> None:
    async with memory_fleet.worker() as second, memory_fleet.worker() as third, third.listen("ana") as heard:
        named(second, 1)
        named(third, 2)
        async with second.listen_all(here=True) as own:
            posted = await post(memory_fleet.kernel())
            assert committed(await until_done(heard, posted.id)) == SAID
            assert own.statistics().current_buffer_used >= 2


async def test_the_third_worker_leaves_it_to_the_first_two(memory_fleet: Fleet) -> None:
    async with memory_fleet.worker() as third:
        named(third, 2)
        await post(memory_fleet.kernel())
        await anyio.sleep(0.3)
        assert await third.waiting() == ["ana"]


async def test_a_worker_that_followed_an_agent_serves_it_when_it_comes_first(
    memory_fleet: Fleet,
) -> None:
    model = SteppedModel(waits=True)
    async with memory_fleet.worker() as first, memory_fleet.worker(model, serves=False) as other:
        named(first, 0)
        async with other.listen("ana") as outputs, anyio.create_task_group() as tasks:
            tasks.start_soon(post, other, "there")
            await model.began.wait()
            first.scheduler.following.safety = 0.02
            await first.wake("ana")  # it finds the turn taken
            await anyio.sleep(0.05)
            model.go.set()
            await until_done(outputs)
            with anyio.fail_after(PATIENCE):
                await first.idle("ana")
            posted = await post(memory_fleet.kernel(), "here")
            assert committed(await until_done(outputs, posted.id)) == SAID
