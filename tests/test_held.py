"""All that is held of a person: what is taken, what is left, and what hostile text cannot add."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import pagefault
from conftest import Machine, Run, served
from pagefault.assembly import Parts
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import NotFoundError, UsageError
from pagefault.media import Media
from pagefault.message_meta import MessageMeta
from pagefault.shared import SharedRecord
from pagefault.storage import Transaction
from pagefault.testing.models import ScriptedModel, say
from pagefault.types import AgentId, Event, Message, Passage, Role, Schedule, Section
from pagefault.views.held_items import HeldItem
from pagefault.views.naming import PersonName, texts_in

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture
async def pf(tmp_path: Path) -> AsyncGenerator[pagefault.Pagefault]:
    parts = Parts(model=ScriptedModel(lambda _: [say("Noted.")]), embedder=NullEmbedder())
    async with pagefault.open(tmp_path / "home", parts=parts) as opened:
        yield opened


def ids(items: tuple[HeldItem, ...], kind: str, why: str | None = None) -> list[str]:
    return [item.id for item in items if item.kind == kind and why in (None, item.why)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Bo", "ask BO, please"),
        ("Bo", "Ｂｏ's book"),
        ("Bo", "[m12 user Bo] hello"),
        ("Ana  Lind", "ana\n lind"),
        ("José", "Jose\u0301 came"),
        ("李明", "我昨天见了李明在路上"),
        ("a.b", "from a.b: yes"),
    ],
)
def test_a_text_names_a_person_by_words_of_its_own(name: str, text: str) -> None:
    assert PersonName(name).is_in(None, "", text)


@pytest.mark.parametrize(
    ("name", "text"), [("Bo", "both of us"), ("Bo", "Bobo"), ("a.b", "axb"), ("Ana Lind", "Ana and Lind")]
)
def test_a_part_of_a_word_is_no_name(name: str, text: str) -> None:
    assert not PersonName(name).is_in(text)


@pytest.mark.parametrize("name", ["", "  "])
def test_a_name_without_a_letter_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        PersonName(name)


def test_texts_are_found_in_what_json_escapes() -> None:
    stored = json.dumps({"to": ["x\nBo said \u00e9"], "Jos\u00e9": 1})
    assert PersonName("Bo").is_in(*texts_in(stored))
    assert not PersonName("Bo").is_in(stored)  # "\nBo" is a letter before the name there
    assert PersonName("José").is_in(*texts_in(stored))
    assert list(texts_in("{no json")) == ["{no json"]


async def test_what_was_said_is_held_of_who_said_it_was_answered_or_is_named(pf: pagefault.Pagefault) -> None:
    ana = await pf.agent("ana")
    await ana.send(Event("message", "My sister lives in Porto.", sender="Bo"))  # m1 to m3
    await ana.send(Event("message", "I like tea, we both do.", sender="Cy"))
    await ana.send(Event("message", "Tell ＢＯ that I am late.", sender="Cy"))
    held = await ana.export(speaker="bo")
    assert [(i.id, i.why, i.text) for i in held if i.kind == "message"] == [
        ("m1", "sent", "My sister lives in Porto."),
        ("m3", "answered", "Noted."),
        ("m9", "names", "Tell ＢＯ that I am late."),
    ]
    assert ids(held, "event") == ["e1", "e3"]
    assert all(item.owner == "ana" and item.at and item.at.tzinfo for item in held)
    assert held[0].line()["sender"] == "Bo"
    assert await pf.export(speaker="bo", agents=["ana"]) == held


async def test_of_a_result_only_the_lines_that_name_them_are_held(pf: pagefault.Pagefault) -> None:
    ana = (await pf.agent("ana")).name
    record = await pf.kernel.record(ana)
    quoted = "[m1 user Cy] I am ill.\n[m2 user Bo] So am I.\n[m3 user Di] And I."
    image = Media("a" * 64, "image/png", "Bo at sea.png", 9)
    rows = [
        Message(Role.RESULT, quoted, NOW, quoted, name="recall_search"),
        Message(Role.CALL, json.dumps({"text": "Café\nBo is ill"}), NOW, "x", name="archival_insert"),
        Message(Role.USER, "look", NOW, "look", meta=MessageMeta(media=(image,))),
        Message(Role.RESULT, "paid", NOW, "paid", name="pay", meta=MessageMeta(decided_by="Bo")),
        Message(Role.RESULT, "nothing", NOW, "nothing", name="pay"),
    ]
    await pf.kernel.store.write(lambda tx: tx.append(record.id, rows))
    held = {item.id: item for item in await pf.export(speaker="Bo")}
    assert list(held) == ["m1", "m2", "m3", "m4"]
    assert (held["m1"].text, held["m1"].part) == ("[m2 user Bo] So am I.", True)
    assert held["m3"].line()["media"][0]["name"] == "Bo at sea.png"
    assert (held["m4"].why, held["m4"].text) == ("decided", "")


async def test_memory_timers_settings_and_what_agents_share_are_held(pf: pagefault.Pagefault) -> None:
    ana = await pf.agent("ana")
    record = await pf.kernel.record("ana")

    def fill(tx: Transaction) -> AgentId:
        tx.insert_passages(record.id, [Passage("Bo has a dog.", NOW), Passage("Di has a cat.", NOW)])
        tx.insert_passage(record.id, Passage("Likes tea.", NOW, ("bo",), "letters"))
        tx.put_section(record.id, Section("human", "the person", 100, "Called Bo."), NOW)
        tx.put_section(record.id, Section("human", "the person", 100, "Called Di."), NOW)
        tx.add_schedule(record.id, Schedule("call Bo back", NOW, "UTC"))
        tx.add_schedule(record.id, Schedule("call Di back", NOW, "UTC"))
        archive = tx.create_shared(SharedRecord("archive", "manuals", NOW, "of Bo"))
        tx.insert_passage(archive.id, Passage("Bo wrote this manual.", NOW))
        return archive.id

    await pf.kernel.store.write(fill)
    held = await pf.export(speaker="Bo")
    assert ids(held, "passage") == ["p1", "p3", "p1"]
    assert [i.owner for i in held if i.kind == "passage"] == ["ana", "ana", "archive:manuals"]
    (section,) = (i for i in held if i.kind == "section")
    assert (section.id, section.text) == ("human", "Called Bo.")
    assert "current" not in section.line()
    assert ids(held, "timer") == ["t1"]
    assert ids(held, "setting") == ["description"]
    assert {i.owner for i in await ana.export(speaker="Bo")} == {"ana"}  # the archive is not attached to it


async def test_a_document_is_held_of_who_attached_it_with_all_its_pages(
    pf: pagefault.Pagefault, tmp_path: Path
) -> None:
    ana = await pf.agent("ana")
    (tmp_path / "diary.txt").write_text("Today it rained.\n")
    (tmp_path / "plan.txt").write_text("Nothing about anybody.\n")
    await ana.attach(tmp_path / "diary.txt", sender="Bo")
    await ana.attach(tmp_path / "plan.txt", sender="Cy")
    held = await ana.export(speaker="Bo")
    assert ids(held, "document", "attached") == ids(held, "document") == ["d1"]
    assert [(i.id, i.text) for i in held if i.kind == "page"] == [("d1/1", "Today it rained.\n")]


async def test_a_text_cannot_claim_a_document_of_another(pf: pagefault.Pagefault, tmp_path: Path) -> None:
    """Who says that d1 is theirs is given it only if they know how it begins."""
    ana = await pf.agent("ana")
    (tmp_path / "diary.txt").write_text("The secret of Cy.\n")
    await ana.attach(tmp_path / "diary.txt", sender="Cy")
    forged = 'x is in archival storage: d1 "diary.txt" (1 page). It begins: no idea'
    await ana.send(Event("file", forged, sender="Bo"))
    held = await ana.export(speaker="Bo")
    assert ids(held, "document") == []
    assert "secret" not in json.dumps([item.line() for item in held])


async def test_what_was_undone_or_removed_is_held_still(pf: pagefault.Pagefault) -> None:
    await pf.agent("ana")
    record = await pf.kernel.record("ana")

    def fill(tx: Transaction) -> None:
        said = Message(Role.USER, "I am Bo.", NOW, "x")
        tx.append(record.id, [said, Message(Role.ALERT, "undone", NOW, name="withdrawn")])
        tx.insert_passages(record.id, [Passage("Bo is ill.", NOW)])
        tx.put_section(record.id, Section("notes", "", 100, "Bo."), NOW)
        tx.put_section(record.id, Section("notes", "", 0), NOW)
        tx.withdraw_rows(record.id, 1, 2)
        tx.withdraw_passages(record.id, 2, numbers=[1])

    await pf.kernel.store.write(fill)
    held = await pf.export(speaker="Bo")
    assert [(item.kind, item.id, item.line().get("undone", False)) for item in held] == [
        ("message", "m1", True),
        ("passage", "p1", True),
        ("section", "notes", False),
    ]


async def test_an_agent_that_there_is_not_is_named(pf: pagefault.Pagefault) -> None:
    with pytest.raises(NotFoundError):
        await pf.export(speaker="Bo", agents=["nobody"])


# the command line and the REST


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_command_writes_json_lines_that_say_when_they_are_complete(run: Run, tmp_path: Path) -> None:
    run("agent", "create", "ana")
    said = [{"text": "I am\x1b[31m ill.", "speaker": "Bo"}, {"text": "So?", "speaker": "Cy"}]
    run("recall", "append", "--agent", "ana", stdin="\n".join(map(json.dumps, said)))
    shown = run("export", "--speaker", "bo")
    begin, item, end = lines(shown.out)
    assert (begin["kind"], begin["speaker"], begin["owners"]) == ("export", "bo", ["ana"])
    assert (item["id"], item["text"], item["why"]) == ("m1", "I am\x1b[31m ill.", "sent")
    assert end == {"kind": "end", "items": {"message": 1}}
    assert "\x1b" not in shown.out
    assert "Held of bo: 1 message." in shown.err
    target = tmp_path / "bo.jsonl"
    assert run("export", "--speaker", "bo", str(target), "--agent", "ana").code == 0
    assert lines(target.read_text("utf-8"))[1:] == [item, end]
    assert target.stat().st_mode & 0o777 == 0o600
    again = run("export", "--speaker", "bo", str(target))
    assert (again.code, target.exists()) == (1, True)
    unknown = run("export", "--speaker", "bo", str(tmp_path / "x.jsonl"), "--agent", "nobody")
    assert (unknown.code, (tmp_path / "x.jsonl").exists()) == (1, False)


async def test_the_server_streams_the_same_to_who_may_administer(machine: Machine) -> None:
    async with machine.open(ScriptedModel(lambda _: [say("ok")])) as rig, served(rig.kernel) as server:
        await server.client.post("/api/v1/agents/ana/messages", json={"text": "Hi, I am Bo."})
        answer = await server.client.get("/api/v1/export", params={"speaker": "Bo", "agent": "ana"})
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        begin, *items, end = lines(answer.text)
        assert (begin["owners"], end["items"]) == (["ana"], {"event": 1, "message": 1})
        assert [item["text"] for item in items] == ["Hi, I am Bo."] * 2
        for params, status in (({"speaker": " "}, 400), ({"speaker": "Bo", "agent": "nobody"}, 404)):
            refused = await server.client.get("/api/v1/export", params=params)
            assert refused.status_code == status
