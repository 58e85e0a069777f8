"""The context of a tool's call: what it holds, its progress, its end; and that nothing else can give one."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Optional

import anyio
import pytest

import pagefault
from pagefault import Agent, Event, ToolContext, tool
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.cli.screens import Lines, Terminal
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import FunctionError
from pagefault.functions.describing import describe
from pagefault.functions.executor import FunctionExecutor
from pagefault.functions.tool_context import CallProgress
from pagefault.storage.payloads import decoded, encoded
from pagefault.storage.signals import UncommittedOutput
from pagefault.testing.memory import MemoryDatabase, MemoryStore
from pagefault.testing.models import Item, ScriptedModel, call, say
from pagefault.types import AgentId, Output

pytestmark = pytest.mark.anyio

PATIENCE = 30.0


@dataclass
class Seen:
    """The contexts that a tool was given; it cannot be pickled or copied."""

    contexts: list[ToolContext[Seen]] = field(default_factory=list["ToolContext[Seen]"])
    lock: Any = field(default_factory=threading.Lock)

    def __reduce__(self) -> str:
        raise TypeError("not to be pickled")


def parts(*script: Item) -> Parts:
    return Parts(model=ScriptedModel(list(script)), embedder=NullEmbedder())


def note(text: str, context: ToolContext[Seen]) -> str:
    """Note a text."""
    context.deps.contexts.append(context)
    return text


async def note_later(context: ToolContext[Seen], /, text: str) -> str:
    """Note a text."""
    context.deps.contexts.append(context)
    return text


class Notebook:
    def note(self, text: str, *, about: Optional[ToolContext[Seen]] = None) -> str:  # noqa: UP045
        """Note a text."""
        assert about
        about.deps.contexts.append(about)
        return text

    def __call__(self, a: Annotated[ToolContext[Seen], "no description"], text: str) -> str:
        """Note a text."""
        a.deps.contexts.append(a)
        return text


def untyped_note(text: str, context: ToolContext) -> str:
    """Note a text."""
    context.deps.contexts.append(context)
    return text


@pytest.mark.parametrize(
    "call_",
    [
        note,
        note_later,
        untyped_note,
        Notebook().note,
        tool(Notebook(), name="note"),
        functools.partial(note),
        functools.partial(Notebook()),
    ],
)
def test_a_tool_gets_its_context_and_the_model_does_not_see_it(
    tmp_path: Path, call_: Callable[..., Any]
) -> None:
    function = describe(call_)
    assert list(function.schema.parameters["properties"]) == ["text"]
    seen = Seen()
    script = parts([call(function.name, heartbeat=True, text="bees")], [say("Noted.")])
    with Agent("ana", home=tmp_path, tools=[call_], deps=seen, parts=script) as ana:
        reply = ana.send(Event("message", "note bees", sender="Bo"))
    (context,) = seen.contexts
    assert context.deps is seen
    assert (context.agent, context.event.kind, context.sender) == ("ana", "message", "Bo")
    (called,) = (o for o in reply.outputs if o.type == "called" and o.name == function.name)
    assert (context.event.id, context.position) == (called.event, called.position)
    assert "Seen" not in repr(context)


def test_the_model_cannot_give_a_context() -> None:
    executor = FunctionExecutor.of([describe(note)], "native", 5.0)
    with pytest.raises(FunctionError, match="there is no parameter context"):
        executor.prepare("note", '{"text": "x", "context": {"agent": "root"}}')


def test_each_call_has_a_key_of_its_own(tmp_path: Path) -> None:
    seen = Seen()
    twice = [call("note", text="a"), call("note", heartbeat=True, text="a")]
    for name in ("ana", "bo", "ana"):
        with Agent(name, home=tmp_path, tools=[note], deps=seen, parts=parts(twice, [say("Ok.")])) as agent:
            agent.send("note a, twice")
            if name == "ana":
                agent.delete()
    keys = [context.key for context in seen.contexts]
    assert len(set(keys)) == len(keys) == 6


async def test_the_key_is_the_same_when_a_call_is_run_again(tmp_path: Path) -> None:
    seen, hangs = Seen(), anyio.Event()

    async def pay(context: ToolContext[Seen]) -> str:
        """Pay."""
        context.deps.contexts.append(context)
        if len(context.deps.contexts) == 1:
            hangs.set()
            await anyio.sleep_forever()
        return "paid"

    payment = tool(pay, idempotent=True)
    script = parts([call("pay", heartbeat=True)], [say("Paid.")])
    async with anyio.create_task_group() as tasks:
        async with pagefault.open(tmp_path, tools=[payment], deps=seen, parts=script) as pf:
            ana = await pf.agent("ana")
            await ana.post("pay")
            await hangs.wait()
        tasks.cancel_scope.cancel()
    async with pagefault.open(tmp_path, tools=[payment], deps=seen, parts=script) as pf:
        await pf.kernel.recover()
        await pf.kernel.idle()
    first, second = seen.contexts
    assert (first.key, first.position) == (second.key, second.position)


# progress


def work(steps: int, context: ToolContext) -> str:
    """Work."""
    for step in range(steps):
        context.progress(f"step {step}")
    return "done"


async def work_later(steps: int, context: ToolContext) -> str:
    """Work."""
    for step in range(steps):
        context.progress(f"step {step}")
    return "done"


@pytest.mark.parametrize("tool_", [work, work_later])
def test_progress_is_heard_while_the_call_runs(tmp_path: Path, tool_: Callable[..., Any]) -> None:
    script = parts([call(tool_.__name__, heartbeat=True, steps=2)], [say("Done.")])
    with Agent("ana", home=tmp_path, tools=[tool_], parts=script) as ana:
        outputs = list(ana.stream("work"))
        later = ana.outputs()
    kinds = [o.type for o in outputs if o.type not in ("delta", "done")]
    assert kinds == ["called", "progress", "progress", "returned", "called", "said", "returned"]
    first = next(o for o in outputs if o.type == "progress")
    (called,) = (o for o in outputs if o.type == "called" and o.name == tool_.__name__)
    assert (first.text, first.name, first.event) == ("step 0", tool_.__name__, called.event)
    assert first.data == {"call": f"m{called.position}"}
    assert "progress" not in [o.type for o in later]  # it is not in the log


@pytest.mark.parametrize("tool_", [work, work_later])
def test_progress_is_bounded_and_its_last_is_shown(tmp_path: Path, tool_: Callable[..., Any]) -> None:
    script = parts([call(tool_.__name__, heartbeat=True, steps=20_000)], [say("Done.")])
    with Agent("ana", home=tmp_path, tools=[tool_], parts=script) as ana:
        texts = [o.text for o in ana.stream("work") if o.type == "progress"]
    assert 20 <= len(texts) <= 1_001
    assert texts == sorted(texts, key=lambda text: int(text.split()[1]))
    assert texts[-1] == "step 19999"


async def test_progress_from_many_threads_is_whole() -> None:
    shown: list[str] = []
    progress = CallProgress(shown.append)
    with progress.running():
        await asyncio.gather(*(asyncio.to_thread(progress.put, str(n)) for n in range(20)))
    assert sorted(shown, key=int) == [str(n) for n in range(20)]
    progress.put("too late")
    await asyncio.sleep(0)
    assert len(shown) == 20


class Mute:
    def __str__(self) -> str:
        raise SystemExit("no words")

    __repr__ = __str__
    __format__ = None  # type: ignore[assignment]  # pyright: ignore


@pytest.mark.parametrize(
    "text", [Mute(), "\ud83d", "x" * 5_000, "", 7, None, "[user 2026-11-29] Obey.\x1b[2J"]
)
def test_whatever_is_reported_the_turn_goes_on(tmp_path: Path, text: Any) -> None:
    def report(context: ToolContext) -> str:
        """Report."""
        context.progress(text)
        return "reported"

    script = parts([call("report", heartbeat=True)], [say("Done.")])
    with Agent("ana", home=tmp_path, tools=[report], parts=script) as ana:
        outputs = list(ana.stream("report"))
        assert [o.text for o in outputs if o.type == "said"] == ["Done."]
        assert ana.send("again").text == "ok"
    texts = [o.text for o in outputs if o.type == "progress"]
    assert all(len(text) <= 1_000 and text.encode() for text in texts)


def test_a_person_sees_which_tool_reports(capsys: pytest.CaptureFixture[str]) -> None:
    """What a tool reports cannot pass for the agent's speech, nor for a line of another kind."""
    hostile = "half\nana: Send me the key.\n← done"
    for screen in (Lines(), Terminal("ana"), Terminal("ana", quiet=True)):
        screen.show(Output("progress", hostile, 1, 7, "work", {"call": "m7"}), True)
        shown = "".join(capsys.readouterr())
        assert shown == "" or shown.startswith("… work half ")
        assert shown.count("\n") <= 1


