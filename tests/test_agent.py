"""A turn from event to yield, under a scripted model: the whole output is asserted."""

from __future__ import annotations

import anyio
import pytest

from conftest import Machine
from pagefault.errors import ContextLengthExceeded, ModelError
from pagefault.functions.tools import tool
from pagefault.message_meta import StopName
from pagefault.models import Completion, Delta, Prompt, Usage
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event, Role

pytestmark = pytest.mark.anyio


async def test_heartbeats_chain_and_only_send_message_speaks(machine: Machine) -> None:
    model = ScriptedModel(
        [
            [call("working_context_append", heartbeat=True, section="human", text="Name: Ana")],
            [say("Hello, Ana.")],
        ]
    )
    async with machine.open(model) as rig:
        outputs = [(o.type, o.name, o.text) for o in await rig.send("Hi, I am Ana.")]
    assert outputs == [
        ("called", "working_context_append", outputs[0][2]),
        ("returned", "working_context_append", "human now takes 4 of 729 tokens."),
        ("called", "send_message", '{"message": "Hello, Ana."}'),
        ("said", None, "Hello, Ana."),
        ("returned", "send_message", "Sent."),
        ("done", None, ""),
    ]


async def test_a_call_without_heartbeat_ends_the_turn(machine: Machine) -> None:
    model = ScriptedModel([[call("archival_insert", text="a fact")], [say("not asked")]])
    async with machine.open(model) as rig:
        assert await rig.said("note this") == ""
        assert len(model.prompts) == 1


async def test_several_calls_run_in_order_and_one_that_fails_loses_no_other(machine: Machine) -> None:
    model = ScriptedModel(
        [
            [
                call("archival_insert", text="first"),
                call("no_such_function"),
                call("archival_insert", text="third"),
            ],
            [say("done")],
        ]
    )
    async with machine.open(model) as rig:
        outputs = await rig.send("go")
    returned = [o.text for o in outputs if o.type == "returned"]
    assert returned[0] == "Saved as p1."
    assert returned[1].startswith("Error: There is no function no_such_function.")
    assert returned[2:] == ["Saved as p2.", "Sent."]
    assert [o.text for o in outputs if o.type == "said"] == ["done"], "a failure asks the model again"


async def test_plain_text_is_thought_unless_the_user_would_get_nothing(machine: Machine) -> None:
    model = ScriptedModel(["Just an answer.", [say("spoken")], "an afterthought", "no one asked"])
    async with machine.open(model) as rig:
        assert await rig.said("hello?") == "Just an answer."
        assert [o.type for o in await rig.send("again")] == ["called", "said", "returned", "done"]
        assert [o.type for o in await rig.send(Event("login", ""))] == ["thought", "done"]


async def test_native_style_speaks_in_plain_text_and_any_call_chains(machine: Machine) -> None:
    model = ScriptedModel([[call("archival_insert", text="fact")], "Noted."])
    async with machine.open(model, style="native") as rig:
        assert await rig.said("note this") == "Noted."
        names = {f.name for f in model.prompts[0].functions}
        assert "send_message" not in names
        assert "request_heartbeat" not in str(model.prompts[0].functions)


async def test_steps_are_bounded_and_the_turn_ends_with_an_alert(machine: Machine) -> None:
    model = ScriptedModel(lambda _: Completion(calls=(call("memory_search", heartbeat=True, query="x"),)))
    async with machine.open(model, max_steps=3) as rig:
        outputs = await rig.send("loop")
        assert len(model.prompts) == 3
        assert [o.text for o in outputs if o.type == "alerted"] == [
            "The limit of 3 steps for one event is reached; the turn ends here."
        ]


async def test_a_failed_model_ends_the_turn_with_an_alert_and_the_next_event_is_served(
    machine: Machine,
) -> None:
    model = ScriptedModel([ModelError("The provider is down; try again."), [say("back")]])
    async with machine.open(model) as rig:
        outputs = await rig.send("hello")
        assert [(o.type, o.text) for o in outputs] == [
            ("alerted", "The provider is down; try again."),
            ("done", ""),
        ]
        assert await rig.said("still there?") == "back"


async def test_an_empty_completion_is_asked_for_once_more(machine: Machine) -> None:
    model = ScriptedModel([Completion(), [say("here")], Completion(), Completion()])
    async with machine.open(model) as rig:
        assert await rig.said("hello") == "here"
        assert [o.text for o in await rig.send("hello") if o.type == "alerted"] == [
            "scripted returned nothing, twice."
        ]


@pytest.mark.parametrize("style", ["memgpt", "native"])
async def test_calls_in_vain_get_the_exact_error_and_are_bounded(machine: Machine, style: str) -> None:
    bad = [call("archival_insert", txt="bees"), call("fly_to_the_moon")]
    model = ScriptedModel([bad, [call("archival_read", id="p1", pages=2)], bad, [say("no speech")], bad])
    async with machine.open(model, style=style) as rig:
        outputs = await rig.send("keep it")
        log = await rig.log()
    asked, alert = [o.text for o in outputs if o.type == "alerted"]
    assert "in plain text" in asked
    assert alert == "scripted returned nothing, twice."
    assert len(model.prompts) == 5
    told = [message.text for message in model.prompts[1].messages if message.role == "tool"]
    assert told[0] == (
        "Error: text is missing; there is no parameter txt. "
        "archival_insert takes (text, tags=[]); call it again."
    )
    assert told[1].startswith("Error: There is no function fly_to_the_moon. Functions: ")
    calls = [row.call_id for row in log if row.role is Role.CALL]
    assert [row.call_id for row in log if row.role is Role.RESULT] == calls


