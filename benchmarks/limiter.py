"""Thirty agents of one process against a provider that answers five requests a second, over HTTP.

Shown are the times until each agent had its answer, how many requests were refused, and how many turns ended
in an alert. The ideal is a median of 3 s and a last answer after 6 s.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

import anyio

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.endpoint import RequestSettings
from pagefault.testing.providers import ProviderRequest, ProviderServer, Turn, refuse
from pagefault.testing.providers.replies import spoken


class Limited:
    """A provider that refuses all requests beyond ``rate`` in a second."""

    def __init__(self, rate: int, headers: dict[str, str]) -> None:
        self.rate, self.headers = rate, headers
        self.lock = threading.Lock()
        self.answered: list[float] = []
        self.refused = 0

    def __call__(self, request: ProviderRequest) -> Turn:
        now = time.monotonic()
        with self.lock:
            if sum(at > now - 1 for at in self.answered) >= self.rate:
                self.refused += 1
                return refuse(429, "Too many requests", **self.headers)
            self.answered.append(now)
        return spoken(request, "Hello.")


async def run(agents: int, rate: int, headers: dict[str, str]) -> str:
    limited, times, alerts = Limited(rate, headers), list[float](), 0
    with ProviderServer(limited) as server, tempfile.TemporaryDirectory() as home:
        catalogue = Catalogue({})
        model = catalogue.model(f"{server.url}#m", 8192, RequestSettings(patience=600))
        async with open_kernel(
            Path(home), Parts(model=model, embedder=NullEmbedder()), Installation()
        ) as kernel:
            names = [f"agent{number}" for number in range(agents)]
            for name in names:
                await kernel.create_agent(name, parse_settings({"window": 8192, "zone": "UTC"}))
            began = time.monotonic()

            async def talk(name: str) -> None:
                nonlocal alerts
                async for output in kernel.send(name, "Hi."):
                    alerts += output.type == "alerted"
                times.append(time.monotonic() - began)

            async with anyio.create_task_group() as tasks:
                for name in names:
                    tasks.start_soon(talk, name)
        await catalogue.aclose()
    return f"{statistics.median(times):.1f} | {max(times):.1f} | {limited.refused} | {alerts}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=30)
    parser.add_argument("--rate", type=int, default=5, help="requests a second that are answered")
    given = parser.parse_args()
    print("| the refusal says | median s | last s | refused | alerts |\n|---|---:|---:|---:|---:|")
    for says, headers in {"nothing": {}, "Retry-After: 1": {"retry_after": "1"}}.items():
        print(f"| {says} | {anyio.run(run, given.agents, given.rate, headers)} |", flush=True)


if __name__ == "__main__":
    main()
