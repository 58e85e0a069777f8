"""Messages between agents: who may write to whom, how often, and that no conversation is endless; timers."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, load_installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.kernel.timers import BATCH, fire, post_due
from pagefault.models import Completion, Model, Prompt
from pagefault.storage import Store
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.clock import FixedClock
from pagefault.testing.memory import MemoryStore
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event, EventKind, Message, Role, Schedule

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "sqlite":
        return SQLiteStore.open(tmp_path / "pagefault.db")
    return PostgresStore.open(request.getfixturevalue("database"))


@asynccontextmanager
async def agents(
    home: Path, model: Model, store: Store, *names: str, **settings: Any
) -> AsyncGenerator[tuple[Kernel, FixedClock]]:
    clock = FixedClock()
    parts = Parts(model=model, embedder=NullEmbedder(), store=store, clock=clock)
    async with open_kernel(home, parts, Installation()) as kernel:
        for name in names:
            values = {"zone": "UTC", "agents": True, "timers": True, **settings}
            await kernel.create_agent(name, parse_settings(values))
        yield kernel, clock


def reply_to(prompt: Prompt) -> str:
    """The agent whose message stands last in the prompt."""
    texts = [message.text for message in prompt.messages if message.role == "user"]
    found = [match[1] for text in texts if (match := re.match(r"\[agent (\w+)", text))]
    return found[-1]


def polite(prompt: Prompt) -> Completion:
    """Thank whoever wrote last."""
    return Completion(calls=(call("send_to_agent", name=reply_to(prompt), text="Thank you!"),))


async def log(kernel: Kernel, name: str) -> list[Message]:
    record = await kernel.record(name)
    return await kernel.store.read(lambda tx: tx.messages(record.id))


async def settle(kernel: Kernel) -> None:
    with anyio.fail_after(60):
        await kernel.recover()


async def refusals(kernel: Kernel, *names: str) -> list[str]:
    rows = [row for name in names for row in await log(kernel, name)]
    return [row.text for row in rows if row.role is Role.RESULT and row.meta.failed]


async def test_two_agents_that_thank_each_other_come_to_an_end(tmp_path: Path, store: Store) -> None:
    model = ScriptedModel(polite)
    async with agents(tmp_path, model, store, "ana", "bo", max_steps=2) as (kernel, _):
        await kernel.post("ana", Event(EventKind.AGENT, "Hello!", sender="bo"))
        await settle(kernel)
        assert 8 <= len(model.prompts) <= 11
        (refused, *_) = await refusals(kernel, "ana", "bo")
        assert refused.startswith("Error: Not sent: 8 messages between agents followed from one another")


async def test_a_circle_of_three_comes_to_an_end(tmp_path: Path, store: Store) -> None:
    following = {"ana": "bo", "bo": "clara", "clara": "ana"}

    def pass_on(prompt: Prompt) -> Completion:
        me = following[reply_to(prompt)]
        return Completion(calls=(call("send_to_agent", name=following[me], text="Pass it on."),))

    model = ScriptedModel(pass_on)
    async with agents(tmp_path, model, store, *following, max_steps=2) as (kernel, _):
        await kernel.post("ana", Event(EventKind.AGENT, "Pass it on.", sender="clara"))
        await settle(kernel)
        assert len(model.prompts) <= 11


async def test_timers_and_warnings_do_not_begin_the_count_anew(tmp_path: Path, store: Store) -> None:
    def put_off(prompt: Prompt) -> Completion:
        """Set a timer for each message, and answer when it fires."""
        last = next(m.text for m in reversed(prompt.messages) if m.role == "user")
        if last.startswith("[timer"):
            return polite(prompt)
        return Completion(calls=(call("schedule", note="Thank them.", when="+2h"),))

    model = ScriptedModel(put_off)
    async with agents(tmp_path, model, store, "ana", "bo", max_steps=1) as (kernel, clock):
        await kernel.post("ana", Event(EventKind.AGENT, "Hello!", sender="bo"))
        for _ in range(20):
            await settle(kernel)
            clock.advance(7200)
        assert len(model.prompts) < 20
        assert "Not sent: 8 messages" in (await refusals(kernel, "ana", "bo"))[0]


async def test_a_person_begins_the_count_anew(tmp_path: Path, store: Store) -> None:
    model = ScriptedModel([[call("send_to_agent", name="bo", text="Hello.")], [say("I heard.")]])
    async with agents(tmp_path, model, store, "ana", "bo", max_hops=1) as (kernel, _):
        await kernel.post("ana", Event(EventKind.MESSAGE, "Greet Bo."))
        await settle(kernel)
        record = await kernel.record("bo")
        (event,) = await kernel.store.read(lambda tx: tx.events(record.id))
        assert (event.hops, event.sender) == (1, "ana")


async def sending(kernel: Kernel, name: str) -> list[str]:
    """The results of an agent's calls of ``send_to_agent``."""
    rows = await log(kernel, name)
    return [row.text for row in rows if (row.role, row.name) == (Role.RESULT, "send_to_agent")]


