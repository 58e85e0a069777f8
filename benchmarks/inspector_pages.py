"""The first view of the inspector's pages, of an agent of 2,000 messages: milliseconds of the server, bytes.

    python benchmarks/inspector_pages.py [--rows 2000] [--views 50]

The home is that of the inspector's tests: Chinese, long words, hostile text, flushes. Bytes are those on the
wire with the compression that browsers ask for, all files included that the page names. One request of
another address comes before: FastAPI makes its routes at the first one, whichever it is, which is shown
apart. Left out: the browser.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import anyio
import httpx2

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from inspector_home import fill, model, opened  # pyright: ignore[reportMissingImports]  # of the tests
from pagefault.config import parse_settings
from pagefault.server import ServerOptions, create_app, inspector

PAGES = {
    "agents": "/",
    "chat, 2,000 messages": "/agents/ana",
    "chat, waits for a person": f"/agents/{quote('卡尔')}",
}
AIM_MS, AIM_BYTES = 300, 200_000
HEADERS = {"accept": "text/html", "accept-encoding": "gzip"}


async def measured(client: httpx2.AsyncClient, path: str, views: int) -> tuple[float, list[float], int, int]:
    """Milliseconds of the first view and of the others; bytes of the page, and with all its files."""
    times: list[float] = []
    text, size = "", 0
    for _ in range(views + 1):
        began = time.perf_counter()
        page = await client.get(path, headers=HEADERS)
        times.append((time.perf_counter() - began) * 1000)
        text, size = page.raise_for_status().text, len(page.content)
    files = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', text))
    whole = size
    for file in files:
        async with client.stream("GET", file, headers=HEADERS) as response:
            whole += sum([len(chunk) async for chunk in response.aiter_raw()])
    return times[0], times[1:], size, whole


async def run(rows: int, views: int) -> bool:
    fits = True
    with tempfile.TemporaryDirectory() as folder:
        async with opened(Path(folder), model()) as kernel:
            await fill(kernel, rows)
        async with opened(Path(folder), model()) as kernel:
            inspector.prepare()  # as a server does before it listens
            app = create_app(kernel, ServerOptions(agent=parse_settings({"zone": "UTC"})))
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8283") as client:
                began = time.perf_counter()
                await client.get("/no/such/page")
                ready = time.perf_counter() - began
                print(f"load average {os.getloadavg()[0]:.1f}; routes made in {ready:.2f} s")
                print(
                    "| page | first ms | p50 ms | p95 ms | page kB | all kB |\n|---|---:|---:|---:|---:|---:|"
                )
                for name, path in PAGES.items():
                    first, rest, page, whole = await measured(client, path, views)
                    p95 = statistics.quantiles(rest, n=20)[-1]
                    print(
                        f"| {name} | {first:.0f} | {statistics.median(rest):.1f} | {p95:.1f} | "
                        f"{page / 1000:.1f} | {whole / 1000:.1f} |"
                    )
                    fits &= first < AIM_MS and whole < AIM_BYTES
    return fits


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--views", type=int, default=50)
    given = parser.parse_args()
    sys.exit(0 if anyio.run(run, given.rows, given.views) else 1)


if __name__ == "__main__":
    main()
