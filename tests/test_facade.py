"""The two faces of an agent, as somebody uses them who has read the README: ``Agent`` in a script,
``pagefault.open`` in asynchronous code. Both have the same methods."""

from __future__ import annotations

import inspect
import os
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, nullcontext
from datetime import date, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any, get_type_hints

import anyio
import pytest

import pagefault
from pagefault import Agent, Event, PagefaultError, tool
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import AgentSettings, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import ArgumentTypeError, UsageError
from pagefault.facade import AgentOptions, SectionOptions
from pagefault.facade.blocking import LoopThread
from pagefault.facade.parts import AsyncDocuments, AsyncPassages, AsyncSections, AsyncSettings, AsyncTimers
from pagefault.models import Prompt
from pagefault.section_settings import SectionSettings
from pagefault.testing.models import Item, ScriptedModel, call, say


def parts(model: ScriptedModel | None = None) -> Parts:
    return Parts(model=model or ScriptedModel([]), embedder=NullEmbedder())


# in a script


def test_a_script_gets_its_reply_at_once(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts(ScriptedModel([[say("Hello.")]]))) as ana:
        reply = ana.send("hi")
        assert str(reply) == reply.text == "Hello."
        assert [o.type for o in reply.outputs] == ["called", "said", "returned", "done"]


def test_a_reply_shows_what_it_is(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts(ScriptedModel([[say("Hello.")]]))) as ana:
        assert repr(ana.send("hi")).startswith("Reply('Hello.'")
        assert repr(ana) == "<Agent 'ana'>"


def test_a_stream_is_read_with_for(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts(ScriptedModel(["Hello."])), style="native") as ana:
        outputs = list(ana.stream("hi"))
    assert "".join(o.text for o in outputs if o.type == "delta") == "Hello."
    assert outputs[-1].type == "done"


def test_the_agent_is_there_again_after_a_restart(tmp_path: Path) -> None:
    first = ScriptedModel([[call("working_context_append", section="human", text="Ana")]])
    with Agent("ana", home=tmp_path, parts=parts(first)) as ana:
        ana.send("I am Ana")
    second = ScriptedModel([[say("Welcome back.")]])
    with Agent("ana", home=tmp_path, parts=parts(second)) as ana:
        assert ana.send("me again").text == "Welcome back."
    assert "I am Ana" in str(second.prompts[0].messages)


def test_tools_and_settings_are_given_at_creation(tmp_path: Path) -> None:
    @tool
    def double(number: int) -> int:
        """Twice a number."""
        return 2 * number

    model = ScriptedModel([[call("double", heartbeat=True, number=21)], [say("42")]])
    with Agent("ana", home=tmp_path, tools=[double], parts=parts(model), window=4096) as ana:
        outputs = ana.send("double 21").outputs
    assert "42" in [o.text for o in outputs if o.type == "returned"]


def test_settings_given_later_are_changed(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts(), window=4096):
        pass
    with Agent("ana", home=tmp_path, parts=parts(ScriptedModel(["Hi."])), style="native") as ana:
        assert ana.send("hi").text == "Hi."


