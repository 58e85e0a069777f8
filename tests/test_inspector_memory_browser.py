"""The inspector's pages of memory in a browser: what a person does there, and hostile text wherever there is
text, at the width of a phone."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from conftest import Machine, Rig
from hostile_texts import STORED_TEXTS
from inspector_pages import NEEDS, PATIENCE, WIDTHS, Site, axe, chromium, serving, until
from pagefault.kernel import sections
from pagefault.kernel.edits import add_timer
from pagefault.kernel.facts import remember
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event, EventKind
from pagefault.views import approvals, documents, memory
from test_inspector_memory import ANA, PAGES, add_document, park, wire

pytestmark = [pytest.mark.anyio, pytest.mark.slow, NEEDS]
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def browser() -> AsyncGenerator[Browser]:
    async with chromium() as browser:
        yield browser


@asynccontextmanager
async def opened(machine: Machine, browser: Browser, *first: object) -> AsyncGenerator[tuple[Rig, Site]]:
    """An agent whose model calls ``wire`` first if so, and says ok; a server for it."""
    script = list(first)

    def model(_: object) -> list[object]:
        return [script.pop(0)] if script else [say("ok")]

    async with (
        machine.open(ScriptedModel(model), tools=(wire,)) as rig,  # pyright: ignore[reportArgumentType]
        serving(rig.kernel) as url,
    ):
        site = Site(url, rig.kernel, browser)
        try:
            yield rig, site
        finally:
            await site.close()


async def test_a_section_is_edited_compared_and_restored(machine: Machine, browser: Browser) -> None:
    async with opened(machine, browser) as (rig, site):
        await sections.edit_section(rig.kernel, "ana", "human", "Likes green tea.\nLives in Porto.")
        page = await site.open(f"{ANA}/memory")
        await page.get_by_role("link", name="human").click()
        text = page.get_by_role("textbox", name="Text")
        await expect(text).to_have_value("Likes green tea.\nLives in Porto.")
        await text.fill("Likes black tea.\nLives in Porto.")
        await page.get_by_role("button", name="Save as a new version").click()
        await expect(page.locator(".version-diff ins")).to_have_text("black ")
        await expect(page.locator(".version-diff del")).to_have_text("green ")
        await page.locator(".version-list a", has_text="2026").nth(1).click()
        await page.get_by_role("button", name="Restore version 2").click()
        await expect(page.locator(".version-list a")).to_have_count(4)
        await expect(text).to_have_value("Likes green tea.\nLives in Porto.")
        # overtaken
        await sections.edit_section(rig.kernel, "ana", "human", "Likes coffee.")
        await text.fill("Likes milk.")
        await page.get_by_role("button", name="Save as a new version").click()
        await expect(page.get_by_role("heading", name="Not saved")).to_be_visible()
        await expect(page.locator(".conflict del")).to_have_text("coffee")
        await expect(text).to_have_value("Likes milk.")
        await page.get_by_role("button", name="Save as a new version").click()
        await expect(page.get_by_role("heading", name="Not saved")).to_have_count(0)
        assert (await memory.section(rig.kernel, "ana", "human")).text == "Likes milk."
        await site.check(page)


async def test_search_is_typed_filtered_and_paged(machine: Machine, browser: Browser) -> None:
    async with opened(machine, browser) as (rig, site):
        for n in range(12):
            await remember(rig.kernel, "ana", f"boat number {n}", tags=["even" if n % 2 == 0 else "odd"])
        await rig.send(Event(EventKind.OVERHEARD, "A boat is for sale.", sender="Bo"))
        page = await site.open(f"{ANA}/search")
        await page.get_by_role("searchbox", name="Words or a question").fill("boat")
        await page.keyboard.press("Enter")
        await expect(page.locator("#results mark").first).to_be_visible()
        await page.locator(".why-here summary").first.click()
        await expect(page.locator(".parts").first).to_contain_text("lexical")
        await page.get_by_role("link", name="Next").click()
        await expect(page.locator(".result")).to_have_count(3)
        await page.locator(".filters > summary").click()
        await page.get_by_label("Tags").fill("odd")
        await page.get_by_role("button", name="Search").click()
        await expect(page.locator(".result")).to_have_count(6)
        assert "tags=odd" in page.url
        await page.get_by_label("From", exact=True).fill("the day before never")
        await page.get_by_role("button", name="Search").click()
        await expect(page.locator("#results")).to_contain_text("is not a time")
        await site.check(page)


async def test_a_document_is_uploaded_read_and_deleted(
    machine: Machine, browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "tides.md"
    path.write_text("# Tides\n\n" + "The ebb comes late. <script>window.hit = 1</script>\n\n" * 200)
    async with opened(machine, browser) as (rig, site):
        page = await site.open(f"{ANA}/documents")
        await page.get_by_label("Add files").set_input_files(path)
        await page.get_by_role("button", name="Upload").click()
        await expect(page.locator("#outcome")).to_contain_text("tides.md: loaded")
        await page.locator("#documents").get_by_role("link", name="tides").click()
        await expect(page.locator(".leaf")).to_contain_text("<script>window.hit = 1</script>")
        await page.get_by_role("link", name="Next").first.click()
        await expect(page.locator(".turner").first).to_contain_text("Page 2 of")
        await page.get_by_label("Find in this document").fill("EBB")
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name="Page 1", exact=True).click()
        await expect(page.locator("mark").first).to_have_text("ebb")
        await site.check(page)
        await page.get_by_role("link", name="All documents").click()
        await page.locator(".ask summary").click()
        await page.get_by_role("button", name="Delete it for good").click()
        await expect(page.locator(".empty")).to_be_visible()
        assert (await documents.documents(rig.kernel, "ana")).total == 0


async def test_a_call_is_approved_and_errors_are_notices(machine: Machine, browser: Browser) -> None:
    pay = call("wire", heartbeat=True, to="Bo", amount=250)
    async with opened(machine, browser, pay) as (rig, site):
        await rig.send("Pay.")
        page = await site.open(f"{ANA}/events")
        await expect(page.locator(".approval pre").nth(1)).to_have_text("250")
        await page.get_by_label("Reason, for the agent").fill("It is due.")
        await page.get_by_role("button", name="Approve once").click()
        await expect(page.locator(".approval")).to_have_count(0)

        async def is_sent() -> bool:
            return any(row.text.startswith("sent 250") for row in await rig.log())

        await until(is_sent)
        assert await approvals.approvals(rig.kernel, "ana") == ()
        await page.get_by_text("New timer").click()
        await page.get_by_label("Note").fill("Water the plants")
        await page.get_by_role("button", name="Set it").click()
        await expect(page.locator("#notices")).to_contain_text("Give a time")
        await expect(page.get_by_label("Note")).to_have_value("Water the plants")
        await page.get_by_label("Time", exact=True).fill("+2h")
        await page.get_by_role("button", name="Set it").click()
        await expect(page.locator("table")).to_contain_text("Water the plants")
        await site.check(page)


async def test_hostile_text_does_nothing_on_a_phone(machine: Machine, browser: Browser) -> None:
    """All of the texts at once, wherever text comes in: nothing runs or is asked for, nothing overflows."""
    texts = STORED_TEXTS
    assert len(texts) >= 30
    pay = call("wire", heartbeat=True, to=texts[0], amount=1, note="\n".join(texts))
    async with opened(machine, browser, pay) as (rig, site):
        for name, text in zip(("human", "persona"), ("\n".join(texts[:8])[:700], texts[13]), strict=True):
            await sections.edit_section(rig.kernel, "ana", name, text[:300])
        for text in texts:
            await remember(rig.kernel, "ana", f"boat {text}", tags=[text[:60]])
            await rig.send(Event(EventKind.OVERHEARD, f"boat {text}", sender="Bo"))
            await park(rig, text)
            await add_timer(rig.kernel, "ana", text, when="+2h")
        await add_document(rig, *texts, title=texts[1][:150])
        await rig.send("Pay.")
        context = await site.context(width=WIDTHS["phone"])
        page = await site.open(f"{ANA}/memory", context)
        more = [f"documents/d1/pages/{n}" for n in range(2, len(texts) + 1)]
        more += [f"search?q=boat&page={n}" for n in range(2, 8)] + ["passages?page=2", "passages?parts=true"]
        for path in (*PAGES, *more):
            await page.goto(f"{ANA}/{path}")
            await page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
            await site.check(page)


@pytest.mark.parametrize(("width", "theme"), [("phone", "dark"), ("tablet", "light"), ("wide", "dark")])
async def test_pages_of_memory_are_accessible(
    machine: Machine, browser: Browser, width: str, theme: str
) -> None:
    pay = call("wire", heartbeat=True, to="Bo", amount=250)
    async with opened(machine, browser, pay) as (rig, site):
        await sections.edit_section(rig.kernel, "ana", "human", "Likes green tea.")
        await sections.edit_section(rig.kernel, "ana", "human", "Likes black tea.")
        await remember(rig.kernel, "ana", "A boat.", tags=["sea"])
        await add_document(rig, "The ebb.", "The flood.")
        await add_timer(rig.kernel, "ana", "Water.", cron="0 9 * * *")
        await park(rig)
        await rig.send("Pay for the boat.")
        page = await site.open(f"{ANA}/memory", width=WIDTHS[width], theme=theme)
        for path in PAGES:
            await page.goto(f"{ANA}/{path}")
            await page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
            assert await axe(page) == [], path
            await site.check(page)
