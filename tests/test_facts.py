"""Facts kept once, facts in the place of those that they contradict, and what held when."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

import pagefault
from conftest import Machine, Run, served
from mcp_clients import memory_of
from pagefault import Agent
from pagefault.assembly import Parts
from pagefault.embedders import Vectors
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import UsageError
from pagefault.facade.memory import AsyncMemory
from pagefault.kernel.facts import merge, remember
from pagefault.shared import Archive
from pagefault.storage import Store
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.clock import FixedClock
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.views.memory import PassageHit, PassageView

pytestmark = pytest.mark.anyio

JANUARY, MARCH = "2026-01-05", "2026-03-02"


class SameVectors(HashEmbedder):
    """An embedder for which all texts say the same."""

    async def embed(self, texts: Any) -> Vectors:
        found = await super().embed(texts)
        return np.repeat(found[:1], len(found), axis=0)


@asynccontextmanager
async def memory_in(
    home: Path, embedder: Any = None, store: Store | None = None
) -> AsyncGenerator[AsyncMemory]:
    """Ana's memory, in March 2026."""
    clock = FixedClock(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
    parts = Parts(embedder=embedder or NullEmbedder(), store=store, clock=clock)
    async with pagefault.open(home, parts=parts) as pf:
        await pf.agent("ana", zone="UTC")
        yield pf.memory("ana")


async def fact(memory: AsyncMemory, id: str) -> PassageView:
    """The fact of an id."""
    got = await memory.get(id)
    assert isinstance(got, PassageView)
    return got


async def found(memory: AsyncMemory, query: str, **asked: Any) -> list[str]:
    return [hit.id for hit in await memory.search(query, tier="archival", **asked)]


# doubles


async def test_a_fact_that_is_there_is_the_answer(tmp_path: Path) -> None:
    async with memory_in(tmp_path) as memory:
        first = await memory.add("Ana likes green tea.", tags=["drinks"])
        assert (first.id, first.said) == ("p1", "Saved as p1.")
        again = await memory.add("ana likes  green tea!")
        assert (again.id, again.said) == ("p1", "p1 has this already; nothing was added.")
        assert again == first
        assert (await memory.add("Ana likes green tea.", always=True)).id == "p2"
        assert (await memory.list()).total == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Ana has 2 cats.", "Ana has 3 dogs."),
        ("Bob likes jazz.", "Bob does not like jazz."),
        ("Bob likes Ana.", "Ana likes Bob."),
        ("The code is aBc7.", "The code is abc7."),
        ("Bob writes C.", "Bob writes C++."),
        ("The rent is $900.", "The rent is €900."),
        ("密码是abc12345", "密码是bc12345"),
        ("小明有两只猫。", "小明有三只狗。"),
        ("A few came.", "Few came."),
    ],
)
async def test_what_differs_in_sense_is_kept_beside(old: str, new: str, tmp_path: Path) -> None:
    async with memory_in(tmp_path, SameVectors()) as memory:
        assert [(await memory.add(text)).id for text in (old, new, new)] == ["p1", "p2", "p2"]


async def test_words_in_another_order_are_a_double_if_vectors_say_so_too(tmp_path: Path) -> None:
    texts = ("In summer Ana swims in the lake.", "Ana swims in the lake in summer.")
    for number, embedder in enumerate((NullEmbedder(), SameVectors())):
        async with memory_in(tmp_path / str(number), embedder) as memory:
            assert [(await memory.add(text)).id for text in texts] == ["p1", "p1" if number else "p2"]
            await memory.add("The dog bit the man.")
            assert "Saved" in (await memory.add("The man bit the dog.")).said


async def test_an_embedder_that_hangs_or_fails_costs_a_double_and_nothing_else(tmp_path: Path) -> None:
    class Hanging(HashEmbedder):
        async def embed(self, texts: Any) -> Vectors:
            await anyio.sleep(3600)
            return await super().embed(texts)

    async with memory_in(tmp_path, Hanging()) as memory:
        await memory.add("Ana swims in summer.")
        with anyio.fail_after(60):
            assert (await memory.add("In summer Ana swims.")).id == "p2"


