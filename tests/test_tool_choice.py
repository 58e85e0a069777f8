"""The tools that an agent is offered: chosen by its setting, added and removed while the program runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

import pagefault
from pagefault import Agent, Pagefault, ToolContext
from pagefault.assembly import Parts
from pagefault.config import load_installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import ArgumentTypeError, NotFoundError, UsageError
from pagefault.models import Prompt
from pagefault.testing.models import Item, ScriptedModel, call, say

pytestmark = pytest.mark.anyio


def weather(city: str) -> str:
    """The weather."""
    return f"Sunny in {city}."


def order(item: str) -> str:
    """Order an item."""
    return f"{item} is on its way."


def model_of(*script: Item) -> ScriptedModel:
    return ScriptedModel(list(script))


def opened(home: Path, model: ScriptedModel, *tools: Callable[..., Any]) -> Pagefault:
    return pagefault.open(home, tools=tools, parts=Parts(model=model, embedder=NullEmbedder()))


def offered(prompt: Prompt) -> list[str]:
    """The tools of the program in a prompt."""
    return [f.name for f in prompt.functions if f.name in ("weather", "order", "late")]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (None, ["weather", "order"]),
        (["order", "weather"], ["weather", "order"]),  # in the order of the program, so that prefixes are one
        (["order", "order"], ["order"]),
        ("order", ["order"]),
        ([], []),
    ],
)
async def test_an_agent_is_offered_the_tools_that_its_setting_names(
    tmp_path: Path, names: Any, expected: list[str]
) -> None:
    model = model_of()
    async with opened(tmp_path, model, weather, order) as pf:
        await (await pf.agent("ana", tools=names)).send("hi")
        await (await pf.agent("bo")).send("hi")
    assert [offered(prompt) for prompt in model.prompts] == [expected, ["weather", "order"]]


async def test_a_tool_that_is_not_chosen_cannot_be_called(tmp_path: Path) -> None:
    model = model_of([call("order", item="tea")], [say("I cannot.")])
    async with opened(tmp_path, model, weather, order) as pf:
        reply = await (await pf.agent("ana", tools=["weather"])).send("order tea")
    (result,) = (o.text for o in reply.outputs if o.type == "returned" and o.name == "order")
    assert result.startswith("Error: There is no function order.")


async def test_a_name_of_no_tool_is_refused_when_it_is_set(tmp_path: Path) -> None:
    async with opened(tmp_path, model_of(), weather, order) as pf:
        says = r"The setting tools is wrong: there is no tool 'wether'; the tools are weather, order\."
        with pytest.raises(UsageError, match=says):
            await pf.agent("ana", tools=["weather", "wether"])
        ana = await pf.agent("ana")
        with pytest.raises(UsageError, match=says):
            await pf.agent("ana", tools=["wether"])
        with pytest.raises(UsageError, match=says):
            await ana.settings.change(tools=["wether"])
        functions: list[Any] = [[weather], weather]
        for given in functions:
            with pytest.raises(ArgumentTypeError, match="An agent's tools are named"):
                await pf.agent("ana", tools=given)
        numbers: Any = [5]
        with pytest.raises(UsageError, match="The setting tools"):
            await pf.agent("ana", tools=numbers)
        assert (await ana.settings.read()).tools is None


async def test_a_tool_that_another_process_has_is_missed_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path, model_of(), weather, order) as pf:
        await pf.agent("ana", tools=["weather", "order"])
    model = model_of()
    async with opened(tmp_path, model, weather) as pf, pf.kernel.listen_all() as outputs:
        ana = await pf.agent("ana", max_steps=3)  # another setting can still be changed
        assert (await ana.send("hi")).text == "ok"
        noticed = [o.text for _, o in [outputs.receive_nowait() for _ in range(3)] if o.type == "noticed"]
    assert noticed == ["Agent ana goes on without tools that this process does not have: order."]
    assert noticed[0] in caplog.text
    assert offered(model.prompts[0]) == ["weather"]


async def test_a_program_without_tools_can_name_those_of_another(tmp_path: Path) -> None:
    async with opened(tmp_path, model_of()) as pf:
        await pf.agent("ana", tools=["weather"])
    model = model_of()
    async with opened(tmp_path, model, weather, order) as pf:
        await (await pf.agent("ana")).send("hi")
    assert offered(model.prompts[0]) == ["weather"]


def test_the_setting_can_be_a_default_and_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text('[agent]\ntools = ["weather"]\n')
    assert load_installation(tmp_path).agent.tools == ("weather",)
    monkeypatch.setenv("PAGEFAULT_TOOLS", " weather, order ,")
    assert load_installation(tmp_path).agent.tools == ("weather", "order")
    assert parse_settings({"tools": None}).tools is None


# at run time


def late(text: str, context: ToolContext) -> str:
    """Come late."""
    return f"{context.agent}: {text}"


async def test_tools_come_and_go_with_the_next_event(tmp_path: Path) -> None:
    model = model_of()
    async with opened(tmp_path, model, weather) as pf:
        ana, bo = await pf.agent("ana"), await pf.agent("bo", tools=["weather"])
        await ana.send("hi")
        pf.add_tool(late)
        for agent in (ana, bo):
            await agent.send("hi")
        model.script = [[call("late", heartbeat=True, text="here")], [say("ok")]]
        reply = await ana.send("hi")
        assert "ana: here" in [o.text for o in reply.outputs if o.type == "returned"]
        pf.remove_tool("late")
        await ana.send("hi")
    seen = [offered(prompt) for prompt in model.prompts]
    assert seen == [["weather"], ["weather", "late"], ["weather"], *2 * [["weather", "late"]], ["weather"]]


async def test_an_open_turn_keeps_what_it_has(tmp_path: Path) -> None:
    model, begun, goes_on = model_of(), anyio.Event(), anyio.Event()

    async def wait() -> str:
        """Wait."""
        begun.set()
        await goes_on.wait()
        return "waited"

    model.script = [
        [call("wait", heartbeat=True)],
        [call("weather", city="Porto", heartbeat=True)],
        [say("ok")],
    ]
    async with opened(tmp_path, model, wait, weather) as pf:
        ana = await pf.agent("ana")
        await ana.post("first")
        await ana.post("second")
        await begun.wait()
        pf.remove_tool("weather")
        pf.add_tool(late)
        goes_on.set()
        await pf.kernel.idle()
    assert [offered(prompt) for prompt in model.prompts] == [*3 * [["weather"]], ["late"]]


async def test_what_cannot_be_added_or_removed_is_one_sentence(tmp_path: Path) -> None:
    async with opened(tmp_path, model_of(), weather) as pf:
        with pytest.raises(UsageError, match="There are two functions named weather; rename one"):
            pf.add_tool(weather)
        with pytest.raises(NotFoundError, match="There is no tool 'order'; the tools are weather"):
            pf.remove_tool("order")
        with pytest.raises(ArgumentTypeError, match="A tool is a function"):
            pf.add_tool(5)  # type: ignore[arg-type]  # pyright: ignore
        for name in ("send_message", "schedule", "document_open", "send_to_agent"):

            def clash() -> None:
                """Clash."""

            clash.__name__ = name
            with pytest.raises(UsageError, match=f"{name} is a function of pagefault itself"):
                pf.add_tool(clash)
            with pytest.raises(UsageError, match=f"{name} is a function of pagefault itself"):
                Agent("bo", home=tmp_path / "bo", tools=[clash])
        assert (await (await pf.agent("ana")).send("hi")).text == "ok"
    with pytest.raises(UsageError, match="not open"):
        pf.add_tool(order)


async def test_tools_are_added_by_a_tool(tmp_path: Path) -> None:
    """A tool that extends what there is, as a program with plug-ins has it."""
    model = model_of([call("learn", heartbeat=True)], [say("Learnt.")])

    parts = Parts(model=model, embedder=NullEmbedder())
    async with pagefault.open(tmp_path, parts=parts) as pf:

        async def learn() -> str:
            """Learn."""
            pf.add_tool(late)
            return "learnt"

        pf.add_tool(learn)
        ana = await pf.agent("ana")
        await ana.send("learn")
        await ana.send("and?")
    assert [offered(prompt) for prompt in model.prompts] == [[], [], ["late"]]


async def test_many_agents_are_served_while_tools_change(tmp_path: Path) -> None:
    async def outputs_of(pf: Pagefault, name: str) -> None:
        agent = await pf.agent(name)
        for _ in range(3):
            assert (await agent.send("hi")).text == "ok"

    async with opened(tmp_path, model_of(), weather) as pf, anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(outputs_of, pf, f"agent{number}")
        for _ in range(20):
            pf.add_tool(late)
            await anyio.sleep(0.001)
            pf.remove_tool("late")