async def test_messages_to_one_agent_are_limited_in_a_minute(tmp_path: Path, store: Store) -> None:
    def flood(prompt: Prompt) -> Completion:
        if not prompt.messages[-1].text.startswith("[user "):
            return Completion("noted")
        letters = [call("send_to_agent", name="bo", text=f"{n}") for n in range(8)]
        return Completion(calls=(*letters, call("send_to_agent", name="clara", text="Hello.")))

    model = ScriptedModel(flood)
    async with agents(tmp_path, model, store, "ana", "bo", "clara", agent_rate=5, max_steps=1) as (
        kernel,
        clock,
    ):
        await kernel.post("ana", Event(EventKind.MESSAGE, "Go."))
        await settle(kernel)
        sent = await sending(kernel, "ana")
        assert [text.startswith("Sent") for text in sent] == [True] * 5 + [False] * 3 + [True]
        assert "bo has had 5 messages of yours within a minute" in sent[5]
        clock.advance(61)
        await kernel.post("ana", Event(EventKind.MESSAGE, "Go."))
        await settle(kernel)
        sent = await sending(kernel, "ana")
        assert [text.startswith("Sent") for text in sent[9:]] == [True] * 5 + [False] * 3 + [True]


@pytest.mark.parametrize(
    ("setting", "allowed"),
    [
        (["bo"], "bo"),
        (["b*"], "bo"),
        (True, "bo, clara"),
        (["clara", "bo"], "bo, clara"),
        (["nobody"], "(none)"),
    ],
)
async def test_agents_is_a_list_of_whom_an_agent_may_write_to(
    tmp_path: Path, setting: Any, allowed: str
) -> None:
    letters = [
        call("send_to_agent", name=name, text="Hi.", heartbeat=True) for name in ("bo", "clara", "ana", "x")
    ]
    model = ScriptedModel([letters, [say("Done.")]])
    async with agents(tmp_path, model, MemoryStore(), "ana", "bo", "clara", agents=setting) as (kernel, _):
        outputs = [output async for output in kernel.send("ana", "Write to all.")]
        results = [o.text for o in outputs if o.type == "returned"]
        assert [text.startswith("Sent") for text in results[:2]] == ["bo" in allowed, "clara" in allowed]
        assert results[3] == f"Error: There is no other agent x to write to; agents: {allowed}."


async def test_an_agent_that_may_write_to_none_is_not_offered_it(tmp_path: Path) -> None:
    nobody: tuple[Any, ...] = (False, [])
    for value in nobody:
        model = ScriptedModel([])
        async with agents(tmp_path, model, MemoryStore(), "ana", agents=value) as (kernel, _):
            names = {f.name for f in (await kernel.process("ana")).program.executor.schemas}
            assert "send_to_agent" not in names


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("true", True), ("0", False), ("bo, clara", ("bo", "clara")), ("", ())],
)
def test_the_list_can_be_written_in_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, wanted: Any
) -> None:
    assert parse_settings({"agents": given}).agents == wanted
    if given:
        monkeypatch.setenv("PAGEFAULT_AGENTS", given)
        assert load_installation(tmp_path).agent.agents == wanted
    with pytest.raises(UsageError):
        parse_settings({"agents": {"bo": 1}})


async def test_many_timers_fire_in_batches(tmp_path: Path, store: Store) -> None:
    model = ScriptedModel([])
    async with agents(tmp_path, model, store, "ana", "bo", agents=False) as (kernel, clock):
        record = await kernel.record("ana")
        at = clock.now()

        def set_them(tx: Any) -> None:
            for n in range(4 * BATCH + 1):
                tx.add_schedule(record.id, Schedule(f"{n}", at, "UTC", "0 9 * * *" if n % 2 else None))

        await kernel.store.write(set_them)
        clock.advance(10)
        assert await kernel.store.write(lambda tx: fire(tx, record.id, clock.now())) == BATCH
        assert await post_due(kernel.scheduler.store, clock.now())
        events = await kernel.store.read(lambda tx: tx.events(record.id, state="pending"))
        assert sorted(int(event.text) for event in events) == list(range(4 * BATCH + 1))
        assert not await post_due(kernel.scheduler.store, clock.now())
        left = await kernel.store.read(lambda tx: tx.schedules(record.id))
        assert len(left) == 2 * BATCH
        assert all(timer.due > clock.now() for timer in left)


async def test_a_timer_that_missed_ten_thousand_times_fires_once(tmp_path: Path, store: Store) -> None:
    async with agents(tmp_path, ScriptedModel([]), store, "ana") as (kernel, clock):
        record = await kernel.record("ana")
        timer = Schedule("tick", clock.now(), "UTC", "* * * * *")
        await kernel.store.write(lambda tx: tx.add_schedule(record.id, timer))
        clock.advance(60 * 10_000)
        await kernel.fire_timers()
        await kernel.fire_timers()
        events = await kernel.store.read(lambda tx: tx.events(record.id))
        assert [event.text for event in events] == ["tick"]
