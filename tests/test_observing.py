"""The hook for observers: what is reported of a turn, nested and in order, and that no observer hurts one."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import ModelError
from pagefault.functions.tools import tool
from pagefault.kernel import Kernel
from pagefault.models import Call, Completion, Model, Prompt, Usage
from pagefault.observing import (
    Activity,
    Ending,
    ObservedCall,
    ObservedRequest,
    ObservedSearch,
    ObservedTurn,
    Observer,
)
from pagefault.testing.models import ScriptedModel, call, say

pytestmark = pytest.mark.anyio


def shown(activity: Activity) -> str:
    match activity:
        case ObservedTurn():
            return f"turn of {activity.name}, {activity.model}, {activity.event.text!r}"
        case ObservedRequest():
            return f"request to {activity.model}"
        case ObservedCall():
            return f"{activity.kind} {activity.function} {activity.arguments}"
        case ObservedSearch():
            return f"search {activity.tier} {activity.query!r}"


@dataclass
class Recorder:
    """Keeps what it is told, indented by depth."""

    lines: list[str] = field(default_factory=list[str])
    endings: list[tuple[Activity, Ending]] = field(default_factory=list[tuple[Activity, Ending]])
    depth: int = 0
    traced: str = ""

    def begin(self, activity: Activity) -> Callable[[Ending], None]:
        self.lines.append("  " * self.depth + shown(activity))
        self.depth += 1

        def end(ending: Ending) -> None:
            self.depth -= 1
            self.endings.append((activity, ending))

        return end

    def trace(self) -> str:
        return f"{self.traced}-{self.depth}" if self.traced else ""

    def ending(self, kind: type) -> Ending:
        return [ending for activity, ending in self.endings if isinstance(activity, kind)][-1]


class Broken:
    """Raises wherever it is asked."""

    def __init__(self, error: BaseException, *, at: str = "begin") -> None:
        self.error = error
        self.at = at
        self.asked = 0

    def begin(self, activity: Activity) -> Callable[[Ending], None]:  # noqa: ARG002
        self.asked += 1
        if self.at == "begin":
            raise self.error

        def end(ending: Ending) -> None:  # noqa: ARG001
            raise self.error

        return end

    def trace(self) -> str:
        raise self.error


@asynccontextmanager
async def kernel_with(tmp_path: Path, model: Model, *observers: Observer) -> AsyncGenerator[Kernel]:
    parts = Parts(model=model, embedder=NullEmbedder(), tools=(weather, asks), observers=observers)
    async with open_kernel(tmp_path, parts, Installation()) as kernel:
        await kernel.create_agent("ana", parse_settings({"zone": "UTC", "model": "openai:gpt-4o-mini"}))
        yield kernel


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    if city == "Atlantis":
        raise ValueError("it is under water")
    return f"Sunny in {city}."


@tool(approval=True)
def asks(city: str) -> str:
    """Ask for a decision."""
    return city


def speaking(*items: object) -> ScriptedModel:
    return ScriptedModel([*items], usage=lambda _p, _c: Usage(100, 20, cached=60))  # type: ignore[list-item]


async def said(kernel: Kernel, text: str = "Hello?") -> list[str]:
    return [output.text for output in [o async for o in kernel.send("ana", text)] if output.type == "said"]


async def test_a_turn_is_reported_with_all_that_it_does(tmp_path: Path) -> None:
    seen = Recorder()
    model = speaking(
        [call("archival_insert", heartbeat=True, text="Ana likes tea")],
        [call("recall_search", query="tea")],
        [call("weather", heartbeat=True, city="Porto")],
        [say("It is sunny.")],
    )
    async with kernel_with(tmp_path, model, seen) as kernel:
        assert await said(kernel, "Note: tea.") == ["It is sunny."]
    turn, asked = "turn of ana, openai:gpt-4o-mini, 'Note: tea.'", "  request to openai:gpt-4o-mini"
    assert seen.lines == [
        turn,
        asked,
        '  memory archival_insert {"text": "Ana likes tea", "request_heartbeat": true}',
        asked,
        '  query recall_search {"query": "tea"}',
        "    search recall 'tea'",
        asked,
        '  tool weather {"city": "Porto", "request_heartbeat": true}',
        asked,
        '  memory send_message {"message": "It is sunny."}',
    ]
    assert seen.depth == 0
    assert seen.ending(ObservedTurn) == Ending(state="done")
    completion = seen.ending(ObservedRequest).completion
    assert completion is not None
    assert completion.usage == Usage(100, 20, cached=60)
    texts = [ending.text for activity, ending in seen.endings if isinstance(activity, ObservedCall)]
    assert texts == ["Saved as p1.", "Showing 0 of 0 results (page 1/1)", "Sunny in Porto.", "Sent."]
    assert all(
        activity.seconds > 0
        for activity, _ in seen.endings
        if isinstance(activity, ObservedCall) and activity.kind == "memory"
    )


async def test_what_fails_is_named(tmp_path: Path) -> None:
    seen = Recorder()
    model = speaking(
        [call("weather", heartbeat=True, city="Atlantis"), call("archival_insert", heartbeat=True, text=" ")],
        [call("no_such_function", heartbeat=True)],
        ModelError("The model broke."),
    )
    async with kernel_with(tmp_path, model, seen) as kernel:
        await said(kernel)
    found = [(type(activity).__name__, ending.error) for activity, ending in seen.endings if ending.error]
    assert found == [
        ("ObservedCall", "failed"),
        ("ObservedCall", "failed"),
        ("ObservedCall", "invalid"),
        ("ObservedRequest", "ModelError"),
        ("ObservedTurn", "model_failed"),
    ]


async def test_a_turn_that_waits_or_is_cancelled_says_so(tmp_path: Path) -> None:
    seen = Recorder()
    model = speaking([call("asks", city="Porto")])
    async with kernel_with(tmp_path, model, seen) as kernel:
        await said(kernel)
        assert seen.ending(ObservedTurn) == Ending(state="waiting")

    asked = anyio.Event()

    class Endless(ScriptedModel):
        async def stream(self, prompt: object) -> AsyncGenerator[Completion]:  # type: ignore[override]  # noqa: ARG002
            asked.set()
            await anyio.sleep_forever()
            yield Completion()

    async with (
        kernel_with(tmp_path / "other", Endless([]), seen) as kernel,
        anyio.create_task_group() as group,
    ):
        group.start_soon(said, kernel)
        await asked.wait()
        await kernel.cancel("ana")
    assert seen.ending(ObservedRequest) == Ending("cancelled")
    assert seen.ending(ObservedTurn) == Ending("cancelled")
    assert seen.depth == 0


async def test_an_event_has_the_trace_of_whoever_posts_it(tmp_path: Path) -> None:
    seen = Recorder(traced="request")
    settings = parse_settings({"zone": "UTC", "agents": True})
    script = {"Greet bo.": [call("send_to_agent", name="bo", text="Hello.")]}

    def answer(prompt: Prompt) -> Sequence[Call]:
        return next((calls for text, calls in script.items() if text in prompt.messages[-1].text), ())

    async with kernel_with(tmp_path, ScriptedModel(answer), seen) as kernel:
        for name in ("cleo", "bo"):
            await kernel.create_agent(name, settings)
        _ = [output async for output in kernel.send("cleo", "Greet bo.")]
        await kernel.idle()
    turns = [activity for activity, _ in seen.endings if isinstance(activity, ObservedTurn)]
    assert [(turn.name, turn.event.trace) for turn in turns] == [("cleo", "request-0"), ("bo", "request-1")]


async def test_a_summary_is_a_request_too(tmp_path: Path) -> None:
    seen = Recorder()
    async with kernel_with(tmp_path, speaking(), seen) as kernel:
        for text in ("one", "two", "three"):
            await said(kernel, text)
        seen.lines.clear()
        assert await kernel.flush("ana")
    assert seen.lines == ["request to openai:gpt-4o-mini"]


@pytest.mark.parametrize("at", ["begin", "end"])
@pytest.mark.parametrize(
    "error", [ValueError("broken"), KeyboardInterrupt(), SystemExit(2), anyio.ClosedResourceError()], ids=repr
)
async def test_an_observer_that_raises_costs_its_reports_only(
    tmp_path: Path, error: BaseException, at: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken, seen = Broken(error, at=at), Recorder()
    model = speaking([call("weather", heartbeat=True, city="Porto")], [say("It is sunny.")])
    with caplog.at_level(logging.WARNING, "pagefault"):
        async with kernel_with(tmp_path, model, broken, seen) as kernel:
            assert await said(kernel) == ["It is sunny."]
            assert [o.type for o in await kernel.outputs("ana")][-1] == "returned"
    assert broken.asked >= 5
    assert seen.depth == 0
    assert seen.ending(ObservedTurn) == Ending(state="done")
    assert [record.message for record in caplog.records if "observer" in record.message] == [
        caplog.records[0].message  # said once, not at each report
    ]
