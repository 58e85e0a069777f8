"""One run of a command: which home, JSON or text, and a kernel that is opened and closed around it.

The kernel is not entered: a command that looks or posts serves nobody. ``chat`` and ``run`` enter theirs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pagefault.cli.render import as_json, plain
from pagefault.config import Installation, home_folder, load_installation

if TYPE_CHECKING:
    from pagefault.kernel import Kernel


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
        import anyio

        from pagefault.build import open_kernel

        async def opened() -> None:
            kernel = open_kernel(self.folder, installation=self.installation)
            try:
                await work(kernel)
            finally:
                await kernel.close()

        anyio.run(opened)

    def show(self, data: Any, text: str) -> None:
        """Answer on stdout: ``data``, a view or JSON values, with ``--json``, else ``text``."""
        print(as_json(data, indent=2) if self.json else plain(text), flush=True)
