"""Walls between agents: whatever a tool, a model, a parser, an embedder or the store raises, the process
lives, the turn ends with an answer or an alert, and the other agents are served.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from pydantic import AfterValidator

import pagefault
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders import Vectors
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import UsageError
from pagefault.functions.tools import tool
from pagefault.kernel import Kernel
from pagefault.models import Call, Completion, Delta, Notice, Prompt, StreamItem, Usage
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.memory import MemoryDatabase, MemoryStore
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event, EventKind, Output, Role

pytestmark = pytest.mark.anyio

PATIENCE = 60.0  # seconds after which something counts as hung


class OwnError(BaseException):
    """An exception of a program's own that is no ``Exception``."""


class Speechless(Exception):
    """An exception that cannot be asked what it says."""

    def __str__(self) -> str:
        raise SystemExit("no words")

    __repr__ = __str__


def nested() -> BaseException:
    inner = BaseExceptionGroup("inner", [KeyboardInterrupt(), ValueError("the cause")])
    return BaseExceptionGroup("outer", [inner, SystemExit(3)])


def endless(depth: int = 0) -> int:
    return endless(depth + 1)


RAISED: dict[str, Callable[[], BaseException]] = {
    "Exception": lambda: ValueError("broken"),
    "SystemExit": lambda: SystemExit(3),
    "SystemExit without a code": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "CancelledError": asyncio.CancelledError,
    "group": lambda: ExceptionGroup("several", [ValueError("one"), TypeError("two")]),
    "nested group": nested,
    "group of a CancelledError": lambda: BaseExceptionGroup("", [asyncio.CancelledError()]),
    "RecursionError": RecursionError,
    "MemoryError": MemoryError,
    "StopIteration": lambda: StopIteration(1),
    "StopAsyncIteration": StopAsyncIteration,
    "TimeoutError": TimeoutError,
    "an own BaseException": lambda: OwnError("own"),
    "without words": Speechless,
    "an error of ours": lambda: UsageError("not so"),
}
raised = pytest.mark.parametrize("make", RAISED.values(), ids=RAISED)


