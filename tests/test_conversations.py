"""Conversations over HTTP: with a model that has no functions, from one provider to the next, broken off."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from conftest import Machine, Rig
from machine_log import check_calls, check_queue, check_turns, dump
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.models import Call, Completion
from pagefault.models.endpoint import Endpoint, ModelFinding, ModelOptions
from pagefault.models.openai import OpenAIModel
from pagefault.models.wrappers.function_calling import FunctionCallingModel
from pagefault.models.wrappers.retrying import RetryingModel
from pagefault.testing.models import call, say
from pagefault.testing.providers import ProviderRequest, ProviderServer, Turn, refuse
from pagefault.testing.providers.anthropic import SIGNATURE
from pagefault.testing.providers.quirks import QUIRKS
from pagefault.testing.providers.replies import asks_for_summary, last_said
from pagefault.types import Event, EventKind, Passage, Role, Section
from scripted_talk import WithoutFunctions, fact, message, with_functions

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def talking(machine: Machine, server: ProviderServer, **settings: Any) -> AsyncGenerator[Rig]:
    """An agent whose model is at the server, and so is the one that takes over."""
    endpoint = Endpoint("openai", server.url, timeout=1.0)
    adapters = [OpenAIModel(name, 4096, endpoint, ModelOptions()) for name in ("weak:7b", "other:7b")]
    found = ModelFinding("text", late_thinking=True)
    model = RetryingModel([FunctionCallingModel(adapter, "auto", found) for adapter in adapters], delay=0.001)
    try:
        async with machine.open(model, window=4096, **settings) as rig:
            yield rig
    finally:
        for adapter in adapters:
            await adapter.aclose()


SAY_FINE = Completion(calls=(Call("c1", "send_message", '{"message": "fine"}'),))


# A model without functions


@dataclass(frozen=True)
class Talk:
    """What came of a conversation."""

    said: list[str]
    sections: list[Section]
    passages: list[Passage]
    failed: list[str]
    flushes: int
    alerts: list[str]


async def converse(machine: Machine, turns: int, turn: Callable[[ProviderRequest], Turn]) -> Talk:
    with ProviderServer(turn) as server:
        async with talking(machine, server) as rig:
            said = [await rig.said(message(number)) for number in range(turns)]
            log, record = await rig.log(), await rig.kernel.record("ana")
            sections, now = await rig.kernel.store.read(lambda tx: (tx.sections(record.id), dump(tx)))
    assert [row.text for row in log if row.role is Role.USER] == [message(n) for n in range(turns)]
    check_queue(now)
    check_turns(now, all_done=True)
    check_calls(now)
    failed = [row.name or "" for row in log if row.role is Role.RESULT and row.meta.failed]
    alerts = [row.text for row in log if row.role is Role.ALERT and row.meta.stop]
    flushes = sum(row.role is Role.SUMMARY for row in log)
    return Talk(said, sections, now.passages, failed, flushes, alerts)


@pytest.mark.slow
async def test_json_mode_carries_the_same_conversation_as_functions_do(tmp_path: Path) -> None:
    weak = WithoutFunctions()
    native = await converse(Machine(tmp_path / "native"), 60, with_functions)
    json_mode = await converse(Machine(tmp_path / "json"), 60, weak)
    assert weak.refused == 1
    assert json_mode.said == native.said
    assert all(said.startswith(f"Turn {turn}:") for turn, said in enumerate(json_mode.said))
    for turn in range(35, 60, 10):
        thing, place = fact(turn - 27)
        assert json_mode.said[turn] == f"Turn {turn}: the {thing} is in {place}."
    assert [(s.name, s.text) for s in json_mode.sections] == [(s.name, s.text) for s in native.sections]
    assert [p.text for p in json_mode.passages] == [p.text for p in native.passages]
    assert len(json_mode.passages) == 6
    assert json_mode.failed == native.failed == ["remember_everything"] * 6
    assert json_mode.alerts == native.alerts == []
    assert min(native.flushes, json_mode.flushes) >= 3


# A server of which every third answer is amiss


@dataclass
class Amiss:
    """Plays the part of ``with_functions``; every third answer has a quirk, all kinds in turn, mixed."""

    order: list[str]
    asked: int = 0
    shown: list[str] = field(default_factory=list[str])

    def __call__(self, request: ProviderRequest) -> Turn:
        self.asked += 1
        said = with_functions(request)
        if self.asked % 3:
            return said
        self.shown.append(self.order[len(self.shown) % len(self.order)])
        return QUIRKS[self.shown[-1]].make(said, request)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_a_conversation_in_which_every_third_answer_is_amiss_loses_nothing(
    tmp_path: Path, seed: int
) -> None:
    quirks = [q for q in QUIRKS.values() if "openai" in q.shapes and q.calling != "json"]
    order = [q.name for q in quirks if q.outcome != "as text"]
    random.Random(seed).shuffle(order)
    amiss = Amiss(order)
    without = await converse(Machine(tmp_path / "without"), 100, with_functions)
    talk = await converse(Machine(tmp_path / "amiss"), 100, amiss)
    assert len(amiss.shown) >= 60
    assert len(set(amiss.shown)) == len(amiss.shown), "each kind once"
    assert talk.alerts == []
    assert all(talk.said)
    assert all(said.count("Turn ") <= 1 for said in talk.said), "nothing is said twice"
    # an answer that the reply's limit cut stays cut, and what looks like text may be taken for text
    assert sum(said == right for said, right in zip(talk.said, without.said, strict=True)) >= 97
    kept = [passage.text for passage in talk.passages]
    assert len(kept) <= len(set(kept)) + 1, "a refusal may flush a call of the open turn out of sight"
    assert set(kept) <= {passage.text for passage in without.passages}
    assert len(kept) >= 8
    assert talk.flushes >= 5


# From one provider to the next


MODELS = (
    "openai:gpt-test",
    "anthropic:claude-test",
    "google:gemini-test",
    "ollama:qwen-test",
    "vllm:other-test",
    "anthropic:claude-test",
    "openai:gpt-test",
)
THOUGHT = "A private thought."


def thoughtful(request: ProviderRequest) -> Turn:
    """Keeps each second message's number before it answers; Anthropic's models think first, and sign it."""
    said = last_said(request)
    number = said.rpartition(" ")[2]
    if asks_for_summary(request):
        return Completion("They counted.")
    thinking = THOUGHT if request.shape == "anthropic" else ""
    kept = f"Kept {number}" in request.raw.decode()
    if number.isdecimal() and int(number) % 2 and not kept:
        keep = call("working_context_append", heartbeat=True, section="human", text=f"Kept {number}.")
        return Completion("", (Call(f"keep_{number}", keep.name, keep.arguments),), thinking=thinking)
    speak = say(f"Heard {number}.")
    return Completion("", (Call(f"say_{number}", speak.name, speak.arguments),), thinking=thinking)


@pytest.mark.slow
async def test_an_agent_moves_from_provider_to_provider_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProviderServer(thoughtful) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        async with open_kernel(tmp_path, installation=Installation(embedder="null")) as kernel:
            agent = await kernel.create_agent("ana", parse_settings({"model": MODELS[0], "window": 16_384}))
            number = 0
            for model in MODELS:
                record = await kernel.record("ana")
                await kernel.change_settings("ana", parse_settings(dict(record.settings) | {"model": model}))
                for _ in range(4):
                    number += 1
                    outputs = [output async for output in kernel.send("ana", f"number {number}")]
                    assert [o.text for o in outputs if o.type == "said"] == [f"Heard {number}."]
                    assert not [o.text for o in outputs if o.type in ("alerted", "noticed")]
            rows = await kernel.store.read(lambda tx: tx.messages(agent.id))
            (section,) = await kernel.store.read(
                lambda tx: [s for s in tx.sections(agent.id) if s.name == "human"]
            )
    assert section.text.split() == " ".join(f"Kept {n}." for n in range(1, number + 1, 2)).split()
    assert [row.text for row in rows if row.role is Role.ASSISTANT] == [
        f"Heard {n}." for n in range(1, number + 1)
    ]
    assert not [row for row in rows if row.role is Role.RESULT and row.meta.failed]
    shapes = [request.shape for request in server.seen]
    assert list(dict.fromkeys(shapes)) == ["openai", "anthropic", "gemini", "ollama"]
    for request in server.seen:
        sent = request.raw.decode()
        if request.shape != "anthropic":
            assert THOUGHT not in sent
            assert SIGNATURE not in sent
    # back with Anthropic: its own signed thinking of before goes along, each piece once
    assert server.seen[-1].shape == "openai"
    back = max(n for n, shape in enumerate(shapes) if shape == "anthropic")
    before = sum(1 for shape in shapes[:back] if shape == "anthropic")
    assert server.seen[back].raw.decode().count(SIGNATURE) == before


# Leaving


async def test_a_turn_is_cancelled_at_once_also_while_a_provider_asks_to_wait(machine: Machine) -> None:
    waiting = refuse(429, "Slow down.", retry_after="500")
    with ProviderServer([waiting, SAY_FINE]) as server:
        async with talking(machine, server) as rig, rig.kernel.listen("ana") as outputs:
            await rig.kernel.post("ana", Event(EventKind.MESSAGE, "hello"))
            async for output in outputs:
                if output.type == "noticed":
                    break
            with anyio.fail_after(60):  # of the 500 seconds that the provider asks for
                assert await rig.kernel.cancel("ana")
                await rig.kernel.idle()
            log = await rig.log()
            assert [(row.role, row.text) for row in log] == [
                (Role.USER, "hello"),
                (Role.ALERT, "The turn was cancelled."),
            ]
            assert await rig.said("and now?") == "fine"
