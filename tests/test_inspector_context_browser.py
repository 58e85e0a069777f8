"""The main context, turns and usage in a browser: time travel, hovering, keys; no harm at any width."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from playwright.async_api import expect

from inspector_pages import NEEDS, PATIENCE, WIDTHS, Site, axe, chromium, filled, site_over
from pagefault.views.context import context_blocks

pytestmark = [pytest.mark.anyio, pytest.mark.slow, NEEDS]
expect.set_options(timeout=PATIENCE)

CONTEXT = "/agents/ana/context"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Site]:
    home = await filled(Path(tmp_path_factory.mktemp("context")) / "home", 60)
    async with chromium() as browser, site_over(home, browser) as site:
        yield site


SHOWN = "#context-view .context-view"


async def test_the_slider_goes_from_step_to_step_by_keys(site: Site) -> None:
    page = await site.open(CONTEXT)
    view, slider = page.locator(SHOWN), page.get_by_label("Step", exact=True)
    await expect(view).to_have_attribute("data-at", "")
    newest = (await context_blocks(site.kernel, "ana")).newest
    assert newest
    await slider.focus()
    await slider.press("ArrowLeft")
    await expect(view).to_have_attribute("data-at", newest[1:])
    before = (await context_blocks(site.kernel, "ana", int(newest[1:]))).step
    assert before
    assert before.before
    await slider.press("ArrowLeft")
    await expect(view).to_have_attribute("data-at", before.before[1:])
    await expect(page).to_have_url(re.compile(rf"\?at={before.before[1:]}$"))
    await slider.press("ArrowRight")
    await expect(view).to_have_attribute("data-at", newest[1:])
    await slider.press("Home")
    await expect(page.get_by_role("link", name="Step before")).to_have_count(0)
    first = await view.get_attribute("data-at")
    assert first
    seen = await context_blocks(site.kernel, "ana", int(first))
    await expect(page.locator(".window-line strong")).to_have_text(f"{seen.prompt:,}")
    await slider.press("End")
    await expect(view).to_have_attribute("data-at", "")
    await expect(slider).to_be_focused()
    await site.check(page)


async def test_dragging_the_slider_redraws_what_the_model_saw(site: Site) -> None:
    page = await site.open(CONTEXT)
    await page.get_by_label("Step", exact=True).fill("30")
    view = page.locator(SHOWN)
    seen = await context_blocks(site.kernel, "ana", 30)
    assert seen.step
    await expect(view).to_have_attribute("data-at", seen.step.id[1:])
    tiles = [block for block in seen.blocks if block.tokens]
    await expect(page.locator(".tile")).to_have_count(len(tiles))
    await page.get_by_role("link", name="Now").click()
    await expect(view).to_have_attribute("data-at", "")
    await site.check(page)


async def test_a_block_is_read_by_pointer_and_by_keys_and_leads_to_the_log(site: Site) -> None:
    page = await site.open(f"{CONTEXT}?at=30")
    blocks = (await context_blocks(site.kernel, "ana", 30)).blocks
    panel = page.locator("#block-panel")
    row = next(index for index, block in enumerate(blocks) if block.kind == "user")
    await page.locator(f'.tile[data-index="{row}"] > rect').first.hover()
    await expect(panel).to_contain_text(blocks[row].id)
    await page.locator(".tile").first.focus()
    await expect(panel.locator(".block-text")).to_contain_text("virtual memory")
    await page.keyboard.press("ArrowRight")
    await expect(panel).to_contain_text(blocks[1].name)
    await expect(page.locator('.tile[tabindex="0"]')).to_have_count(1)
    await page.locator(f'.tile[data-index="{row}"]').focus()
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(rf"/log/{blocks[row].id}$"))
    await expect(page.locator(f"li#{blocks[row].id}")).to_have_attribute("aria-current", "true")
    await site.check(page)


async def test_beside_the_chat_the_context_travels_too(site: Site) -> None:
    page = await site.open("/agents/ana", width=1600)
    await page.get_by_role("link", name="Step before").click()
    newest = (await context_blocks(site.kernel, "ana")).newest
    assert newest
    await expect(page.locator(SHOWN)).to_have_attribute("data-at", newest[1:])
    assert page.url.endswith("/agents/ana")
    await site.check(page)


async def test_a_turns_bars_lead_to_their_rows(site: Site) -> None:
    page = await site.open("/agents/ana/turns")
    await page.locator("tbody tr th a").last.click()
    bar = page.locator(".flame a.bar-model").first
    to = await bar.get_attribute("href")
    await bar.focus()
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(rf"{to}$"))
    await page.get_by_role("link", name="What the model saw").first.click()
    await expect(page.locator(".tile").first).to_be_visible()
    await site.check(page)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
async def test_pages_hold_in_every_width_and_theme(site: Site, width: int, theme: str) -> None:
    context = await site.context(width, theme, "zh-CN" if theme == "dark" else "en")
    for name in ("ana", "mallory"):
        base, newest = f"/agents/{name}", (await context_blocks(site.kernel, name)).newest
        for path in ("context", f"context?at={(newest or 'm1')[1:]}", "turns", "turns/2", "log/m2", "usage"):
            page = await site.open(f"{base}/{path}", context)
            await site.check(page)
            assert name == "mallory" or await axe(page) == []
            await page.close()
    page = await site.open("/usage", context)
    await site.check(page)
    assert await axe(page) == []