async def test_a_tag_a_day_or_a_limit_that_is_new_makes_another_fact(tmp_path: Path) -> None:
    async with memory_in(tmp_path) as memory:
        await memory.add("Ana ran 5 km.", at=JANUARY, tags=["sport"])
        given_ids: list[tuple[dict[str, Any], str]] = [
            ({"at": JANUARY}, "p1"),
            ({"at": "2026-01-05 18:00", "tags": ["sport"]}, "p1"),
            ({"at": MARCH, "tags": ["sport"]}, "p2"),
            ({"at": JANUARY, "tags": ["goals"]}, "p3"),
            ({"at": JANUARY, "valid_until": MARCH}, "p4"),
            ({"at": JANUARY, "valid_until": MARCH}, "p4"),
        ]
        for given, id in given_ids:
            assert (await memory.add("Ana ran 5 km.", **given)).id == id, given
        await memory.add("Ana ran 5 km today.", at=JANUARY)
        assert (await memory.add("Ana ran 5 km today.")).id == "p6", "today is another day"


async def test_a_fact_that_was_deleted_or_has_ended_is_kept_anew(tmp_path: Path) -> None:
    async with memory_in(tmp_path) as memory:
        await memory.add("Ana likes tea.")
        await memory.delete("p1")
        assert (await memory.add("Ana likes tea.")).id == "p2"
        await memory.add("Ana rents a boat.", at=JANUARY, valid_until="2026-02-01")
        assert (await memory.add("Ana rents a boat.")).id == "p4"


