"""The read models: what each view gives, in which order and units, and which arguments it refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic_core import to_jsonable_python

from conftest import Machine, Rig
from pagefault.accounting.prices import Price
from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel.edits import add_timer, delete_document, delete_passage, remove_timer
from pagefault.kernel.facts import remember
from pagefault.kernel.sections import edit_section
from pagefault.models import Completion, Usage
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Document, Event, EventKind, Page, Passage, Place, Role
from pagefault.views import agents, documents, memory
from pagefault.views.history import history
from pagefault.views.trace import trace
from pagefault.views.usage import usage

pytestmark = pytest.mark.anyio

MINI = "openai:gpt-4o-mini"


def as_json(value: Any) -> Any:
    """The value through pydantic's JSON, as a server would send it."""
    return json.loads(json.dumps(to_jsonable_python(value)))


def answer(text: str = "ok") -> Completion:
    return Completion(calls=(say(text),), usage=Usage(1_000_000, 1000), target=MINI)


async def talk(rig: Rig, *texts: str) -> None:
    rig.kernel.own_prices = {MINI: Price(0.15, 0.60)}
    for text in texts:
        await rig.send(text)


async def with_document(rig: Rig) -> None:
    record, at = await rig.kernel.record("ana"), datetime(2026, 3, 1, tzinfo=UTC)
    document = Document("/tides.pdf", "On tides", "application/pdf", "ab", at, 0, ("sea",))
    pages = [Page(1, "Ebb", "The ebb comes late."), Page(2, "Flood", "The flood and the flood.")]
    chunk = Passage("The flood and the flood.", at, ("sea",), "/tides.pdf", 0, "On tides", Place(0, 2))
    await rig.kernel.store.write(lambda tx: tx.put_document(record.id, document, pages, [chunk]))


# history


async def test_history_is_paged_from_the_newest_back(machine: Machine) -> None:
    async with machine.open(ScriptedModel(lambda _: answer())) as rig:
        await talk(rig, "one", "two", "three")
        newest = await history(rig.kernel, "ana", limit=4)
        assert [row.text for row in newest.rows] == ["two", "ok", "three", "ok"]
        assert newest.before == newest.rows[0].id
        first = await history(rig.kernel, "ana", before=newest.before, limit=4)
        assert [row.text for row in first.rows] == ["one", "ok"]
        assert first.before is None
        calls = await history(rig.kernel, "ana", roles=(Role.CALL,))
        assert {row.name for row in calls.rows} == {"send_message"}
        assert as_json(first)["rows"][0]["role"] == "user"


