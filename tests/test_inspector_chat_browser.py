"""Talking with an agent in a browser: speech streams in, rows are kept once, nothing harms."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from hostile_texts import STORED_TEXTS
from image_files import png
from inspector_home import Gate, GatedModel, answering, opened
from inspector_pages import NEEDS, PATIENCE, WIDTHS, Site, axe, chromium, filled, serving, site_over, until
from pagefault.images import read_image
from pagefault.kernel import Kernel
from pagefault.kernel.tenancy import create_key, revoke_key
from pagefault.types import Event, EventKind, Role
from pagefault.views.history import rows_after

pytestmark = [pytest.mark.anyio, pytest.mark.slow, NEEDS]
expect.set_options(timeout=PATIENCE)

TO_THE_TOP = """() => {
  document.getElementById("scroller").scrollTop = 0;
  const rows = document.querySelectorAll("#rows > li");
  return [rows[0].id, rows.length];
}"""
"""Scrolls to the top; gives the first row there, and how many there are."""

TEA = "I moved to Hangzhou last spring; the tea is better here."


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def browser() -> AsyncGenerator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
async def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return await filled(tmp_path_factory.mktemp("large") / "home")


@pytest.fixture(scope="module")
async def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return await filled(tmp_path_factory.mktemp("small") / "home", 12)


@pytest.fixture
def home(small: Path, tmp_path: Path) -> Path:
    """A home of one's own, with a short log."""
    return Path(shutil.copytree(small, tmp_path / "home"))


async def ids(page: Page) -> list[str]:
    """The ids of the rows that are shown, from the top."""
    return await page.locator("#rows > li.row").evaluate_all("rows => rows.map(row => row.id)")


async def write(page: Page, text: str) -> None:
    await page.get_by_label("Message", exact=True).fill(text)
    await page.get_by_label("Message", exact=True).press("Enter")


def _gated(*gates: Gate) -> GatedModel:
    return GatedModel(answering, *gates)


async def _log(kernel: Kernel) -> list[str]:
    """The texts of what users said to ana."""
    return [row.text for row in await rows_after(kernel, "ana", roles=[Role.USER])]


# looking


@pytest.mark.parametrize(("width", "theme"), [("phone", "dark"), ("tablet", "light"), ("wide", "dark")])
async def test_pages_are_accessible_in_each_width(
    large: Path, browser: Browser, width: str, theme: str
) -> None:
    async with site_over(large, browser) as site:
        context = await site.context(WIDTHS[width], theme)
        for path in ("/", "/agents/ana", "/agents/卡尔"):
            page = await site.open(path, context)
            assert await axe(page) == []
            await site.check(page)
            await page.close()


@pytest.mark.parametrize("width", WIDTHS.values())
async def test_hostile_text_does_nothing(small: Path, browser: Browser, width: int) -> None:
    async with site_over(small, browser) as site:
        page = await site.open("/agents/mallory", width=width)
        while await page.locator("#earlier button").count():
            count = len(await ids(page))
            await page.locator("#scroller").evaluate("element => { element.scrollTop = 0; }")
            await page.wait_for_function(
                "count => document.querySelectorAll('#rows > li').length > count", arg=count
            )
        await page.locator("#rows details").evaluate_all("all => all.forEach(each => { each.open = true; })")
        for number in range(len(STORED_TEXTS)):
            assert await page.locator("#rows > li.user", has_text=f"#hostile{number:02}").count() == 1
        assert await page.locator("#rows li :is(script, style, iframe, form, base, meta, link)").count() == 0
        inside = "all => all.every(each => each.scrollWidth <= each.parentElement.clientWidth + 1)"
        assert await page.locator("#rows > li").evaluate_all(inside)
        await site.check(page)


async def test_the_whole_log_can_be_read_back_without_gaps_or_doubles(large: Path, browser: Browser) -> None:
    async with site_over(large, browser) as site:
        page = await site.open("/agents/ana")
        await expect(page.locator("#rows > li").last).to_be_in_viewport()
        for details in await page.locator("#rows details").all():
            assert await details.get_attribute("open") is None
        for _ in range(4):
            top, count = await page.evaluate(TO_THE_TOP)
            await page.wait_for_function(
                "count => document.querySelectorAll('#rows > li').length > count", arg=count
            )
            await expect(page.locator(f"#{top}")).to_be_in_viewport()
        numbers = [int(id[1:]) for id in await ids(page)]
        assert numbers == sorted(set(numbers))
        assert len(numbers) > 80
        await site.check(page)


async def test_it_can_be_read_in_chinese(home: Path, browser: Browser) -> None:
    async with site_over(home, browser) as site:
        page = await site.open("/agents/ana", language="zh-CN")
        await expect(page.get_by_role("navigation", name="智能体页面").get_by_text("对话")).to_be_visible()
        await page.get_by_role("button", name="English").click()
        await expect(page.get_by_role("link", name="Chat")).to_be_visible()
        await page.get_by_role("button", name="Theme: as the system").click()
        assert await page.locator("html").get_attribute("data-theme") == "dark"