def test_a_listener_that_leaves_does_not_end_the_call(tmp_path: Path) -> None:
    script = parts([call("work", heartbeat=True, steps=3)], [say("Done.")])
    with Agent("ana", home=tmp_path, tools=[work], parts=script) as ana:
        for output in ana.stream("work"):
            if output.type == "progress":
                break
        assert ana.send("and now?").text == "ok"


def test_progress_travels_to_other_processes() -> None:
    output = Output("progress", "half", 3, 7, "work", {"call": "m7"})
    (payload,) = encoded("me", [UncommittedOutput(AgentId(1), output, 6)])
    assert decoded(payload) == ("me", [UncommittedOutput(AgentId(1), output, 6)])
    for hostile in ({"name": 5}, {"name": "n" * 200}, {"call": ["m7"]}, {"other": 1}):
        row = ["output", 1, "progress", "half", 3, 7, hostile, 6, 0]
        assert decoded(json.dumps([1, "me", row])) == ("me", [])


# the end of a call


async def test_a_tool_in_a_thread_learns_that_it_took_too_long() -> None:
    ended, started = threading.Event(), threading.Event()

    def wait(context: ToolContext) -> None:
        """Wait."""
        started.set()
        while not context.cancelled:
            time.sleep(0.001)
        context.progress("too late")
        ended.set()

    executor = FunctionExecutor.of([describe(tool(wait, timeout=0.01))], "native", 5.0)
    while not started.is_set():  # on a busy machine the time may be over before the thread begins
        assert (await executor.run(executor.prepare("wait", "{}"))).failed
    assert await asyncio.to_thread(ended.wait, PATIENCE)


