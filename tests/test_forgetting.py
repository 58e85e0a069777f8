"""Forgetting as people and models ask for it: what goes, what stays, and what refuses it.

Left out: that nothing is left in any byte (``test_forgetting_proof``), what a query matches
(``test_literal_query``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest

import pagefault
from conftest import Machine, Rig, Run, served
from pagefault.assembly import Parts
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import InTurnError, ModelError, NotFoundError, UsageError
from pagefault.kernel import facts
from pagefault.kernel.forgetting.asking import ask_to_forget
from pagefault.models import Completion, Prompt
from pagefault.storage import TurnHold
from pagefault.testing.clock import FixedClock
from pagefault.testing.memory import MemoryStore
from pagefault.testing.memory_transaction import MemoryTransaction
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event, EventKind, Message, Role, Section

pytestmark = pytest.mark.anyio

SECRET = "the code is 4711-Aurora"
ANA = "/api/v1/agents/ana"
T = TypeVar("T")


def prompts_of(model: ScriptedModel) -> str:
    return repr(model.prompts)


async def rows(rig: Rig) -> list[Message]:
    record = await rig.kernel.record("ana")
    return await rig.kernel.store.read(lambda tx: tx.messages(record.id, withdrawn=True))


async def search(rig: Rig, query: str) -> list[str]:
    from pagefault.views import memory

    return [hit.id for hit in (await memory.search(rig.kernel, "ana", query)).results]


def talk(secret: str) -> list[Any]:
    """Turns in which a model keeps a secret everywhere that it can, and looks it up again."""
    return [
        [
            call("archival_insert", heartbeat=True, text=f"note: {secret}", tags=["codes"]),
            call("working_context_append", heartbeat=True, section="human", text=f"told me {secret}"),
            call("schedule", heartbeat=True, note=f"ask about {secret}", when="+1d"),
        ],
        [call("memory_search", heartbeat=True, query="code")],
        [say(f"I know: {secret}.")],
        [say("Fine, thanks.")],
    ]


async def test_what_is_forgotten_is_in_no_prompt_search_section_or_timer_and_the_rest_is(
    machine: Machine,
) -> None:
    model = ScriptedModel(talk(SECRET))
    async with machine.open(model, timers=True) as rig:
        await facts.remember(rig.kernel, "ana", "likes tea")
        assert await rig.said(f"Hello, {SECRET.upper()}.") == f"I know: {SECRET}."
        await rig.send("How are you?")
        planned = await ask_to_forget(rig.kernel, "ana", SECRET, dry_run=True)
        before = await rows(rig)
        assert [place.kind for place in planned.places].count("passage") == 1
        assert {"message", "event", "timer", "section", "section version"} <= set(planned.counts)
        assert await rows(rig) == before
        receipt = await ask_to_forget(rig.kernel, "ana", SECRET, by="Ida")
        assert receipt.counts == planned.counts
        assert (await ask_to_forget(rig.kernel, "ana", SECRET, dry_run=True)).places == ()
        gone = {int(place.id[1:]) for place in planned.places if place.kind == "message"}
        after = await rows(rig)
        for old, new in zip(before, after, strict=False):
            assert new == old if old.seq not in gone else (new.erased and new.text == "")
        assert after[-1].text.startswith("Forgotten (message: ")
        assert await search(rig, "4711-Aurora") == []
        assert await search(rig, "tea")
        model.prompts.clear()
        assert await rig.said("And now?") == "ok"
        assert "4711" not in prompts_of(model)
        asked = {each.id for message in model.prompts[0].messages for each in message.calls}
        answered = {each.call_id for each in model.prompts[0].messages if each.role == "tool"}
        assert asked == answered
        for message in model.prompts[0].messages:
            assert all(isinstance(json.loads(each.arguments or "{}"), dict) for each in message.calls)
        record = await rig.kernel.record("ana")
        (stone,) = await rig.kernel.store.read(lambda tx: tx.tombstones(record.id))
        assert (stone.by, stone.counts) == ("Ida", receipt.counts)
        assert await rig.kernel.store.read(lambda tx: tx.schedules(record.id)) == []
        sections = await rig.kernel.store.read(lambda tx: tx.sections(record.id))
        assert not [each for each in sections if "4711" in each.text]


async def test_what_quotes_a_forgotten_message_goes_with_it(machine: Machine) -> None:
    model = ScriptedModel([[say("ok")], [call("recall_read", heartbeat=True, id="m1")], [say("read it")]])
    async with machine.open(model) as rig:
        await rig.send("My door is blue.")
        await rig.send("What did I say?")
        planned = await ask_to_forget(rig.kernel, "ana", ids=["m1"], dry_run=True)
        derived = {place.id for place in planned.places if place.why == "derived" and place.kind == "message"}
        result = next(row for row in await rows(rig) if row.role is Role.RESULT and "blue" in row.text)
        assert result.id in derived
        await ask_to_forget(rig.kernel, "ana", ids=["m1"])
        assert not [row for row in await rows(rig) if "blue" in row.text or "blue" in row.shown]
        model.prompts.clear()
        await rig.send("Go on.")
        assert "blue" not in prompts_of(model)


async def flushed(rig: Rig) -> None:
    for number in range(6):
        await rig.send(f"plain message {number}")
    assert await rig.kernel.flush("ana", 0)


async def test_the_live_summary_is_written_anew_from_what_stays(machine: Machine) -> None:
    asked: list[str] = []

    def answers(prompt: Prompt) -> Completion:
        if prompt.functions and not prompt.plain:
            return Completion(calls=(say("I see."),))
        asked.append("\n".join(message.text for message in prompt.messages[1:]))
        return Completion(f"Summary {len(asked)}, which hints at a number in other words.")

    model = ScriptedModel(answers)
    async with machine.open(model) as rig:
        await flushed(rig)  # a summary that covers nothing of it
        await rig.send(f"By the way, {SECRET}.")
        await flushed(rig)
        assert len(asked) == 2
        await ask_to_forget(rig.kernel, "ana", SECRET)
        assert len(asked) == 3
        assert "4711" not in asked[2]
        assert "Summary 1" in asked[2]
        assert "Summary 2" not in asked[2]
        assert "plain message" in asked[2]
        summaries = [row for row in await rows(rig) if row.role is Role.SUMMARY]
        assert [row.erased for row in summaries] == [False, True, False]
        assert (summaries[2].meta.through, summaries[2].meta.messages) == (
            summaries[1].meta.through, summaries[1].meta.messages,
        )  # fmt: skip
        model.prompts.clear()
        await rig.send("Go on.")
        assert "Summary 3" in prompts_of(model)
        assert "Summary 2" not in prompts_of(model)


async def test_without_a_model_the_summary_is_extracted_from_what_stays(machine: Machine) -> None:
    fails = False

    def answers(prompt: Prompt) -> Completion:
        if prompt.functions and not prompt.plain:
            return Completion(calls=(say("I see."),))
        if fails:
            raise ModelError("It is away.")
        return Completion(f"They said {SECRET}.")

    async with machine.open(ScriptedModel(answers)) as rig:
        await rig.send(f"By the way, {SECRET}.")
        await flushed(rig)
        fails = True
        await ask_to_forget(rig.kernel, "ana", SECRET)
        summary = [row for row in await rows(rig) if row.role is Role.SUMMARY][-1]
        assert "plain message 5" in summary.text
        assert "4711" not in summary.shown
        assert summary.meta.extracted == "It is away."


async def test_a_summary_that_covers_nothing_of_it_stays_and_so_does_the_prefix(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model) as rig:
        await flushed(rig)
        await facts.remember(rig.kernel, "ana", f"note: {SECRET}")
        await rig.send("one")
        first = model.prompts[-1].messages
        await ask_to_forget(rig.kernel, "ana", SECRET)
        await rig.send("two")
        assert model.prompts[-1].messages[: len(first)] == first


async def test_a_speaker_or_a_time_is_forgotten_and_no_other(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        for sender, text in (("Bo", "I am Bo."), ("Ida", "I am Ida."), ("Bo", "Bye, Bo.")):
            rig.clock.advance(60)
            await rig.send(Event(EventKind.MESSAGE, text, sender=sender))
        await ask_to_forget(rig.kernel, "ana", speaker="Bo")
        assert [row.text for row in await rows(rig) if row.role is Role.USER] == ["", "I am Ida.", ""]
        record = await rig.kernel.record("ana")
        assert await rig.kernel.store.read(lambda tx: tx.speakers(record.id)) == ["Ida"]
        ida = next(row for row in await rows(rig) if row.text == "I am Ida.")
        await ask_to_forget(rig.kernel, "ana", since=ida.at, until=ida.at + timedelta(microseconds=1))
        assert "I am Ida." not in [row.text for row in await rows(rig)]


async def test_a_section_of_a_time_is_what_it_was_before(machine: Machine) -> None:
    clock = machine.clock
    async with machine.open(ScriptedModel([])) as rig:
        record = await rig.kernel.record("ana")

        async def write(text: str, hours: int) -> None:
            section, at = Section("notes", "", 200, text), clock.now() + timedelta(hours=hours)
            await rig.kernel.store.write(lambda tx: tx.put_section(record.id, section, at))

        await write("calm", 0)
        await write("secretly in love", 2)
        start = clock.now() + timedelta(hours=1)
        await ask_to_forget(rig.kernel, "ana", since=start, until=start + timedelta(hours=2))
        history = await rig.kernel.store.read(lambda tx: tx.section_history(record.id, "notes"))
        assert [each.text for _, each in history] == ["calm", "", "calm"]


# what refuses it


async def test_what_is_held_is_not_forgotten(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        await rig.send(SECRET)
        record = await rig.kernel.record("ana")
        await rig.kernel.store.write(lambda tx: tx.hold(record.id, "case 12"))
        with pytest.raises(UsageError, match=r"held \(case 12\)"):
            await ask_to_forget(rig.kernel, "ana", SECRET)
        assert (await rows(rig))[0].text == SECRET


async def test_a_turn_that_waits_for_a_decision_comes_first(machine: Machine) -> None:
    model = ScriptedModel([[call("archival_insert", text=SECRET)]])
    async with machine.open(model, approval=["archival_insert"]) as rig:
        await rig.send("Keep it.")
        with pytest.raises(InTurnError, match="waits for a decision"):
            await ask_to_forget(rig.kernel, "ana", SECRET)
        await rig.kernel.cancel("ana")
        await rig.kernel.idle()
        await ask_to_forget(rig.kernel, "ana", SECRET)
        assert not [row for row in await rows(rig) if "4711" in row.text + row.shown]


@pytest.mark.parametrize(
    ("asked", "why"), [({}, "what to forget"), ({"ids": ["12"]}, "no id"), ({"speaker": " "}, "empty")]
)
async def test_a_question_that_says_nothing_is_refused(
    machine: Machine, asked: dict[str, Any], why: str
) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        with pytest.raises(UsageError, match=why):
            await ask_to_forget(rig.kernel, "ana", **asked)
        with pytest.raises(NotFoundError):
            await ask_to_forget(rig.kernel, "nobody", SECRET)


# crashes


class Stopping(MemoryStore):
    """A store that fails at the write of this number, before it or just after it was committed."""

    at = -1
    after = False
    writes = 0

    async def write(self, work: Callable[[MemoryTransaction], T], hold: TurnHold | None = None) -> T:
        self.writes += 1
        stops = self.writes == self.at
        if stops and not self.after:
            raise SystemError("stopped")
        done = await super().write(work, hold)
        if stops:
            raise SystemError("stopped")
        return done


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 6))
async def test_a_crash_leaves_all_of_it_or_nothing_and_a_second_time_does_the_rest(
    machine: Machine, at: int, after: bool
) -> None:
    store = Stopping(machine.database)
    model = ScriptedModel(talk(SECRET))
    async with machine.open(model, store=store, timers=True) as rig:
        await rig.send(f"Hello, {SECRET}.")
        await rig.kernel.flush("ana", 0)
        before = (await ask_to_forget(rig.kernel, "ana", SECRET, dry_run=True)).places
        store.at, store.after, store.writes = at, after, 0
        try:
            await ask_to_forget(rig.kernel, "ana", SECRET)
        except SystemError:
            left = (await ask_to_forget(rig.kernel, "ana", SECRET, dry_run=True)).places
            assert left in (before, ())
        store.at = -1
    async with machine.open(ScriptedModel([]), timers=True) as rig:
        await ask_to_forget(rig.kernel, "ana", SECRET)
        assert (await ask_to_forget(rig.kernel, "ana", SECRET, dry_run=True)).places == ()
        assert await rig.said("Go on.") == "ok"


# the ways to ask


async def test_the_model_asks_and_a_person_approves(machine: Machine) -> None:
    from pagefault.kernel.approvals import answer

    model = ScriptedModel([[say("ok")], [call("forget", heartbeat=True, text=SECRET)], [say("Forgotten.")]])
    async with machine.open(model, approval=["forget"]) as rig:
        await rig.send(f"Hello, {SECRET}.")
        await rig.send("Forget the code.")
        (waiting,) = await rig.kernel.store.read(lambda tx: tx.undecided(5))
        said = [output async for output in answer(rig.kernel, "ana", waiting[1].id, True)]
        assert "Forgotten." in [output.text for output in said]
        with anyio.fail_after(30):
            while [row for row in await rows(rig) if "4711" in row.text]:  # noqa: ASYNC110 - another task
                await anyio.sleep(0.05)
        assert (await ask_to_forget(rig.kernel, "ana", SECRET, dry_run=True)).places == ()
        record = await rig.kernel.record("ana")
        assert await rig.kernel.store.read(lambda tx: tx.outgoing(record.id)) == []


async def test_the_model_is_not_offered_it_unless_a_person_decides(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model) as rig:
        await rig.send("hi")
        assert "forget" not in [each.name for each in model.prompts[0].functions]


def test_a_script_forgets(tmp_path: Path) -> None:
    parts = Parts(model=ScriptedModel([]), embedder=NullEmbedder(), clock=FixedClock(step=1.0))
    with pagefault.Agent("ana", home=tmp_path, parts=parts) as ana:
        ana.send(SECRET)
        planned = ana.forget(SECRET, dry_run=True)
        assert ("message", "m1") in [(place.kind, place.id) for place in planned.places]
        assert ana.forget(SECRET).total == planned.total
        assert ana.forget(SECRET).total == 0
        assert [stone.counts for stone in ana.tombstones()] == [planned.counts]


async def test_a_client_of_the_server_forgets(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        await rig.send(SECRET)
        planned = (await server.client.post(f"{ANA}/forget", json={"query": SECRET, "dry_run": True})).json()
        assert {"kind": "message", "id": "m1", "owner": "ana", "why": "matches"} in planned["places"]
        done = (await server.client.post(f"{ANA}/forget", json={"query": SECRET})).json()
        assert (done["counts"], done["places"]) == (planned["counts"], [])
        stones = (await server.client.get(f"{ANA}/tombstones")).json()["items"]
        assert [(each["by"], each["counts"]) for each in stones] == [("local", done["counts"])]
        history = (await server.client.get(f"{ANA}/history")).json()["items"]
        assert history[0]["text"] == "[forgotten]"
        wrong = await server.client.post(f"{ANA}/forget", json={})
        assert wrong.status_code == 422 or wrong.status_code == 400
        assert "what to forget" in wrong.json()["detail"]


def test_what_was_typed_in_chats_is_forgotten_too(run: Run, tmp_path: Path) -> None:
    run("agent", "create", "ana", "--model", "offline:demo")
    typed = tmp_path / "home" / "history"
    kept = "\n# 2026-03-01 09:00:00\n+hello\n+#what\n", "\n# 2026-03-01 09:02:00\n+bye\n"
    typed.write_text(f"{kept[0]}\n# 2026-03-01 09:01:00\n+well,\n+THE code is  4711-aurora\n{kept[1]}")
    assert "1 message typed in chats" in run("forget", SECRET, "--agent", "ana", "--dry-run").out
    assert "4711" in typed.read_text()
    assert "typed in chats: 1" in run("forget", SECRET, "--agent", "ana", "--yes").out
    assert typed.read_text() == "".join(kept)
    assert run("forget", SECRET, "--agent", "ana", "--yes").out.startswith("There is nothing")


def test_the_command_lists_asks_and_forgets(run: Run) -> None:
    run("agent", "create", "ana", "--model", "offline:demo")
    run("archival", "insert", SECRET, "--agent", "ana")
    listed = run("forget", SECRET, "--agent", "ana", "--dry-run")
    assert "passage p1 of ana (matches)" in listed.out
    refused = run("forget", SECRET, "--agent", "ana")
    assert refused.code == 1
    assert "say --yes" in refused.err
    assert SECRET in run("archival", "list", "--agent", "ana").out
    done = run("forget", SECRET, "--agent", "ana", "--yes")
    assert "Forgotten at" in done.out
    assert "Backups and exports" in done.out
    assert SECRET not in run("archival", "list", "--agent", "ana").out
    assert run("forget", SECRET, "--agent", "ana", "--yes").out.startswith(
        "There is nothing of it to forget."
    )
    assert "passage: 1" in run("forget", "--agent", "ana", "--receipts").out
    assert run("db", "check", "--deleted", SECRET).code == 0
