"""A server that cuts prompts without a word: it is noticed, the window is corrected, nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from conftest import Machine, Rig
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.context.calibration import Truncation
from pagefault.models import Completion, Prompt, Usage
from pagefault.testing.models import ScriptedModel
from pagefault.testing.providers import ProviderRequest, ProviderServer
from pagefault.testing.providers.replies import spoken
from pagefault.types import Message, Role

pytestmark = pytest.mark.anyio

WORDS = "the quick brown fox jumps over the lazy dog " * 30  # about 300 tokens
SMALL = [{"name": "human", "limit": 64}]


def tokens(prompt: Prompt) -> int:
    schemas = sum(len(f.name) + len(f.description) + len(str(f.parameters)) for f in prompt.functions)
    return (schemas + sum(len(message.text) for message in prompt.messages)) // 4


@dataclass
class Cutting:
    """A server that serves so many tokens, and reports what is left of a longer prompt."""

    serves: int
    seen: list[int] = field(default_factory=list[int])

    def __call__(self, prompt: Prompt) -> Completion:
        size = tokens(prompt)
        self.seen.append(min(size, self.serves))
        return Completion("ok", usage=Usage(min(size, self.serves), 2))


async def talk(rig: Rig, turns: int) -> list[Message]:
    for number in range(turns):
        await rig.send(f"Message {number}. {WORDS}")
    return await rig.log()


def told(log: list[Message]) -> list[Message]:
    return [row for row in log if row.name == "truncated"]


def test_one_report_that_was_too_high_is_no_truncation() -> None:
    truncation = Truncation()
    assert not truncation.suspects(3000, 9000, 1.0)
    assert truncation.suspects(3400, 3400, 1.0)
    assert truncation.window(3400, 3400, 3400, None) is None
    assert not truncation.suspects(3800, 3790, 1.0), "the reports grow after all"


def test_reports_that_stay_while_the_prompt_grows_are_a_window() -> None:
    truncation = Truncation()
    reports = [(3000, 3100), (3300, 3400), (3600, 3500), (3700, 3480), (3900, 3490)]
    assert [truncation.suspects(*report, 1.0) for report in reports] == [False, False, False, False, True]
    assert truncation.window(3900, 3900, 3490, None) is None, "too little growth since the first"
    assert truncation.suspects(4200, 3500, 1.0)
    assert truncation.window(4200, 4200, 3500, None) == 3500


def test_a_report_of_what_was_not_in_the_cache_tells_nothing() -> None:
    truncation = Truncation()
    assert not any(truncation.suspects(counted, 60, 1.0) for counted in range(3000, 9000, 300))


async def test_what_it_reports_twice_is_taken_for_the_window(machine: Machine) -> None:
    server = Cutting(5500)
    async with machine.open(
        ScriptedModel(server), window=16_384, style="native", sections=SMALL, warn=1.0
    ) as rig:
        log = await talk(rig, 60)
        settings = (await rig.kernel.record("ana")).settings
        window = (await rig.process()).memory.budget.window
    (alert,) = told(log)
    assert alert.text.startswith(
        "The server of scripted silently cuts prompts to about 5,500 tokens; the window"
    )
    assert (settings["window"], settings["served"], window) == (16_384, 5500, 5500)
    assert sum(row.role is Role.ASSISTANT for row in log) == 60, "every message is answered, once"
    assert server.seen.count(5500) <= 3, "after that no prompt is cut any more"
    assert any(row.role is Role.SUMMARY for row in log)


async def test_what_is_too_small_for_the_agent_is_said_each_time_until_it_is_mended(machine: Machine) -> None:
    server = Cutting(1200)
    async with machine.open(
        ScriptedModel(server), window=16_384, style="native", sections=SMALL, warn=1.0
    ) as rig:
        log = await talk(rig, 12)
        assert "served" not in {k: v for k, v in (await rig.kernel.record("ana")).settings.items() if v}
        server.serves = 16_384
        assert await rig.said("And now?") == "ok"
    alerts = told(log)
    assert alerts
    assert all("too few for this agent; have it serve 4,096 or more" in alert.text for alert in alerts)
    assert [row.meta.stop for row in alerts] == [True] * len(alerts)


async def test_a_window_that_was_found_goes_with_the_model(machine: Machine) -> None:
    async with machine.open(
        ScriptedModel(Cutting(5500)), window=16_384, style="native", sections=SMALL, warn=1.0
    ) as rig:
        await talk(rig, 40)
        settings = parse_settings(dict((await rig.kernel.record("ana")).settings))
        assert settings.served == 5500
        await rig.kernel.change_settings("ana", settings.model_copy(update={"zone": "Asia/Tokyo"}))
        assert (await rig.kernel.record("ana")).settings["served"] == 5500
        await rig.kernel.change_settings("ana", settings.model_copy(update={"model": "another"}))
        assert (await rig.kernel.record("ana")).settings["served"] is None
        assert (await rig.process()).memory.budget.window == 16_384


async def test_a_server_that_says_what_it_serves_is_asked_and_believed_at_once(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ollama was told which window to serve, and serves less."""

    def cut(request: ProviderRequest) -> Completion:
        said = spoken(request, "ok")
        whole = said.usage.input if said.usage else 0
        return Completion(said.text, said.calls, Usage(min(whole, 6144), 2))

    serves = {"/api/ps": {"models": [{"name": "qwen-test:latest", "context_length": 6144}]}}
    with ProviderServer(cut, serves=serves) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        async with open_kernel(
            machine.home, Parts(clock=machine.clock), Installation(embedder="null")
        ) as kernel:
            wanted = {"model": "ollama:qwen-test", "window": 16_384, "sections": SMALL, "warn": 1.0}
            agent = await kernel.create_agent("ana", parse_settings(wanted))
            for number in range(60):
                said = [
                    o.text async for o in kernel.send("ana", f"Message {number}. {WORDS}") if o.type == "said"
                ]
                assert set(said) == {"ok"}
            log = await kernel.store.read(lambda tx: tx.messages(agent.id))
            assert (await kernel.record("ana")).settings["served"] == 6144
    (alert,) = told(log)
    assert "silently cuts prompts to about 6,144 tokens" in alert.text
    asked = {request.body["options"]["num_ctx"] for request in server.seen}
    assert asked >= {16_384}
