"""Forks: a copy that is the same agent in all that it knows, another in all that is to come; whole or not at
all, whatever ends the process and whatever changes meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from conftest import Machine, Rig
from image_files import PNG
from pagefault import tool
from pagefault.approvals import Grant
from pagefault.build import open_transfer
from pagefault.errors import InTurnError, NameTakenError, NotFoundError, QuotaError, UsageError
from pagefault.images import read_image
from pagefault.kernel import archives, edits, facts, sections, shared_sections
from pagefault.kernel.conversations import AppendedMessage, append
from pagefault.kernel.forking import fork
from pagefault.kernel.origins import forks_of, origins_of
from pagefault.shared import Archive
from pagefault.storage import EmbedderRecord, Filter, Match, Store, Transaction
from pagefault.storage.forking import ForkPlace
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.storage.terms import terms
from pagefault.tenancy import Quota
from pagefault.testing.memory import MemoryStore
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.testing.postgres import Databases
from pagefault.testing.store_opening import NOW, said, unit
from pagefault.transfer import check
from pagefault.types import (
    AgentId,
    AgentRecord,
    Document,
    Event,
    Message,
    Page,
    Passage,
    Place,
    Role,
    Tier,
)

pytestmark = pytest.mark.anyio

STORES = ["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)]


class Stores:
    """Opens the same database again and again, and looks for what is wrong in it."""

    def __init__(self, kind: str, place: Any) -> None:
        self.kind, self.place = kind, place

    def open(self) -> Store:
        match self.kind:
            case "memory":
                return MemoryStore(self.place)
            case "sqlite":
                return SQLiteStore.open(self.place)
            case _:
                return PostgresStore.open(self.place)

    def faults(self) -> list[str]:
        """What a check of the database finds."""
        if self.kind == "memory":
            return []
        database = open_transfer(self.place)
        try:
            return [f"{found.agent}: {found.what}" for found in check(database, Silent())]
        finally:
            database.close()


class Silent:
    def begin(self, what: str, total: int) -> None: ...
    def advance(self, rows: int) -> None: ...


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest, tmp_path: Path, machine: Machine) -> Stores:
    if request.param == "memory":
        return Stores("memory", machine.database)
    if request.param == "sqlite":
        return Stores("sqlite", tmp_path / "a.db")
    databases: Databases = request.getfixturevalue("databases")
    return Stores("postgres", databases.new())


@asynccontextmanager
async def opened(machine: Machine, stores: Stores, **settings: Any) -> AsyncGenerator[Rig]:
    async with machine.open(ScriptedModel(lambda _: [say("ok")]), store=stores.open(), **settings) as rig:
        yield rig


def found(tx: Transaction, agent: AgentId, tier: Tier, query: str) -> list[int]:
    match = Match(tuple(terms(query)))
    rows = tx.search(agent, tier, match, Filter(), "f")
    return sorted(rows.number[rows.matched & rows.may_show].tolist())


async def lived(rig: Rig) -> None:
    """A life of ana: talk, memory of all kinds, what is attached, what waits."""
    kernel = rig.kernel
    ana = (await kernel.record("ana")).id
    await rig.send(Event("message", "I live in Porto.", "request-1", "Bo"))
    await rig.send("And you?")
    await append(kernel, "ana", [AppendedMessage("Said elsewhere in Lisbon.")], key="import-1")
    for text in ("The mill is red.", "The barn is blue.", "The shed is gone."):
        await facts.remember(kernel, "ana", text, tags=["farm"])
    await edits.edit_passage(kernel, "ana", "p1", "The mill is green.")
    await edits.delete_passage(kernel, "ana", "p3")
    await sections.edit_section(kernel, "ana", "human", "Lives in Porto.")
    await edits.add_timer(kernel, "ana", "water the plants", when="+2h")
    await archives.create(kernel, "manuals")
    await archives.attach(kernel, "manuals", "ana", read_only=True)
    await kernel.idle()

    def more(tx: Transaction) -> None:
        document = Document("/tides.pdf", "On tides", "application/pdf", "ab", NOW, 0, ("sea",))
        pages = [Page(1, "Ebb", "The ebb comes late."), Page(2, "Flood", "The flood.")]
        chunk = Passage("The flood comes.", NOW, ("sea",), "/tides.pdf", 0, "On tides", Place(0, 2))
        tx.put_document(ana, document, pages, [chunk])
        tx.put_grant(ana, Grant("pay", NOW, "Bo"))
        tx.put_media(ana, [read_image(PNG)])
        tx.put_embedder(EmbedderRecord("f", "f", 2, wanted=True, in_service=True))

    await kernel.store.write(more)
    pending = await kernel.store.read(lambda tx: tx.pending_vectors("f", 1000))
    vectors = [np.atleast_2d(unit(1, n)) for n, _ in enumerate(pending)]
    await kernel.store.write(lambda tx: tx.put_vectors("f", pending, vectors))


def known(tx: Transaction, agent: AgentId) -> dict[str, Any]:
    """All that an agent knows, without what a fork is to lose."""
    record = tx.agent_by_id(agent)
    assert record is not None
    return {
        "settings": dict(record.settings),
        "queue": record.queue,
        "last": record.last_seq,
        "log": [replace(row, usage=()) for row in tx.messages(agent)],
        "speakers": tx.speakers(agent),
        "sections": tx.sections(agent),
        "versions": tx.section_history(agent, "human"),
        "passages": tx.passages(agent, range(1, 10)),
        "documents": tx.documents(agent),
        "pages": tx.document_pages(agent, 1, 1, 9),
        "attached": tx.attachments(agent),
        "grants": tx.grants(agent),
        "media": tx.media(agent, [read_image(PNG).media.hash]),
        "recall": [found(tx, agent, "recall", word) for word in ("porto", "lisbon", "ok")],
        "archival": [found(tx, agent, "archival", word) for word in ("mill", "flood", "shed")],
        "vectors": similar(tx, agent),
    }


def similar(tx: Transaction, agent: AgentId) -> list[tuple[int, float]]:
    tiers: tuple[Tier, ...] = ("recall", "archival")
    found = [tx.search(agent, tier, Match(vector=unit(1, 0), floor=-1), Filter(), "f") for tier in tiers]
    return [
        (int(number), round(float(cosine), 3))
        for each in found
        for number, cosine in zip(each.number, each.cosine, strict=True)
        if not np.isnan(cosine)
    ]


async def test_a_fork_knows_what_the_agent_knew_and_goes_its_own_way(
    machine: Machine, stores: Stores
) -> None:
    async with opened(machine, stores) as rig:
        await lived(rig)
        ana = await rig.kernel.record("ana")
        bo = await fork(rig.kernel, "ana", "bo")
        assert (bo.name, bo.last_seq, bo.created) == ("bo", ana.last_seq, machine.clock.now())
        read = rig.kernel.store.read
        assert await read(lambda tx: known(tx, bo.id)) == await read(lambda tx: known(tx, ana.id))
        assert await read(lambda tx: known(tx, bo.id)["vectors"])
        # what was not to come along
        assert await read(lambda tx: tx.schedules(bo.id)) == []
        assert {e.state for e in await read(lambda tx: tx.events(bo.id))} == {"done"}
        assert await read(lambda tx: tx.usage_totals(bo.id)) == []
        assert (await read(lambda tx: forks_of(tx, ana))) == [await rig.kernel.record("bo")]
        # each goes its own way
        assert [o.text async for o in rig.kernel.send("bo", "A zebra, to bo.") if o.type == "said"] == ["ok"]
        await edits.delete_passage(rig.kernel, "ana", "p2")
        await rig.kernel.idle()
        assert await read(lambda tx: found(tx, ana.id, "recall", "zebra")) == []
        assert [p.text for p in await read(lambda tx: tx.passages(bo.id, [2]))] == ["The barn is blue."]
        assert (await rig.kernel.record("ana")).last_seq == ana.last_seq
    assert stores.faults() == []


async def test_a_request_of_the_agent_is_a_new_one_to_its_fork(machine: Machine, stores: Stores) -> None:
    async with opened(machine, stores) as rig:
        await lived(rig)
        last = (await fork(rig.kernel, "ana", "bo")).last_seq
        asked = Event("message", "I live in Porto.", "request-1", "Bo")
        assert [o.text async for o in rig.kernel.send("bo", asked) if o.type == "said"] == ["ok"]
        assert (await rig.kernel.record("bo")).last_seq > last
        # ... but what was imported is there, and is not imported twice
        elsewhere = [AppendedMessage("Said elsewhere in Lisbon.")]
        before = await rig.kernel.record("bo")
        await append(rig.kernel, "bo", elsewhere, key="import-1")
        assert (await rig.kernel.record("bo")).last_seq == before.last_seq
        assert (await rig.kernel.store.read(lambda tx: tx.passage(before.id, 4))) is not None


async def test_the_prompt_of_a_fork_is_the_agents(machine: Machine, stores: Stores) -> None:
    async with opened(machine, stores) as rig:
        await lived(rig)
        await fork(rig.kernel, "ana", "bo")
        prompts = [(await rig.kernel.process(name)).prompt().messages for name in ("ana", "bo")]
        assert prompts[0] == prompts[1]


async def test_a_fork_of_a_fork_is_found_as_one_of_the_first(machine: Machine, stores: Stores) -> None:
    async with opened(machine, stores) as rig:
        await rig.send("hi")
        machine.clock.advance(seconds=5)
        await fork(rig.kernel, "ana", "bo")
        machine.clock.advance(seconds=5)
        cy = await fork(rig.kernel, "bo", "cy")
        await rig.kernel.rename("ana", "anna")
        ana = await rig.kernel.record("anna")
        read = rig.kernel.store.read
        assert [each.name for each in await read(lambda tx: forks_of(tx, ana))] == ["bo", "cy"]
        assert await read(lambda tx: forks_of(tx, cy)) == []
        bo = await rig.kernel.record("bo")
        origins = await read(lambda tx: origins_of(tx, cy.id))
        assert [each.created for each in origins] == [bo.created, ana.created]
        assert {each.at for each in origins} == {cy.last_seq}
        assert await read(lambda tx: origins_of(tx, ana.id)) == ()


async def test_a_name_that_cannot_be_had_is_refused_and_nothing_is_left(
    machine: Machine, stores: Stores
) -> None:
    async with opened(machine, stores) as rig:
        await rig.send("hi")
        for name, error in (
            ("ana", NameTakenError),
            ("forking:x", UsageError),
            ("archive:x", UsageError),
            ("", UsageError),
        ):
            with pytest.raises(error):
                await fork(rig.kernel, "ana", name)
        with pytest.raises(NotFoundError):
            await fork(rig.kernel, "nobody", "bo")
        assert [each.name for each in await rig.kernel.agents()] == ["ana"]
        assert await rig.kernel.store.read(lambda tx: tx.drafts()) == []


async def test_quotas_hold_for_forks(machine: Machine, stores: Stores) -> None:
    async with opened(machine, stores) as rig:
        firm = rig.kernel.within("firm", by="Ann")
        ana = await firm.ensure_agent("ana", (await opened_settings(rig)))
        await firm.store.write(lambda tx: tx.append(ana.id, [said("one"), said("two")]))
        for quota in (Quota(agents=1), Quota(rows=3)):
            await firm.store.write(lambda tx, quota=quota: tx.put_quota(quota))
            with pytest.raises(QuotaError):
                await fork(firm, "ana", "bo")
        assert [each.name for each in await firm.agents()] == ["ana"]
        await firm.store.write(lambda tx: tx.put_quota(Quota(agents=2, rows=4)))
        assert (await fork(firm, "ana", "bo")).tenant == "firm"
        assert [each.name for each in await rig.kernel.agents()] == ["ana"]
        acts = [act.what for act in await firm.store.read(lambda tx: tx.acts(9))]
        assert "forked ana as bo" in acts


async def opened_settings(rig: Rig) -> Any:
    from pagefault.config import settings_of

    return settings_of(await rig.kernel.record("ana"))


async def test_a_fork_that_was_broken_off_is_seen_by_nobody_and_goes_with_the_next(
    machine: Machine, stores: Stores
) -> None:
    async with opened(machine, stores) as rig:
        await lived(rig)
        ana = await rig.kernel.record("ana")
        write = rig.kernel.store.write
        # as if the process had died after the first batch, and before the last
        draft = await write(lambda tx: tx.begin_fork(ana.id, "bo", NOW))
        await write(lambda tx: tx.copy_next(ana.id, draft.id, ForkPlace()))
    async with opened(machine, stores) as rig:
        assert [each.name for each in await rig.kernel.agents()] == ["ana"]
        for name in ("bo", "forking:bo"):
            with pytest.raises(NotFoundError):
                await rig.kernel.record(name)
        assert await rig.kernel.waiting() == []
        assert stores.faults() == []
        bo = await fork(rig.kernel, "ana", "bo")
        read = rig.kernel.store.read
        assert await read(lambda tx: known(tx, bo.id)) == await read(lambda tx: known(tx, ana.id))
        assert await read(lambda tx: tx.drafts()) == []
    assert stores.faults() == []


async def test_what_changes_while_an_agent_is_copied_is_in_its_fork(machine: Machine, stores: Stores) -> None:
    async with opened(machine, stores) as rig:
        await lived(rig)
        ana = (await rig.kernel.record("ana")).id
        write, read = rig.kernel.store.write, rig.kernel.store.read
        draft = (await write(lambda tx: tx.begin_fork(ana, "bo", NOW))).id
        place: ForkPlace | None = ForkPlace()
        while place is not None:
            place = await write(lambda tx, place=place: tx.copy_next(ana, draft, place))
        # a turn, a document loaded anew, passages that come and go, an event more, a section written
        await rig.send("A word in between.")
        await edits.delete_passage(rig.kernel, "ana", "p2")
        await facts.remember(rig.kernel, "ana", "The gate is open.")
        await sections.edit_section(rig.kernel, "ana", "human", "Lives in Braga.")
        anew = Document("/tides.pdf", "On tides", "application/pdf", "cd", NOW, 0)
        await write(
            lambda tx: tx.put_document(
                ana, anew, [Page(1, "", "No flood.")], [Passage("No flood.", NOW, place=Place(0, 1))]
            )
        )
        await rig.kernel.idle()
        made = await write(lambda tx: tx.finish_fork(ana, draft, "bo"))
        assert made is not None
        assert await read(lambda tx: known(tx, made.id)) == await read(lambda tx: known(tx, ana))
    assert stores.faults() == []


async def test_a_turn_that_is_open_is_waited_for(machine: Machine, stores: Stores) -> None:
    asked, answer = anyio.Event(), anyio.Event()

    @tool
    async def look() -> str:
        """Look out of the window."""
        asked.set()
        await answer.wait()
        return "rain"

    script = ScriptedModel([[call("look")], [say("ok")]])
    async with machine.open(script, store=stores.open(), tools=(look,)) as rig:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(rig.send, "hi")
                await asked.wait()
                ana = (await rig.kernel.record("ana")).id
                draft = (await rig.kernel.store.write(lambda tx: tx.begin_fork(ana, "cy", NOW))).id
                with pytest.raises(InTurnError):
                    await rig.kernel.store.write(lambda tx: tx.finish_fork(ana, draft, "cy"))
                tasks.start_soon(fork, rig.kernel, "ana", "bo")
                await anyio.lowlevel.checkpoint()
                answer.set()
        bo = await rig.kernel.record("bo")
        assert bo.last_seq == (await rig.kernel.record("ana")).last_seq
        assert next(row.text for row in await rig.log() if row.role is Role.RESULT) == "rain"


async def test_shared_sections_and_archives_stay_shared(machine: Machine, stores: Stores) -> None:
    async with opened(machine, stores) as rig:
        kernel = rig.kernel
        await shared_sections.share(kernel, "human", ["ana"])
        await archives.create(kernel, "manuals")
        await archives.attach(kernel, "manuals", "ana")
        await kernel.idle()
        bo = await fork(kernel, "ana", "bo")
        await facts.remember(kernel, Archive("manuals"), "The pump is loud.")
        await shared_sections.edit(kernel, "human", "Seen by both.")
        await kernel.deliverer.deliver()
        await kernel.idle()
        texts = {s.name: s.text for s in await kernel.store.read(lambda tx: tx.sections(bo.id))}
        assert texts["human"] == "Seen by both."
        attached = [each.target for each in await kernel.store.read(lambda tx: tx.attachments(bo.id))]
        assert attached == ["archive:manuals", "section:human"]
    assert stores.faults() == []


@pytest.mark.slow
async def test_a_long_log_is_forked_in_batches_while_others_write(tmp_path: Path, machine: Machine) -> None:
    store = SQLiteStore.open(tmp_path / "a.db")
    async with machine.open(ScriptedModel([]), store=store) as rig:
        ana = (await rig.kernel.record("ana")).id
        other = await store.write(lambda tx: tx.create_agent(AgentRecord("other", {}, NOW)))
        rows = [Message(Role.USER, f"word{n} in a row", NOW, f"word{n}") for n in range(9_000)]
        for start in range(0, len(rows), 1000):
            await store.write(lambda tx, start=start: tx.append(ana, rows[start : start + 1000]))
        written, over = 0, False

        async def write() -> None:
            nonlocal written
            while not over:
                await store.write(lambda tx: tx.append(other.id, [said("between")]))
                written += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            await fork(rig.kernel, "ana", "bo")
            over = True
        bo = await rig.kernel.record("bo")
        assert written > 20  # of at least 45 batches; each lets others in
        assert await store.read(lambda tx: found(tx, bo.id, "recall", "word8999")) == [9000]
    database = open_transfer(tmp_path / "a.db")
    assert [found.what for found in check(database, Silent())] == []
    database.close()


async def test_a_fork_at_a_message_is_the_agent_of_then(machine: Machine, stores: Stores) -> None:
    async with opened(machine, stores) as rig:
        kernel, read = rig.kernel, rig.kernel.store.read
        await sections.edit_section(kernel, "ana", "human", "Lives in Porto.")
        await facts.remember(kernel, "ana", "The mill is red.")
        await rig.send("one")
        then = (await kernel.record("ana")).last_seq
        prompt = (await kernel.process("ana")).prompt().messages
        await rig.send("two")
        await sections.edit_section(kernel, "ana", "human", "Lives in Braga.")
        await facts.remember(kernel, "ana", "The barn is blue.")
        await rig.send("three")
        bo = await fork(kernel, "ana", "bo", at=f"m{then}")
        origins = await read(lambda tx: origins_of(tx, bo.id))
        assert [each.at for each in origins] == [then]
        assert [row.text for row in await read(lambda tx: tx.messages(bo.id, roles=[Role.USER]))] == ["one"]
        texts = {s.name: s.text for s in await read(lambda tx: tx.sections(bo.id))}
        assert texts["human"] == "Lives in Porto."
        assert await read(lambda tx: found(tx, bo.id, "archival", "barn mill")) == [1]
        assert await read(lambda tx: found(tx, bo.id, "recall", "two three")) == []
        assert (await kernel.process("bo")).prompt().messages[: len(prompt)] == prompt
        # the agent itself is as it was
        assert await read(lambda tx: len(found(tx, (tx.agent("ana") or bo).id, "recall", "two three"))) == 2
        # at its end there is nothing to take back
        last = (await kernel.record("ana")).last_seq
        assert (await fork(kernel, "ana", "cy", at=last)).last_seq == last
        for wrong in (last + 1, -1, "p7", "now"):
            with pytest.raises(UsageError):
                await fork(kernel, "ana", "dee", at=wrong)
        assert [each.name for each in await kernel.agents()] == ["ana", "bo", "cy"]
    assert stores.faults() == []