async def test_one_call_that_works_among_bad_ones_is_progress(machine: Machine) -> None:
    bad, good = call("fly_to_the_moon"), call("memory_search", query="bees")
    model = ScriptedModel([[bad], [bad], [good], [bad], [bad], [say("done")]])
    async with machine.open(model) as rig:
        assert await rig.said("go on") == "done"


async def test_deltas_stream_and_an_abandoned_attempt_is_retracted(machine: Machine) -> None:
    class Cut(ScriptedModel):
        async def stream(self, prompt: Prompt):  # type: ignore[no-untyped-def]
            count = 0
            async for item in super().stream(prompt):
                count += 1
                if len(self.prompts) == 1 and count == 3:
                    raise ContextLengthExceeded("too long")
                yield item

    model = Cut(lambda _: Completion(calls=(say("Hello there, good friend."),)))
    async with machine.open(model) as rig:
        outputs = [o async for o in rig.kernel.send("ana", "hi")]
    kinds = [o.type for o in outputs]
    first = kinds.index("retracted")
    assert {o.data["attempt"] for o in outputs[: first + 1]} == {"1.1.1"}
    streamed = [o for o in outputs[first:] if o.type == "delta"]
    assert "".join(o.text for o in streamed) == "Hello there, good friend."
    assert {o.data["attempt"] for o in streamed} == {"1.1.2"}
    assert kinds[-4:] == ["called", "said", "returned", "done"]


async def test_a_tool_of_the_developer_is_run_and_its_failure_reported(machine: Machine) -> None:
    @tool
    async def shout(text: str) -> str:
        """Make loud."""
        if not text:
            raise ValueError("nothing to shout")
        return text.upper()

    model = ScriptedModel([[call("shout", text="hey")], [call("shout", text="")], [say("sorry")]])
    async with machine.open(model, tools=(shout,), style="memgpt") as rig:
        first = await rig.send("shout hey")
        assert [o.text for o in first if o.type == "returned"] == ["HEY"]
        second = await rig.send("shout nothing")
        assert "Error: shout failed: ValueError: nothing to shout" in [o.text for o in second]


async def test_a_large_result_is_paged_and_read_on_by_its_handle(machine: Machine) -> None:
    @tool
    def report() -> str:
        """A long report."""
        return "\n".join(f"Line {n} of the report." for n in range(400))

    model = ScriptedModel(
        [
            [call("report", heartbeat=True)],
            [call("recall_read", heartbeat=True, id="m3", page=2)],
            [say("ok")],
        ]
    )
    async with machine.open(model, window=4096, tools=(report,)) as rig:
        await rig.send("read it")
        log = await rig.log()
    result, page = [row for row in log if row.role is Role.RESULT][:2]
    assert result.id == "m3"
    assert result.text.endswith("Line 399 of the report.")
    assert 'recall_read("m3", page=2) reads on]' in result.shown
    shown = result.shown.split("\n[shown")[0]
    assert page.shown.split("\n", 1)[1].startswith(f"Line {shown.count('Line')} of the report.")


@pytest.mark.parametrize("style", ["memgpt", "native"])
async def test_what_was_shown_of_a_cancelled_reply_stays_in_the_log(machine: Machine, style: str) -> None:
    shown = anyio.Event()

    class Slow(ScriptedModel):
        async def stream(self, prompt: Prompt):  # type: ignore[no-untyped-def]
            if self.prompts:
                async for item in super().stream(prompt):
                    yield item
                return
            self.prompts.append(prompt)
            speaks = style == "native"
            yield Delta("Bees dance") if speaks else Delta('{"message": "Bees dance', 0, "send_message")
            shown.set()
            await anyio.sleep(30)

    model = Slow(lambda _: Completion("fine") if style == "native" else Completion(calls=(say("fine"),)))
    async with machine.open(model, style=style) as rig, anyio.create_task_group() as tasks:
        tasks.start_soon(rig.send, "Do bees dance?")
        await shown.wait()
        assert await rig.kernel.cancel("ana")
        await rig.kernel.idle()
        *_, reply, alert = await rig.log()
        assert (reply.role, reply.text, reply.meta.cut) == (Role.ASSISTANT, "Bees dance", True)
        assert alert.text == "The turn was cancelled. The reply above ends where it was interrupted."
        assert alert.name == StopName.CANCELLED
        assert await rig.said("and now?") == "fine"
    assert "Bees dance" in [message.text for message in model.prompts[-1].messages]


async def test_cancelling_leaves_a_consistent_log(machine: Machine) -> None:
    started = anyio.Event()

    @tool
    async def wait() -> str:
        """Wait for long."""
        started.set()
        await anyio.sleep(30)
        return "waited"

    model = ScriptedModel([[call("wait"), call("archival_insert", text="x")], [say("fine")]])
    async with machine.open(model, tools=(wait,)) as rig, anyio.create_task_group() as tasks:
        tasks.start_soon(rig.send, "wait")
        await started.wait()
        assert await rig.kernel.cancel("ana")
        await rig.kernel.idle()
        log = await rig.log()
        assert [(r.role, r.text) for r in log if r.role in (Role.RESULT, Role.ALERT)] == [
            (Role.RESULT, "Error: Not run to its end: The turn was cancelled."),
            (Role.RESULT, "Error: Not run to its end: The turn was cancelled."),
            (Role.ALERT, "The turn was cancelled."),
        ]
        assert await rig.said("and now?") == "fine"


async def test_reported_usage_calibrates_the_count(machine: Machine) -> None:
    model = ScriptedModel(lambda _: Completion("fine", usage=Usage(input=3000, output=5)))
    async with machine.open(model, window=16384) as rig:
        before = (await rig.process()).memory.sizes()
        await rig.send("hi")
        after = (await rig.process()).memory.sizes()
    assert after.instructions > 2 * before.instructions
