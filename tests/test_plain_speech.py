"""A model that goes on failing is asked for plain text, so that the person gets an answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from conftest import Machine
from pagefault.agent.turn import Ask, Insist, Stop, next_action
from pagefault.clock import SystemClock
from pagefault.message_meta import PLAIN, MessageMeta
from pagefault.models import Completion
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Message, Role

pytestmark = pytest.mark.anyio

BAD = [call("archival_insert", txt="bees")]
COPIED = [call("recall_read", id="m9912")]  # well written, and fails each time
OBJECT = json.dumps({"thoughts": "", "function": "send_message", "arguments": {"message": "Hi"}})


@pytest.mark.parametrize("style", ["memgpt", "native"])
@pytest.mark.parametrize("failing", [BAD, COPIED])
async def test_after_three_failures_plain_text_is_the_answer(
    machine: Machine, style: str, failing: Any
) -> None:
    last: Any = "and so on" if style == "native" else [say("and so on")]
    model = ScriptedModel([failing, failing, failing, "Bees like thyme.", last])
    async with machine.open(model, style=style) as rig:
        outputs = await rig.send("what do bees like?")
        assert [o.text for o in outputs if o.type == "said"] == ["Bees like thyme."]
        assert [o.type for o in outputs][-1] == "done"
        assert [o.name for o in outputs if o.type == "alerted"] == [PLAIN]
        assert await rig.said("go on") == "and so on"
    assert [prompt.plain for prompt in model.prompts] == [False] * 3 + [True, False]


async def test_the_request_goes_on_from_the_one_before_and_so_does_the_next(machine: Machine) -> None:
    model = ScriptedModel([BAD, BAD, BAD, "Thyme.", [say("yes")]])
    async with machine.open(model) as rig:
        await rig.send("what do bees like?")
        await rig.send("really?")
    for before, after in zip(model.prompts[:-1], model.prompts[1:], strict=True):
        assert after.messages[: len(before.messages)] == before.messages
        assert after.functions == before.functions
    last = model.prompts[3].messages[-1]
    assert last.role == "user"
    assert last.text.startswith("[alert ")
    assert "in plain text" in last.text


@pytest.mark.parametrize("text", [OBJECT, '<tool_call>\n{"name": "send_message"}\n</tool_call>'])
async def test_plain_text_is_speech_whatever_it_looks_like(machine: Machine, text: str) -> None:
    model = ScriptedModel([BAD, BAD, BAD, text])
    async with machine.open(model) as rig:
        assert await rig.said("hello") == text


@pytest.mark.parametrize("style", ["memgpt", "native"])
async def test_a_call_beside_the_plain_text_is_not_run_and_not_shown(machine: Machine, style: str) -> None:
    stubborn = Completion("Thyme.", (call("send_message", message="Not this."), *BAD))
    model = ScriptedModel([BAD, BAD, BAD, stubborn])
    async with machine.open(model, style=style) as rig:
        outputs = [output async for output in rig.kernel.send("ana", "what do bees like?")]
        log = await rig.log()
    assert [o.text for o in outputs if o.type == "said"] == ["Thyme."]
    assert (
        "".join(o.text for o in outputs if o.type == "delta" and (o.data or {}).get("of") == "said")
        == "Thyme."
    )
    assert len([row for row in log if row.role is Role.CALL]) == 3


async def test_a_model_that_says_nothing_plainly_ends_the_turn_with_an_alert(machine: Machine) -> None:
    model = ScriptedModel([BAD, BAD, BAD, BAD, BAD, [say("here")]])
    async with machine.open(model) as rig:
        outputs = await rig.send("hello")
        assert [o.text for o in outputs if o.type == "alerted"][-1] == "scripted returned nothing, twice."
        assert await rig.said("still there?") == "here"


async def test_who_was_answered_already_is_not_answered_twice(machine: Machine) -> None:
    model = ScriptedModel([[say("One moment.", heartbeat=True)], BAD, BAD, BAD])
    async with machine.open(model) as rig:
        outputs = await rig.send("hello")
    (alert,) = [o.text for o in outputs if o.type == "alerted"]
    assert alert.startswith("3 completions in a row called nothing that could be run: ")
    assert not any(prompt.plain for prompt in model.prompts)


async def test_speech_that_a_person_decides_on_is_not_gone_around(machine: Machine) -> None:
    model = ScriptedModel([BAD, BAD, BAD, "Thyme."])
    async with machine.open(model, approval=("send_message",)) as rig:
        outputs = await rig.send("hello")
    assert [o.type for o in outputs if o.type in ("said", "alerted")] == ["alerted"]
    assert not any(prompt.plain for prompt in model.prompts)


async def test_different_failures_that_are_no_slips_are_no_reason(machine: Machine) -> None:
    looks = [[call("recall_read", id=f"m{9900 + n}")] for n in range(4)]
    model = ScriptedModel([*looks, [say("found")]])
    async with machine.open(model) as rig:
        assert await rig.said("look") == "found"
    assert not any(prompt.plain for prompt in model.prompts)


@pytest.mark.parametrize("style", ["memgpt", "native"])
async def test_after_the_same_search_three_times_plain_text_is_the_answer(
    machine: Machine, style: str
) -> None:
    search = [call("memory_search", query="the car", page=1)]
    model = ScriptedModel([search, search, search, "I do not know where it is."])
    async with machine.open(model, style=style) as rig:
        assert await rig.said("where did I park the car?") == "I do not know where it is."
    assert [prompt.plain for prompt in model.prompts] == [False] * 3 + [True]


async def test_another_search_is_no_repetition(machine: Machine) -> None:
    searches = [[call("memory_search", query=text)] for text in ("car", "park", "car", "garage")]
    model = ScriptedModel([*searches, [say("found")]])
    async with machine.open(model) as rig:
        assert await rig.said("where did I park the car?") == "found"
    assert not any(prompt.plain for prompt in model.prompts)


async def test_the_same_writing_three_times_goes_on(machine: Machine) -> None:
    note = [call("archival_insert", text="bees", heartbeat=True)]
    model = ScriptedModel([note, note, note, note, [say("done")]])
    async with machine.open(model) as rig:
        assert await rig.said("note it, often") == "done"


# the decision, from the rows alone


def rows_of(*steps: str, told: bool = False) -> list[Message]:
    """A user's message, then completions with one call each that failed so; ``told``: then the alert."""
    at = SystemClock().now()
    rows = [Message(Role.USER, "hello", at, seq=1)]
    for step in steps:
        number = rows[-1].seq + 1
        meta = MessageMeta(failed=True, invalid=step == "slip")
        called = Message(
            Role.CALL, "{}", at, seq=number, completion=number, call_id=f"c{number}", name="look"
        )
        result = Message(
            Role.RESULT,
            step,
            at,
            seq=number + 1,
            completion=number,
            call_id=f"c{number}",
            name="look",
            meta=meta,
        )
        rows += [called, result]
    if told:
        rows.append(Message(Role.ALERT, "Answer plainly.", at, seq=rows[-1].seq + 1, name=PLAIN))
    return rows