class Neighbours:
    """Two agents in one kernel: ``bad``, which uses the faulty part, and ``good``."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    async def send(self, name: str, event: str | Event = "go") -> list[Output]:
        with anyio.fail_after(PATIENCE):
            return [o async for o in self.kernel.send(name, event) if o.type not in ("delta", "retracted")]

    async def check(self) -> None:
        """The other agent is served, and so is this one once it is left in peace."""
        assert "hello" in [o.text for o in await self.send("good", "hello") if o.type == "said"]
        assert "hello" in [o.text for o in await self.send("bad", "hello") if o.type == "said"]


def answer(prompt: Prompt) -> Any:
    """Call ``act``, once, for any message but hello."""
    last = [m for m in prompt.messages if m.role == "user"][-1].text
    if last.endswith("hello"):
        return [say("hello")]
    if prompt.messages[-1].role == "tool" and prompt.messages[-1].name == "act":
        return [say("done")]
    return [call("act")]


@asynccontextmanager
async def open_pair(home: Path, parts: Parts) -> AsyncGenerator[Neighbours]:
    """A kernel with the two agents, entered."""
    async with open_kernel(home, parts, Installation()) as kernel:
        for name in ("bad", "good"):
            await kernel.ensure_agent(name, parse_settings({"zone": "UTC"}))
        yield Neighbours(kernel)


def parts_of(model: Any = None, tools: tuple[Callable[..., Any], ...] = (), **rest: Any) -> Parts:
    rest.setdefault("embedder", NullEmbedder())
    store = MemoryStore(MemoryDatabase())
    return Parts(model=model or ScriptedModel(answer), store=store, tools=tools, **rest)


def results(outputs: Sequence[Output]) -> list[str]:
    return [o.text for o in outputs if o.type == "returned" and o.name == "act"]


@raised
@pytest.mark.parametrize("kind", ["async", "sync", "awaited deep", "in a task group"])
async def test_what_a_tool_raises_is_an_error_result(
    tmp_path: Path, kind: str, make: Callable[[], BaseException]
) -> None:
    async def act() -> str:
        """Act."""
        if kind == "in a task group":
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(deep)
        elif kind == "awaited deep":
            await deep()
        raise make()

    async def deep() -> None:
        await anyio.lowlevel.checkpoint()
        raise make()

    def sync() -> str:
        """Act."""
        raise make()

    sync.__name__ = "act"
    async with open_pair(tmp_path, parts_of(tools=(sync if kind == "sync" else act,))) as pair:
        outputs = await pair.send("bad")
        assert [text.startswith("Error: act failed") for text in results(outputs)] == [True]
        assert [o.text for o in outputs if o.type == "said"] == ["done"]
        await pair.check()


async def cancels_its_task() -> str:
    task = asyncio.current_task()
    assert task
    task.cancel()
    await anyio.lowlevel.checkpoint()
    return "gone on"


async def cancels_its_task_and_returns() -> str:
    task = asyncio.current_task()
    assert task
    task.cancel()
    return "gone on"


async def cancels_every_task() -> str:
    me = asyncio.current_task()
    for task in asyncio.all_tasks():
        if task is me:
            task.cancel()
    await anyio.sleep(1)
    return ""


async def leaves_a_scope_open() -> str:
    scope = anyio.CancelScope()
    scope.__enter__()
    scope.cancel()
    await anyio.sleep(1)
    return ""


async def goes_too_deep() -> str:
    return str(endless())


@pytest.mark.parametrize(
    "work",
    [cancels_its_task, cancels_its_task_and_returns, cancels_every_task, leaves_a_scope_open, goes_too_deep],
)
async def test_a_tool_that_cancels_or_exhausts_itself_harms_nobody(
    tmp_path: Path, work: Callable[[], Any]
) -> None:
    async def act() -> str:
        """Act."""
        return await work()

    async with open_pair(tmp_path, parts_of(tools=(act,))) as pair:
        outputs = await pair.send("bad")
        assert [text.startswith("Error: act failed") for text in results(outputs)] == [True]
        await pair.check()


@pytest.mark.parametrize("kind", ["swallows", "cleans up for ever", "thread"])
async def test_a_tool_that_does_not_end_is_left_behind(tmp_path: Path, kind: str) -> None:
    freed = threading.Event()
    over = anyio.Event()

    async def act() -> str:
        """Act."""
        while not over.is_set():
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if kind == "cleans up for ever":
                    await over.wait()
        return "late"

    def sync() -> str:
        """Act."""
        freed.wait(PATIENCE)
        return "late"

    sync.__name__ = "act"
    marked = tool(timeout=0.05)(sync if kind == "thread" else act)
    async with open_pair(tmp_path, parts_of(tools=(marked,))) as pair:
        outputs = await pair.send("bad")
        assert "did not finish within 0.05 s" in results(outputs)[0]
        await pair.check()
        freed.set()
        over.set()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if "_caught" in repr(task):
                task.cancel()  # as the end of the event loop does


def refuse(value: str) -> str:
    if value != "fine":
        raise SystemExit(value)
    return value


async def test_a_validator_that_raises_is_an_error_result(tmp_path: Path) -> None:
    def act(word: Annotated[str, AfterValidator(refuse)] = "fine") -> str:
        """Act."""
        return word

    def script(prompt: Prompt) -> Any:
        made = answer(prompt)
        return [call("act", word="bad")] if made == [call("act")] else made

    async with open_pair(tmp_path, parts_of(ScriptedModel(script), (act,))) as pair:
        assert "could not be read: SystemExit" in results(await pair.send("bad"))[0]
        await pair.check()


class Broken:
    """A value that cannot be made text."""

    def __str__(self) -> str:
        raise KeyboardInterrupt

    __repr__ = __str__


async def test_a_result_that_cannot_be_text_is_an_error_result(tmp_path: Path) -> None:
    def act() -> list[Any]:
        """Act."""
        return [Broken()]

    async with open_pair(tmp_path, parts_of(tools=(act,))) as pair:
        assert len(results(await pair.send("bad"))) == 1
        await pair.check()


class FaultyModel(ScriptedModel):
    """Raises, after some text if ``late``, whatever it is asked but hello."""

    def __init__(self, make: Callable[[], BaseException], *, late: bool) -> None:
        super().__init__(answer)
        self.make, self.late = make, late

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        if prompt.messages[-1].text.endswith("hello"):
            async for item in super().stream(prompt):
                yield item
            return
        if self.late:
            yield Delta("I was about")
        raise self.make()


@raised
@pytest.mark.parametrize("late", [False, True], ids=["at once", "within the stream"])
async def test_what_a_model_raises_is_an_alert(
    tmp_path: Path, make: Callable[[], BaseException], late: bool
) -> None:
    async with open_pair(tmp_path, parts_of(FaultyModel(make, late=late))) as pair:
        outputs = await pair.send("bad")
        assert [o.type for o in outputs] == ["alerted", "done"]
        assert "scripted failed" in outputs[0].text or "not so" in outputs[0].text
        await pair.check()


class OddModel(ScriptedModel):
    """Streams something that is no item of a stream, whatever it is asked but hello."""

    item: Any = None

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        if prompt.messages[-1].text.endswith("hello"):
            async for item in super().stream(prompt):
                yield item
        else:
            yield self.item


@pytest.mark.parametrize(
    "item",
    [
        None,
        "text",
        Broken(),
        Completion(None),  # type: ignore[arg-type]
        Completion("", (None,)),  # type: ignore[arg-type]
        Completion(calls=(Call(None, None, None),)),  # type: ignore[arg-type]
        Completion(calls=(Call("a", "act", {}),)),  # type: ignore[arg-type]
        Completion("x", notes=(7,)),  # type: ignore[arg-type]
        Completion("x", thinking=None),  # type: ignore[arg-type]
        Completion("x", model=None),  # type: ignore[arg-type]
        Completion("x", cut="yes"),  # type: ignore[arg-type]
        Delta(b"x"),  # type: ignore[arg-type]
        Delta("x", "zero"),  # type: ignore[arg-type]
        Notice(7),  # type: ignore[arg-type]
        Completion,
    ],
    ids=lambda item: repr(item)[:60] if not isinstance(item, Broken) else "broken",
)
async def test_what_is_no_completion_is_an_alert(tmp_path: Path, item: Any) -> None:
    model = OddModel(answer)
    model.item = item
    async with open_pair(tmp_path, parts_of(model)) as pair:
        outputs = await pair.send("bad")
        assert [o.type for o in outputs if o.type != "noticed"] == ["alerted", "done"]
        assert "scripted failed: TypeError" in outputs[-2].text
        await pair.check()


ODD_USAGE: tuple[Any, ...] = (
    "many", Usage(-1), Usage(10**30), Usage(float("nan")), Usage(None), Usage("7"),  # type: ignore[arg-type]
)  # fmt: skip
circular: dict[str, Any] = {}
circular["again"] = circular
ODD_ECHO: tuple[Any, ...] = (
    "text", {"a": object()}, {"a": {1}}, {"a": float("inf")}, {b"a": 1}, {"a": 10**5000}, circular,
)  # fmt: skip


@pytest.mark.parametrize(
    "odd",
    [*(Completion("Well.", usage=usage) for usage in ODD_USAGE)]
    + [Completion("Well.", echo=echo) for echo in ODD_ECHO],
)
async def test_an_odd_usage_or_echo_is_left_out_and_the_answer_stands(
    tmp_path: Path, odd: Completion
) -> None:
    model = OddModel(answer)
    model.item = odd
    async with open_pair(tmp_path, parts_of(model)) as pair:
        outputs = await pair.send("bad")
        assert [(o.type, o.text) for o in outputs] == [("said", "Well."), ("done", "")]
        await pair.check()


@raised
async def test_a_parser_that_raises_gives_way_to_the_plain_text(
    tmp_path: Path, make: Callable[[], BaseException]
) -> None:
    def parse(_: Event) -> str:
        raise make()

    model = ScriptedModel([])
    async with open_pair(tmp_path, parts_of(model, parsers={"door": parse})) as pair:
        outputs = await pair.send("bad", Event("door", "It is open."))
        assert outputs[-1].type == "done"
        record = await pair.kernel.record("bad")
        rows = await pair.kernel.store.read(lambda tx: tx.messages(record.id, roles=[Role.EVENT]))
        assert [row.text.startswith("It is open.\n(The parser of door failed:") for row in rows] == [True]
        assert len(model.prompts) == 1
        await pair.kernel.send("good", "hello").__anext__()


async def test_a_parser_that_returns_no_text_gives_way_too(tmp_path: Path) -> None:
    def parse(event: Event) -> Any:
        return 7 if event.kind == "door" else f"rang: {event.text}"

    parsers = {"door": parse, "bell": parse}
    async with open_pair(tmp_path, parts_of(ScriptedModel([]), parsers=parsers)) as pair:
        await pair.send("bad", Event("door", "open"))
        await pair.send("bad", Event("bell", "twice"))
        record = await pair.kernel.record("bad")
        rows = await pair.kernel.store.read(lambda tx: tx.messages(record.id, roles=[Role.EVENT]))
        assert [row.text.splitlines()[0] for row in rows] == ["open", "rang: twice"]


class FaultyEmbedder(HashEmbedder):
    """Raises, or returns what are no vectors."""

    def __init__(self, fault: Callable[[], Any]) -> None:
        super().__init__()
        self.fault = fault

    async def embed(self, texts: Sequence[str]) -> Vectors:  # noqa: ARG002
        made = self.fault()
        if isinstance(made, BaseException):
            raise made
        return made


SHAPES: dict[str, Callable[[], Any]] = {
    "no array": lambda: None,
    "too few": lambda: np.ones((0, 8), np.float32),
    "flat": lambda: np.ones(8, np.float32),
    "NaN": lambda: np.full((1, 64), np.nan, np.float32),
    "texts": lambda: [["a"]],
}


@pytest.mark.parametrize("fault", [*RAISED.values(), *SHAPES.values()], ids=[*RAISED, *SHAPES])
async def test_a_faulty_embedder_leaves_search_by_words(tmp_path: Path, fault: Callable[[], Any]) -> None:
    def script(prompt: Prompt) -> Any:
        if prompt.messages[-1].text.endswith("find"):
            return [call("recall_search", query="violin", heartbeat=True)]
        return [say("ok")]

    async with open_pair(tmp_path, parts_of(ScriptedModel(script), embedder=FaultyEmbedder(fault))) as pair:
        await pair.send("bad", "Clara plays the violin.")
        outputs = await pair.send("bad", "find")
        assert any("Clara plays the violin." in o.text for o in outputs if o.type == "returned")
        assert (await pair.send("good", "x"))[-1].type == "done"


class FaultyStore(MemoryStore):
    """Raises at each write once it is told to, but for what the kernel needs to look."""

    make: Callable[[], BaseException] | None = None

    async def write(self, work: Any, hold: Any = None) -> Any:
        if self.make is not None and hold is not None:
            raise self.make()
        return await super().write(work, hold)


@raised
async def test_what_a_store_raises_ends_no_process(tmp_path: Path, make: Callable[[], BaseException]) -> None:
    store = FaultyStore(MemoryDatabase())
    parts = Parts(model=ScriptedModel([]), store=store, embedder=NullEmbedder())
    async with open_pair(tmp_path, parts) as pair:
        store.make = make
        outputs = await pair.send("bad")
        assert [o.type for o in outputs][-2:] == ["alerted", "done"]
        store.make = None
        assert [o.text for o in await pair.send("bad", "again") if o.type == "said"] == ["ok"]
        assert [o.text for o in await pair.send("good") if o.type == "said"] == ["ok"]


def test_an_agent_of_a_script_can_be_used_after_a_fault(tmp_path: Path) -> None:
    @tool
    async def act() -> str:
        """Act."""
        raise SystemExit

    model = ScriptedModel(answer)
    with pagefault.Agent("ana", home=tmp_path, tools=[act], model=model) as agent:
        assert str(agent.send("go")) == "done"
        assert str(agent.send("hello")) == "hello"


async def test_a_cancellation_of_the_caller_is_still_one(tmp_path: Path) -> None:
    begun, ended = anyio.Event(), anyio.Event()

    async def act() -> str:
        """Act."""
        begun.set()
        try:
            await anyio.sleep_forever()
            return ""
        finally:
            ended.set()

    async with open_pair(tmp_path, parts_of(tools=(act,))) as pair:
        heard: list[str] = []

        async def ask() -> None:
            heard.extend(o.text for o in await pair.send("bad") if o.type == "alerted")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await begun.wait()
            assert await pair.kernel.cancel("bad")
        assert heard == ["The turn was cancelled."]
        assert ended.is_set()
        await pair.check()


class HeldStore(MemoryStore):
    """Answers no question while it is ``held``."""

    held = False

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.asked = asyncio.Event()

    async def read(self, work: Any) -> Any:
        if self.held:
            self.asked.set()
            await asyncio.Event().wait()
        return await super().read(work)


async def test_a_task_of_asyncio_that_is_cancelled_serves_no_longer(tmp_path: Path) -> None:
    """Task groups of asyncio cancel a task once; a server of HTTP cancels those of its requests so."""
    store = HeldStore(MemoryDatabase())
    parts = Parts(model=ScriptedModel(answer), store=store, embedder=NullEmbedder())
    async with open_pair(tmp_path, parts) as pair:
        store.held = True
        serving = asyncio.create_task(pair.kernel.serve())
        await store.asked.wait()  # in the middle of a look at the store
        store.held = False
        serving.cancel()
        await asyncio.wait({serving}, timeout=PATIENCE)
        assert serving.cancelled()
        await pair.check()


def test_ctrl_c_still_interrupts_a_script(tmp_path: Path) -> None:
    @tool
    async def act() -> str:
        """Act."""
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        await anyio.sleep_forever()
        return ""

    with pagefault.Agent("ana", home=tmp_path, tools=[act], model=ScriptedModel(answer)) as agent:
        with pytest.raises(KeyboardInterrupt):
            agent.send("go")
        assert agent.cancel()
        assert str(agent.send("hello")) == "hello"


async def test_what_is_cancelled_may_clean_up(tmp_path: Path) -> None:
    cleaned: list[float] = []

    @tool(timeout=0.05)
    async def act() -> str:
        """Act."""
        try:
            await anyio.sleep_forever()
            return ""
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.05)
                cleaned.append(time.monotonic())

    async with open_pair(tmp_path, parts_of(tools=(act,))) as pair:
        assert "did not finish" in results(await pair.send("bad"))[0]
        assert len(cleaned) == 1
        await pair.send("bad", Event(EventKind.LOGIN))
