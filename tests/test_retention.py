"""Retention by kind of row, and legal hold."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import pagefault
from conftest import Run, served
from pagefault.assembly import Parts
from pagefault.config import parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import HeldError, UsageError
from pagefault.keep_settings import kept_for
from pagefault.kernel.forgetting.retention import Keeper
from pagefault.kernel.tenancy import create_key
from pagefault.models import Prompt
from pagefault.storage import Transaction
from pagefault.testing.clock import FixedClock
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.testing.postgres import Databases
from pagefault.types import AgentId, Document, Page, Passage, Section
from pagefault.views.agents import agents

pytestmark = pytest.mark.anyio

THEN = datetime(2025, 1, 1, tzinfo=UTC)
NOW = THEN + timedelta(days=500)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(THEN)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
async def pf(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock
) -> AsyncGenerator[pagefault.Pagefault]:
    parts = Parts(model=ScriptedModel(answer), embedder=NullEmbedder(), clock=clock)
    database: Databases | None = None
    if request.param == "postgres":
        database = request.getfixturevalue("databases")
    url = database.new() if database else None
    async with pagefault.open(tmp_path / "home", parts=parts, database=url) as opened:
        yield opened


async def texts(pf: pagefault.Pagefault) -> list[str]:
    record = await pf.kernel.record("ana")
    return [row.text for row in await pf.kernel.store.read(lambda tx: tx.messages(record.id)) if row.text]


def answer(prompt: Prompt) -> list[Any]:
    """Delete a passage when that is asked for, once."""
    last = prompt.messages[-1]
    if last.role == "user" and "Delete p1." in last.text:
        return [call("archival_delete", heartbeat=True, id="p1")]
    return [say("Noted.")]


def fill(tx: Transaction, agent: AgentId, at: datetime, word: str) -> None:
    tx.insert_passage(agent, Passage(f"{word} passage", at))
    pages = [Page(1, "", f"{word} page")]
    tx.put_document(
        agent, Document(f"{word}.txt", word, "text/plain", "x", at, 1), pages, [Passage(f"{word} part", at)]
    )
    tx.put_section(agent, Section("human", "", 100, f"{word} section"), at)


@pytest.mark.parametrize(("age", "hours"), [("36h", 36), ("400d", 9600), ("2 w", 336), ("1y", 8760)])
def test_an_age_is_a_number_and_a_letter(age: str, hours: int) -> None:
    assert kept_for(age) == timedelta(hours=hours)


@pytest.mark.parametrize(
    "age", ["", "0d", "-1d", "4", "d", "1m", "99999999d", "101y", "999999y", "１d", "1d; 2d", "for ever"]
)
def test_a_wrong_age_is_refused_with_the_setting(age: str) -> None:
    with pytest.raises(UsageError, match=r"keep.*is no time to keep something for; write 36h, 400d, 8w"):
        parse_settings({"keep": {"messages": age}})


@pytest.mark.parametrize("keep", [{"letters": "4d"}, {"messages": 4}, {"messages": None}, "400d", ["400d"]])
def test_what_is_no_rule_is_refused(keep: object) -> None:
    with pytest.raises(UsageError, match="keep"):
        parse_settings({"keep": keep})


def test_a_rule_is_set_and_refused_at_the_terminal(run: Run) -> None:
    run("agent", "create", "ana")
    refused = run("agent", "set", "ana", 'keep={"messages": "4 moons"}')
    assert (refused.code, "4 moons" in refused.err, "Traceback" in refused.err) == (1, True, False)
    assert run("agent", "set", "ana", 'keep={"messages": "400d"}').code == 0
    assert run("agent", "show", "ana", "--json").json["settings"]["keep"] == {"messages": "400d"}


async def test_what_is_older_than_its_rule_goes_and_nothing_else(
    pf: pagefault.Pagefault, clock: FixedClock
) -> None:
    ana = await pf.agent("ana", keep={"messages": "400d", "passages": "1y"})
    record = await pf.kernel.record("ana")
    await ana.send("an old message")
    await pf.kernel.store.write(lambda tx: fill(tx, record.id, THEN, "old"))
    clock.advance((NOW - THEN).total_seconds())
    await ana.send("a new message")
    await pf.kernel.store.write(lambda tx: fill(tx, record.id, NOW, "new"))
    receipts = await ana.keep_to_rules()
    said = await texts(pf)
    assert "a new message" in said
    assert "an old message" not in said
    assert sorted(receipt.counts.get("passage", 0) for receipt in receipts) == [0, 1]
    assert {hit.text for hit in await ana.search("", tier="archival")} == {
        "new passage",
        "old part",
        "new part",
    }
    sections = await pf.kernel.store.read(lambda tx: tx.section_history(record.id, "human"))
    assert "old section" in [section.text for _, section in sections], "no rule is about sections"
    events = await pf.kernel.store.read(lambda tx: tx.events(record.id))
    assert [event.text for event in events if event.text] == ["a new message"]
    assert await ana.keep_to_rules() == (), "once is enough"


async def test_documents_and_earlier_versions_have_rules_of_their_own(
    pf: pagefault.Pagefault, clock: FixedClock
) -> None:
    ana = await pf.agent("ana", keep={"documents": "30d", "sections": "30d"})
    record = await pf.kernel.record("ana")
    await pf.kernel.store.write(lambda tx: fill(tx, record.id, THEN, "old"))
    await pf.kernel.store.write(lambda tx: fill(tx, record.id, THEN, "newest"))
    clock.advance((NOW - THEN).total_seconds())
    await ana.keep_to_rules()
    assert await pf.kernel.store.read(lambda tx: tx.documents(record.id)) == []
    assert {hit.text for hit in await ana.search("", tier="archival")} == {"old passage", "newest passage"}
    sections = await pf.kernel.store.read(lambda tx: tx.section_history(record.id, "human"))
    assert [section.text for _, section in sections if section.text] == ["newest section"]


async def test_an_agent_that_is_held_keeps_everything(pf: pagefault.Pagefault, clock: FixedClock) -> None:
    ana = await pf.agent("ana", keep={"messages": "1d"})
    await ana.send("an old message")
    clock.advance(timedelta(days=9).total_seconds())
    await ana.hold("case\n 7")
    keeper = Keeper(pf.kernel)
    assert await keeper.settled() == 0
    assert "an old message" in await texts(pf)
    with pytest.raises(UsageError, match="case 7"):
        await ana.forget("old")
    with pytest.raises(UsageError, match="case 7"):
        await ana.delete()
    with pytest.raises(UsageError):
        await ana.hold("  ")
    assert await ana.lift_hold()
    assert not await ana.lift_hold()
    assert await keeper.settled() == 1
    assert "an old message" not in await texts(pf)


async def test_each_agent_is_kept_to_its_rules_once_a_day(pf: pagefault.Pagefault, clock: FixedClock) -> None:
    ana = await pf.agent("ana", keep={"messages": "36h"})
    await pf.agent("bo")
    keeper = Keeper(pf.kernel)
    await ana.send("first")
    assert await keeper.settled() == 0
    clock.advance(timedelta(hours=23).total_seconds())
    assert await keeper.settled() == 0
    clock.advance(timedelta(hours=23).total_seconds())
    assert await keeper.settled() == 1
    assert "first" not in await texts(pf)


async def test_one_forgetting_follows_another_without_a_turn_between(pf: pagefault.Pagefault) -> None:
    """The first one wakes the agent, whose inbox is looked into meanwhile; that is no turn."""
    ana = await pf.agent("ana")
    for word in ("one", "two", "three"):
        await ana.send(word)
    for word in ("one", "two", "three"):
        assert (await ana.forget(word)).total > 0
    assert len(await ana.tombstones()) == 3


async def test_nothing_of_an_agent_that_is_held_is_deleted_or_replaced(
    pf: pagefault.Pagefault, tmp_path: Path
) -> None:
    ana = await pf.agent("ana")
    file = tmp_path / "letter.txt"
    file.write_text("Dear Ana.")
    await ana.remember("Likes tea.")
    await ana.documents.load(file)
    await ana.hold("case 7 <b>\u202e")
    file.write_text("Dear Bo.")
    for act in (
        lambda: ana.passages.delete("p1"),
        lambda: ana.passages.edit("p1", "Likes coffee."),
        lambda: ana.documents.delete("d1"),
        lambda: ana.documents.load(file),
        lambda: ana.forget("tea"),
        ana.delete,
        lambda: pf.delete("ana"),
    ):
        with pytest.raises(HeldError, match=r"ana is held \(case 7 \(b\)\), so nothing of it is "):
            await act()
    reply = await ana.send("Delete p1.")
    assert "ana is held (case 7" in " ".join(each.text for each in reply.outputs if each.type == "returned")
    assert {hit.text for hit in await ana.search("", tier="archival")} == {"Likes tea.", "Dear Ana."}
    await ana.send("Hello.")
    await ana.undo()
    await ana.lift_hold()
    await ana.passages.delete("p1")


async def test_a_fork_of_an_agent_that_is_held_is_not_held(pf: pagefault.Pagefault) -> None:
    ana = await pf.agent("ana")
    await ana.send("Hello.")
    await ana.hold("case 7")
    bo = await ana.fork("bo")
    assert [(each.name, each.held) for each in await agents(pf.kernel)] == [("ana", "case 7"), ("bo", "")]
    await bo.forget("Hello.")
    await bo.delete()
    with pytest.raises(HeldError):
        await ana.forget("Hello.")


async def test_a_hold_is_set_and_lifted_over_http(pf: pagefault.Pagefault) -> None:
    ana = await pf.agent("ana")
    await ana.send("an old message")
    async with served(pf.kernel) as server:
        at = "/api/v1/agents/ana"
        assert (await server.client.put(f"{at}/hold", json={"why": " "})).status_code == 400
        assert (await server.client.put(f"{at}/hold", json={"why": "case 7"})).json() == {"done": True}
        assert (await server.client.get(at)).json()["held"] == "case 7"
        for answer in (
            await server.client.delete(at),
            await server.client.post(f"{at}/forget", json={"query": "old"}),
        ):
            assert (answer.status_code, answer.json()["title"]) == (409, "Held")
            assert "case 7" in answer.json()["detail"]
        assert (await server.client.delete(f"{at}/hold")).json() == {"done": True}
        assert (await server.client.delete(f"{at}/hold")).json() == {"done": False}
        assert (await server.client.put("/api/v1/agents/bo/hold", json={"why": "x"})).status_code == 404
        assert (await server.client.post(f"{at}/forget", json={"query": "old"})).status_code == 200
        as_chat = {"authorization": f"Bearer {await create_key(pf.kernel, 'talk')}"}
        for method in ("PUT", "DELETE"):
            refused = await server.client.request(method, f"{at}/hold", json={"why": "x"}, headers=as_chat)
            assert refused.status_code == 403


def test_the_command_holds_and_lifts(run: Run) -> None:
    run("agent", "create", "ana")
    assert run("agent", "hold", "ana", "--why", "case 7").code == 0
    refused = run("agent", "delete", "ana", "--yes")
    assert (refused.code, "case 7" in refused.err) == (1, True)
    assert run("agent", "lift-hold", "ana").code == 0
    assert run("agent", "delete", "ana", "--yes").code == 0