async def test_a_history_that_cannot_be_is_refused(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        assert (await history(rig.kernel, "ana")).rows == ()
        with pytest.raises(UsageError, match="0 rows"):
            await history(rig.kernel, "ana", limit=0)
        with pytest.raises(UsageError, match="'p7' is not the id of a message"):
            await history(rig.kernel, "ana", before="p7")
        with pytest.raises(NotFoundError):
            await history(rig.kernel, "nobody")


# trace


async def test_a_trace_has_the_steps_of_one_event_and_what_they_cost(machine: Machine) -> None:
    script = [[call("recall_read", id="nonsense")], answer("Noted."), answer("Bye.")]
    async with machine.open(ScriptedModel(script)) as rig:
        await talk(rig, "I like tea", "Goodbye")
        traced = await trace(rig.kernel, "ana", 1)
        by_message = await trace(rig.kernel, "ana", traced.steps[0].rows[0].id)
        last = await trace(rig.kernel, "ana")
    assert by_message == traced
    assert last.event.text == "Goodbye"
    assert (traced.totals.steps, traced.totals.calls, traced.totals.failed) == (2, 2, 1)
    assert traced.steps[1].spent.cost == pytest.approx(0.1506)
    saw = traced.steps[1].saw
    assert saw is not None
    assert (saw.first, saw.last, saw.summary) == ("m1", "m3", None)
    assert [row.text for row in traced.between] == ["I like tea"]
    assert [row.event for row in traced.recent] == [1, 2]
    assert as_json(traced)["steps"][0]["rows"][1]["failed"] is True


# usage


async def test_usage_is_added_up_by_part_and_between_two_times(machine: Machine) -> None:
    async with machine.open(ScriptedModel(lambda _: answer()), zone="Asia/Tokyo") as rig:
        await talk(rig, "one", "two")
        (whole,) = await usage(rig.kernel)
        assert (whole.agent, whole.part, whole.spent.requests) == ("ana", "", 2)
        turns = await usage(rig.kernel, "ana", by="turn")
        assert [row.part for row in turns] == ["1", "2"]
        (model,) = await usage(rig.kernel, "ana", by="model")
        assert (model.part, model.spent.measured) == (MINI, 2)
        assert (await usage(rig.kernel, "ana", since="2999-01-01"))[0].spent.requests == 0
        assert await usage(rig.kernel, "ana", by="day", until="2000-01-01") == ()
        assert as_json(whole)["spent"]["cost"] == pytest.approx(0.3012)
        with pytest.raises(UsageError, match="'week'"):
            await usage(rig.kernel, by="week")  # pyright: ignore[reportArgumentType]
        with pytest.raises(UsageError, match="'soon' is not a time"):
            await usage(rig.kernel, since="soon")


# memory


async def test_sections_have_versions(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        await edit_section(rig.kernel, "ana", "human", "Likes tea.")
        human = next(s for s in await memory.sections(rig.kernel, "ana") if s.name == "human")
        assert (human.text, human.version) == ("Likes tea.", 2)
        assert 0 < human.tokens <= human.limit
        versions = await memory.section_versions(rig.kernel, "ana", "human")
        assert [(v.version, v.text) for v in versions] == [(1, ""), (2, "Likes tea.")]
        with pytest.raises(NotFoundError, match="no section robot"):
            await memory.section_versions(rig.kernel, "ana", "robot")


async def test_search_looks_at_both_tiers_unless_told_otherwise(machine: Machine) -> None:
    async with machine.open(ScriptedModel(lambda _: answer("Fine."))) as rig:
        await talk(rig, "The red boat leaks.")
        saved = await remember(rig.kernel, "ana", "The boat is at pier 4.", tags=["#sea", "sea"])
        both = await memory.search(rig.kernel, "ana", "boat")
        assert {hit.tier for hit in both.results} == {"recall", "archival"}
        assert (both.total, both.page, both.pages) == (3, 1, 1), "with the answer beside the message"
        (passage,) = (await memory.search(rig.kernel, "ana", "boat", tags=["sea"])).results
        assert (passage.id, passage.tier) == (saved.id, "archival")
        (message,) = (await memory.search(rig.kernel, "ana", "boat", role=["user"])).results
        assert isinstance(message, memory.MessageHit)
        assert (message.role, message.excerpt) == (Role.USER, "The red boat leaks.")
        assert message.score > 0
        assert "lexical" in message.parts
        assert as_json(both)["results"][0]["parts"]
        assert (await memory.passage(rig.kernel, "ana", saved.id)).tags == ("sea",)


async def test_search_is_limited_to_a_speaker_or_to_a_document(machine: Machine) -> None:
    async with machine.open(ScriptedModel(lambda _: answer("Fine."))) as rig:
        await with_document(rig)
        for sender in ("Ana", "Bo"):
            await rig.send(Event(EventKind.MESSAGE, f"The flood hit {sender}.", sender=sender))
        await remember(rig.kernel, "ana", "A flood of letters.")
        assert await memory.speakers(rig.kernel, "ana") == ("Ana", "Bo")
        (row,) = await memory.search(rig.kernel, "ana", "flood", speaker="Bo")
        assert row.text == "The flood hit Bo."
        (chunk,) = await memory.search(rig.kernel, "ana", "flood", document="d1")
        assert isinstance(chunk, memory.PassageHit)
        assert (chunk.document, chunk.page) == ("d1", 2)
        assert (await memory.search(rig.kernel, "ana", speaker="Cleo")).total == 0
        assert (await memory.search(rig.kernel, "ana", document="d1")).total == 1


async def test_search_pages_stay_as_they_were(machine: Machine) -> None:
    async with machine.open(ScriptedModel(lambda _: answer())) as rig:
        await talk(rig, *(f"boat {n}" for n in range(3)))
        first = await memory.search(rig.kernel, "ana", "boat", tier="recall", size=2)
        await talk(rig, "boat 3")
        second = await memory.search(
            rig.kernel, "ana", "boat", tier="recall", size=2, page=2, as_of=first.as_of
        )
        assert (first.total, second.total, len(second.results)) == (4, 4, 2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"page": 9}, "There is no page 9; pages go from 1 to 1."),
        ({"size": 0}, "A page of 0 results is none"),
        ({"tier": "memory"}, "There is no tier 'memory'"),
        ({"role": ["king"]}, "'king' is not a role"),
        ({"role": ["user"], "tags": ["sea"]}, "Only passages have tags"),
        ({"speaker": "Ana", "document": "d1"}, "Only passages have tags"),
        ({"document": "d9"}, "There is no document d9"),
        ({"since": "soon"}, "'soon' is not a time"),
        ({"as_of": "12"}, "'12' is not the id of a message"),
    ],
)
async def test_a_search_that_cannot_be_is_one_sentence(
    machine: Machine, arguments: dict[str, Any], sentence: str
) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        with pytest.raises(UsageError, match=sentence):
            await memory.search(rig.kernel, "ana", "boat", **arguments)