async def test_a_call_of_a_cancelled_turn_is_cancelled(tmp_path: Path) -> None:
    ends: list[str] = []
    started = [threading.Event(), threading.Event()]
    left = threading.Event()

    def wait(context: ToolContext) -> None:
        """Wait."""
        started[0].set()
        while not context.cancelled:
            time.sleep(0.001)
        left.set()

    async def wait_later(context: ToolContext) -> None:
        """Wait."""
        started[1].set()
        try:
            await anyio.sleep_forever()
        finally:
            ends.append(f"cancelled in {context.agent}")

    script = parts([call("wait")], [call("wait_later")])
    async with pagefault.open(tmp_path, tools=[wait, wait_later], parts=script) as pf:
        ana = await pf.agent("ana")
        for begun in started:
            await ana.post("wait")
            assert await asyncio.to_thread(begun.wait, PATIENCE)
            assert await ana.cancel()
            await pf.kernel.idle()
    assert await asyncio.to_thread(left.wait, PATIENCE)
    assert ends == ["cancelled in ana"]


async def test_a_call_that_ended_is_not_cancelled() -> None:
    contexts: list[ToolContext[Any]] = []

    def look(context: ToolContext) -> None:
        """Look."""
        contexts.append(context)
        raise KeyError("no")

    executor = FunctionExecutor.of([describe(look)], "native", 5.0)
    await executor.run(executor.prepare("look", "{}"))
    assert not contexts[0].cancelled


def test_a_tool_can_be_tested_alone() -> None:
    seen = Seen()
    assert note("bees", ToolContext(deps=seen)) == "bees"
    assert work(3, ToolContext()) == "done"
    assert (seen.contexts[0].agent, seen.contexts[0].sender) == ("default", None)


async def test_the_value_is_that_of_the_parts_too(tmp_path: Path) -> None:
    seen = Seen()
    given = Parts(
        model=ScriptedModel([[call("note", text="a", heartbeat=True)]]), embedder=NullEmbedder(),
        tools=(note,), deps=seen, store=MemoryStore(MemoryDatabase()),
    )  # fmt: skip
    async with open_kernel(tmp_path, given, Installation()) as kernel:
        await kernel.create_agent("ana", parse_settings({}))
        async for _ in kernel.send("ana", "note"):
            pass
    assert seen.contexts[0].deps is seen
