"""The kernel: inboxes, order, timers, agents writing to agents, recovery, other processes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from conftest import Machine
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders import Vectors
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import NotFoundError, StaleEditError, UsageError
from pagefault.functions.tools import tool
from pagefault.kernel import Kernel
from pagefault.kernel.edits import add_timer
from pagefault.kernel.sections import edit_section, set_limit
from pagefault.models import Completion, Prompt
from pagefault.names import LONGEST_TEXT, system_key
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.memory import MemoryDatabase, MemoryStore
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event, EventKind, Output, Role, Schedule
from pagefault.views.memory import section

pytestmark = pytest.mark.anyio


async def test_events_are_served_in_order_each_once(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model) as rig:
        for n in range(20):
            await rig.kernel.post("ana", Event(EventKind.MESSAGE, f"message {n}", key=f"k{n % 10}"))
        await rig.kernel.idle()
        log = await rig.log()
    assert [r.text for r in log if r.role is Role.USER] == [f"message {n}" for n in range(10)]


async def test_an_event_with_a_known_key_is_not_served_again(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model) as rig:
        first = await rig.kernel.post("ana", Event(EventKind.MESSAGE, "once", key="k"))
        await rig.kernel.idle()
        outputs = [o async for o in rig.kernel.send("ana", Event(EventKind.MESSAGE, "once", key="k"))]
        assert [o.type for o in outputs] == ["called", "said", "returned", "done"]  # from the log
        assert {o.event for o in outputs} == {first.id}
        assert (await rig.kernel.post("ana", Event(EventKind.MESSAGE, "once", key="k"))).id == first.id
        assert len(model.prompts) == 1


async def test_a_sender_gets_the_outputs_of_its_own_event_only(machine: Machine) -> None:
    answers = ScriptedModel(lambda prompt: Completion(calls=(say(f"to {prompt.messages[-1].text[-3:]}"),)))
    async with machine.open(answers) as rig:
        heard: dict[str, list[Output]] = {}

        async def send(text: str) -> None:
            heard[text] = [o async for o in rig.kernel.send("ana", text)]

        async with rig.kernel.listen("ana") as all_outputs:
            before = await rig.kernel.post("ana", Event(EventKind.UPLOAD_FINISHED, "a document: one"))
            async with anyio.create_task_group() as tasks:
                for text in ("two", "six", "ten"):
                    tasks.start_soon(send, text)
        assert all_outputs.statistics().current_buffer_used > sum(map(len, heard.values()))
    for text, outputs in heard.items():
        assert [o.text for o in outputs if o.type == "said"] == [f"to {text}"]
        assert len({o.event for o in outputs}) == 1
        assert outputs[0].event != before.id
        assert [o.type for o in outputs].count("done") == 1
        assert outputs[-1].type == "done"


async def test_a_reply_leaves_out_the_turn_of_a_warning(machine: Machine) -> None:
    def answer(prompt: Prompt) -> Completion:
        pressed = prompt.messages[-1].text.startswith("[memory_pressure")
        return Completion(calls=(call("archival_insert", text="saved") if pressed else say("word " * 300),))

    async with machine.open(ScriptedModel(answer), window=4096, zone="UTC") as rig:
        for _ in range(9):
            outputs = [o async for o in rig.kernel.send("ana", "tell me more")]
            assert {o.event for o in outputs} == {outputs[-1].event}
            assert {o.name for o in outputs if o.type == "called"} == {"send_message"}
        await rig.kernel.idle()
        assert "archival_insert" in {row.name for row in await rig.log()}


async def test_done_comes_when_the_turn_lock_is_free(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        for _ in range(20):
            _ = [o async for o in rig.kernel.send("ana", "hi")]
            assert await rig.kernel.flush("ana")


async def test_outputs_of_all_agents_can_be_heard(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        await rig.kernel.create_agent("bob", parse_settings({"zone": "UTC"}))
        async with rig.kernel.listen_all() as outputs:
            for name in ("ana", "bob"):
                await rig.kernel.post(name, Event(EventKind.MESSAGE, "hi"))
            done: set[str] = set()
            async for name, output in outputs:
                done |= {name} if output.type == "done" else set()
                if done == {"ana", "bob"}:
                    break


async def test_several_who_ask_for_an_agent_at_once_get_the_same(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        made: list[int] = []

        async def ask() -> None:
            made.append((await rig.kernel.ensure_agent("bob", parse_settings({"zone": "UTC"}))).id)

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask)
        assert len(made) == 5
        assert len(set(made)) == 1
        with pytest.raises(UsageError, match="leave 0 of"):
            await rig.kernel.ensure_agent("carl", parse_settings({"instructions": "long " * 9000}))


async def test_sending_to_a_kernel_that_does_not_run_is_refused(tmp_path: Path) -> None:
    parts = Parts(model=ScriptedModel([]), embedder=NullEmbedder(), store=MemoryStore(MemoryDatabase()))
    kernel = open_kernel(tmp_path, parts, Installation())
    await kernel.create_agent("ana", parse_settings({}))
    with pytest.raises(UsageError, match="async with kernel"):
        await anext(kernel.send("ana", "hi"))


async def test_posting_to_nobody_is_an_error(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        with pytest.raises(NotFoundError, match="There is no agent bob"):
            await rig.kernel.post("bob", Event(EventKind.MESSAGE, "hi"))


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (Event("message", "hi"), "[user 2026-03-01 Sun 09:00] hi"),
        (Event("alert", "disk is full"), "[alert 2026-03-01 Sun 09:00] disk is full"),
        (Event("login", "Ana is here"), "[login 2026-03-01 Sun 09:00] Ana is here"),
        (Event("upload_finished", "a.pdf"), "[upload_finished 2026-03-01 Sun 09:00] a.pdf"),
        (Event("timer", "tea"), "[timer 2026-03-01 Sun 09:00] tea"),
        (Event("agent", "hello", sender="bob"), "[agent bob 2026-03-01 Sun 09:00] hello"),
        (Event("door_opened", '{"door": 3}'), "[door_opened 2026-03-01 Sun 09:00] Door 3 opened."),
    ],
)
async def test_every_kind_of_event_becomes_plain_text(machine: Machine, event: Event, shown: str) -> None:
    def opened(event: Event) -> str:
        return f"Door {json.loads(event.text)['door']} opened."

    parsers = {"door_opened": opened}
    async with machine.open(ScriptedModel([]), parsers=parsers) as rig:
        await rig.send(event)
        assert (await rig.log())[0].shown == shown


@pytest.mark.parametrize(
    "event", [Event("memory_pressure"), Event("Door opened"), Event(""), Event("agent", sender="a]\n[user")]
)
async def test_an_event_that_could_pass_for_another_is_refused(machine: Machine, event: Event) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        with pytest.raises(UsageError):
            await rig.kernel.post("ana", event)


async def test_a_text_that_is_too_long_is_refused_and_nothing_is_stored(machine: Machine) -> None:
    longest = "x" * LONGEST_TEXT
    async with machine.open(ScriptedModel([])) as rig:
        for post in (
            rig.kernel.post("ana", Event("door_opened", longest + "y")),
            rig.kernel.post("ana", Event(EventKind.MESSAGE, longest + "y")),
            add_timer(rig.kernel, "ana", longest + "y", when="+1h"),
        ):
            with pytest.raises(UsageError, match="The text has 1,000,001 characters"):
                await post
        await rig.send(longest)
        log = await rig.log()
    assert log[0].text == longest
    assert [row.role for row in log].count(Role.USER) == 1


async def test_committed_outputs_can_be_asked_for_again_from_a_position(machine: Machine) -> None:
    model = ScriptedModel([[say("one")], [say("two")], [say("three")]])
    async with machine.open(model) as rig:
        for text in "abc":
            await rig.send(text)
        outputs = await rig.kernel.outputs("ana")
        said = [o for o in outputs if o.type == "said"]
        again = await rig.kernel.outputs("ana", after=said[0].position)
    assert [o.text for o in said] == ["one", "two", "three"]
    assert [o.text for o in again if o.type == "said"] == ["two", "three"]


async def test_a_timer_fires_once_and_a_cron_timer_moves_on(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model, timers=True) as rig:
        record = await rig.kernel.record("ana")
        now = rig.clock.now()
        daily = Schedule("daily", now.replace(hour=10), "UTC", "0 10 * * *")
        await rig.kernel.store.write(lambda tx: tx.add_schedule(record.id, Schedule("tea", now, "UTC")))
        await rig.kernel.store.write(lambda tx: tx.add_schedule(record.id, daily))
        for _ in range(3):
            await rig.kernel.fire_timers()
            await rig.kernel.idle()
        assert [r.text for r in await rig.log() if r.role is Role.EVENT] == ["tea"]
        rig.clock.advance(5 * 86_400)  # five days away: the cron timer was missed five times
    async with machine.open(model) as rig:
        for _ in range(2):
            await rig.kernel.fire_timers()
            await rig.kernel.idle()
        assert [r.text for r in await rig.log() if r.role is Role.EVENT] == ["tea", "daily"]
        left = await rig.kernel.store.read(lambda tx: tx.schedules(record.id))
        events = await rig.kernel.store.read(lambda tx: tx.events(record.id))
    assert [(s.id, s.due.isoformat()) for s in left] == [("t2", "2026-03-06T10:00:00+00:00")]
    keys = [system_key(f"t{n}@2026-03-01T{hour}:00:00+00:00") for n, hour in ((1, "09"), (2, "10"))]
    assert [e.key for e in events] == keys


async def test_a_missed_timer_may_be_skipped(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        record = await rig.kernel.record("ana")
        missed = Schedule("old", rig.clock.now(), "UTC", "0 9 * * *", catch_up="skip")
        await rig.kernel.store.write(lambda tx: tx.add_schedule(record.id, missed))
        rig.clock.advance(3600)
        await rig.kernel.fire_timers()
        await rig.kernel.idle()
        assert await rig.log() == []
        (left,) = await rig.kernel.store.read(lambda tx: tx.schedules(record.id))
        assert left.due.isoformat() == "2026-03-02T09:00:00+00:00"


async def test_agents_write_to_each_other(machine: Machine) -> None:
    def talk(prompt: Prompt) -> Completion:
        last = prompt.messages[-1]
        if last.role == "user" and "[user" in last.text:
            return Completion(calls=(call("send_to_agent", name="bob", text="hello from ana"),))
        return Completion(calls=(say("heard"),))

    async with machine.open(ScriptedModel(talk), agents=True) as rig:
        await rig.kernel.create_agent("bob", parse_settings({"agents": True, "zone": "UTC"}))
        await rig.send("greet bob")
        await rig.kernel.idle()
        bob = await rig.kernel.record("bob")
        rows = await rig.kernel.store.read(lambda tx: tx.messages(bob.id))
    assert rows[0].shown == "[agent ana 2026-03-01 Sun 09:00] hello from ana"
    assert "heard" in [row.text for row in rows]


async def test_agents_that_rest_are_let_go_of_and_go_on_as_if_they_had_not_been(machine: Machine) -> None:
    async with machine.open(ScriptedModel(lambda _: Completion(calls=(say("heard"),)))) as rig:
        rig.kernel.scheduler.resident = 2
        for name in ("bob", "cleo", "dora"):
            await rig.kernel.create_agent(name, parse_settings({"zone": "UTC"}))
        for turn in (1, 2):
            for name in ("bob", "cleo", "dora"):
                _ = [output async for output in rig.kernel.send(name, f"hello {turn}")]
                await rig.kernel.idle()
        loaded = [(await rig.kernel.find(n)).process is not None for n in ("bob", "cleo", "dora")]
        assert loaded == [False, True, True]
        bob = await rig.kernel.process("bob")
        shown = [message.text for message in bob.prompt().messages if message.role == "user"]
        assert [text[-7:] for text in shown] == ["hello 1", "hello 2"]


async def test_an_edit_from_outside_becomes_an_event(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        head = (await rig.process()).prompt().messages[0]
        await edit_section(rig.kernel, "ana", "human", "Name: Ana")
        await rig.kernel.idle()
        row = (await rig.log())[0]
        assert row.role is Role.EVENT
        assert "it now reads: Name: Ana" in row.shown
        assert (await rig.process()).prompt().messages[0] == head, "the head moves at the next flush"
        with pytest.raises(UsageError, match="shorten the text"):
            await edit_section(rig.kernel, "ana", "human", "blah " * 2000)
        with pytest.raises(NotFoundError, match="no section mood"):
            await edit_section(rig.kernel, "ana", "mood", "good")


async def test_an_edit_of_an_earlier_text_is_refused_with_the_one_there_is(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        await edit_section(rig.kernel, "ana", "human", "Name: Ana", version=1)
        with pytest.raises(StaleEditError, match="changed since you read it") as refused:
            await edit_section(rig.kernel, "ana", "human", "Name: Bo", version=1)
        assert (refused.value.text, refused.value.version) == ("Name: Ana", 2)
        await set_limit(rig.kernel, "ana", "human", 300)  # a version with the same text
        await edit_section(rig.kernel, "ana", "human", "Name: Ana Maria", version=2)
        with pytest.raises(StaleEditError):
            await edit_section(rig.kernel, "ana", "human", "x", version=99)
        assert (await section(rig.kernel, "ana", "human")).text == "Name: Ana Maria"


async def test_an_unfinished_turn_is_carried_on_by_the_next_process(machine: Machine) -> None:
    """Killed between the completion's commit and the calls' results: nothing is asked for again."""

    died = anyio.Event()

    @tool
    async def explode() -> str:
        """Die."""
        died.set()
        await anyio.sleep_forever()
        return ""

    @tool(idempotent=True)
    async def look() -> str:
        """Look."""
        return "seen"

    step = [
        call("archival_insert", text="before"),
        call("explode", heartbeat=True),
        call("look", heartbeat=True),
    ]
    model = ScriptedModel([step])

    async with machine.open(model, tools=(explode, look)) as rig:
        await rig.kernel.post("ana", Event(EventKind.MESSAGE, "go"))
        await died.wait()
    model = ScriptedModel([[say("carried on")]])
    async with machine.open(model, tools=(explode, look)) as rig:
        await rig.kernel.recover()
        log = await rig.log()
        record = await rig.kernel.record("ana")
        saved = await rig.kernel.store.read(lambda tx: tx.passages(record.id, [1, 2]))
    results = [row.text for row in log if row.role is Role.RESULT]
    assert results == [
        "Saved as p1.",
        "Error: explode was interrupted, outcome unknown; find out before you call it again.",
        "seen",
        "Sent.",
    ]
    assert len(model.prompts) == 1
    assert [passage.text for passage in saved] == ["before"]


def kernel_on(home: Path, model: ScriptedModel) -> Kernel:
    store = SQLiteStore.open(home / "pagefault.db")
    parts = Parts(model=model, embedder=NullEmbedder(), store=store)
    return open_kernel(home, parts, Installation())


async def test_a_second_process_leaves_its_event_in_the_inbox_and_sees_the_answer(tmp_path: Path) -> None:
    """Two kernels on one database stand for two processes: their locks are the operating system's."""
    asked, release = anyio.Event(), anyio.Event()

    class Slow(ScriptedModel):
        async def stream(self, prompt: Prompt):  # type: ignore[no-untyped-def]
            asked.set()
            await release.wait()
            async for item in super().stream(prompt):
                yield item

    first, second = Slow([[say("to the first")], [say("to the second")]]), ScriptedModel([])
    async with kernel_on(tmp_path, first) as one, kernel_on(tmp_path, second) as two:
        ana = await one.create_agent("ana", parse_settings({}))
        heard: list[str] = []

        async def ask(kernel: Kernel, text: str) -> None:
            heard.extend([o.text async for o in kernel.send("ana", text) if o.type == "said"])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, one, "first")
            await asked.wait()
            tasks.start_soon(ask, two, "second")
            for _ in range(3000):
                if len(await two.store.read(lambda tx: tx.events(ana.id))) == 2:
                    break
                await anyio.sleep(0.01)
            release.set()
        assert set(heard) >= {"to the first", "to the second"}
        assert second.prompts == []


async def test_a_turn_never_waits_for_the_embedder(tmp_path: Path) -> None:
    class Stuck(HashEmbedder):
        async def embed(self, texts: Sequence[str]) -> Vectors:
            await anyio.sleep_forever()
            return await super().embed(texts)

    parts = Parts(model=ScriptedModel([]), embedder=Stuck(), store=MemoryStore(MemoryDatabase()))
    async with open_kernel(tmp_path, parts, Installation()) as kernel:
        await kernel.create_agent("ana", parse_settings({}))
        for text in ("one", "two"):
            assert [o.text async for o in kernel.send("ana", text) if o.type == "said"] == ["ok"]