# talking


async def test_a_reply_streams_in_and_is_rendered_when_it_is_whole(home: Path, browser: Browser) -> None:
    gate = Gate()
    async with site_over(home, browser, _gated(gate)) as site:
        page = await site.open("/agents/ana")
        await write(page, TEA)
        await gate.reached.wait()
        await expect(page.locator("#rows > li.user").last).to_contain_text("Hangzhou")
        await expect(page.locator("#live")).to_be_visible()
        await expect(page.locator("#stop")).to_be_visible()
        assert await page.locator("#live").inner_text() != ""
        gate.opened.set()
        await expect(page.locator("#rows > li.assistant").last.locator("strong")).to_have_text("Hangzhou")
        await expect(page.locator("#live")).to_be_hidden()
        await expect(page.locator("#stop")).to_be_hidden()
        shown = await ids(page)
        assert len(shown) == len(set(shown))
        await site.check(page)


async def test_each_tab_hears_and_what_waits_is_shown(home: Path, browser: Browser) -> None:
    gate = Gate()
    async with site_over(home, browser, _gated(gate)) as site:
        context = await site.context()
        one, other = await site.open("/agents/ana", context), await site.open("/agents/ana", context)
        await write(one, TEA)
        await gate.reached.wait()
        await expect(other.locator("#rows > li.user").last).to_contain_text("Hangzhou")
        await write(other, "Compare the two plans for me.")
        await expect(other.locator("#chat-state .waiting")).to_contain_text("Compare")
        gate.opened.set()
        for page in (one, other):
            await expect(page.locator("#rows > li.assistant td", has_text="8 GB").last).to_be_visible()
            await expect(page.locator("#chat-state .waiting")).to_have_count(0)
            await expect(page.locator("#outgoing li")).to_have_count(0)
        assert await ids(one) == await ids(other)


async def test_a_turn_can_be_stopped(home: Path, browser: Browser) -> None:
    gate = Gate()
    async with site_over(home, browser, _gated(gate)) as site:
        page = await site.open("/agents/ana")
        await write(page, TEA)
        await gate.reached.wait()
        await page.get_by_role("button", name="Stop the turn").click()
        await expect(page.locator("#rows > li.alert").last).to_contain_text("cancelled")
        await expect(page.locator("#stop")).to_be_hidden()
        await expect(page.locator("#live")).to_be_hidden()


async def test_a_call_that_waits_is_decided_on_here(home: Path, browser: Browser) -> None:
    async with site_over(home, browser) as site:
        page = await site.open("/agents/卡尔")
        card = page.locator("#chat-state .approval")
        await expect(card).to_contain_text('"to": "Bo <script>"')
        await card.get_by_role("button", name="Approve").click()
        await expect(page.locator("#rows > li.result").last).to_contain_text("Paid 250 to Bo <script>")
        await expect(card).to_have_count(0)
        await site.check(page)


# what breaks


async def test_nothing_is_lost_or_doubled_when_the_server_goes_and_comes_back(
    home: Path, browser: Browser
) -> None:
    gate = Gate()
    async with opened(home, _gated(gate)) as kernel, serving(kernel) as url:
        site = Site(url, kernel, browser)
        page = await site.open("/agents/ana")
        await write(page, TEA)
        await gate.reached.wait()
        await expect(page.locator("#live")).to_be_visible()
    await expect(page.locator("#link-state")).to_contain_text("connection is lost")
    await write(page, "Compare the two plans for me.")
    await expect(page.locator("#outgoing li")).to_contain_text("not sent yet")
    async with opened(home, _gated()) as kernel, serving(kernel, int(url.rpartition(":")[2])):
        await expect(page.locator("#rows > li.assistant td", has_text="8 GB").last).to_be_visible()
        await expect(page.locator("#link-state")).to_be_hidden()
        await expect(page.locator("#outgoing li")).to_have_count(0)
        await expect(page.locator("#live")).to_be_hidden()
        log = await _log(kernel)
        assert log[-2:] == [TEA, "Compare the two plans for me."]
        assert await page.locator("#rows > li.user").count() == len(log)
        shown = await ids(page)
        assert len(shown) == len(set(shown))
        await page.reload()
        assert await ids(page) == shown
    await site.close()


