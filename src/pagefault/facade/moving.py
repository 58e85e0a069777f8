"""Imports into an agent, and exports of it for other programs and for people, in asynchronous code.

Leaves out what else can be done with an agent (``facade.agent``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagefault.facade.checking import checked_methods
from pagefault.facade.forgetting import AsyncForgetting

if TYPE_CHECKING:
    from pathlib import Path

    from pagefault.clock import When
    from pagefault.exporters.writing import ExportKind, ExportReport
    from pagefault.importers.report import ImportReport

__all__ = ["AsyncMoving"]


@checked_methods
class AsyncMoving(AsyncForgetting):
    """The part of ``AsyncAgent`` on imports and exports."""

    async def import_from(
        self, path: str | Path, *, kind: str | None = None, me: str = "", zone: str = "", since: When = None
    ) -> ImportReport:
        """Import what another program exported into this agent, as ``Pagefault.import_from`` does; it is not
        woken, and its settings stay as they are."""
        from pagefault.config import settings_of
        from pagefault.importers.runner import ImportWishes, import_source

        kernel, wishes = self._handle.kernel, ImportWishes(self.name, kind, me, zone, since)
        return await import_source(kernel, path, settings_of(await kernel.record(self.name)), wishes)

    async def export_to(self, path: str | Path, *, kind: ExportKind = "af") -> ExportReport:
        """Write the agent to a new file for other programs, or for people; return what has no place there.

        ``kind``: ``af``, Letta's agent file, or ``markdown``. The whole of it, to move it, is written by
        ``pagefault export`` without a form. ``UsageError`` if the file is there.
        """
        from pagefault.exporters.writing import export_to_file

        return await export_to_file(self._handle.kernel, self.name, path, kind)
