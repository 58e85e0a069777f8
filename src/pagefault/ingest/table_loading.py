"""Loading a large table part by part, and deleting parts that its earlier state had and it has not any more.

Left out: cutting it (``tables``), and loading a part (``loading``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, Self

import anyio.to_thread

from pagefault.errors import UsageError
from pagefault.ingest.parts import Nesting
from pagefault.ingest.report import LoadProgress, SourceResult
from pagefault.ingest.sources import DocumentSource, Skipped
from pagefault.ingest.tables import is_table, large_table, part_name
from pagefault.kernel import Kernel
from pagefault.kernel.edits import delete_document, document_of
from pagefault.shared import Archive, StorageOwner, archive_of
from pagefault.types import AgentRecord

__all__ = ["load_table"]


class _PartLoader(Protocol):
    """The loader of single sources."""

    @property
    def kernel(self) -> Kernel: ...
    @property
    def owner(self) -> AgentRecord: ...
    @property
    def title(self) -> str | None: ...
    @property
    def watch(self) -> LoadProgress: ...
    @property
    def items(self) -> list[SourceResult]: ...
    def untitled(self) -> Self: ...
    async def one(self, source: DocumentSource | Skipped, nesting: Nesting) -> None: ...


async def load_table(loader: _PartLoader, source: DocumentSource | Skipped, kind: str) -> bool:
    """Load a source part by part if it is a large table; return whether it is one. A table that was large
    before loses its parts, and one that became large its whole document."""
    if isinstance(source, Skipped):
        return False
    try:
        table = large_table(source, loader.title, kind, loader.kernel.loading)
    except (UsageError, OSError):
        return False  # reading it as any other source says why
    place, count, watch = len(loader.items), 0, loader.watch
    if table:
        watch.begin(source.name)
        watch.size(0, table.size)
        parts = table.parts()
        while part := await anyio.to_thread.run_sync(next, parts, None):
            await loader.untitled().one(part, Nesting())
            watch.size(part.stop, table.size)
            count = part.number
        loader.items.insert(place, SourceResult(source.name, "unpacked"))
        watch.end(loader.items[place])
    if table or is_table(source.name, kind):
        await _delete_stale(loader, source.name, count + 1, whole=table is not None)
    return table is not None


async def _delete_stale(loader: _PartLoader, table: str, number: int, *, whole: bool) -> None:
    """Delete the parts of a table from this number on, and its ``whole`` document, if there are any."""
    kernel, record = loader.kernel, loader.owner
    stale = [await document_of(kernel, record, table)] if whole else []
    while found := await document_of(kernel, record, part_name(table, number)):
        stale.append(found)
        number += 1
    owner: StorageOwner = Archive(archive) if (archive := archive_of(record)) else record.name
    for document in filter(None, stale):
        await delete_document(kernel, owner, replace(document, archive="").id)
