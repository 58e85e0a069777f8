"""The list of turns, usage by day and model, and the budgets of a day: what each says, and what it reads."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from conftest import Machine, Rig, served
from pagefault import Event
from pagefault.accounting.prices import Price
from pagefault.config import parse_settings
from pagefault.errors import NotFoundError, UsageError
from pagefault.models import Completion, Usage
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Message, Role
from pagefault.views.spending import budgets, daily_usage
from pagefault.views.trace import trace
from pagefault.views.turns import turns
from pagefault.views.usage import usage

pytestmark = pytest.mark.anyio

MINI, OTHER = "openai:gpt-4o-mini", "x:other"
ASKED = Usage(1_000_000, 1000, cached=250_000)


def answer(text: str = "ok", target: str = MINI) -> Completion:
    return Completion(calls=(say(text),), usage=ASKED, target=target)


async def spend(rig: Rig, *targets: str) -> None:
    rig.kernel.own_prices = {MINI: Price(0.15, 0.60)}
    model: Any = rig.parts.model
    model.script = [answer(target=target) for target in targets]
    for _ in targets:
        await rig.send("hello")


async def test_turns_are_listed_newest_first_page_by_page(machine: Machine) -> None:
    looking = Completion(calls=(call("recall_search", query="x", heartbeat=True),), usage=ASKED, target=MINI)
    async with machine.open(ScriptedModel([answer(), looking, answer(), answer()])) as rig:
        rig.kernel.own_prices = {MINI: Price(0.15, 0.60)}
        assert (await turns(rig.kernel, "ana")).turns == ()
        await rig.send("one")
        await rig.send(Event("message", "two\n\x1b[31m<script>", sender="Bo"))
        await rig.send(Event("login", "Bo is here"))
        newest = await turns(rig.kernel, "ana", limit=2)
        assert [(t.event, t.kind, t.sender, t.state) for t in newest.turns] == [
            (3, "login", "", "done"), (2, "message", "Bo", "done")
        ]  # fmt: skip
        second = newest.turns[1]
        assert second.text == "two \x1b[31m<script>"
        assert (second.totals.steps, second.totals.calls, second.totals.failed) == (2, 2, 0)
        assert second.totals == (await trace(rig.kernel, "ana", 2)).totals
        assert (second.totals.spent.requests, second.totals.spent.cached) == (2, 500_000)
        assert newest.before == 2
        rest = await turns(rig.kernel, "ana", before=newest.before)
        assert ([t.text for t in rest.turns], rest.before) == (["one"], None)
        assert rest.turns[0].first == "m1"


async def test_events_that_wait_are_listed_before_they_have_rows(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        await rig.send("one")
        record = await rig.kernel.record("ana")
        at = rig.clock.now()
        await rig.kernel.store.write(lambda tx: tx.post(record.id, Event("message", "later", at=at)))
        (first, _) = (await turns(rig.kernel, "ana")).turns
        assert (first.text, first.state, first.first, first.at, first.totals.steps) == (
            "later", "pending", "", at, 0
        )  # fmt: skip


async def test_a_list_of_turns_that_cannot_be_is_refused(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        with pytest.raises(UsageError, match="0 turns"):
            await turns(rig.kernel, "ana", limit=0)
        with pytest.raises(NotFoundError):
            await turns(rig.kernel, "nobody")
        assert (await turns(rig.kernel, "ana", before=10**9, limit=5)).turns == ()


async def test_a_conversation_kept_from_elsewhere_does_not_hide_the_turns(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        await rig.send("one")
        record, at = await rig.kernel.record("ana"), rig.clock.now()
        heard = [Message(Role.USER, f"heard {n}", at) for n in range(500)]
        await rig.kernel.store.write(lambda tx: tx.append(record.id, heard))
        assert [turn.text for turn in (await turns(rig.kernel, "ana")).turns] == ["one"]


async def test_usage_is_added_up_by_day_and_model(machine: Machine) -> None:
    async with machine.open(ScriptedModel([]), zone="Asia/Tokyo") as rig:
        await spend(rig, MINI, OTHER)
        rig.clock.advance(2 * 86_400)
        await spend(rig, MINI, MINI)
        found = await daily_usage(rig.kernel, "ana", days=3)
        today = rig.clock.now().astimezone().date()
        assert found.days == tuple((today - timedelta(days=back)).isoformat() for back in (2, 1, 0))
        assert [(used.day, used.model, used.spent.requests) for used in found.used] == [
            (found.days[0], MINI, 1), (found.days[0], OTHER, 1), (found.days[2], MINI, 2)
        ]  # fmt: skip
        assert found.zone == "Asia/Tokyo"
        assert found.whole == (await usage(rig.kernel, "ana"))[0].spent
        assert found.whole.unpriced == (OTHER,)
        assert (await daily_usage(rig.kernel, "ana", days=1)).whole.requests == 2
        everybody = await daily_usage(rig.kernel, days=3)
        assert (everybody.zone, everybody.whole) == ("UTC", found.whole)
        assert (await daily_usage(rig.kernel, days=3, of=["ana"])).whole == found.whole
        assert (await daily_usage(rig.kernel, days=3, of=[])).whole.requests == 0
        for days in (0, 367):
            with pytest.raises(UsageError, match=f"Usage of {days} days"):
                await daily_usage(rig.kernel, "ana", days=days)


async def test_usage_of_one_tenant_has_nothing_of_another(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        await spend(rig, MINI)
        other = rig.kernel.within("acme")
        await other.create_agent("bo", parse_settings({"zone": "UTC"}))
        assert (await daily_usage(other)).whole.requests == 0
        assert (await daily_usage(rig.kernel)).whole.requests == 1


async def test_budgets_say_what_is_left_of_the_day(machine: Machine) -> None:
    async with machine.open(ScriptedModel([]), daily_tokens=3_000_000, daily_cost=5.0) as rig:
        await spend(rig, MINI)
        (own,) = await budgets(rig.kernel, ["ana"], installation=True)
        assert (own.of, own.name, own.tokens, own.cost) == ("agent", "ana", 3_000_000, 5.0)
        assert own.spent.input + own.spent.output == 1_001_000
        assert own.until > rig.clock.now()
        rig.clock.advance(86_400)
        (own,) = await budgets(rig.kernel, ["ana"])
        assert own.spent.requests == 0


async def test_turns_and_blocks_are_in_the_rest(machine: Machine) -> None:
    async with machine.open(ScriptedModel([]), style="native") as rig, served(rig.kernel) as server:
        for text in ("one", "two"):
            await server.client.post("/api/v1/agents/ana/messages", json={"text": text})
        page = (await server.client.get("/api/v1/agents/ana/turns", params={"limit": 1})).json()
        assert ([turn["text"] for turn in page["items"]], page["next"]) == (["two"], "2")
        rest = await server.client.get("/api/v1/agents/ana/turns", params={"cursor": page["next"]})
        assert [turn["text"] for turn in rest.json()["items"]] == ["one"]
        now = (await server.client.get("/api/v1/agents/ana/context/blocks")).json()
        assert (now["step"], now["newest"]) == (None, "m4")
        then = (await server.client.get("/api/v1/agents/ana/context/blocks", params={"at": "m3"})).json()
        assert next(block["text"] for block in then["blocks"] if block["kind"] == "user").endswith("one")
        assert then["step"]["id"] == "m2"
        for at in ("p1", "m" + "9" * 40):
            wrong = await server.client.get("/api/v1/agents/ana/context/blocks", params={"at": at})
            assert wrong.status_code == 400