def test_defaults_come_from_the_installation(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[agent]\nstyle = "native"\n')
    with Agent("ana", home=tmp_path, parts=parts(ScriptedModel(["Hi."]))) as ana:
        assert ana.send("hi").text == "Hi."


@pytest.mark.anyio
async def test_it_blocks_where_a_loop_runs_too(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts(ScriptedModel([[say("Hello.")]]))) as ana:
        assert ana.send("hi").text == "Hello."  # as in a notebook


# in asynchronous code


@pytest.mark.anyio
async def test_asynchronous_code_opens_and_awaits(tmp_path: Path) -> None:
    async with pagefault.open(tmp_path, parts=parts(ScriptedModel([[say("Hello.")]]))) as pf:
        ana = await pf.agent("ana", window=4096)
        reply = await ana.send("hi")
        assert reply.text == "Hello."
        assert await pf.agents() == ["ana"]
        assert repr(ana) == "<AsyncAgent 'ana'>"


@pytest.mark.anyio
async def test_outputs_are_streamed(tmp_path: Path) -> None:
    async with pagefault.open(tmp_path, parts=parts(ScriptedModel(["Hello."]))) as pf:
        ana = await pf.agent("ana", style="native")
        outputs = [output async for output in ana.stream("hi")]
    assert "".join(o.text for o in outputs if o.type == "delta") == "Hello."
    assert outputs[-1].type == "done"


@pytest.mark.anyio
async def test_several_may_ask_for_a_new_agent_at_once(tmp_path: Path) -> None:
    async with (
        pagefault.open(tmp_path, parts=parts()) as one,
        pagefault.open(tmp_path, parts=parts()) as other,
        anyio.create_task_group() as tasks,
    ):
        for pf in (one, other) * 4:
            tasks.start_soon(pf.agent, "ana")
    async with pagefault.open(tmp_path, parts=parts()) as pf:
        assert await pf.agents() == ["ana"]


@pytest.mark.anyio
async def test_who_listens_hears_an_event_that_was_posted(tmp_path: Path) -> None:
    async with pagefault.open(tmp_path, parts=parts(ScriptedModel([[say("Who is there?")]]))) as pf:
        ana = await pf.agent("ana")
        async with aclosing(ana.listen()) as outputs, anyio.create_task_group() as tasks:

            async def knock() -> None:
                await anyio.lowlevel.checkpoint()
                await ana.post(Event("door_opened", "the front door"))

            tasks.start_soon(knock)
            async for output in outputs:
                if output.type == "said":
                    assert output.text == "Who is there?"
                    return


# the two have the same names


def methods(face: type) -> set[str]:
    return {name for name, value in inspect.getmembers(face) if name[0] != "_" and callable(value)}


def test_both_faces_have_the_same_methods() -> None:
    assert methods(Agent) - methods(pagefault.AsyncAgent) == {"close"}
    assert methods(pagefault.AsyncAgent) - methods(Agent) == set()


@pytest.mark.parametrize("name", sorted(methods(pagefault.AsyncAgent)))
def test_a_method_of_one_is_documented_by_the_other(name: str) -> None:
    one, other = getattr(Agent, name), getattr(pagefault.AsyncAgent, name)
    assert one.__doc__ == other.__doc__ != None  # noqa: E711
    assert inspect.signature(one).parameters == inspect.signature(other).parameters
    assert not inspect.iscoroutinefunction(one)


FACES = {
    "pf.": pagefault.Pagefault,
    "": pagefault.AsyncAgent,
    "ana.sections.": AsyncSections,
    "ana.passages.": AsyncPassages,
    "ana.documents.": AsyncDocuments,
    "ana.timers.": AsyncTimers,
    "ana.settings.": AsyncSettings,
}


@pytest.mark.parametrize("prefix", FACES)
def test_every_method_and_argument_is_documented(prefix: str) -> None:
    page = (Path(__file__).parents[1] / "docs" / "library.md").read_text("utf-8")
    for name in methods(FACES[prefix]):
        call = re.search(rf"`{re.escape(prefix)}{name}\(([^`]*)\)`", page)
        assert call, f"{prefix}{name}"
        parameters = set(inspect.signature(getattr(FACES[prefix], name)).parameters) - {"self", "options"}
        missing = [each for each in parameters if not re.search(rf"\b{each}\b", call[1])]
        assert not missing, f"{prefix}{name}: {missing}"


def test_options_are_the_settings() -> None:
    assert set(get_type_hints(AgentOptions)) == set(AgentSettings.model_fields)
    assert set(get_type_hints(SectionOptions)) == set(SectionSettings.model_fields)


def test_an_unknown_name_is_an_attribute_error(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts()) as ana, pytest.raises(AttributeError, match="memoryy"):
        ana.memoryy  # type: ignore[attr-defined]  # noqa: B018


# what goes wrong is one sentence


def test_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="The setting window is wrong"):
        Agent("ana", home=tmp_path, window=100)


def test_a_setting_that_is_misspelt(tmp_path: Path) -> None:
    wrong: Any = {"windw": 4096}
    with pytest.raises(UsageError, match=r"There is no setting windw; did you mean window\?"):
        Agent("ana", home=tmp_path, **wrong)


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, model=ScriptedModel(_answer)) as ana:
        assert ana.send("hi").text == "You said hi"