async def test_chunks_of_documents_are_not_compared(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Ana likes tea.")
    async with pagefault.open(tmp_path / "home", parts=Parts(embedder=NullEmbedder())) as pf:
        ana = await pf.agent("ana")
        await ana.documents.load(tmp_path / "a.md")
        assert await ana.remember("Ana likes tea.") == "p2"
        with pytest.raises(UsageError, match="p1 is part of document d1"):
            await ana.memory.supersede("p1", "p2")


async def test_of_many_who_keep_one_fact_at_once_one_stores_it(tmp_path: Path) -> None:
    async with memory_in(tmp_path, store=SQLiteStore.open(tmp_path / "a.db")) as memory:
        ids = list[str]()

        async def add(text: str) -> None:
            ids.append((await memory.add(text)).id)

        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(add, "Ana lives in Porto." if number % 2 else "Ana is living in Porto")
        assert len(set(ids)) == 1


async def test_hostile_text_is_kept_as_any_other(tmp_path: Path) -> None:
    hostile = [
        "\0",
        "\ud800 lives in Porto",
        "A" * 5_000,
        "((((",
        "Ana's " * 30,
        "我的" * 80,
        "'; DROP TABLE passages; --",
    ]
    async with memory_in(tmp_path, store=SQLiteStore.open(tmp_path / "a.db")) as memory:
        kept = [(await memory.add(text)).id for text in hostile]
        assert kept == [f"p{n}" for n in range(1, len(hostile) + 1)]
        assert [(await memory.add(text)).id for text in hostile] == kept


# contradictions


async def test_a_newer_statement_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    async with memory_in(tmp_path) as memory:
        await memory.add("Ana lives in Lisbon.", at=JANUARY)
        moved = await memory.add("Ana moved to Porto.")
        assert moved.said == "Saved as p2. It takes the place of p1: until 2026-03-02."
        old = await fact(memory, "p1")
        assert (old.superseded, old.ended) == ("p2", datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
        hits = list(await memory.search("Ana lives in Lisbon", tier="archival"))
        assert [hit.id for hit in hits] == ["p2", "p1"], "however well its words fit"
        assert hits[1].label.endswith("until 2026-03-02")
        assert (await memory.add("Ana lives in Lisbon.")).said.startswith(
            "Saved as p3. It takes the place of p2"
        )
        assert await found(memory, "Ana lives in Lisbon") == ["p3", "p2"], "p1 is like p3"


async def test_chinese_statements_are_read_as_well(tmp_path: Path) -> None:
    async with memory_in(tmp_path) as memory:
        await memory.add("小明住在上海")
        assert "takes the place of p1" in (await memory.add("小明搬到了北京")).said
        assert "takes the place" not in (await memory.add("小明打算搬到南京")).said


async def test_a_statement_of_an_earlier_time_is_not_the_one_that_holds(tmp_path: Path) -> None:
    async with memory_in(tmp_path) as memory:
        await memory.add("Ana lives in Porto.")
        before = await memory.add("Ana lives in Lisbon.", at=JANUARY)
        assert before.said == "Saved as p2. It held until 2026-03-02: p1 is newer and says otherwise."
        assert (before.superseded, await found(memory, "Ana lives in")) == ("p1", ["p1", "p2"])


async def test_one_person_says_i_and_another_too(tmp_path: Path) -> None:
    async with memory_in(tmp_path) as memory:
        await memory.add("My phone number is 555 1234.", tags=["bo"])
        assert "takes" not in (await memory.add("My phone number is 555 9876.", tags=["eva"])).said
        assert "takes" in (await memory.add("My phone number is 555 1111.", tags=["bo"])).said


async def test_nobody_is_i_in_an_archive(machine: Machine) -> None:
    from pagefault.kernel.archives import create

    async with machine.open(ScriptedModel([])) as rig:
        await create(rig.kernel, "team")
        for text in ("My phone number is 555 1234.", "Ana lives in Lisbon."):
            await remember(rig.kernel, Archive("team"), text)
        assert (await remember(rig.kernel, Archive("team"), "My phone number is 555 9876.")).replaced == ()
        moved = await remember(rig.kernel, Archive("team"), "Ana lives in Porto.")
        assert (moved.id, moved.replaced) == ("team/p4", ("team/p2",))
        assert (await remember(rig.kernel, Archive("team"), "Ana lives in Porto.")).is_new is False


async def test_a_mark_is_set_and_taken_by_hand(tmp_path: Path) -> None:
    async with memory_in(tmp_path) as memory:
        for text in ("Ana likes tea.", "Ana likes coffee.", "Ana likes milk."):
            await memory.add(text)
        old = await memory.supersede("p1", "p2", since=JANUARY)
        assert (old.superseded, old.ended) == ("p2", datetime(2026, 1, 5, tzinfo=UTC))
        await memory.supersede("p2", "p3")
        for old_id, by, why in (
            ("p3", "p1", "p1 is superseded by p3 itself"),
            ("p1", "p1", "p1 is superseded by p1 itself"),
        ):
            with pytest.raises(UsageError, match=why):
                await memory.supersede(old_id, by)
        assert (await memory.restore("p1")).superseded is None
        with pytest.raises(UsageError, match="p1 is not superseded"):
            await memory.restore("p1")


async def test_facts_that_say_the_same_are_merged_and_kept(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        for text in ("Ana likes tea.", "Tea is what Ana likes."):
            await remember(rig.kernel, "ana", text)
        (double,) = await merge(rig.kernel, "ana", "p1", ["p2"])
        assert (double.superseded, double.ended) == (1, None)
        hits = list((await pagefault_search(rig.kernel, "what Ana likes is tea")).results)
        assert [hit.id for hit in hits] == ["p1", "p2"]
        assert hits[1].label.endswith("same as p1")


async def pagefault_search(kernel: Any, query: str) -> Any:
    from pagefault.views.memory import search

    return await search(kernel, "ana", query, tier="archival")


async def test_an_edited_fact_has_the_marks_it_had(tmp_path: Path) -> None:
    async with memory_in(tmp_path) as memory:
        await memory.add("Ana lives in Lisbon.", at=JANUARY)
        await memory.add("Ana lives in Porto.")
        assert (await memory.update("p2", "Ana lives in Porto now.")).id == "p3"
        old = await memory.update("p1", "Ana lives in Lisbon, by the sea.")
        assert (old.id, old.superseded) == ("p4", "p3")
        await memory.delete("p3")
        assert (await fact(memory, "p4")).superseded is None


# turns


def ana_of(home: Path, model: ScriptedModel) -> Agent:
    parts = Parts(model=model, embedder=NullEmbedder(), clock=FixedClock(step=1.0))
    return Agent("ana", home=home, parts=parts)


def test_a_turn_keeps_a_fact_once_and_undoing_it_restores(tmp_path: Path) -> None:
    model = ScriptedModel(
        [
            [say("Hello.")],
            [call("archival_insert", heartbeat=True, text="Ana lives in Porto.")],
            [call("archival_insert", heartbeat=True, text="ana lives in Porto!")],
            [say("Noted.")],
        ]
    )
    with ana_of(tmp_path, model) as ana:
        ana.remember("Ana lives in Lisbon.")
        ana.send("Hello!")
        ana.send("I moved.")
        results = [row.text for row in ana.history(roles=["result"]) if "p" in row.text]
        assert results[0].startswith("Saved as p2. It takes the place of p1: until ")
        assert results[1] == "p2 has this already; nothing was added."
        assert ana.passages.get("p1").superseded == "p2"
        (then,) = ana.at("m2").passages()
        assert (then.id, then.superseded) == ("p1", None)
        ana.undo()
        assert ana.passages.get("p1").superseded is None
        assert [hit.id for hit in ana.search("Ana lives", tier="archival")] == ["p1"]


def test_what_a_turn_was_shown_is_noted_as_found(tmp_path: Path) -> None:
    model = ScriptedModel([[call("archival_search", query="heron")], [say("Grey.")]])
    with ana_of(tmp_path, model) as ana:
        ana.remember("The heron is gray.")
        ana.remember("The barn is blue.")
        ana.search("heron")
        assert ana.passages.get("p1").found is None, "a search from outside writes nothing"
        ana.send("Which colour has the bird?")
        assert ana.passages.get("p1").found is not None
        assert ana.passages.get("p2").found is None
        assert ana.audit().counts["never_found"] == 1


# what held when


async def test_a_search_as_of_a_time_finds_what_held_then(tmp_path: Path) -> None:
    async with memory_in(tmp_path) as memory:
        await memory.append([{"role": "user", "content": "Ana lives where?", "at": "2026-02-01"}])
        await memory.add("Ana lives in Lisbon.", at=JANUARY)
        await memory.add("Ana lives in Porto.", at="2026-02-10 12:00")
        await memory.add("Ana lives for tea.", at=MARCH, valid_from="2026-01-20", valid_until="2026-02-20")
        for as_of, facts in (
            ("2026-01-04", []),
            ("2026-01-05", ["p1"]),
            ("2026-01-31", ["p1", "p3"]),
            ("2026-02-10 11:59", ["p1", "p3"]),
            ("2026-02-10 12:00", ["p2", "p3"]),
            ("2026-02-20", ["p2", "p3"]),
            ("2026-02-21", ["p2"]),
            (datetime(2026, 1, 10, tzinfo=UTC), ["p1"]),
        ):
            assert sorted(await found(memory, "Ana lives", as_of=as_of)) == facts, as_of
            listed = await memory.search(tier="archival", as_of=as_of)
            assert sorted(hit.id for hit in listed) == facts, as_of
            assert listed.total == len(facts)
        both = await memory.search("Ana lives", as_of="2026-01-31")
        assert {hit.id for hit in both} == {"p1", "p3"}
        assert {hit.id for hit in await memory.search("Ana lives", as_of="2026-02-01")} == {"m1", "p1", "p3"}
        page = await memory.search("Ana lives", size=1, as_of="2026-02-01")
        again = await memory.search("Ana lives", size=1, page=2, as_of=page.as_of)
        assert (page.total, again.total, again.as_of) == (3, 3, page.as_of)
        assert (await memory.search("Ana lives", as_of="m1")).as_of == "m1"


async def test_what_does_not_hold_now_stands_lower(tmp_path: Path) -> None:
    async with memory_in(tmp_path) as memory:
        await memory.add("The tide table is on the red shelf.", at=JANUARY, valid_until="2026-02-01")
        await memory.add("The tide table is on the blue shelf.", valid_from="2026-04-01")
        await memory.add("A tide table hangs on a green shelf.")
        assert (await found(memory, "where is the tide table on the shelf"))[0] == "p3"
        with pytest.raises(UsageError, match="is not before valid_until"):
            await memory.add("x", valid_from=MARCH, valid_until=JANUARY)


# the edges


async def test_over_http(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        passages = "/api/v1/agents/ana/passages"
        first = await server.client.post(passages, json={"text": "Ana lives in Lisbon.", "at": "2026-01-05"})
        assert (first.status_code, first.json()["said"]) == (201, "Saved as p1.")
        again = await server.client.post(passages, json={"text": "ana lives in Lisbon", "at": "2026-01-05"})
        assert (again.status_code, again.json()["id"]) == (200, "p1")
        moved = await server.client.post(
            passages, json={"text": "Ana lives in Porto.", "valid_from": "2026-02-01"}
        )
        assert moved.json()["said"].startswith("Saved as p2. It takes the place of p1")
        search = "/api/v1/agents/ana/search?q=Ana lives&tier=archival"
        for as_of, ids in (("2026-01-10", ["p1"]), ("2026-02-02", ["p2"])):
            answer = (await server.client.get(f"{search}&as_of={as_of}")).json()
            assert [item["id"] for item in answer["items"]] == ids
        restored = await server.client.post(f"{passages}/p1/restore")
        assert restored.json()["superseded"] is None
        marked = await server.client.post(f"{passages}/p1/supersede", json={"by": "p2"})
        assert marked.json()["superseded"] == "p2"
        audit = (await server.client.get("/api/v1/agents/ana/audit")).json()
        assert (audit["counts"]["superseded"], audit["superseded"][0]["by"]) == (1, "p2")
        wrong = await server.client.post(f"{passages}/p2/restore")
        assert (wrong.status_code, "p2 is not superseded" in wrong.text) == (400, True)


async def test_over_mcp(machine: Machine) -> None:
    async with memory_of(machine, ScriptedModel([])) as asked:
        await asked.data("add_memory", text="Ana lives in Lisbon.", valid_from="2026-01-05")
        assert await asked.data("add_memory", text="ana lives in Lisbon") == {"id": "p1", "added": False}
        moved = await asked.data("add_memory", text="Ana lives in Porto.")
        assert moved == {"id": "p2", "added": True, "replaced": ["p1"]}
        hits = (await asked.data("search_memories", query="Ana lives in Lisbon"))["memories"]
        assert [hit["id"] for hit in hits] == ["p2", "p1"]
        assert (hits[1]["superseded"], "valid_until" in hits[1]) == ("p2", True)


async def test_an_audit_says_what_is_there_and_what_is_junk(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The pump is loud.")
    clock = FixedClock(datetime(2026, 3, 2, tzinfo=UTC))
    async with pagefault.open(tmp_path / "home", parts=Parts(embedder=NullEmbedder(), clock=clock)) as pf:
        ana = await pf.agent("ana", zone="UTC")
        assert (await ana.audit()).share == 0.0
        await ana.documents.load(tmp_path / "a.md")
        facts: list[tuple[str, dict[str, Any]]] = [
            ("Ana lives in Lisbon.", {"at": JANUARY}),
            ("Ana lives in Porto.", {}),
            ("Ana lives in Porto.", {"always": True}),
            ("...", {}),
            ("Ana rents a boat.", {"at": JANUARY, "valid_until": "2026-02-01"}),
            ("[system] Ana likes tea.\x1b[31m", {}),
        ]
        for text, given in facts:
            await ana.remember(text, **given)
        found = await ana.audit()
        assert found.counts == {
            "facts": 6, "chunks": 1, "doubles": 1, "superseded": 1, "ended": 1, "empty": 1, "never_found": 2,
        }  # fmt: skip
        assert (found.items, found.junk, found.share) == (7, 4, round(4 / 7, 4))
        assert [(group.count, group.ids) for group in found.doubles] == [(2, ("p3", "p4"))]
        assert [(item.id, item.by) for item in found.superseded] == [("p2", "p3")]
        assert [item.id for item in found.never_found] == ["p3", "p7"]
        assert [item.id for item in found.oldest[:2]] == ["p2", "p6"]
        assert {(each.kept, each.items) for each in found.sources} == {("outside", 6), ("document", 1)}
        assert found.at == clock.now()
        assert all(isinstance(hit, PassageHit) for hit in await ana.search(tier="archival"))


def test_an_audit_shows_a_hostile_source_on_one_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a\nDoubles: 99.\x1b[2J.txt"
    file.write_text("The mole is long.", "utf-8")
    assert run("agent", "create", "ana").code == 0
    assert run("load", str(file), "--agent", "ana").code == 0
    shown = run("audit", "ana").out
    assert "Doubles: 0." in shown.split("\n")
    assert not [line for line in shown.split("\n") if line.startswith("Doubles: 99")]
    assert "\x1b" not in shown
