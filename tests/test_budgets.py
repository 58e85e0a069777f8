"""Daily budgets: what is spent is what the log says; events wait, named, and none is lost."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from conftest import Run
from pagefault.accounting.budget import SharedUsage, day_of
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, load_installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.kernel import Kernel
from pagefault.models import Completion, Prompt, Usage
from pagefault.storage import Store
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.clock import FixedClock
from pagefault.testing.memory import MemoryStore
from pagefault.testing.models import ScriptedModel, say
from pagefault.types import Output
from pagefault.zones import zone_named

pytestmark = pytest.mark.anyio

HOUR = 3600
PRICES = {"scripted": {"input": 10.0, "output": 20.0}}  # dollars a million tokens


def costly(*, heartbeat: bool = False) -> ScriptedModel:
    """A model each request of which takes 900 + 100 tokens, 11 thousandths of a dollar."""
    answer = [say("Here.", heartbeat=heartbeat)]

    def usage(prompt: Prompt, completion: Completion) -> Usage:  # noqa: ARG001
        return Usage(input=900, output=100)

    return ScriptedModel([answer] * 99, usage=usage)


@asynccontextmanager
async def serving(
    home: Path, model: Any, clock: FixedClock, store: Store | None = None, **installation: Any
) -> AsyncGenerator[Kernel]:
    parts = Parts(model=model, embedder=NullEmbedder(), store=store or MemoryStore(), clock=clock)
    async with open_kernel(home, parts, Installation.model_validate(installation)) as kernel:
        yield kernel


async def ask(kernel: Kernel, name: str, text: str = "Hello.") -> list[Output]:
    shown = ("said", "alerted", "done")
    with anyio.fail_after(60):
        return [output async for output in kernel.send(name, text) if output.type in shown]


def types(outputs: list[Output]) -> list[str]:
    return [output.type for output in outputs]


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "sqlite":
        return SQLiteStore.open(tmp_path / "pagefault.db")
    return PostgresStore.open(request.getfixturevalue("database"))


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("daily_tokens", 2000, "2,000 of 2,000 tokens a day are spent"),
        ("daily_cost", 0.02, "$0.02 of $0.02 a day are spent"),
    ],
)
async def test_events_wait_until_the_day_is_over(
    tmp_path: Path, store: Store, setting: str, value: float, named: str
) -> None:
    clock, model = FixedClock(), costly()
    async with serving(tmp_path, model, clock, store, prices=PRICES) as kernel:
        await kernel.create_agent("ana", parse_settings({"zone": "Asia/Shanghai", setting: value}))
        assert types(await ask(kernel, "ana")) == ["said", "done"]
        assert types(await ask(kernel, "ana")) == ["said", "done"]
        alert, done = await ask(kernel, "ana", "The third.")
        assert (alert.type, done.type) == ("alerted", "done")
        assert named in alert.text
        assert "wait until 2026-03-02 00:00 (Asia/Shanghai)" in alert.text
        assert f"pagefault agent set ana {setting}=" in alert.text
        assert types(await ask(kernel, "ana", "The fourth.")) == ["alerted", "done"]
        clock.advance(6 * HOUR)
        await kernel.recover()
        assert len(model.prompts) == 2
        clock.advance(2 * HOUR)  # 17:00 UTC is past midnight in Shanghai
        async with kernel.listen("ana") as heard:
            await kernel.recover()
            outputs = [heard.receive_nowait() for _ in range(heard.statistics().current_buffer_used)]
        assert types(outputs).count("said") == 2
        assert types(outputs).count("done") == 2
        assert "The third." in str(model.prompts[2].messages)
        assert "The fourth." in str(model.prompts[3].messages)


async def test_a_raised_budget_lets_the_agent_go_on(tmp_path: Path, store: Store) -> None:
    clock, model = FixedClock(), costly()
    async with serving(tmp_path, model, clock, store) as kernel:
        await kernel.create_agent("ana", parse_settings({"zone": "UTC", "daily_tokens": 500}))
        await ask(kernel, "ana")
        assert types(await ask(kernel, "ana")) == ["alerted", "done"]
        await kernel.change_settings("ana", parse_settings({"zone": "UTC", "daily_tokens": 50_000}))
        await kernel.recover()
        assert len(model.prompts) == 2
        assert types(await ask(kernel, "ana")) == ["said", "done"]


async def test_a_turn_stops_between_two_requests_and_is_carried_on(tmp_path: Path, store: Store) -> None:
    clock, model = FixedClock(), costly(heartbeat=True)
    async with serving(tmp_path, model, clock, store) as kernel:
        settings = {"zone": "UTC", "daily_tokens": 2500, "max_steps": 5}
        await kernel.create_agent("ana", parse_settings(settings))
        assert types(await ask(kernel, "ana")) == ["said", "said", "said", "alerted", "done"]
        assert len(model.prompts) == 3
        clock.advance(24 * HOUR)
        await kernel.recover()
        assert len(model.prompts) == 5
        rows = await kernel.store.read(lambda tx: tx.messages(tx.agents()[0].id))
        assert [row.text for row in rows if row.name == "max_steps"] == [
            "The limit of 5 steps for one event is reached; the turn ends here."
        ]


async def test_the_budget_of_the_installation_is_of_all_agents_together(tmp_path: Path, store: Store) -> None:
    clock, model = FixedClock(), costly()
    settings = parse_settings({"zone": "UTC"})
    limits = {"total_daily_tokens": 1500, "agent": {"zone": "UTC"}}
    async with serving(tmp_path, model, clock, store, **limits) as kernel:
        for name in ("ana", "bo", "clara"):
            await kernel.create_agent(name, settings)
        assert types(await ask(kernel, "ana")) == ["said", "done"]
        assert types(await ask(kernel, "bo")) == ["said", "done"]
        alert, _ = await ask(kernel, "clara")
        assert "The installation has reached its daily budget: 2,000 of 1,500 tokens" in alert.text
        assert "PAGEFAULT_TOTAL_DAILY_TOKENS" in alert.text
        clock.advance(24 * HOUR)
        await kernel.recover()
        assert len(model.prompts) == 3


async def test_one_agent_without_budget_does_not_stop_another(tmp_path: Path) -> None:
    clock, model = FixedClock(), costly()
    async with serving(tmp_path, model, clock) as kernel:
        await kernel.create_agent("ana", parse_settings({"zone": "UTC", "daily_tokens": 500}))
        await kernel.create_agent("bo", parse_settings({"zone": "UTC"}))
        await ask(kernel, "ana")
        assert types(await ask(kernel, "ana")) == ["alerted", "done"]
        assert types(await ask(kernel, "bo")) == ["said", "done"]


async def test_a_budget_in_money_needs_a_price(tmp_path: Path) -> None:
    async with serving(tmp_path, costly(), FixedClock()) as kernel:
        await kernel.create_agent("ana", parse_settings({"zone": "UTC", "daily_cost": 1.0}))
        await ask(kernel, "ana")
        alert, _ = await ask(kernel, "ana")
        assert 'no price of scripted is known; set [prices."scripted"]' in alert.text


async def test_serving_goes_on_by_the_clock_alone(tmp_path: Path) -> None:
    clock, model = FixedClock(), costly()
    async with serving(tmp_path, model, clock) as kernel, anyio.create_task_group() as tasks:
        await kernel.create_agent("ana", parse_settings({"zone": "UTC", "daily_tokens": 500}))
        tasks.start_soon(kernel.serve)
        await ask(kernel, "ana")
        assert types(await ask(kernel, "ana")) == ["alerted", "done"]
        await anyio.sleep(1.2)
        assert len(model.prompts) == 1
        clock.advance(24 * HOUR)
        async with kernel.listen("ana") as heard:
            with anyio.fail_after(60):
                assert (await heard.receive()).event == 2
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("now", "zone", "start", "end"),
    [
        ("2026-03-01T09:00+00:00", "UTC", "2026-03-01T00:00+00:00", "2026-03-02T00:00+00:00"),
        ("2026-03-01T17:00+00:00", "Asia/Shanghai", "2026-03-01T16:00+00:00", "2026-03-02T16:00+00:00"),
        ("2026-03-29T12:00+00:00", "Europe/Lisbon", "2026-03-29T00:00+00:00", "2026-03-29T23:00+00:00"),
        ("2026-10-25T12:00+00:00", "Europe/Lisbon", "2026-10-24T23:00+00:00", "2026-10-26T00:00+00:00"),
        ("2026-03-01T12:00+00:00", "Asia/Kathmandu", "2026-02-28T18:15+00:00", "2026-03-01T18:15+00:00"),
    ],
)
def test_a_day_is_from_midnight_to_midnight(now: str, zone: str, start: str, end: str) -> None:
    found = day_of(datetime.fromisoformat(now), zone_named(zone))
    assert found == (datetime.fromisoformat(start), datetime.fromisoformat(end))


async def said(home: Path, name: str) -> list[str]:
    """The outputs of a message to the demo model, in the home of the command line."""
    parts = Parts(embedder=NullEmbedder())
    async with open_kernel(home, parts, load_installation(home)) as kernel:
        return [output.text for output in await ask(kernel, name) if output.type != "done"]


def test_a_budget_is_set_and_raised_on_the_command_line(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert run("agent", "create", "ana", "--setting", "daily_tokens=1").code == 0
    anyio.run(said, home, "ana")
    (refused,) = anyio.run(said, home, "ana")
    assert refused.startswith("Agent ana has reached its daily budget")
    assert "pagefault agent set ana daily_tokens=N" in refused
    assert refused in run("agent", "list").out
    assert run("agent", "list", "--json").json[0]["spent"] == refused
    assert run("agent", "set", "ana", "daily_tokens=900000").out == "Changed for agent ana: daily_tokens.\n"
    assert run("agent", "show", "ana", "--json").json["settings"]["daily_tokens"] == 900_000
    assert "budget" not in str(anyio.run(said, home, "ana"))
    assert run("agent", "set", "ana", "daily_tokens=none").code == 1
    assert run("agent", "set", "nobody", "daily_tokens=1").code == 1


def test_the_budget_of_the_installation_is_set_in_the_environment(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ana", "bo"):
        assert run("agent", "create", name).code == 0
    monkeypatch.setenv("PAGEFAULT_TOTAL_DAILY_TOKENS", "1")
    anyio.run(said, tmp_path / "home", "ana")
    (refused,) = anyio.run(said, tmp_path / "home", "bo")
    assert "The installation has reached its daily budget" in refused


class SlowTransaction:
    """A transaction in which the usage of all agents takes so many seconds to read."""

    def __init__(self) -> None:
        self.now = self.takes = 0.0
        self.reads = 0

    def usage_of_all(self, since: datetime, tenant: str | None = None) -> list[object]:
        del tenant
        self.now += self.takes
        self.reads += 1
        return [since, self.reads]


def test_usage_of_all_agents_is_read_each_time_unless_that_takes_long() -> None:
    tx: Any = SlowTransaction()
    usage = SharedUsage(lambda: tx.now)
    today, tomorrow = day_of(datetime(2026, 3, 1, tzinfo=UTC), UTC)
    for reads in (1, 2, 3):
        assert usage.since(today, tx) == [today, reads]
    tx.takes = 1.0
    assert usage.since(today, tx) == [today, 4]
    tx.now += 19.5
    assert usage.since(today, tx) == [today, 4]
    assert usage.since(tomorrow, tx) == [tomorrow, 5], "another day is another sum"
    tx.now += 20.5
    assert usage.since(tomorrow, tx) == [tomorrow, 6]
    tx.takes, tx.now = 0.0, tx.now + 20.5
    assert [usage.since(tomorrow, tx), usage.since(tomorrow, tx)] == [[tomorrow, 7], [tomorrow, 8]]