@pytest.mark.anyio
async def test_a_model_of_ones_own_is_for_all_agents(tmp_path: Path) -> None:
    async with pagefault.open(tmp_path, model=ScriptedModel(_answer)) as pf:
        assert (await (await pf.agent("ana")).send("hi")).text == "You said hi"
        wrong: Any = ScriptedModel([])
        with pytest.raises(ArgumentTypeError, match="ScriptedModel is not a name"):
            await pf.agent("bo", model=wrong)


def test_sending_what_is_no_event(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts()) as ana:
        wrong: Any = 42
        with pytest.raises(TypeError, match="not int; write send"):
            ana.send(wrong)
        with pytest.raises(PagefaultError):
            ana.send(wrong)


def test_a_tool_without_types(tmp_path: Path) -> None:
    untyped: Any = eval("lambda number: number")
    untyped.__name__ = "same"
    with pytest.raises(ArgumentTypeError, match="parameter number needs a type hint"):
        Agent("ana", home=tmp_path, tools=[untyped], parts=parts())
    assert list(tmp_path.iterdir()) == []


def test_closing_does_not_wait_for_a_loop_that_is_blocked() -> None:
    blocked, release = threading.Event(), threading.Event()
    loop = LoopThread(closing_time=0.01)
    loop.open(nullcontext())

    async def block() -> None:
        blocked.set()
        release.wait()  # as a tool that calls time.sleep
        await anyio.sleep_forever()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(loop.call, block)
        blocked.wait()
        loop.close()
        release.set()
        with pytest.raises(UsageError, match="closed before this was done"):
            waiting.result()


@pytest.mark.parametrize(
    ("method", "arguments", "sentence"),
    [
        ("passages.get", {"id": 7}, r'id is a string, and 7 is none; write id="...".'),
        ("history", {"before": 12}, r"before is a string, and 12 is none"),
        ("remember", {"text": None}, r"text is a string, and None is none"),
        ("history", {"limit": "10"}, r"limit is a whole number, and '10' is none"),
        ("sections.set_limit", {"section": "human", "limit": "big"}, r"limit is a number, and 'big' is none"),
        ("rename", {"name": 5}, r"name is a string, and 5 is none"),
        ("search", {"query": "bees", "since": 3}, r"since is a time, and 3 is none"),
        ("usage", {"until": 3}, r"until is a time, and 3 is none"),
    ],
)
def test_an_argument_of_the_wrong_type(
    ana: Agent, method: str, arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ArgumentTypeError, match=sentence):
        attrgetter(method)(ana)(**arguments)


def test_wrong_types_when_an_agent_is_made(tmp_path: Path) -> None:
    wrong: Any = 5
    with pytest.raises(ArgumentTypeError, match="name is a string"):
        Agent(wrong, home=tmp_path)
    with pytest.raises(ArgumentTypeError, match="home is a path"):
        Agent("ana", home=wrong)
    with pytest.raises(ArgumentTypeError, match="A tool is a function with a name, and 5 is none"):
        Agent("ana", home=tmp_path, tools=[wrong])
    with pytest.raises(ArgumentTypeError, match="tools is a list of functions, and 5 is none"):
        Agent("ana", home=tmp_path, tools=wrong)
    with pytest.raises(ArgumentTypeError, match="model is an object with `stream`, and 5 has none"):
        pagefault.open(tmp_path, model=wrong)
    with pytest.raises(ArgumentTypeError, match="parts is a pagefault"):
        pagefault.open(tmp_path, parts=wrong)
    with pytest.raises(UsageError, match="Write `async with"), pagefault.open(tmp_path):
        pass


def send_message(text: str) -> str:
    """Send by post."""
    return text


def test_a_tool_with_a_taken_name_is_an_error_at_once_and_no_hang(tmp_path: Path) -> None:
    for _ in range(2):  # for an agent to be made, and for one that exists
        with pytest.raises(UsageError, match="send_message is a function of pagefault itself; rename"):
            Agent("ana", home=tmp_path, tools=[send_message], parts=parts())
        Agent("ana", home=tmp_path, parts=parts()).close()
    with pytest.raises(UsageError, match="two functions named double; rename one"):
        Agent("ana", home=tmp_path, tools=[double, double], parts=parts())


@tool
def double(number: int) -> int:
    """Twice a number."""
    return 2 * number


