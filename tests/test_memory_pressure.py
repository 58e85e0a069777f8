"""The queue manager at work: warn, flush, summarise; nothing evicted is lost; the prefix stands still."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

import pytest

from conftest import Machine, Rig
from pagefault.context import Compiler, MainContext, Queue, Sizes
from pagefault.context.policy import QueuePolicy, evict
from pagefault.errors import ContextLengthExceeded, ModelError
from pagefault.models import Completion, Prompt
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Message, Role

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WORDS = "the quick brown fox jumps over the lazy dog and runs away " * 3


def asks_for_text(prompt: Prompt) -> bool:
    """Return whether a summary is asked for, in either form."""
    return prompt.plain or not prompt.functions


def obliging(prompt: Prompt) -> Completion:
    """Answers, saves at a warning, summarises."""
    if asks_for_text(prompt):
        return Completion("They talked about a fox.")
    if "[memory_pressure" in prompt.messages[-1].text:
        return Completion(calls=(call("archival_insert", text="saved in time"),))
    return Completion(calls=(say("I see."),))


def as_bytes(prompt: Prompt) -> bytes:
    """The prompt in cache order."""
    return "\n".join([repr(prompt.functions), *(repr(m) for m in prompt.messages)]).encode()


async def fill(rig: Rig, turns: int) -> list[str]:
    """Talk for some turns; the kinds of output that concern pressure, in order."""
    seen: list[str] = []
    for turn in range(turns):
        outputs = await rig.send(f"message {turn}: {WORDS}")
        seen += [o.type for o in outputs if o.type in ("warned", "flushed", "alerted")]
    return seen


@pytest.mark.parametrize("keep", range(0, 90, 10))
async def test_no_cut_lies_within_a_completion_and_its_results(keep: int) -> None:
    made = [None, 2, 2, 2, None, 6, 6, None]  # the completion that each row is of
    rows = tuple(
        Message(Role.CALL if of else Role.USER, "x", NOW, seq=seq, completion=of, tokens=10)
        for seq, of in enumerate(made, 1)
    )
    eviction = evict(Queue(rows=rows), keep, None)
    stay = {row.completion for row in rows if eviction is None or row.seq >= eviction.start}
    gone = {row.completion for row in eviction.evicted} if eviction else set[int | None]()
    assert stay & gone <= {None}
    assert sum(row.tokens for row in rows if eviction is None or row.seq >= eviction.start) <= keep


async def test_each_filling_is_warned_once_then_flushed(machine: Machine) -> None:
    warnings = count(1)

    def saving(prompt: Prompt) -> Completion:  # another fact each time: a fact is kept once
        made = obliging(prompt)
        if made.calls and made.calls[0].name == "archival_insert":
            return Completion(calls=(call("archival_insert", text=f"saved in time {next(warnings)}"),))
        return made

    async with machine.open(ScriptedModel(saving), window=4096) as rig:
        assert await fill(rig, 66) == ["warned", "flushed"] * 3
        record = await rig.kernel.record("ana")
        saved = await rig.kernel.store.read(lambda tx: tx.passages(record.id, [1, 2, 3]))
    assert [p.text for p in saved] == [f"saved in time {n}" for n in (1, 2, 3)]


async def test_the_warning_may_be_answered_with_silence(machine: Machine) -> None:
    def silent(prompt: Prompt) -> Completion:
        pressed = not asks_for_text(prompt) and "[memory_pressure" in prompt.messages[-1].text
        return Completion() if pressed else obliging(prompt)

    async with machine.open(ScriptedModel(silent), window=4096) as rig:
        assert await fill(rig, 30) == ["warned", "flushed"]


async def test_after_a_flush_half_of_the_room_is_free_and_the_rest_is_in_recall(machine: Machine) -> None:
    async with machine.open(ScriptedModel(obliging), window=4096) as rig:
        turn = 0
        while not [o for o in await rig.send(f"message {turn}: {WORDS}") if o.type == "flushed"]:
            turn += 1
        process = await rig.process()
        queue, sizes, log = process.memory.queue, process.memory.sizes(), await rig.log()
        evicted = [row for row in log if row.seq < queue.state.start]
        assert sizes.queue < 0.6 * sizes.room
        assert queue.summary is not None
        assert queue.summary.meta.messages == len(evicted)
        assert queue.summary.meta.warned
        for row in evicted:
            if row.role is Role.USER:
                found = await rig.kernel.store.read(
                    lambda tx, seq=row.seq: tx.message(process.record.id, seq)
                )
                assert found == row
        assert [r.seq for r in log] == list(range(1, len(log) + 1)), "a flush deletes nothing"


async def test_calls_and_results_are_evicted_together(machine: Machine) -> None:
    script = ScriptedModel(obliging)
    async with machine.open(script, window=4096) as rig:
        await fill(rig, 60)
        for prompt in script.prompts:
            calls = {c.id for m in prompt.messages for c in m.calls}
            results = {m.call_id for m in prompt.messages if m.role == "tool"}
            assert calls == results


@pytest.mark.parametrize("window", [4096, 16384])
async def test_the_prefix_moves_only_at_a_flush(machine: Machine, window: int) -> None:
    """Between two flushes each request starts with the whole of the one before, byte for byte."""
    edits = 0

    def editing(prompt: Prompt) -> Completion:
        nonlocal edits
        edits += 1
        if not asks_for_text(prompt) and edits % 10 == 0 and prompt.messages[-1].role == "user":
            edit = call("working_context_append", heartbeat=True, section="human", text=f"fact {edits}")
            return Completion(calls=(edit,))
        return obliging(prompt)

    model = ScriptedModel(editing)
    async with machine.open(model, window=window) as rig:
        flushes_seen = 0
        before: bytes | None = None
        for turn in range(window // 64):
            asked = len(model.prompts)
            outputs = await rig.send(f"message {turn}: {WORDS}")
            flushed = sum(o.type == "flushed" for o in outputs)
            for prompt in model.prompts[asked:]:
                if asks_for_text(prompt):
                    before = None  # the summariser: a flush
                    continue
                now = as_bytes(prompt)
                if before is not None:
                    assert now.startswith(before)
                before = now
            flushes_seen += flushed
    assert flushes_seen == sum(p.plain for p in model.prompts)
    assert flushes_seen >= 1


async def test_a_prompt_is_compiled_from_where_the_last_one_ended(machine: Machine) -> None:
    """Compiling only what is new gives what compiling all gives, and between flushes the same objects."""
    async with machine.open(ScriptedModel(obliging), window=4096) as rig:
        before, kept, flushed = None, 0, 0
        for turn in range(40):
            outputs = await rig.send(f"message {turn}: {WORDS}")
            flushed += sum(o.type == "flushed" for o in outputs)
            process = await rig.process()
            now = process.prompt()
            context = MainContext(process.program.instructions, now.functions, process.memory.queue)
            assert now == Compiler().prompt(context, now.max_tokens)
            assert process.memory.queue.tokens == sum(row.tokens for row in process.memory.queue.in_order)
            if before and before.messages == now.messages[: len(before.messages)]:
                kept += all(old is new for old, new in zip(before.messages, now.messages, strict=False))
            before = now
    assert flushed
    assert kept >= 40 - 2 * flushed - 1


async def test_edits_show_as_calls_and_are_folded_at_the_flush(machine: Machine) -> None:
    model = ScriptedModel(
        lambda p: (
            Completion(calls=(call("working_context_append", section="human", text="Likes foxes"),))
            if len(p.messages) == 2 and "message 0" in p.messages[1].text
            else obliging(p)
        )
    )
    async with machine.open(model, window=4096) as rig:
        await rig.send("message 0")
        process = await rig.process()
        assert "Likes foxes" not in process.prompt().messages[0].text
        await fill(rig, 30)
        assert "Likes foxes" in (await rig.process()).prompt().messages[0].text


async def test_a_restart_does_not_move_the_head(machine: Machine) -> None:
    model = ScriptedModel([[call("working_context_append", section="human", text="Likes foxes")]])
    async with machine.open(model) as rig:
        await rig.send("I like foxes")
        before = as_bytes((await rig.process()).prompt())
    async with machine.open(ScriptedModel([])) as rig:
        assert as_bytes((await rig.process()).prompt()) == before


async def test_folding_at_once_is_a_setting(machine: Machine) -> None:
    model = ScriptedModel(
        [[call("working_context_append", heartbeat=True, section="human", text="Likes foxes")], [say("ok")]]
    )
    async with machine.open(model, fold_at_once=True) as rig:
        await rig.send("I like foxes")
        assert "Likes foxes" in model.prompts[1].messages[0].text


async def test_a_huge_message_is_stored_whole_and_shown_by_its_head(machine: Machine) -> None:
    model = ScriptedModel(obliging)
    huge = "A sentence that goes on. " * 4000
    async with machine.open(model, window=4096) as rig:
        assert await rig.said(huge) == "I see."
        row = (await rig.log())[0]
        page = (await rig.process()).memory.budget.page
    assert row.text == huge
    assert row.tokens <= page
    assert 'recall_read("m1", page=2) reads on]' in row.shown


async def test_the_open_event_stays_in_view_through_a_flush(machine: Machine) -> None:
    steps = 0

    def busy(prompt: Prompt) -> Completion:
        nonlocal steps
        if asks_for_text(prompt):
            return Completion("A summary.")
        steps += 1
        if steps < 12:
            calls = [call("archival_insert", heartbeat=True, text=f"{n} {WORDS}") for n in range(4)]
            return Completion(calls=tuple(calls))
        return Completion(calls=(say("finished"),))

    model = ScriptedModel(busy)
    async with machine.open(model, window=4096, max_steps=20) as rig:
        outputs = await rig.send("THE TASK: copy all of it")
    assert "flushed" in [o.type for o in outputs]
    assert [o.text for o in outputs if o.type == "said"] == ["finished"]
    for prompt in model.prompts:
        if not asks_for_text(prompt) and "[memory_pressure" not in str(prompt.messages):
            assert any("THE TASK" in m.text for m in prompt.messages)


async def test_a_summary_that_the_model_fails_at_is_made_by_extraction(machine: Machine) -> None:
    def failing(prompt: Prompt) -> Completion | Exception:
        return ModelError("no summaries today") if asks_for_text(prompt) else obliging(prompt)

    async with machine.open(ScriptedModel(failing), window=4096) as rig:
        assert await fill(rig, 30) == ["warned", "flushed"]
        summary = (await rig.process()).memory.queue.summary
    assert summary is not None
    assert "quick brown fox" in summary.text


async def test_a_summary_that_does_not_shrink_is_cut(machine: Machine) -> None:
    def wordy(prompt: Prompt) -> Completion:
        return Completion("blah " * 5000) if asks_for_text(prompt) else obliging(prompt)

    async with machine.open(ScriptedModel(wordy), window=4096) as rig:
        await fill(rig, 60)
        process = await rig.process()
        assert process.memory.queue.summary is not None
        assert process.memory.queue.summary.tokens < 0.2 * process.memory.sizes().room + 40


async def test_a_provider_that_counts_more_is_believed(machine: Machine) -> None:
    real = 2600  # what this provider really serves, although 4,096 were promised

    def strict(prompt: Prompt) -> Completion | Exception:
        size = sum(len(m.text) + 60 * len(m.calls) for m in prompt.messages) // 4 + 1127
        return ContextLengthExceeded("too long") if prompt.functions and size > real else obliging(prompt)

    async with machine.open(ScriptedModel(strict), window=4096) as rig:
        said = [await rig.said(f"message {n}: {WORDS}") for n in range(40)]
    assert said == ["I see."] * 40


async def test_a_provider_that_never_accepts_ends_the_turn_with_an_alert(machine: Machine) -> None:
    def never(prompt: Prompt) -> Completion | Exception:
        return Completion("s") if asks_for_text(prompt) else ContextLengthExceeded("The prompt is too long.")

    async with machine.open(ScriptedModel(never), window=4096) as rig:
        outputs = await rig.send("hi")
    assert {o.text for o in outputs if o.type == "alerted"} == {"The prompt is too long."}


async def test_one_admission_that_crosses_both_lines_is_warned_first(machine: Machine) -> None:
    policy = QueuePolicy(warn=0.9, flush=0.92, page=0.25)
    async with machine.open(ScriptedModel(obliging), window=4096, policy=policy) as rig:
        seen = await fill(rig, 62)
    assert seen == ["warned", "flushed"] * (len(seen) // 2)
    assert len(seen) >= 4


async def test_policies_are_replaceable(machine: Machine) -> None:
    class Eager(QueuePolicy):
        def warns(self, sizes: Sizes) -> bool:
            return sizes.queue < 0

        def flushes(self, sizes: Sizes) -> bool:
            return sizes.queue > 300

    async with machine.open(ScriptedModel(obliging), policy=Eager()) as rig:
        assert set(await fill(rig, 12)) == {"flushed"}


async def test_a_head_that_leaves_no_room_is_refused_with_the_mend(machine: Machine) -> None:
    sections = ({"name": "persona", "limit": 2500},)
    with pytest.raises(Exception, match="shorten the instructions or sections, or use a larger window"):
        async with machine.open(ScriptedModel([]), window=4096, sections=sections):
            pass


def many_tools(count: int) -> tuple[object, ...]:
    made: list[object] = []
    for n in range(count):

        def function(first_argument: str, second_argument: int = 0) -> str:
            """Do something specific with two arguments, as described at some length."""
            return f"{first_argument} {second_argument}"

        function.__name__ = f"tool_{n}"
        made.append(function)
    return tuple(made)


async def test_with_too_many_tools_they_are_listed_by_name(machine: Machine) -> None:
    call_it = call("call_function", heartbeat=True, name="tool_7", arguments={"first_argument": "seven"})
    model = ScriptedModel([[call_it], [say("ok")]])
    async with machine.open(model, window=4096, tools=many_tools(40)) as rig:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        outputs = await rig.send("use tool 7")
        sizes = (await rig.process()).memory.sizes()
    assert "seven 0" in [o.text for o in outputs if o.type == "returned"]
    names = [f.name for f in model.prompts[0].functions]
    assert "memory_search" in names
    assert "call_function" in names
    assert "tool_7" not in names
    assert sizes.room > 0.3 * sizes.window


@pytest.mark.parametrize("style", ["memgpt", "native"])
async def test_instructions_and_schemas_take_at_most_900_tokens(machine: Machine, style: str) -> None:
    async with machine.open(ScriptedModel([]), window=4096, style=style) as rig:
        sizes = (await rig.process()).memory.sizes()
    assert sizes.instructions <= 900
    assert sizes.room > 0.5 * sizes.window


async def test_user_rows_show_their_local_time(machine: Machine) -> None:
    async with machine.open(ScriptedModel(obliging), zone="Asia/Tokyo") as rig:
        await rig.send("hello")
        row: Message = (await rig.log())[0]
    assert row.shown == "[user 2026-03-01 Sun 18:00] hello"
