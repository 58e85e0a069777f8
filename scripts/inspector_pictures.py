"""Draw the pictures of the inspector in docs/figures: its pages in Chromium over the home of its tests.

    python scripts/inspector_pictures.py [PAGE ...]        (by default all; a page is a key of PAGES)

The agent has 2,000 messages. Pictures are made in three widths, both themes and both languages, not in every
combination. Left out: looking at them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import anyio

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from inspector_home import TALK, fill, model, opened  # noqa: E402
from inspector_pages import WIDTHS, chromium, site_over  # noqa: E402

FOLDER = ROOT / "docs" / "figures"
LOOKS = (("wide", "light", "en"), ("tablet", "dark", "zh"), ("phone", "light", "en"))
PAGES = {
    "agents": "/",
    "chat": "/agents/ana",
    "context": "/agents/ana/context",
    "memory": "/agents/ana/memory",
    "search": "/agents/ana/search?query=Hangzhou",
    "turns": "/agents/ana/turns",
    "approval": "/agents/卡尔/events",
    "usage": "/usage",
}


async def draw(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        async with opened(home, model()) as kernel:
            await fill(kernel)
            for said, _ in (*TALK, *TALK[:3]):
                async for _ in kernel.send("ana", said):
                    pass
        async with chromium() as browser, site_over(home, browser) as site:
            for width, theme, language in LOOKS:
                context = await site.context(WIDTHS[width], theme, language)
                for name in names:
                    page = await site.open(PAGES[name], context)
                    await anyio.sleep(1)  # what is loaded behind the page
                    await page.screenshot(path=FOLDER / f"inspector-{name}-{width}-{theme}-{language}.png")
                    await page.close()
            if site.faults:
                sys.exit("\n".join(site.faults))


if __name__ == "__main__":
    anyio.run(draw, sys.argv[1:] or list(PAGES))