def test_times_are_taken_as_people_write_them(ana: Agent) -> None:
    ids = [
        ana.remember("Honey.", at="2026-01-02"),
        ana.remember("Wax.", at=datetime(2026, 1, 3)),  # noqa: DTZ001
        ana.remember("Bees."),
    ]
    found = ana.search(tier="archival", since=date(2026, 1, 2), until="2026-01-03")
    assert {hit.id for hit in found.results} == set(ids[:2])
    with pytest.raises(UsageError):
        ana.remember("Mead.", at="one day")


def test_one_string_stands_for_a_list_of_it(ana: Agent) -> None:
    id = ana.remember("Ana sells honey.", tags="honey")
    assert ana.passages.get(id).tags == ("honey",)
    assert [hit.id for hit in ana.passages.list(tags="honey")] == [id]
    assert [hit.text for hit in ana.search("Ana", role="user")] == ["I am Ana."]


def test_sending_after_the_close(tmp_path: Path) -> None:
    ana = Agent("ana", home=tmp_path, parts=parts())
    ana.close()
    ana.close()
    with pytest.raises(UsageError, match="This agent is closed; open it again"):
        ana.send("hi")


@pytest.mark.anyio
async def test_using_what_is_not_open(tmp_path: Path) -> None:
    pf = pagefault.open(tmp_path, parts=parts())
    with pytest.raises(UsageError, match="not open"):
        await pf.agent("ana")
    async with pf:
        ana = await pf.agent("ana")
    with pytest.raises(UsageError, match="not open"):
        await ana.send("hi")


def test_closing_ends_a_call_that_waits(tmp_path: Path) -> None:
    asked = threading.Event()

    @tool
    async def wait() -> None:
        """Never end."""
        asked.set()
        await anyio.sleep_forever()

    ana = Agent("ana", home=tmp_path, tools=[wait], parts=parts(ScriptedModel([[call("wait")]])))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: ana.send("hi"))
        asked.wait()
        ana.close()
        with pytest.raises(UsageError, match="closed before this was done"):
            waiting.result()


def test_a_tool_that_sends_to_its_own_agent(tmp_path: Path) -> None:
    agents: list[Agent] = []

    @tool
    async def ask() -> str:
        """Ask oneself."""
        return agents[0].send("hi").text

    model = ScriptedModel([[call("ask")]])
    with Agent("ana", home=tmp_path, tools=[ask], parts=parts(model)) as ana:
        agents.append(ana)
        outputs = ana.send("hi").outputs
    assert "own event loop" in next(o.text for o in outputs if o.type == "returned")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this machine cannot fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_after_a_fork(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts()) as ana:
        said = _in_child(lambda: ana.send("hi"))
        assert said.startswith("UsageError: This agent was opened before the process forked")
        assert _in_child(lambda: ana.close()) == "nothing"
        assert ana.send("hi").text == "ok"


