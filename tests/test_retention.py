"""Retention by kind of row, and legal hold."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import pagefault
from conftest import Run
from pagefault.assembly import Parts
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import UsageError
from pagefault.keep_settings import kept_for
from pagefault.kernel.forgetting.retention import Keeper
from pagefault.storage import Transaction
from pagefault.testing.clock import FixedClock
from pagefault.testing.models import ScriptedModel, say
from pagefault.types import AgentId, Document, Page, Passage, Section

pytestmark = pytest.mark.anyio

THEN = datetime(2025, 1, 1, tzinfo=UTC)
NOW = THEN + timedelta(days=500)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(THEN)


@pytest.fixture
async def pf(tmp_path: Path, clock: FixedClock) -> AsyncGenerator[pagefault.Pagefault]:
    parts = Parts(model=ScriptedModel(lambda _: [say("Noted.")]), embedder=NullEmbedder(), clock=clock)
    async with pagefault.open(tmp_path / "home", parts=parts) as opened:
        yield opened


async def texts(pf: pagefault.Pagefault) -> list[str]:
    record = await pf.kernel.record("ana")
    return [row.text for row in await pf.kernel.store.read(lambda tx: tx.messages(record.id)) if row.text]


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


@pytest.mark.parametrize("age", ["", "0d", "-1d", "4", "d", "1m", "99999999d", "１d"])
async def test_a_wrong_age_is_refused_with_the_setting(pf: pagefault.Pagefault, age: str) -> None:
    with pytest.raises(UsageError):
        await pf.agent("ana", keep={"messages": age})


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
    await pf.kernel.idle("ana")
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


def test_the_command_holds_and_lifts(run: Run) -> None:
    run("agent", "create", "ana")
    assert run("agent", "hold", "ana", "--why", "case 7").code == 0
    refused = run("agent", "delete", "ana", "--yes")
    assert (refused.code, "case 7" in refused.err) == (1, True)
    assert run("agent", "lift-hold", "ana").code == 0
    assert run("agent", "delete", "ana", "--yes").code == 0
