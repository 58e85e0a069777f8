"""Undo, edit and forgetting in a browser, on a phone, with hostile text in what is taken back."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator

import pytest
from playwright.async_api import Browser, expect

from conftest import Machine
from hostile_texts import STORED_TEXTS
from inspector_pages import NEEDS, PATIENCE, WIDTHS, Site, axe, chromium, serving
from pagefault.testing.models import ScriptedModel, say
from pagefault.types import Role
from test_inspector_memory import ANA

pytestmark = [pytest.mark.anyio, pytest.mark.slow, NEEDS]
expect.set_options(timeout=PATIENCE)
SECRET = "4711-Aurora"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def browser() -> AsyncGenerator[Browser]:
    async with chromium() as browser:
        yield browser


async def test_what_was_said_is_undone_edited_and_forgotten(machine: Machine, browser: Browser) -> None:
    hostile = "\n".join((f"The code is {SECRET}.", *STORED_TEXTS))
    async with machine.open(ScriptedModel(lambda _: [say("ok")])) as rig, serving(rig.kernel) as url:
        site = Site(url, rig.kernel, browser)
        for text in ("one", hostile, "three"):
            await rig.send(text)

        async def said() -> list[str]:
            return [row.text for row in await rig.log() if row.role is Role.USER]

        page = await site.open(ANA, width=WIDTHS["phone"])
        await page.get_by_role("link", name="Undo").click()
        await page.get_by_role("button", name="Undo the last turn").click()
        await expect(page.get_by_text("the log goes on from m8.")).to_be_visible()
        assert len(await said()) == 2
        await expect(page.get_by_role("textbox")).to_have_value(re.compile(f"^The code is {SECRET}"))
        assert await axe(page) == []
        await site.check(page)

        await page.get_by_role("textbox").fill(f"Or not.\n{hostile}")
        await page.get_by_role("button", name="Send it anew").click()
        rows = page.locator("#rows > li.user")
        await expect(rows.last).to_contain_text("Or not.")
        await expect(rows).to_have_count(2)
        await expect(page.locator("#rows > li.assistant")).to_have_count(2)
        await rig.kernel.idle()

        await page.goto(f"{ANA}/forgetting")
        await page.get_by_label("Text").fill(SECRET.lower())
        await page.get_by_role("button", name="Show what would go").click()
        await expect(page.get_by_role("heading", name="This would be forgotten")).to_be_visible()
        assert SECRET in "".join(await said()), "nothing is changed before it is confirmed"
        await page.get_by_role("button", name="Forget it for good").click()
        await expect(page.get_by_role("heading", name="Forgotten for good")).to_be_visible()
        assert await said() == ["one", ""]
        await site.check(page)
        await page.goto(ANA)
        await expect(rows.last).to_contain_text("[forgotten]")
        await expect(page.locator("body")).not_to_contain_text(SECRET)

        await page.goto(f"{ANA}/forgetting")
        hold = page.locator("section", has=page.get_by_role("heading", name="Legal hold"))
        await hold.get_by_label("Reason").fill("case <b>7</b>")
        await hold.locator("form button").click()
        await expect(page.get_by_text("held: case (b)7(/b)").first).to_be_visible()
        await page.get_by_label("Text").fill("one")
        await page.get_by_role("button", name="Show what would go").click()
        await page.get_by_role("button", name="Forget it for good").click()
        await expect(page.get_by_text("so nothing of it is forgotten; lift the hold first.")).to_be_visible()
        assert await said() == ["one", ""]
        await site.check(page)
        await site.close()
