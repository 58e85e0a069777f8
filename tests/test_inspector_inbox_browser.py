"""The inbox in a browser: timers made and removed, parked events released; and axe over all pages at once."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator

import httpx2
import pytest
from playwright.async_api import Browser, expect

from conftest import Machine
from inspector_links import STARTS, furnished, kind_of, walk
from inspector_pages import NEEDS, PATIENCE, Site, axe, chromium, serving, until
from pagefault.testing.models import ScriptedModel, say
from pagefault.types import Role
from pagefault.views import agents, events
from test_inspector_memory import ANA, park

pytestmark = [pytest.mark.anyio, pytest.mark.slow, NEEDS]
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def browser() -> AsyncGenerator[Browser]:
    async with chromium() as browser:
        yield browser


async def test_a_timer_is_set_and_removed_and_a_parked_event_is_released(
    machine: Machine, browser: Browser
) -> None:
    model = ScriptedModel(lambda _: [say("It works now.")])
    async with machine.open(model) as rig, serving(rig.kernel) as url:
        site = Site(url, rig.kernel, browser)
        await park(rig)
        page = await site.open(f"{ANA}/events")
        await page.get_by_text("New timer").click()
        await page.get_by_label("Note").fill("Water the plants <b>")
        await page.get_by_label("or a cron line").fill("0 9 * * mon-fri")
        await page.get_by_label("A missed time").select_option(label="is skipped")
        await page.get_by_role("button", name="Set it").click()
        row = page.locator("table tbody tr")
        await expect(row).to_contain_text("Water the plants <b>")
        await expect(row).to_contain_text("missed: skipped")
        (timer,) = await agents.timers(rig.kernel, "ana")
        assert (timer.cron, timer.catch_up) == ("0 9 * * mon-fri", "skip")
        await row.locator("summary").click()
        await row.get_by_role("button", name="Remove it").click()
        await expect(page.get_by_text("No timer is set.")).to_be_visible()
        assert await agents.timers(rig.kernel, "ana") == ()

        await expect(page.get_by_role("heading", name="Parked events")).to_be_visible()
        await expect(page.locator(".event")).to_contain_text("It broke.")
        await page.get_by_role("button", name="Release: post it again").click()
        await expect(page.get_by_role("heading", name="Parked events")).to_have_count(0)

        async def is_served() -> bool:
            return any(row.role is Role.ASSISTANT for row in await rig.log())

        await until(is_served)
        await until(lambda: _is_empty(rig.kernel))
        await page.goto(ANA)
        await expect(page.locator("#rows > li.assistant")).to_contain_text("It works now.")
        await site.check(page)
        await site.close()


async def _is_empty(kernel: object) -> bool:
    return await events.events(kernel, "ana") == ()  # pyright: ignore[reportArgumentType]


async def test_axe_finds_nothing_on_any_page_in_either_theme(machine: Machine, browser: Browser) -> None:
    """Of each kind of page one, all that is folded open; findings of any weight count."""
    async with furnished(machine) as rig, serving(rig.kernel) as url:
        async with httpx2.AsyncClient(base_url=url) as client:
            found = await walk(client, *STARTS)
        other = re.compile(r"\?.*|(?<=/agents/)(ana|bo)|(?<=/memory/)\w+")  # pages of one kind
        paths = {other.sub("", kind_of(path)): path for path in sorted(found.pages)}
        assert len(paths) > 20
        site = Site(url, rig.kernel, browser)
        page, report = await site.open("/", width=1280), dict[str, list[str]]()
        for path in ("/login", *paths.values()):
            await page.goto(path)
            await page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
            for theme in ("light", "dark"):
                await page.emulate_media(color_scheme=theme)
                if wrong := await axe(page, every=True):
                    report[f"{path}, {theme}"] = wrong
        assert not report, "\n".join(f"{where}: {what}" for where, what in report.items())
        await site.check(page)
        await site.close()