def test_what_comes_next_is_read_from_the_rows_after_a_crash_too() -> None:
    three, told = rows_of("slip", "slip", "slip"), rows_of("slip", "slip", "slip", told=True)
    assert next_action(three, "memgpt", 12, may_speak=True) == Insist()
    assert next_action(told, "memgpt", 12, may_speak=True) == Ask()
    said = Message(Role.ASSISTANT, "Thyme.", told[0].at, seq=told[-1].seq + 1, completion=told[-1].seq + 1)
    assert next_action([*told, said], "memgpt", 12, may_speak=True) == Stop()


def test_three_equal_failures_in_a_row_are_enough_and_fewer_are_not() -> None:
    assert next_action(rows_of("no m9", "no m9", "no m9"), "memgpt", 12, may_speak=True) == Insist()
    assert next_action(rows_of("no m9", "no m9"), "memgpt", 12, may_speak=True) == Ask()
    assert next_action(rows_of("no m9", "no m8", "no m9"), "memgpt", 12, may_speak=True) == Ask()
    assert next_action(rows_of("no m9", "no m9", "no m9"), "memgpt", 12) == Ask()


def test_the_same_calls_with_the_same_results_count_only_of_functions_that_read() -> None:
    rows = [
        replace(row, meta=MessageMeta(heartbeat=True))
        for row in rows_of("0 results", "0 results", "0 results")
    ]
    assert next_action(rows, "memgpt", 12, may_speak=True, reads={"look"}) == Insist()
    assert next_action(rows, "memgpt", 12, may_speak=True, reads={"other"}) == Ask()
    assert next_action(rows, "memgpt", 12, reads={"look"}) == Ask()
    other = replace(rows[-2], text='{"page": 2}')
    assert next_action([*rows[:-2], other, rows[-1]], "memgpt", 12, may_speak=True, reads={"look"}) == Ask()


def test_equal_failures_beside_equal_reads_bring_an_answer_no_nearer() -> None:
    rows: list[Message] = []
    for row in rows_of("no m9", "no m9", "no m9"):
        rows.append(row)
        if row.role is Role.CALL:
            rows.append(replace(row, call_id=f"{row.call_id}-read", name="look"))
        elif row.role is Role.RESULT:
            meta = MessageMeta(heartbeat=True)
            rows.append(replace(row, call_id=f"{row.call_id}-read", name="look", text="0 results", meta=meta))
    assert next_action(rows, "memgpt", 12, may_speak=True, reads={"look"}) == Insist()
    assert next_action(rows, "memgpt", 12, may_speak=True) == Ask()
    moved = replace(rows[-1], text="1 result")
    assert next_action([*rows[:-1], moved], "memgpt", 12, may_speak=True, reads={"look"}) == Ask()


def test_the_limit_of_steps_holds() -> None:
    stopped = next_action(rows_of("slip", "slip", "slip"), "memgpt", 3, may_speak=True)
    assert isinstance(stopped, Stop)
    assert stopped.alert
