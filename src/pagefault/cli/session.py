"""One run of a command: which home, JSON or text, and a kernel that is opened and closed around it.

The kernel is not entered: a command that looks or posts serves nobody. ``chat`` and ``run`` enter theirs.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import anyio

from pagefault.build import open_kernel
from pagefault.cli.render import plain
from pagefault.config import (
    AgentSettings,
    Installation,
    home_folder,
    load_installation,
    parse_settings,
    zone_of,
)
from pagefault.kernel import Kernel
from pagefault.types import AgentRecord


@dataclass(frozen=True, slots=True)
class Session:
    """Where the data is and how to answer. ``home`` and ``database`` are as given with the options, if so."""

    home: Path | None
    database: str | None
    json: bool

    @property
    def folder(self) -> Path:
        return home_folder(self.home)

    @property
    def installation(self) -> Installation:
        return load_installation(self.folder, self.database)

    def run(self, work: Callable[[Kernel], Awaitable[None]]) -> None:
        """Do a command's work with a kernel over the home."""

        async def opened() -> None:
            kernel = open_kernel(self.folder, installation=self.installation)
            try:
                await work(kernel)
            finally:
                await kernel.store.close()

        anyio.run(opened)

    def show(self, data: Any, text: str) -> None:
        """Answer: ``data`` as JSON or ``text`` for people, on stdout."""
        print(json.dumps(data, ensure_ascii=False, indent=2) if self.json else plain(text), flush=True)


def settings_of(record: AgentRecord) -> AgentSettings:
    return parse_settings(dict(record.settings))


def zone_for(record: AgentRecord) -> ZoneInfo:
    """The time zone in which an agent's times are shown and read."""
    return zone_of(settings_of(record))[0]