# documents


async def test_documents_their_pages_and_a_text_in_one(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        await with_document(rig)
        listed = await documents.documents(rig.kernel, "ana")
        (document,) = listed.results
        assert (listed.total, document.id, document.pages, document.tags) == (1, "d1", 2, ("sea",))
        assert await documents.document(rig.kernel, "ana", "d1") == document
        page = await documents.document_page(rig.kernel, "ana", "d1", 2)
        assert (page.heading, page.text) == ("Flood", "The flood and the flood.")
        finds = await documents.find(rig.kernel, "ana", "d1", "FLOOD")
        assert [(find.number, find.times) for find in finds.results] == [(2, 2)]
        (hit,) = (await memory.search(rig.kernel, "ana", "flood", tier="archival")).results
        assert isinstance(hit, memory.PassageHit)
        assert (hit.document, hit.page) == ("d1", 2)
        with pytest.raises(NotFoundError, match="There is no page 3 in d1"):
            await documents.document_page(rig.kernel, "ana", "d1", 3)
        with pytest.raises(UsageError, match="'tides' is not the id of a document"):
            await documents.document(rig.kernel, "ana", "tides")
        with pytest.raises(UsageError, match="The text to find is empty"):
            await documents.find(rig.kernel, "ana", "d1", " ")


# agents


async def test_an_agent_its_context_and_its_timers(machine: Machine) -> None:
    async with machine.open(ScriptedModel(lambda _: answer()), zone="Asia/Tokyo") as rig:
        await talk(rig, "hello")
        (summary,) = await agents.agents(rig.kernel)
        assert (summary.name, summary.style, summary.messages) == ("ana", "memgpt", 4)
        await add_timer(rig.kernel, "ana", "water the plants", when="+2h")
        await add_timer(rig.kernel, "ana", "stretch", when="+1h")
        timers = await agents.timers(rig.kernel, "ana")
        assert [timer.note for timer in timers] == ["stretch", "water the plants"]
        assert str(timers[0].due.tzinfo) == "Asia/Tokyo"
        detail = await agents.agent(rig.kernel, "ana")
        assert (detail.waiting, detail.timers, len(detail.sections)) == (0, 2, 2)
        shown = await agents.context(rig.kernel, "ana")
        assert shown.messages[0].role == "system"
        assert shown.queue[0].text == "hello"
        assert shown.sizes.window == summary.window
        assert as_json(shown)["functions"][0]["name"] == "send_message"
        assert as_json(detail)["settings"]["zone"] == "Asia/Tokyo"


# edits


async def test_what_is_edited_from_outside_is_there_and_gone(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        await with_document(rig)
        saved = await remember(rig.kernel, "ana", "Pier 4.")
        await delete_passage(rig.kernel, "ana", saved.id)
        with pytest.raises(NotFoundError, match=f"There is no passage {saved.id}"):
            await delete_passage(rig.kernel, "ana", saved.id)
        await delete_document(rig.kernel, "ana", "d1")
        with pytest.raises(NotFoundError, match="There is no document d1"):
            await delete_document(rig.kernel, "ana", "d1")
        timer = await add_timer(rig.kernel, "ana", "stretch", cron="0 9 * * 1", catch_up="skip")
        await remove_timer(rig.kernel, "ana", timer.id)
        with pytest.raises(NotFoundError, match=f"There is no timer {timer.id}"):
            await remove_timer(rig.kernel, "ana", timer.id)
        with pytest.raises(UsageError, match="The text is empty"):
            await remember(rig.kernel, "ana", " ")
        with pytest.raises(UsageError, match="Give a time"):
            await add_timer(rig.kernel, "ana", "x")
        with pytest.raises(UsageError, match="is in the past"):
            await add_timer(rig.kernel, "ana", "x", when="2000-01-01")