async def test_what_was_said_while_the_network_was_gone_comes_once(home: Path, browser: Browser) -> None:
    async with site_over(home, browser) as site:
        page = await site.open("/agents/ana")
        await write(page, TEA)
        await expect(page.locator("#rows > li.assistant").last).to_contain_text("How is Longjing")
        shown = len(await ids(page))
        await page.context.set_offline(True)
        await site.kernel.post("ana", Event(EventKind.MESSAGE, "Compare the two plans for me."))
        await site.kernel.idle("ana")
        await write(page, "How do I list the files?")
        await expect(page.locator("#outgoing li")).to_contain_text("not sent yet")
        await page.context.set_offline(False)
        await expect(page.locator("#rows > li.assistant pre", has_text="sort").last).to_be_visible()
        await expect(page.locator("#outgoing li")).to_have_count(0)
        now = await ids(page)
        assert len(now) == len(set(now)) == shown + 6
        assert (await _log(site.kernel))[-2:] == ["Compare the two plans for me.", "How do I list the files?"]


async def test_who_is_signed_out_signs_in_again_and_loses_nothing(home: Path, browser: Browser) -> None:
    async with site_over(home, browser) as site:

        async def sign_in(page: Page, name: str) -> None:
            await page.get_by_label("API key").fill(await create_key(site.kernel, name))
            await page.get_by_role("button", name="Sign in").click()
            await expect(page).to_have_url(f"{site.url}/agents/ana")

        await create_key(site.kernel, "first")
        page = await site.open("/agents/ana")
        assert await axe(page) == []
        await sign_in(page, "ann")
        await expect(page.get_by_role("button", name="Sign out (ann)")).to_be_visible()
        await expect(page.locator("#context")).not_to_be_empty()  # nothing else is asked for by itself
        await page.context.clear_cookies()
        await write(page, TEA)
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await sign_in(page, "bea")
        await expect(page.locator("#rows > li.assistant").last).to_contain_text("How is Longjing")
        await expect(page.locator("#outgoing li")).to_have_count(0)
        assert (await _log(site.kernel)).count(TEA) == 1
        await page.get_by_label("Message", exact=True).fill("a draft")
        await revoke_key(site.kernel, "bea")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await sign_in(page, "cho")
        await expect(page.get_by_label("Message", exact=True)).to_have_value("a draft")
        await site.check(page)


async def test_errors_are_sentences_and_the_text_comes_back(home: Path, browser: Browser) -> None:
    async with site_over(home, browser) as site:
        page = await site.open("/agents/ana")
        agent = (await site.kernel.record("ana")).id
        await site.kernel.store.write(lambda tx: tx.park_agent(agent, "its model is gone <b>"))
        site.kernel.forget("ana")
        await write(page, "Are you there?")
        await expect(page.locator("#notices")).to_contain_text("parked")
        await expect(page.get_by_label("Message", exact=True)).to_have_value("Are you there?")
        await expect(page.locator("#outgoing li")).to_have_count(0)


async def test_enter_that_ends_a_composition_sends_nothing(home: Path, browser: Browser) -> None:
    async with site_over(home, browser) as site:
        page = await site.open("/agents/ana")
        field = page.get_by_label("Message", exact=True)
        await field.fill("你好")
        await field.dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True})
        await field.dispatch_event("keydown", {"key": "Enter", "keyCode": 229, "bubbles": True})
        await field.press("Shift+Enter")
        await field.press_sequentially("again")
        await expect(field).to_have_value("你好\nagain")
        await page.reload()
        await expect(field).to_have_value("你好\nagain")
        await field.press("Enter")
        await expect(page.locator("#rows > li.user").last).to_contain_text("again")
        await expect(field).to_have_value("")
        await page.reload()
        await expect(field).to_have_value("")


async def test_the_end_is_followed_unless_somebody_reads_further_up(
    large: Path, browser: Browser, tmp_path: Path
) -> None:
    home = Path(shutil.copytree(large, tmp_path / "home"))
    async with site_over(home, browser) as site:
        page = await site.open("/agents/ana")
        await write(page, TEA)
        await expect(page.locator("#rows > li.assistant").last).to_contain_text("How is Longjing")
        await expect(page.locator("#rows > li").last).to_be_in_viewport()
        await page.locator("#scroller").evaluate(
            "element => { element.scrollTop = element.scrollHeight / 2; }"
        )
        await expect(page.locator("#rows > li").last).not_to_be_in_viewport()
        top = await page.locator("#scroller").evaluate("element => element.scrollTop")
        await site.kernel.post("ana", Event(EventKind.MESSAGE, "Compare the two plans for me."))
        await expect(page.locator("#rows > li.assistant").last).to_contain_text("8 GB")
        assert await page.locator("#scroller").evaluate("element => element.scrollTop") == top
        await page.get_by_role("button", name="Newest").click()
        await expect(page.locator("#rows > li").last).to_be_in_viewport()


async def test_images_are_shown_by_their_hash(home: Path, browser: Browser) -> None:
    async with site_over(home, browser) as site:
        content = read_image(png(4, 3))
        await site.kernel.post("ana", Event(EventKind.MESSAGE, "See this", contents=(content,)))
        page = await site.open("/agents/ana")
        image = page.locator("#rows img")
        await until(lambda: image.evaluate("image => image.complete && image.naturalWidth === 4"))
        await site.check(page)