def _in_child(act: Any) -> str:
    """Say what an act in a forked child raises."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            act()
            said = "nothing"
        except BaseException as error:  # noqa: BLE001
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


# what can be seen and changed


@pytest.fixture
def ana(tmp_path: Path) -> Iterator[Agent]:
    script = [
        [call("working_context_append", section="human", text="Name: Ana."), say("Nice to meet you, Ana.")],
        [call("archival_search", query="honey", heartbeat=True)],
        [say("Acacia honey, you told me.")],
    ]
    with Agent("ana", home=tmp_path, parts=parts(ScriptedModel(script)), zone="Europe/Lisbon") as ana:
        ana.send("I am Ana.")
        yield ana


def test_history_is_read_page_by_page(ana: Agent) -> None:
    page = ana.history(limit=1)
    assert [row.text for row in page] == ["Nice to meet you, Ana."]
    assert [row.text for row in ana.history(before=page.before)] == ["I am Ana."]


def test_memory_is_searched_as_the_agent_does(ana: Agent) -> None:
    id = ana.remember("Ana sells acacia honey.", tags=["#honey"])
    found = ana.search("honey", tags=["honey"])
    assert (found.total, [hit.id for hit in found]) == (1, [id])
    assert [hit.text for hit in ana.search("Ana", role=["user"])] == ["I am Ana."]
    assert ana.search("honey", tier="archival", until="2020-01-01").total == 0


def test_sections_are_read_and_written(ana: Agent) -> None:
    assert [section.name for section in ana.sections.list()] == ["persona", "human"]
    ana.sections.write("human", "Name: Ana. Sells honey.")
    assert ana.sections.read("human").text == "Name: Ana. Sells honey."
    assert len(ana.sections.versions("human")) == 3
    with pytest.raises(UsageError, match="shorten the text"):
        ana.sections.write("human", "honey " * 2000)
    with pytest.raises(UsageError, match="no section pets; it has persona, human"):
        ana.sections.read("pets")


def test_passages_are_read_and_deleted(ana: Agent) -> None:
    id = ana.remember("Ana sells acacia honey.")
    assert ana.passages.get(id).text == "Ana sells acacia honey."
    ana.passages.delete(id)
    with pytest.raises(UsageError, match="no passage"):
        ana.passages.get(id)


def test_documents_are_loaded_and_read(ana: Agent, tmp_path: Path) -> None:
    pytest.importorskip("markdown_it")
    (tmp_path / "bees.md").write_text("# Bees\n\nA colony has one queen.\n")
    report = ana.documents.load(tmp_path / "bees.md")
    assert [item.state for item in report.items] == ["loaded"]
    (document,) = ana.documents.list()
    assert "one queen" in ana.documents.page(document.id, 1).text
    assert ana.documents.find(document.id, "queen").total == 1
    ana.documents.delete(document.id)
    assert ana.documents.list().total == 0


def test_settings_are_read_and_changed(ana: Agent) -> None:
    assert ana.settings.change(max_steps=3).max_steps == 3
    assert ana.settings.read().max_steps == 3
    with pytest.raises(UsageError, match="The setting window is wrong"):
        ana.settings.change(window=1)


def test_timers_are_set_and_removed(ana: Agent) -> None:
    id = ana.timers.add("feed the bees", when="+2h")
    assert [(timer.id, timer.note) for timer in ana.timers.list()] == [(id, "feed the bees")]
    ana.timers.remove(id)
    assert ana.timers.list() == ()


@pytest.mark.parametrize("when", [timedelta(hours=2), datetime(2090, 1, 1, 9), "tomorrow 9am", "+1 month"])  # noqa: DTZ001
def test_a_timer_is_set_by_a_value_or_in_words(ana: Agent, when: str | timedelta | datetime) -> None:
    ana.timers.add("feed the bees", when=when)
    assert len(ana.timers.list()) == 1


@pytest.mark.parametrize("when", ["+1 weekend", "+99999999999d", timedelta.max, ""])
def test_a_timer_at_no_time_is_refused(ana: Agent, when: str | timedelta) -> None:
    with pytest.raises(UsageError):
        ana.timers.add("feed the bees", when=when)
    with pytest.raises(ArgumentTypeError, match="when is a time"):
        ana.timers.add("feed the bees", when=5)  # pyright: ignore[reportArgumentType]


def test_a_reply_names_its_sources_and_its_usage(ana: Agent) -> None:
    id = ana.remember("Ana sells acacia honey.")
    reply = ana.send("What do I sell?")
    assert [(source.id, source.title, source.page) for source in reply.sources] == [(id, "", None)]
    assert reply.sources[0].at.tzinfo is not None
    assert reply.usage.requests == 2
    assert reply.usage.input > 0
    assert f"sources=['{id}']" in repr(reply)


def test_usage_and_trace_say_what_a_turn_took(ana: Agent) -> None:
    reply = ana.send("What do I sell?")
    assert ana.usage().requests == 3
    assert [row.spent.requests for row in ana.usage_by("turn")] == [1, 2]
    trace = ana.trace(reply.outputs[-1].event)
    assert (trace.event.text, trace.totals.steps) == ("What do I sell?", 2)


def test_the_context_is_what_the_next_request_sends(ana: Agent) -> None:
    context = ana.context()
    assert "Nice to meet you" in str(context.messages)
    assert context.sizes.queue > 0


def test_a_turn_that_was_cut_short_has_an_alert(tmp_path: Path) -> None:
    model = ScriptedModel([[call("archival_search", query="x", heartbeat=True)]] * 3)
    with Agent("ana", home=tmp_path, parts=parts(model), max_steps=2) as ana:
        reply = ana.send("hi")
    assert len(reply.alerts) == 1
    assert "alerts=[" in repr(reply)


def test_an_agent_is_deleted(ana: Agent) -> None:
    ana.delete()
    with pytest.raises(UsageError, match="There is no agent ana"):
        ana.send("hi")


# a reply belongs to its event


def _answer(prompt: Prompt) -> Item:
    return [say(f"You said {prompt.messages[-1].text.rpartition('] ')[2]}")]


def test_threads_that_send_at_once_each_get_their_own_reply(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(9)]
    with (
        Agent("ana", home=tmp_path, parts=parts(ScriptedModel(_answer))) as ana,
        ThreadPoolExecutor(3) as pool,
    ):
        replies = list(pool.map(ana.send, texts))
    assert [reply.text for reply in replies] == [f"You said {text}" for text in texts]
    assert all(len({output.event for output in reply.outputs}) == 1 for reply in replies)


@pytest.mark.anyio
async def test_tasks_that_send_at_once_each_get_their_own_reply(tmp_path: Path) -> None:
    replies: dict[str, str] = {}
    async with pagefault.open(tmp_path, parts=parts(ScriptedModel(_answer))) as pf:
        ana = await pf.agent("ana")

        async def send(text: str) -> None:
            replies[text] = (await ana.send(text)).text

        async with anyio.create_task_group() as tasks:
            for text in ("one", "two"):
                tasks.start_soon(send, text)
    assert replies == {"one": "You said one", "two": "You said two"}


@pytest.mark.anyio
async def test_the_first_reply_after_an_event_that_waited(tmp_path: Path) -> None:
    kernel = open_kernel(tmp_path, parts())
    await kernel.create_agent("ana", parse_settings({}))
    await kernel.post("ana", Event("upload_finished", "report.pdf"))  # as `pagefault load` leaves it
    await kernel.close()
    async with pagefault.open(tmp_path, parts=parts(ScriptedModel(_answer))) as pf:
        reply = await (await pf.agent("ana")).send("hi")
    assert reply.text == "You said hi"


def test_a_warning_of_memory_pressure_is_no_part_of_a_reply(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts(ScriptedModel(_answer)), window=4096, warn=0.05) as ana:
        replies = [ana.send(f"text {number} {'so it goes ' * 20}") for number in range(6)]
    assert [reply.text.split()[:4] for reply in replies] == [f"You said text {n}".split() for n in range(6)]
    assert not [output for reply in replies for output in reply.outputs if output.type == "warned"]


def test_an_event_that_was_sent_before_gets_the_same_reply(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts(ScriptedModel(_answer))) as ana:
        first = ana.send(Event("door_opened", "the front door", key="door-1"))
        assert ana.send(Event("door_opened", "the front door", key="door-1")) == first


def test_leaving_a_stream_early_does_not_stop_the_turn(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts(ScriptedModel(_answer))) as ana:
        for _ in ana.stream("one"):
            break
        assert ana.send("two").text == "You said two"
        assert [row.text for row in ana.history()][1] == "You said one"


# changing an agent


def test_an_agent_is_renamed(ana: Agent, tmp_path: Path) -> None:
    ana.rename("cleo")
    assert ana.name == "cleo"
    assert [row.text for row in ana.history()] == ["I am Ana.", "Nice to meet you, Ana."]
    with Agent("bo", home=tmp_path, parts=parts()) as bo:
        with pytest.raises(UsageError, match="already an agent named 'cleo'"):
            bo.rename("cleo")
        with pytest.raises(UsageError, match="cannot be an agent's name"):
            bo.rename("b o")


def test_sections_are_added_and_removed(tmp_path: Path) -> None:
    model = ScriptedModel([])
    with Agent("ana", home=tmp_path, parts=parts(model), window=8192) as ana:
        ana.sections.add("project", "our current work", limit=0.05, text="Beehives.")
        ana.send("hi")
        assert "Section project (our current work) was added" in str(model.prompts[0].messages)
        section = ana.sections.read("project")
        assert (section.text, section.limit) == ("Beehives.", 410)
        ana.sections.write("project", "Honey.")
        ana.sections.remove("project")
        ana.send("hi")
        assert "Section project was removed; it read: Honey." in str(model.prompts[-1].messages)
        assert [section.name for section in ana.sections.list()] == ["persona", "human"]
        assert [version.text for version in ana.sections.versions("project")] == ["Beehives.", "Honey.", ""]
        with pytest.raises(UsageError, match="no section project; it has persona, human"):
            ana.sections.remove("project")
        with pytest.raises(UsageError, match="has a section human already"):
            ana.sections.add("human")
        with pytest.raises(UsageError, match=r"leave .* tokens of the window"):
            ana.sections.add("all", limit=0.9)


def test_a_limit_is_changed_and_the_text_must_fit(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts(), window=8192) as ana:
        ana.sections.write("human", "honey " * 100)
        ana.sections.set_limit("human", 500)
        assert ana.sections.read("human").limit == 500
        with pytest.raises(UsageError, match=r"The text of section human takes .* of 50 tokens; shorten it"):
            ana.sections.set_limit("human", 50)
        with pytest.raises(UsageError, match="16 or more whole tokens, or a share"):
            ana.sections.set_limit("human", 5)


def test_an_agent_moves_to_a_smaller_window(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts(), window=131_072) as ana:
        ana.sections.add("project", limit=0.1)
        ana.send("hi")
        before = {section.name: section.limit for section in ana.sections.list()}
        ana.settings.change(window=8192)
        after = {section.name: section.limit for section in ana.sections.list()}
        assert ana.send("still there?").text == "ok"
    assert before == {"persona": 1308, "human": 2943, "project": 13_107}
    assert after == {"persona": 82, "human": 184, "project": 819}


def test_default_limits_follow_the_window(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts(), window=131_072) as ana:
        ana.settings.change(window=8192)
        assert {s.name: s.limit for s in ana.sections.list()} == {"persona": 324, "human": 729}
        assert ana.send("hi").text == "ok"


def test_a_passage_is_edited(ana: Agent) -> None:
    old = ana.remember("Ana sells acacia honey.", tags=["honey"])
    new = ana.passages.edit(old, "Ana sells chestnut honey.")
    assert (ana.passages.get(new).text, ana.passages.get(new).tags) == (
        "Ana sells chestnut honey.",
        ("honey",),
    )
    assert [hit.id for hit in ana.search("honey", tier="archival")] == [new]
    again = ana.passages.edit(old, "Ana sells lime honey.")  # an id leads to the newest text
    assert {ana.passages.get(id).text for id in (old, new, again)} == {"Ana sells lime honey."}


@pytest.mark.anyio
async def test_a_listener_that_was_away_hears_what_it_missed_first(tmp_path: Path) -> None:
    async with pagefault.open(tmp_path, parts=parts()) as pf:
        ana = await pf.agent("ana")
        reply = await ana.send("One.")
        await ana.send("Two.")
        missed = await ana.outputs(reply.outputs[0].position)
        async with aclosing(ana.listen(reply.outputs[0].position)) as outputs:
            heard = [await anext(outputs) for _ in missed]
            await ana.post("Three.")
            async for output in outputs:
                heard += [output] if output.type in ("said", "done") else []
                if output.type == "done":
                    break
    assert heard[: len(missed)] == missed
    assert [output.type for output in heard[len(missed) :]] == ["said", "done"]


@pytest.mark.anyio
async def test_who_listens_to_all_hears_every_agent_by_name(tmp_path: Path) -> None:
    async with pagefault.open(tmp_path, parts=parts(ScriptedModel(_answer))) as pf:
        ana, bo = await pf.agent("ana"), await pf.agent("bo")
        said: list[tuple[str, str]] = []
        async with aclosing(pf.listen()) as outputs, anyio.create_task_group() as tasks:
            tasks.start_soon(ana.post, "I am Ana")
            tasks.start_soon(bo.post, "I am Bo")
            async for name, output in outputs:
                said += [(name, output.text)] if output.type == "said" else []
                if len(said) == 2:
                    break
    assert sorted(said) == [("ana", "You said I am Ana"), ("bo", "You said I am Bo")]


def test_outputs_are_asked_for_again_from_a_position(ana: Agent) -> None:
    every = ana.outputs()
    assert "Nice to meet you, Ana." in [output.text for output in every]
    assert ana.outputs(after=every[-1].position) == []
    assert not ana.cancel()
    assert ana.flush()
