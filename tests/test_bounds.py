"""The bounds of a turn, whatever the model does: time, size and calls of a completion, time of a turn.

Each ends in an answer or in an alert, and the agent goes on with the next event.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from conftest import Machine
from pagefault.errors import ModelError
from pagefault.message_meta import StopName
from pagefault.models import Call, Completion, Delta, Notice, Prompt, StreamItem
from pagefault.models.bounds import BoundedModel
from pagefault.models.directory.check import check
from pagefault.testing.models import PROMPT, ScriptedModel, call, say
from pagefault.types import Role

pytestmark = pytest.mark.anyio

Items = AsyncGenerator[StreamItem]


async def hangs() -> Items:
    await anyio.sleep_forever()
    yield Delta("")


async def hangs_after_a_piece() -> Items:
    yield Delta("I was")
    await anyio.sleep_forever()


async def says_nothing_for_ever() -> Items:
    while True:
        yield Delta("")
        await anyio.sleep(0.01)


async def ends_without_a_completion() -> Items:
    yield Delta("half")


async def ignores_one_cancellation() -> Items:
    try:
        await anyio.sleep_forever()
    except asyncio.CancelledError:
        await asyncio.sleep(0.05)
    yield Delta("still here")


async def hangs_while_it_is_closed() -> Items:
    try:
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(1)
    yield Delta("")


async def cancels_itself() -> Items:
    yield Delta("one")
    raise asyncio.CancelledError


async def notices_for_ever() -> Items:
    while True:
        yield Notice("Again.", restart=True)


async def streams_for_ever() -> Items:
    while True:
        yield Delta("ha " * 1000)


async def thinks_for_ever() -> Items:
    while True:
        yield Delta("hm " * 1000, thinking=True)


async def calls_for_ever() -> Items:
    number = 0
    while True:
        yield Delta("{}", number, "note")
        number += 1


@dataclass
class Foreign:
    """A model that is no adapter of ours."""

    answer: Callable[[], Items]
    name: str = "foreign"
    window: int = 8192

    async def stream(self, prompt: Prompt) -> Items:  # noqa: ARG002
        async with aclosing(self.answer()) as items:
            async for item in items:
                yield item


HANG = [
    hangs, hangs_after_a_piece, says_nothing_for_ever, ends_without_a_completion, ignores_one_cancellation,
    hangs_while_it_is_closed, cancels_itself,
]  # fmt: skip
FLOOD = [notices_for_ever, streams_for_ever, thinks_for_ever, calls_for_ever]


@pytest.mark.parametrize("answer", HANG)
@pytest.mark.parametrize("style", ["memgpt", "native"])
async def test_a_model_that_never_answers_ends_in_an_alert(
    machine: Machine, answer: Callable[[], Items], style: str
) -> None:
    model = Foreign(answer)
    with anyio.fail_after(60):
        async with machine.open(model, patience=0.1, style=style) as rig:
            outputs = await rig.send("Are you there?")
            assert [(o.type, o.name) for o in outputs if o.type == "alerted"] == [("alerted", "model_failed")]
            rig.parts.model.answer = answers  # type: ignore[union-attr]
            assert await rig.said("And now?") == "Here I am."


async def answers() -> Items:
    yield Completion("Here I am.")


async def test_a_model_that_ignores_being_cancelled_is_left_behind(machine: Machine) -> None:
    released = asyncio.Event()

    async def stubborn() -> Items:
        while not released.is_set():
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue
        yield Delta("")

    with anyio.fail_after(60):
        async with machine.open(Foreign(stubborn), patience=0.1) as rig:
            outputs = await rig.send("Are you there?")
            assert "no whole answer within 0.1 s; increase the setting patience" in outputs[-2].text
        released.set()


@pytest.mark.parametrize("answer", FLOOD)
async def test_a_model_that_streams_for_ever_is_cut(machine: Machine, answer: Callable[[], Items]) -> None:
    with anyio.fail_after(60):
        async with machine.open(Foreign(answer), max_steps=2, style="native") as rig:
            outputs = await rig.send("Talk.")
            assert outputs[-1].type == "done"
            assert sum(len(row.text) for row in await rig.log()) < 600_000


async def completion_of(answer: Callable[[], Items]) -> Completion:
    async with aclosing(BoundedModel(Foreign(answer), 60.0).stream(PROMPT)) as items:
        async for item in items:
            if isinstance(item, Completion):
                return item
    raise AssertionError("there was none")


HUGE = "x" * 3_000_000


@pytest.mark.parametrize(
    "whole",
    [
        Completion(HUGE),
        Completion("ok", thinking=HUGE),
        Completion("ok", (Call("1", "note", HUGE), Call("2", "note", "{}"))),
        Completion(HUGE, (Call("1", "note", HUGE),), thinking=HUGE),
    ],
)
async def test_a_huge_completion_is_cut_and_says_so(whole: Completion) -> None:
    async def answer() -> Items:
        yield whole

    got = await completion_of(answer)
    size = len(got.text) + len(got.thinking) + sum(len(c.arguments) for c in got.calls)
    assert size <= 200_000
    assert got.cut
    assert "characters" in got.notes[-1]
    assert await completion_of(answers) == Completion("Here I am.")


async def test_sixteen_calls_of_a_completion_are_run_and_the_rest_get_results(machine: Machine) -> None:
    many = [call("archival_insert", text=f"fact {n}", heartbeat=True) for n in range(40)]
    model = ScriptedModel([many, [say("Done.")]])
    async with machine.open(model) as rig:
        assert await rig.said("Remember all that.") == "Done."
        results = [
            row for row in await rig.log() if row.role is Role.RESULT and row.name == "archival_insert"
        ]
        assert [row.text.startswith("Saved as") for row in results] == [True] * 16 + [False] * 24
        assert results[-1].text.startswith("Error: Not run: at most 16 calls in one completion")
        assert "at most 16 calls" in str(model.prompts[1].messages)


@pytest.mark.parametrize("style", ["memgpt", "native"])
async def test_a_thousand_calls_in_one_completion(machine: Machine, style: str) -> None:
    ran: list[int] = []

    def note(number: int) -> str:
        """Note it."""
        ran.append(number)
        return "Noted."

    many = [call("note", number=n) for n in range(1000)]
    model = ScriptedModel([many, [say("Done.")] if style == "memgpt" else "Done."], window=4096)
    async with machine.open(model, tools=(note,), style=style) as rig:
        assert (await rig.said("Go.")).startswith("Done.")
        assert ran == list(range(16))
        log = await rig.log()
        assert len(log) < 200
        assert "936 of 1,000 calls were left out." in str([row.meta.notes for row in log])


async def test_a_turn_has_its_time(machine: Machine) -> None:
    async def slow(seconds: float) -> str:
        """Take a while."""
        await anyio.sleep(seconds)
        return "ok"

    script: list[Any] = [[call("slow", seconds=30, heartbeat=True)], [say("Next.")]]
    async with machine.open(ScriptedModel(script), tools=(slow,), turn_timeout=0.2) as rig:
        with anyio.fail_after(60):
            outputs = await rig.send("Do it.")
        assert ("turn_timeout" in outputs[-2].text, outputs[-2].name) == (True, StopName.STOPPED)
        assert outputs[-1].type == "done"
        assert await rig.said("And now?") == "Next."


async def test_the_summary_is_bounded_too(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model, patience=0.1) as rig:
        for _ in range(6):
            await rig.send("Tell me more. " * 20)
        process = await rig.process()
        bounded = process.memory.model
        assert isinstance(bounded, BoundedModel)
        bounded.model = Foreign(hangs)
        with anyio.fail_after(60):
            assert await rig.kernel.flush("ana")
        (summary,) = (row for row in await rig.log() if row.role is Role.SUMMARY)
        assert "no whole answer" in summary.meta.extracted


@pytest.mark.parametrize("answer", [ends_without_a_completion, cancels_itself])
async def test_a_check_of_a_broken_model_ends(answer: Callable[[], Items]) -> None:
    with anyio.fail_after(60):
        found = await check(Foreign(answer))
    assert found.error or found.calling == "none"


async def test_an_error_of_the_model_passes_through() -> None:
    async def fails() -> Items:
        yield Delta("a")
        raise ModelError("no credit")

    with pytest.raises(ModelError, match="no credit"):
        await completion_of(fails)
