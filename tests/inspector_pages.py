"""The inspector in a browser: a server over a home that is filled once, Debian's Chromium, axe.

``site_over`` serves a home on the loopback; ``chromium`` is to be one for a module. ``Site.check`` fails if
anything of foreign text ran on a page opened through ``Site.open``, was loaded from elsewhere, or a script
failed. Tests are async, and share an event loop with the server.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

from inspector_home import fill, model, opened
from pagefault.config import parse_settings
from pagefault.kernel import Kernel
from pagefault.models import Model
from pagefault.server import ServerOptions, create_app
from pagefault.server.running import bind, serve

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NEEDS = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium; install it with: apt-get install chromium"
)
WIDTHS = {"phone": 360, "tablet": 900, "wide": 1600}
PATIENCE = 60_000  # milliseconds, which only end a test that hangs


@dataclass
class Site:
    """A server's address, its kernel, and what went wrong on the pages that were opened."""

    url: str
    kernel: Kernel
    browser: Browser
    faults: list[str] = field(default_factory=list[str])
    contexts: list[BrowserContext] = field(default_factory=list[BrowserContext])

    async def context(self, width: int = 1280, theme: Any = "light", language: str = "en") -> BrowserContext:
        """A visitor with cookies and storage of its own."""
        context = await self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, locale=language, base_url=self.url,
            reduced_motion="reduce",
        )  # fmt: skip
        context.set_default_timeout(PATIENCE)
        await context.add_init_script("window.hostile = () => { window.hit = 'hostile' }")
        self.contexts.append(context)
        return context

    async def open(self, path: str, context: BrowserContext | None = None, **looks: Any) -> Page:
        """A page, whose faults are kept."""
        page = await (context or await self.context(**looks)).new_page()
        page.on("pageerror", lambda error: self.faults.append(f"{path}: {error}"))
        page.on("console", self._said)
        page.on("request", lambda request: self._asked(request.url))
        page.on("dialog", lambda dialog: self.faults.append(f"{path}: dialog {dialog.message}"))
        await page.goto(path)
        return page

    async def close(self) -> None:
        for context in self.contexts:
            await context.close()
        self.contexts.clear()

    def _said(self, message: ConsoleMessage) -> None:
        status = ("Failed to load resource", "Response Status Error Code")  # errors that are shown
        if message.type == "error" and not message.text.startswith(status):
            self.faults.append(message.text)

    def _asked(self, url: str) -> None:
        is_ours = url.startswith((self.url, "data:"))
        if not is_ours or "/hostile" in urlsplit(url).path:
            self.faults.append(f"asked for {url}")

    async def check(self, page: Page) -> None:
        """Nothing of foreign text ran, and the page is no wider than its window."""
        assert await page.evaluate("window.hit") is None
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page.url
        assert self.faults == [], self.faults


async def axe(page: Page, *, every: bool = False) -> list[str]:
    """The serious findings of axe-core on a page, or those of every weight, each with the elements."""
    await page.evaluate(_axe())  # past the policy, as a debugger does
    found = await page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{each['id']}: {json.dumps([node['target'] for node in each['nodes']][:5])}"
        for each in found["violations"]
        if every or each["impact"] in ("serious", "critical")
    ]


@cache
def _axe() -> str:
    (script,) = [each for each in files("axe-playwright-python") or () if each.name == "axe.min.js"]
    return script.read_text("utf-8")


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    """A headless Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def serving(kernel: Kernel, port: int = 0) -> AsyncGenerator[str]:
    """A server over a kernel on a port of the loopback, 0: any free one; its address."""
    options = ServerOptions(agent=parse_settings({"zone": "UTC"}), grace=2.0, session_secret="s" * 32)
    stop, stopped = anyio.Event(), anyio.Event()
    with bind("127.0.0.1", port) as listener:

        async def run() -> None:
            await serve(create_app(kernel, options), [listener], stop)
            stopped.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:  # a server that is cancelled would leave its socket to the next one
                stop.set()
                await stopped.wait()


@asynccontextmanager
async def site_over(home: Path, browser: Browser, script: Model | None = None) -> AsyncGenerator[Site]:
    """A server over a home."""
    async with opened(home, script or model()) as kernel, serving(kernel) as url:
        site = Site(url, kernel, browser)
        try:
            yield site
        finally:
            await site.close()


async def filled(folder: Path, rows: int = 2000) -> Path:
    """A home with the agents of ``inspector_home``."""
    await anyio.Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    async with opened(folder, model()) as kernel:
        await fill(kernel, rows)
    return folder


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds."""
    with anyio.fail_after(PATIENCE / 1000):
        while not await condition():  # noqa: ASYNC110  nothing signals it
            await anyio.sleep(0.02)
