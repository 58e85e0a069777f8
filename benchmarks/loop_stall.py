"""The longest time that the caller's event loop stands still while an agent is opened and talked with.

    python benchmarks/loop_stall.py [--before DIR] [--runs N]

A task ticks every 5 ms in the same loop; a stall is the time between two ticks beyond that. Each run is a
new process on an empty home, with the offline model, and imports pagefault before the clock starts.
``--before`` is a checkout of an earlier version, where ``Agent(...)`` was the way in.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

CHILD = """
import asyncio, json, tempfile, time
import pagefault

async def main():
    longest, stage = {}, "open"
    async def tick():
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.005)
            now = time.perf_counter()
            longest[stage] = max(longest.get(stage, 0.0), now - last - 0.005)
            last = now
    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.02)
    home = tempfile.mkdtemp()
    if hasattr(pagefault, "open"):
        async with pagefault.open(home) as pf:
            await asyncio.sleep(0.02)
            stage = "agent"
            ana = await pf.agent("ana")
            await asyncio.sleep(0.02)
            stage = "send"
            for text in ("My dog is called Bruno.", "What is my dog called?"):
                await ana.send(text)
            await asyncio.sleep(0.02)
            stage = "close"
    else:
        with pagefault.Agent("ana", home=home) as ana:
            await asyncio.sleep(0.02)
            stage = "send"
            for text in ("My dog is called Bruno.", "What is my dog called?"):
                await ana.send(text)
            await asyncio.sleep(0.02)
            stage = "close"
    await asyncio.sleep(0.02)
    ticking.cancel()
    print(json.dumps(longest))

asyncio.run(main())
"""


def run(source: Path) -> dict[str, float]:
    environment = os.environ | {"PYTHONPATH": str(source / "src")}
    ran = subprocess.run(
        [sys.executable, "-c", CHILD], env=environment, check=True, capture_output=True, text=True
    )
    return json.loads(ran.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    versions = {"before": given.before, "after": Path(__file__).parents[1]}
    print(f"{'longest stall, ms':20} {'open':>8} {'agent':>8} {'send':>8} {'close':>8}")
    for name, source in versions.items():
        if source is None:
            continue
        runs = [run(source) for _ in range(given.runs)]
        cells = [
            statistics.median(each.get(stage, 0.0) for each in runs) * 1000
            for stage in ("open", "agent", "send", "close")
        ]
        print(f"{name:20} " + " ".join(f"{cell:8.0f}" for cell in cells))


if __name__ == "__main__":
    main()
