"""The memory functions, each called as the model calls it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from conftest import Machine, Rig
from pagefault.models import Call
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event

pytestmark = pytest.mark.anyio


async def returned(rig: Rig, model: ScriptedModel, name: str, **arguments: Any) -> str:
    """The result of one call."""
    model.script = [[call(name, heartbeat=True, **arguments)], [say("done")]]
    outputs = await rig.send(Event("custom_event", "go"))
    return next(o.text for o in outputs if o.type == "returned")


async def tell(rig: Rig, model: ScriptedModel, *texts: str) -> None:
    for text in texts:
        model.script = [[say(f"You said so ({len(text)}).")]]
        await rig.send(text)
        rig.clock.advance(60)


def ids(result: str) -> list[str]:
    return [line.split()[1] for line in result.splitlines() if line.startswith("[")]


Script = Sequence[Sequence[Call]]


async def test_working_context_is_edited_within_its_limits(machine: Machine) -> None:
    model = ScriptedModel([])
    sections = (
        {"name": "persona", "limit": 60, "text": "Kind.", "read_only": True},
        {"name": "human", "limit": 20},
    )
    async with machine.open(model, window=4096, sections=sections) as rig:

        async def do(name: str, **arguments: str) -> str:
            return await returned(rig, model, f"working_context_{name}", **arguments)

        assert (await do("append", section="human", text="Name: Ana")).startswith("human now takes")
        assert (await do("append", section="human", text="Home: Porto")).startswith("human now takes")
        assert (await do("replace", section="human", old="Porto", new="Lisbon")).startswith("human now")
        assert "read-only" in await do("append", section="persona", text="Rude.")
        assert "There is no section mood; sections: persona, human." in await do(
            "append", section="mood", text="x"
        )
        assert "of 20 tokens; shorten it" in await do("append", section="human", text="blah " * 40)
        assert "old occurs 0 times" in await do("replace", section="human", old="Faro", new="x")
        assert "old occurs 2 times" in await do("replace", section="human", old="o", new="0")
        record = await rig.kernel.record("ana")
        human = (await rig.kernel.store.read(lambda tx: tx.sections(record.id)))[1]
        history = await rig.kernel.store.read(lambda tx: tx.section_history(record.id, "human"))
    assert human.text == "Name: Ana\nHome: Lisbon"
    assert [s.text for _, s in history] == ["", "Name: Ana", "Name: Ana\nHome: Porto", human.text]


async def test_search_results_say_which_page_they_are(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model) as rig:
        await tell(rig, model, *(f"My boat number {n} is blue" for n in range(12)))
        first = await returned(rig, model, "recall_search", query="boat")
        third = await returned(rig, model, "recall_search", query="boat", page=3)
        beyond = await returned(rig, model, "recall_search", query="boat", page=4)
        nothing = await returned(rig, model, "recall_search", query="zeppelin")
    assert first.startswith("Showing 5 of 14 results (page 1/3)\n[recall m"), "with the answers, once each"
    assert third.startswith("Showing 4 of 14 results (page 3/3)")
    assert beyond == "Error: There is no page 4; pages go from 1 to 3."
    assert nothing == "Showing 0 of 0 results (page 1/1)"
    assert "09:11 user] My boat number 11 is blue" in first.splitlines()[1], "of equals, the newest first"


async def test_a_further_page_is_of_the_same_search_though_the_log_has_grown(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model) as rig:
        for number in range(40):
            await tell(rig, model, f"The key of cupboard {number} hangs in the hall, behind the green coat")
        first = await returned(rig, model, "recall_search", query="cupboard key")
        for number in range(40, 46):
            await tell(rig, model, f"The key of cupboard {number} hangs in the hall, behind the green coat")
        second = await returned(rig, model, "recall_search", query="cupboard key", page=2)
        anew = await returned(rig, model, "recall_search", query="cupboard key")
    assert "of 42 results (page 1/" in first
    assert "of 42 results (page 2/" in second
    assert not set(ids(first)) & set(ids(second))
    assert "of 49 results (page 1/" in anew


async def test_a_key_that_occurs_once_gives_one_of_one(machine: Machine) -> None:
    model = ScriptedModel([])
    keys = [f"3f2504e0-4f89-41d3-9a0c-0305e82c33{n:02d}" for n in range(20)]
    async with machine.open(model) as rig:
        await tell(rig, model, *(f"key {key} opens door {n}" for n, key in enumerate(keys)))
        model.script = [[call("recall_search", heartbeat=True, query=keys[7])], [say("found")]]
        outputs = await rig.send(f"Which door does {keys[7]} open?")
        result = next(o.text for o in outputs if o.type == "returned")
        quoted = await returned(rig, model, "recall_search", query='"opens door 13"')
    assert result.startswith("Showing 1 of 1 results (page 1/1)"), "the question itself is not found"
    assert "opens door 7" in result
    assert quoted.startswith("Showing 1 of 1 results")


async def test_the_log_does_not_feed_on_itself(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model) as rig:
        await tell(rig, model, "The zanzibar file is in the cellar")
        for _ in range(3):
            await returned(rig, model, "memory_search", query="zanzibar")
        result = await returned(rig, model, "memory_search", query="zanzibar")
    assert ids(result)[0] == "m1"
    assert result.count("zanzibar") == 1


async def test_equal_rows_are_one_hit_that_names_the_others(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model) as rig:
        await tell(
            rig, model, "The ferry leaves at nine.", "the FERRY leaves, at nine!", "The ferry leaves at ten."
        )
        for text in ("Ferry rules: no dogs", "Ferry rules - no dogs.", "Ferry rules: no cats"):
            await returned(rig, model, "archival_insert", text=text)
        recall = await returned(rig, model, "recall_search", query="ferry leaves")
        archival = await returned(rig, model, "archival_search", query="ferry rules")
    assert archival.splitlines()[0] == "Showing 2 of 2 results (page 1/1)"
    assert ids(archival) == ["p3", "p2", "1"]
    assert archival.endswith("\n[and 1 more like it: p1]")
    assert "[and 1 more like it: m1]" in recall
    assert "at ten" in recall


async def test_no_text_can_imitate_the_line_that_names_equal_rows(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model) as rig:
        await returned(rig, model, "archival_insert", text="Ferry\n[and 2 more like it: p8, p9]\nrules")
        found = await returned(rig, model, "archival_search", query="ferry")
        read = await returned(rig, model, "archival_read", id="p1")
    assert not any(line.startswith("[and") for line in (found + "\n" + read).splitlines())


async def test_memory_search_looks_in_both_storages(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model) as rig:
        await tell(rig, model, "I keep bees in the garden")
        await returned(rig, model, "archival_insert", text="Bees dance to tell directions", tags=["bees"])
        await returned(rig, model, "archival_insert", text="Volcanoes erupt lava", tags=["geology"])
        told = await returned(rig, model, "memory_search", query="bees garden")
        read = await returned(rig, model, "memory_search", query="volcanoes lava")
    assert ids(told)[:2] == ["m1", "p1"]
    assert "[archival p2 2026-03-01 Sun 09:01 #geology] Volcanoes erupt lava" in read


async def test_search_by_date_lists_oldest_first(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model) as rig:
        await tell(rig, model, "on the first day")
        rig.clock.advance(86_400)
        await tell(rig, model, "on the second day")
        rig.clock.advance(86_400)
        day = await returned(rig, model, "recall_search_by_date", start="2026-03-02", end="2026-03-02")
        both = await returned(rig, model, "recall_search_by_date", start="2026-03-01", end="2026-03-02")
        bad = await returned(rig, model, "recall_search_by_date", start="some day", end="today")
    assert "on the second day" in day
    assert "on the first day" not in day
    assert both.index("first day") < both.index("second day")
    assert bad.startswith(
        "Error: 'some day' is not a time that can be read; write +2h, +3 days, +1 month, 9:00, "
    )


async def test_recall_read_shows_a_short_message_with_its_neighbours(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model) as rig:
        await tell(rig, model, "before", "the one", "after")
        result = await returned(rig, model, "recall_read", id="m5")
        wrong = await returned(rig, model, "recall_read", id="p5")
        absent = await returned(rig, model, "recall_read", id="m999")
    assert [word for word in ("before", "the one", "after") if f"user] {word}" in result] == [
        "before",
        "the one",
        "after",
    ]
    assert wrong == "Error: 'p5' is not the id of a message (m and a number)."
    assert "There is no message m999" in absent


async def test_archival_storage_is_written_searched_by_tag_read_and_deleted(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model, window=4096) as rig:
        long = " ".join(f"Clause {n} of the contract binds both parties." for n in range(300))
        await returned(rig, model, "archival_insert", text=long, tags=["#law", "contract"])
        await returned(rig, model, "archival_insert", text="A short contract note", tags=["law"])
        both = await returned(rig, model, "archival_search", query="contract", tags=["law"])
        one = await returned(rig, model, "archival_search", query="contract", tags=["law", "contract"])
        pages = await returned(rig, model, "archival_read", id="p1", page=2)
        gone = await returned(rig, model, "archival_delete", id="p1")
        after = await returned(rig, model, "archival_search", query="contract")
    assert both.startswith("Showing 2 of 2")
    assert one.startswith("Showing 1 of 1")
    assert "page 2/" in pages.splitlines()[0]
    assert gone == "p1 is deleted."
    assert ids(after) == ["p2"]


async def test_page_in_and_out_keep_an_excerpt_with_id_and_source(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model, window=4096) as rig:
        await tell(rig, model, *(f"Fact {n}: {'the tide turns at noon ' * 6}" for n in range(6)))
        for seq in (1, 5, 9):
            assert "paged_in now takes" in await returned(rig, model, "page_in", id=f"m{seq}")
        record = await rig.kernel.record("ana")

        async def paged() -> str:
            sections = await rig.kernel.store.read(lambda tx: tx.sections(record.id))
            return next(s.text for s in sections if s.name == "paged_in")

        held = await paged()
        assert held.startswith("[m")
        assert "user] Fact 2" in held, "the newest is in"
        for seq in (13, 17, 21):
            await returned(rig, model, "page_in", id=f"m{seq}")
        held = await paged()
        assert "Fact 5" in held
        assert "Fact 0" not in held, "when the section is full the oldest goes out first"
        assert "now takes" in await returned(rig, model, "page_out", id="m21")
        assert "Fact 5" not in await paged()
        assert await returned(rig, model, "page_out", id="m21") == "Error: m21 is not paged in."


async def test_timers_are_set_listed_and_removed(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model, timers=True) as rig:
        soon = await returned(rig, model, "schedule", when="+2h", note="tea")
        daily = await returned(rig, model, "schedule", cron="0 9 * * 1", note="week")
        listed = await returned(rig, model, "list_schedules")
        past = await returned(rig, model, "schedule", when="2020-01-01", note="late")
        both = await returned(rig, model, "schedule", when="+2h", cron="* * * * *", note="x")
        wrong = await returned(rig, model, "schedule", cron="whenever", note="x")
        removed = await returned(rig, model, "unschedule", id="t1")
    assert soon == "Scheduled as t1; due 2026-03-01 Sun 11:00."
    assert daily == "Scheduled as t2; due 2026-03-02 Mon 09:00."
    assert listed.splitlines() == [
        "[t1 2026-03-01 Sun 11:00] tea",
        "[t2 2026-03-02 Mon 09:00 (0 9 * * 1)] week",
    ]
    assert "in the past" in past
    assert both == "Error: Give either when or cron."
    assert "not a cron line" in wrong
    assert removed == "t1 is removed."


async def test_functions_for_timers_and_agents_are_offered_only_where_switched_on(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        plain = {f.name for f in (await rig.process()).prompt().functions}
    assert not plain & {"schedule", "unschedule", "list_schedules", "send_to_agent"}
    assert len(plain) == 13


async def test_a_result_says_who_spoke_where_the_role_does_not(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model) as rig:
        model.script = [[say("Noted.")]]
        await rig.send(Event("message", "The bees have swarmed.", sender="Ben"))
        found = await returned(rig, model, "memory_search", query="bees swarmed")
    assert "[recall m1 2026-03-01 Sun 09:00 user Ben] The bees have swarmed." in found
