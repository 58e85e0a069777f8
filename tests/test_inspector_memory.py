"""The inspector's pages of memory: sections with versions, search, passages and archives, documents, the
inbox with approvals, settings. Each page is asked as a browser without scripts would ask it."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from html import unescape
from html.parser import HTMLParser

import httpx2
import pytest

from conftest import Machine, Rig, Served, served
from hostile_texts import SHORT, STORED_TEXTS
from pagefault import tool
from pagefault.kernel import archives, shared_sections
from pagefault.kernel.edits import add_timer
from pagefault.kernel.facts import remember
from pagefault.kernel.sections import edit_section
from pagefault.kernel.tenancy import create_key
from pagefault.server.inspector.showing import address
from pagefault.tenancy import KeyRole
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Document, Event, EventKind, Page, Passage, Place
from pagefault.views import approvals, memory
from pagefault.views.events import events
from test_inspector import HTML, sign_in, token

pytestmark = pytest.mark.anyio

ANA = "/agents/ana"


@tool(approval=True)
def wire(to: str, amount: float, note: str = "") -> str:
    """Send money."""
    return f"sent {amount} to {to}{note[:5]}"


@pytest.fixture
async def rig(machine: Machine) -> AsyncGenerator[Rig]:
    async with machine.open(ScriptedModel(lambda _: [say("ok")]), tools=(wire,)) as rig:
        yield rig


@pytest.fixture
async def server(rig: Rig) -> AsyncGenerator[Served]:
    async with served(rig.kernel) as server:
        yield server


async def page_of(server: Served, path: str, status: int = 200) -> str:
    """A page, which has to be as all are: with the policy, and with no script or style in it."""
    answer = await server.client.get(path, headers=HTML)
    assert answer.status_code == status, (path, words(answer.text)[-300:])
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    return answer.text


async def send(server: Served, path: str, **fields: object) -> httpx2.Response:
    """A form as a page sends it."""
    form = token(await page_of(server, ANA + "/memory"))
    return await server.client.post(path, data={"form_token": form, **fields}, headers=HTML)


async def sent(server: Served, path: str, **fields: object) -> str:
    """The address to which a form leads that was accepted."""
    answer = await send(server, path, **fields)
    assert answer.status_code == 303, (path, words(answer.text)[-300:])
    return answer.headers["location"]


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def words(page: str) -> str:
    """What a page shows, on one line."""
    reader = _Words()
    reader.feed(page)
    return " ".join("".join(reader.parts).split())


# sections


async def test_sections_are_shown_with_their_size_and_who_shares_them(rig: Rig, server: Served) -> None:
    await edit_section(rig.kernel, "ana", "human", "Ana likes <b>tea</b>.")
    await rig.kernel.create_agent("bo", server.app.state.options.agent)
    await shared_sections.share(rig.kernel, "plan", ["ana", "bo"], text="Sail on Sunday.")
    page = await page_of(server, f"{ANA}/memory")
    assert "Ana likes &lt;b&gt;tea&lt;/b&gt;." in page
    assert "version 2" in words(page)
    assert "Shared with: ana, bo" in words(page)
    assert re.search(r"human.*plan", words(page))


async def test_an_edit_is_a_new_version_and_shows_its_changes(rig: Rig, server: Served) -> None:
    await edit_section(rig.kernel, "ana", "human", "Likes green tea.\nLives in Porto.")
    to = await sent(server, f"{ANA}/memory/human", text="Likes black tea.\r\nLives in Porto.", version=2)
    assert to == f"{ANA}/memory/human"
    assert (await memory.section(rig.kernel, "ana", "human")).text == "Likes black tea.\nLives in Porto."
    page = await page_of(server, to)
    assert "<del>green </del><ins>black </ins>" in page
    earlier = await page_of(server, f"{to}?version=1&against=now")
    assert "<ins>Likes black tea.</ins>" in earlier
    assert "Restore version 1" in earlier
    await page_of(server, f"{to}?version=9", 404)


async def test_a_version_is_restored_as_a_new_one(rig: Rig, server: Served) -> None:
    for text in ("one", "two"):
        await edit_section(rig.kernel, "ana", "human", text)
    await sent(server, f"{ANA}/memory/human/restore", version=3, restored=2)
    versions = await memory.section_versions(rig.kernel, "ana", "human")
    assert [each.text for each in versions] == ["", "one", "two", "one"]
    assert (await send(server, f"{ANA}/memory/human/restore", version=4, restored=9)).status_code == 404


async def test_an_edit_that_was_overtaken_shows_both_texts_and_stores_nothing(
    rig: Rig, server: Served
) -> None:
    await edit_section(rig.kernel, "ana", "human", "Ana sails.")
    answer = await send(server, f"{ANA}/memory/human", text="Ana rows.", version=1)
    assert answer.status_code == 409
    assert "Not saved: the section was changed meanwhile" in answer.text
    assert "<del>sails</del><ins>rows</ins>" in answer.text
    assert '<pre class="leaf" tabindex="0">Ana sails.</pre>' in answer.text
    assert re.search(r"<textarea[^>]*>\nAna rows\.</textarea>", answer.text)
    assert (await memory.section(rig.kernel, "ana", "human")).text == "Ana sails."
    (base,) = re.findall(r'name="version" value="(\d+)">\s*<textarea', answer.text)
    await sent(server, f"{ANA}/memory/human", text="Ana rows.", version=base)
    assert (await memory.section(rig.kernel, "ana", "human")).text == "Ana rows."


async def test_a_text_that_does_not_fit_is_kept_in_the_form(rig: Rig, server: Served) -> None:
    answer = await send(server, f"{ANA}/memory/human", text="word " * 4000, version=1)
    assert answer.status_code == 400
    assert "shorten the text" in answer.text
    assert "word word word" in answer.text
    assert (await memory.section(rig.kernel, "ana", "human")).version == 1


async def test_a_shared_section_is_edited_for_all(rig: Rig, server: Served) -> None:
    await rig.kernel.create_agent("bo", server.app.state.options.agent)
    await shared_sections.share(rig.kernel, "plan", ["ana", "bo"], text="Sail.")
    page = await page_of(server, f"{ANA}/memory/plan")
    assert "An edit changes this text for every agent that shares it." in page
    await sent(server, f"{ANA}/memory/plan", text="Row.", version=1)
    assert (await memory.section(rig.kernel, "bo", "plan")).text == "Row."
    assert (await send(server, f"{ANA}/memory/plan", text="Swim.", version=1)).status_code == 409
    await sent(server, f"{ANA}/memory/plan/restore", version=2, restored=1)
    assert (await memory.section(rig.kernel, "bo", "plan")).text == "Sail."
    await sent(server, f"{ANA}/memory/plan", text="Row.", version=3)
    assert (await memory.section(rig.kernel, "bo", "plan")).text == "Row."


async def test_sections_are_added_given_a_limit_and_removed(rig: Rig, server: Served) -> None:
    to = await sent(
        server, f"{ANA}/memory", section="plan", description="what to do", limit=100, text="Rest."
    )
    assert to == f"{ANA}/memory/plan"
    await sent(server, f"{to}/limit", limit=120)
    assert (await memory.section(rig.kernel, "ana", "plan")).limit == 120
    assert (await send(server, f"{to}/remove", typed="human")).status_code == 400
    await sent(server, f"{to}/remove", typed="plan")
    assert "plan" not in [each.name for each in await memory.sections(rig.kernel, "ana")]
    await page_of(server, to, 404)


# search


async def test_search_shows_why_a_result_stands_where_it_does(rig: Rig, server: Served) -> None:
    await rig.send("My boat is called <i>Heron</i>.")
    await remember(rig.kernel, "ana", "Boats need varnish.\n\nEvery spring.", tags=["boat"])
    page = await page_of(server, f"{ANA}/search?q=boat")
    assert "My <mark>boat</mark> is called &lt;i&gt;Heron&lt;/i&gt;." in page
    assert "<mark>Boats</mark> need varnish." in page
    (row, *_) = re.findall(r'href="(/agents/ana/log/m\d+)"', page)
    assert "is called" in await page_of(server, row)
    assert re.search(r'<rect class="part-0" x="0\.0" width="[\d.]+"', page)
    assert re.search(r'<th scope="row">lexical</th>.*?<td class="num">0\.\d+</td>', page, re.S)
    assert "style=" not in page
    part = await server.client.get(f"{ANA}/search?q=boat", headers=HTML | {"hx-request": "true"})
    assert "<html" not in part.text
    assert "<mark>boat</mark>" in part.text


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("tier=recall&q=boat", {"Bo: the boat is red", "Ana: the boat is blue"}),
        ("speaker=Bo", {"Bo: the boat is red"}),
        ("tags=sea", {"A boat at sea", "The flood lifts the boat"}),
        ("tags=%23sea,+old", set[str]()),
        ("tags=high+water", set[str]()),
        ("document=d1", {"The flood lifts the boat"}),
        ("role=assistant", set[str]()),
        ("q=boat&until=2001-01-01", set[str]()),
        ("archive=manuals", {"How to mend a boat"}),
    ],
)
async def test_search_is_narrowed_by_filters(rig: Rig, server: Served, query: str, shown: set[str]) -> None:
    for sender, colour in (("Bo", "red"), ("Ana", "blue")):
        await rig.send(Event(EventKind.OVERHEARD, f"{sender}: the boat is {colour}", sender=sender))
    await remember(rig.kernel, "ana", "A boat at sea", tags=["sea"])
    await archives.create(rig.kernel, "manuals")
    await archives.attach(rig.kernel, "manuals", "ana")
    await remember(rig.kernel, "ana", "How to mend a boat", archive="manuals")
    await add_document(rig, "The flood lifts the boat")
    page = await page_of(server, f"{ANA}/search?{query}")
    found = re.findall(r'<p class="excerpt">(.*?)</p>', page)
    assert {unescape(re.sub("<[^>]+>", "", each)) for each in found} == shown


async def test_search_has_pages_that_stay_as_they_were(rig: Rig, server: Served) -> None:
    for n in range(12):
        await remember(rig.kernel, "ana", f"boat number {n}")
    page = await page_of(server, f"{ANA}/search?q=boat&tier=archival")
    assert "12 results" in page
    (behind,) = re.findall(r'rel="next" href="([^"]+)"', page)
    assert "as_of=m" in behind
    second = await page_of(server, unescape(behind))
    assert second.count('class="card result"') == 2
    await page_of(server, f"{ANA}/search?q=boat&page=9", 400)
    wrong = await page_of(server, f"{ANA}/search?since=the+day+before+never", 400)
    assert "is not a time" in words(wrong)


async def test_the_roles_of_a_search_are_kept_on_its_next_page(rig: Rig, server: Served) -> None:
    for n in range(11):
        await rig.send(Event(EventKind.OVERHEARD, f"boat {n}", sender="Bo"))
    page = await page_of(server, f"{ANA}/search?q=boat&role=user&role=event")
    (behind,) = re.findall(r'rel="next" href="([^"]+)"', page)
    assert behind.count("role=") == 2


# passages and archives


async def test_passages_are_added_edited_and_deleted(rig: Rig, server: Served) -> None:
    to = await sent(server, f"{ANA}/passages", text="Ann sails.\r\nOften.", tags="#ann, sea", at="2026-02-01")
    assert to == f"{ANA}/passages#p1"
    page = await page_of(server, f"{ANA}/passages")
    assert "Ann sails.\nOften." in page
    assert "#" in words(page)
    assert re.search(
        r"<textarea[^>]*>\nAnn sails\.\nOften\.</textarea>", await page_of(server, f"{ANA}/passages/p1")
    )
    assert await sent(server, f"{ANA}/passages/p1", text="Ann rows.", tags="ann") == f"{ANA}/passages#p2"
    assert (await memory.passage(rig.kernel, "ana", "p2")).tags == ("ann",)
    overtaken = await send(server, f"{ANA}/passages/p1", text="Ann swims.", tags="ann")
    assert overtaken.status_code == 404
    assert "There is no passage p1" in overtaken.text
    assert re.search(r"<textarea[^>]*>\nAnn swims\.</textarea>", overtaken.text)
    assert (await send(server, f"{ANA}/passages", text=" ")).status_code == 400
    assert "for good" in await page_of(server, f"{ANA}/passages/p2")
    await sent(server, f"{ANA}/passages/p2/delete")
    assert "There are no passages here yet." in await page_of(server, f"{ANA}/passages")


async def test_tags_of_several_words_stay_whole(rig: Rig, server: Served) -> None:
    await remember(rig.kernel, "ana", "Ann sails.", tags=["high water", "a, b"])
    await sent(server, f"{ANA}/passages/p1", text="Ann rows.", tags="high water, a, b")
    assert (await memory.passage(rig.kernel, "ana", "p2")).tags == ("high water", "a, b")
    await sent(server, f"{ANA}/passages/p2", text="Ann rows.", tags="#high water, low water, ,#")
    assert (await memory.passage(rig.kernel, "ana", "p3")).tags == ("high water", "low water")
    assert "1 result" in words(await page_of(server, f"{ANA}/search?tags=low+water"))


async def test_archives_are_attached_and_detached(rig: Rig, server: Served) -> None:
    await archives.create(rig.kernel, "manuals", "how things work")
    page = await page_of(server, f"{ANA}/passages")
    assert "<option>manuals</option>" in page
    await sent(server, f"{ANA}/archives/attach", archive="manuals", read_only="true")
    page = await page_of(server, f"{ANA}/passages")
    assert "how things work" in page
    assert "Let it write" in page
    assert (await send(server, f"{ANA}/passages", text="x", archive="manuals")).status_code == 400
    await sent(server, f"{ANA}/archives/attach", archive="manuals")
    assert await sent(server, f"{ANA}/passages", text="x", archive="manuals") == f"{ANA}/passages#manuals/p1"
    await page_of(server, f"{ANA}/passages/manuals%2Fp1")
    await sent(server, f"{ANA}/archives/detach", archive="manuals")
    assert (await send(server, f"{ANA}/archives/attach", archive="nothing")).status_code == 404


# documents


async def add_document(rig: Rig, *texts: str, title: str = "On tides") -> None:
    record, now = await rig.kernel.record("ana"), rig.clock.now()
    document = Document("/tides.pdf", title[:SHORT], "application/pdf", "ab", now, 0, ("sea",))
    pages = [Page(n, title[:SHORT], text) for n, text in enumerate(texts, 1)]
    chunks = [
        Passage(text, now, ("sea",), "/tides.pdf", 0, title[:SHORT], Place(0, n))
        for n, text in enumerate(texts, 1)
        if text.strip()
    ]
    await rig.kernel.store.write(lambda tx: tx.put_document(record.id, document, pages, chunks))


async def test_documents_are_leafed_through(rig: Rig, server: Served) -> None:
    await add_document(rig, "The ebb comes late.", "The flood and the flood.", " ")
    assert "On tides" in await page_of(server, f"{ANA}/documents")
    second = await page_of(server, f"{ANA}/documents/d1/pages/2?find=flood")
    assert "The <mark>flood</mark> and the <mark>flood</mark>." in second
    assert re.search(r'rel="prev" href="/agents/ana/documents/d1/pages/1\?find=flood"', second)
    assert "This page has no text." in await page_of(server, f"{ANA}/documents/d1/pages/3")
    found = await page_of(server, f"{ANA}/documents/d1/find?find=FLOOD")
    assert "2 times" in found
    assert "No page has" in await page_of(server, f"{ANA}/documents/d1/find?find=xyz")
    for path in ("d1/pages/4", "d1/pages/0", "d9/pages/1", "d1/pages/99999999999999999999"):
        await page_of(server, f"{ANA}/documents/{path}", 404)
    await sent(server, f"{ANA}/documents/d1/delete")
    assert "There are no documents here yet." in await page_of(server, f"{ANA}/documents")


@pytest.mark.slow
async def test_a_document_is_uploaded_with_and_without_scripts(server: Served) -> None:
    form = token(await page_of(server, f"{ANA}/documents"))
    file = {"file": ("../../tides.md", b"# Tides\n\nThe ebb comes late.", "text/markdown")}
    loaded = await server.client.post(
        f"{ANA}/documents", data={"form_token": form, "tags": "sea"}, files=file, headers=HTML
    )
    assert loaded.status_code == 200, loaded.text
    assert "tides.md" in loaded.text
    assert "/tides" not in loaded.text.replace("/agents", "")
    stream = await server.client.post(
        f"{ANA}/documents",
        files={"file": ("ebb.txt", b"Ebb and flood.", "text/plain")},
        headers={"accept": "text/event-stream", "hx-request": "true"},
    )
    told = [line for line in stream.text.splitlines() if line.startswith("event:")]
    assert (told[0], told[-2:]) == ("event: begin", ["event: end", "event: report"])
    page = await page_of(server, f"{ANA}/documents")
    assert "2 documents" in page
    empty = await server.client.post(f"{ANA}/documents", data={"form_token": form}, headers=HTML)
    assert empty.status_code == 400


# the inbox


async def test_timers_are_set_and_removed(server: Served) -> None:
    await sent(server, f"{ANA}/schedules", note="Water the <plants>", cron="0 9 * * mon-fri", catch_up="skip")
    page = await page_of(server, f"{ANA}/events")
    assert "Water the &lt;plants&gt;" in page
    assert "missed: skipped" in page
    assert (await send(server, f"{ANA}/schedules", note="x", when="+2h", cron="* * * * *")).status_code == 400
    await sent(server, f"{ANA}/schedules/t1/remove")
    assert "No timer is set." in await page_of(server, f"{ANA}/events")


async def park(rig: Rig, text: str = "This breaks.") -> int:
    """An event that was given up after some attempts."""
    record = await rig.kernel.record("ana")
    event = Event(EventKind.MESSAGE, text, sender="Bo", at=rig.clock.now())
    stored = await rig.kernel.store.write(lambda tx: tx.post(record.id, event))
    await rig.kernel.store.write(lambda tx: tx.set_event(record.id, stored.id, "parked", parked="It broke."))
    return stored.id


async def test_parked_events_are_released_or_dropped(rig: Rig, server: Served) -> None:
    first, second = await park(rig), await park(rig)
    page = await page_of(server, f"{ANA}/events")
    assert page.count("It broke.") == 2
    await sent(server, f"{ANA}/events/{first}/drop")
    await sent(server, f"{ANA}/events/{second}/retry")
    await rig.kernel.idle()
    assert await events(rig.kernel, "ana") == ()
    assert [row.text for row in await rig.log() if row.role == "user"] == ["This breaks."]
    assert (await send(server, f"{ANA}/events/{first}/drop")).status_code == 404


async def test_a_parked_agent_is_released(rig: Rig, server: Served) -> None:
    record = await rig.kernel.record("ana")
    await rig.kernel.store.write(lambda tx: tx.park_agent(record.id, "Its model is <gone>."))
    assert "Its model is &lt;gone&gt;." in await page_of(server, f"{ANA}/events")
    await sent(server, f"{ANA}/release")
    assert "This agent is parked" not in await page_of(server, f"{ANA}/events")


async def test_calls_are_approved_and_refused_with_their_arguments_whole(machine: Machine) -> None:
    note = "x" * 3000 + "<script>"
    script = [[call("wire", heartbeat=True, to="Bo", amount=250, note=note)], [say("Done.")]]
    async with (
        machine.open(ScriptedModel(script * 5), tools=(wire,)) as rig,
        served(rig.kernel) as server,
    ):
        for decision, result, granted in (
            ("once", "sent 250", 0), ("refuse", "refused", 0), ("session", "sent 250", 0),
        ):  # fmt: skip
            await rig.send("Pay.")
            (waiting,) = await approvals.approvals(rig.kernel, "ana")
            page = await page_of(server, f"{ANA}/events")
            assert "x" * 3000 + "&lt;script&gt;" in page
            assert "<pre>250</pre>" in page
            await sent(server, f"{ANA}/approvals/{waiting.id}", decision=decision, note="Because.")
            await rig.kernel.idle()
            returned = [row.text for row in await rig.log() if row.role == "result" and row.name == "wire"]
            assert result in returned[-1]
            assert len(await approvals.grants(rig.kernel, "ana")) == granted
        again = await send(server, f"{ANA}/approvals/{waiting.id}", decision="once")
        assert again.status_code in (400, 404)
        assert "while this server runs" in await page_of(server, f"{ANA}/events")
        await rig.send("Pay.")
        assert await approvals.approvals(rig.kernel, "ana") == (), "it was not asked"
        await sent(server, f"{ANA}/grants/wire/revoke")
        await rig.send("Pay.")
        (waiting,) = await approvals.approvals(rig.kernel, "ana")
        await sent(server, f"{ANA}/approvals/{waiting.id}", decision="always")
        await rig.kernel.idle()
        assert [each.name for each in await approvals.grants(rig.kernel, "ana")] == ["wire"]
        assert "until it is withdrawn" in await page_of(server, f"{ANA}/events")
        await sent(server, f"{ANA}/grants/wire/revoke")
        assert await approvals.grants(rig.kernel, "ana") == ()


# settings


def settings_form(page: str) -> dict[str, str]:
    """The fields of the form of settings, as a browser would send them unchanged."""
    (form,) = re.findall(
        r'<form method="post" action="[^"]*/settings" class="settings">(.*?)</form>', page, re.S
    )
    fields = dict(re.findall(r'<input id="([a-z_]+)"[^>]* value="([^"]*)"', form))
    fields["made_from"] = re.findall(r'name="made_from" value="([^"]+)"', form)[0]
    fields["instructions"] = re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", form, re.S)[0]
    fields["tools"] = "all"
    return {key: unescape(value) for key, value in fields.items()}


async def test_settings_are_changed_and_the_others_kept(rig: Rig, server: Served) -> None:
    before = dict((await rig.kernel.record("ana")).settings)
    form = settings_form(await page_of(server, f"{ANA}/settings"))
    await sent(server, f"{ANA}/settings", **form)
    assert dict((await rig.kernel.record("ana")).settings) == before, "nothing was changed"
    changed = form | {"window": "16384", "daily_cost": "2.5", "approval": "wire", "timers": "on"}
    assert "settings are saved" not in await page_of(server, f"{ANA}/settings")
    led = await sent(server, f"{ANA}/settings", **(changed | {"instructions": "Be <kind>.\r\nBe short."}))
    assert "The settings are saved." in await page_of(server, led)
    after = dict((await rig.kernel.record("ana")).settings)
    assert {key: after[key] for key in after if after[key] != before.get(key)} == {
        "window": 16384, "daily_cost": 2.5, "approval": ["wire"], "timers": True,
        "instructions": "Be <kind>.\nBe short.",
    }  # fmt: skip
    assert "Be &lt;kind&gt;." in await page_of(server, f"{ANA}/settings")


async def test_settings_that_cannot_be_or_were_overtaken_are_not_stored(rig: Rig, server: Served) -> None:
    form = settings_form(await page_of(server, f"{ANA}/settings"))
    wrong = await send(server, f"{ANA}/settings", **(form | {"window": "12"}))
    assert wrong.status_code == 400
    assert "The setting window is wrong" in wrong.text
    assert 'value="12"' in wrong.text
    await sent(server, f"{ANA}/settings", **(form | {"max_steps": "9"}))
    overtaken = await send(server, f"{ANA}/settings", **(form | {"max_steps": "5"}))
    assert overtaken.status_code == 409
    assert (await rig.kernel.record("ana")).settings["max_steps"] == 9


async def test_tools_are_chosen_by_name(rig: Rig, server: Served) -> None:
    form = settings_form(await page_of(server, f"{ANA}/settings"))
    await sent(server, f"{ANA}/settings", **(form | {"tools": "some"}))
    assert (await rig.kernel.record("ana")).settings["tools"] == []
    form = settings_form(await page_of(server, f"{ANA}/settings"))
    await sent(server, f"{ANA}/settings", **(form | {"tools": "some", "tool": "wire"}))
    assert (await rig.kernel.record("ana")).settings["tools"] == ["wire"]


async def test_an_agent_is_renamed_and_deleted_by_its_typed_name(rig: Rig, server: Served) -> None:
    await rig.kernel.create_agent("bo", server.app.state.options.agent)
    assert await sent(server, "/agents/bo/settings/rename", new="cleo") == "/agents/cleo/settings"
    assert (await send(server, "/agents/cleo/settings/delete", typed="bo")).status_code == 400
    assert await sent(server, "/agents/cleo/settings/delete", typed="cleo") == "/"
    assert [each.name for each in await rig.kernel.agents()] == ["ana"]


# roles and forms

CHANGES: dict[str, dict[str, object]] = {
    "memory": {"section": "plan", "limit": 100},
    "memory/human": {"text": "x", "version": 1},
    "memory/human/restore": {"version": 1, "restored": 1},
    "memory/human/limit": {"limit": 300},
    "memory/human/remove": {"typed": "human"},
    "passages": {"text": "x"},
    "passages/p1": {"text": "x"},
    "passages/p1/delete": {},
    "archives/attach": {"archive": "manuals"},
    "archives/detach": {"archive": "manuals"},
    "documents": {},
    "documents/d1/delete": {},
    "release": {},
    "events/1/retry": {},
    "events/1/drop": {},
    "schedules": {"note": "x", "when": "+1h"},
    "schedules/t1/remove": {},
    "approvals/m2": {"decision": "always"},
    "grants/wire/revoke": {},
    "settings": {"model": "offline"},
    "settings/rename": {"new": "bo"},
    "settings/delete": {"typed": "ana"},
}
PAGES = (
    "memory", "memory/human", "search?q=boat", "passages", "passages/p1", "documents", "documents/d1/pages/1",
    "documents/d1/find?find=ebb", "events", "settings",
)  # fmt: skip


@pytest.mark.parametrize("role", ["read", "chat"])
async def test_who_may_not_change_sees_no_form_and_changes_nothing(
    rig: Rig, server: Served, role: KeyRole
) -> None:
    await remember(rig.kernel, "ana", "A boat.")
    await add_document(rig, "The ebb.")
    await park(rig)
    await sign_in(server.client, await create_key(rig.kernel, "eve", role=role))
    before = (await rig.kernel.record("ana")).settings, await memory.sections(rig.kernel, "ana")
    for path in PAGES:
        page = await page_of(server, f"{ANA}/{path}")
        forms = set(re.findall(r'<form[^>]*method="post"[^>]*action="([^"]+)"', page))
        assert not {each for each in forms if each.startswith(ANA) and "/approvals/" not in each} - (
            {f"{ANA}/settings"} if path == "settings" else set()
        )
    form = token(await page_of(server, f"{ANA}/memory"))
    for path, fields in CHANGES.items():
        answer = await server.client.post(f"{ANA}/{path}", data={"form_token": form, **fields}, headers=HTML)
        assert answer.status_code == 403, path
    assert ((await rig.kernel.record("ana")).settings, await memory.sections(rig.kernel, "ana")) == before


@pytest.mark.parametrize(("role", "status"), [("read", 403), ("chat", 303)])
async def test_who_may_chat_may_approve_once(machine: Machine, role: KeyRole, status: int) -> None:
    script = [[call("wire", heartbeat=True, to="Bo", amount=1)], [say("Done.")]]
    async with machine.open(ScriptedModel(script), tools=(wire,)) as rig, served(rig.kernel) as server:
        await rig.send("Pay.")
        (waiting,) = await approvals.approvals(rig.kernel, "ana")
        await sign_in(server.client, await create_key(rig.kernel, "eve", role=role))
        page = await page_of(server, f"{ANA}/events")
        assert ("Approve once" in page) == (role == "chat")
        assert 'value="always"' not in page
        answer = await send(server, f"{ANA}/approvals/{waiting.id}", decision="once")
        assert answer.status_code == status
        await rig.kernel.idle()


async def test_what_no_page_of_ours_sent_is_refused(rig: Rig, server: Served) -> None:
    """Without the header of htmx, without the token of a form, with the token of another, from elsewhere."""
    form = token(await page_of(server, f"{ANA}/memory"))
    for path, fields in CHANGES.items():
        for data, headers in (
            ({}, {}),
            ({"form_token": "0" * 64}, {}),
            ({"form_token": form}, {"origin": "https://evil.example"}),
            ({}, {"hx-request": "true", "origin": "https://evil.example"}),
            ({"form_token": form}, {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}),
        ):
            answer = await server.client.post(
                f"{ANA}/{path}", data={**fields, **data}, headers=HTML | headers
            )
            assert answer.status_code == 403, (path, data, headers)
    assert [each.name for each in await rig.kernel.agents()] == ["ana"]


async def test_an_agent_that_a_key_may_not_reach_is_not_there(rig: Rig, server: Served) -> None:
    await rig.kernel.create_agent("bo", server.app.state.options.agent)
    await archives.create(rig.kernel, "secrets")
    await archives.attach(rig.kernel, "secrets", "ana")
    await shared_sections.share(rig.kernel, "plan", ["ana", "bo"], text="Sail.")
    await sign_in(server.client, await create_key(rig.kernel, "bo-only", role="admin", agents=["bo"]))
    for path in PAGES:
        await page_of(server, f"{ANA}/{path}", 404)
    assert "secrets" not in await page_of(server, "/agents/bo/passages")
    page = await page_of(server, "/agents/bo/memory/plan")
    assert "ana" not in words(page)
    form = {"form_token": token(page)}
    for path, fields in (
        ("archives/attach", {"archive": "secrets"}), ("memory/plan", {"text": "x", "version": "1"}),
        ("settings/rename", {"new": "ana2"}),
    ):  # fmt: skip
        answer = await server.client.post(f"/agents/bo/{path}", data=form | fields, headers=HTML)
        assert answer.status_code in (403, 404), path
    assert (await memory.section(rig.kernel, "ana", "plan")).text == "Sail."


# hostile text


async def fill_with_hostile_texts(rig: Rig, texts: Sequence[str]) -> None:
    """Put texts wherever text comes in."""
    for text in texts:
        await rig.send(Event(EventKind.OVERHEARD, f"boat {text}", sender="Bo"))
        await remember(rig.kernel, "ana", f"boat {text}", tags=[text[:SHORT]])
        await add_timer(rig.kernel, "ana", text, when="+2h")
        await park(rig, text)
    await add_document(rig, *(f"ebb {text}" for text in texts), title=texts[1][:SHORT])


@pytest.mark.slow
async def test_hostile_text_is_text_on_every_page(rig: Rig, server: Served) -> None:
    texts = STORED_TEXTS
    assert len(texts) >= 30
    await fill_with_hostile_texts(rig, texts)
    paths = [*PAGES, "passages?page=2", "passages?parts=true"]
    paths += [f"search?q=boat&page={n}" for n in range(2, 2 * len(texts) // 10 + 1)]
    paths += [f"passages/p{n}" for n in range(1, len(texts) + 1)]
    for number, text in enumerate(texts, 1):
        short = text[:SHORT]
        paths += [f"documents/d1/pages/{number}?find=ebb", address("search", q=short, speaker=short)[1:]]
        paths += [address("documents", "d1", "find", find=short)[1:], address("search", tags=short)[1:]]
    for path in paths:
        await looks_harmless(server, path)
    for text in texts:
        await edit_section(rig.kernel, "ana", "human", text[:400])
        for path in ("memory", "memory/human", "memory/human?against=now&version=1"):
            await looks_harmless(server, path)


async def looks_harmless(server: Served, path: str) -> None:
    answer = await server.client.get(f"{ANA}/{path}", headers=HTML)
    assert answer.status_code in (200, 303, 400), (path, answer.text)
    assert outside_text(answer.text) == [], path
    edited = r"<textarea.*?</textarea>|value=\"[^\"]*\""
    assert "\u202e" not in re.sub(edited, "", answer.text, flags=re.S), path


class _Elements(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("iframe", "object", "embed", "style", "base", "dialog", "math", "img", "animate"):
            self.wrong.append(tag)
        if tag == "script" and not (given.get("src") or "").startswith("/static/"):
            self.wrong.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name == "style" or name.startswith("hx-on"):
                self.wrong.append(f"{tag} {name}")
            if name in ("href", "src", "action", "hx-get", "hx-post") and not (value or "").startswith(
                ("/", "#")
            ):
                self.wrong.append(f"{tag} {name}={value}")


def outside_text(page: str) -> list[str]:
    """What a page has of elements and attributes that no page of ours has."""
    reader = _Elements()
    reader.feed(page)
    return reader.wrong
