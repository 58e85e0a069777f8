"""An agent as an exporter reads it: what it has now, and its log page by page up to where that ended then.

Left out: rows that were undone, vectors, and what agents share but for the copies that an agent has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from pagefault.config import AgentSettings, settings_of
from pagefault.errors import PagefaultError
from pagefault.kernel import Kernel
from pagefault.types import AgentRecord, Document, Message, Passage, Section
from pagefault.views.agents import timers
from pagefault.views.stored import (
    archive_documents,
    document_text,
    memories,
    passage_numbers,
    passages_of,
    rows_between,
)

__all__ = ["ExportedAgent", "Losses", "read_agent"]

_ROWS = 2000  # at once
_PASSAGES = 500


@dataclass(slots=True)
class Losses:
    """Counts of what an export has no place for, by what it is."""

    counts: Counter[str] = field(default_factory=Counter[str])

    def add(self, what: str, count: int = 1) -> None:
        if count:
            self.counts[what] += count

    def sentences(self) -> list[str]:
        """Return a phrase for each kind, as ``3 timers``."""
        return [f"{count:,} {what}" for what, count in sorted(self.counts.items())]


@dataclass(frozen=True, slots=True)
class ExportedAgent:
    """An agent at the moment when its export began. ``window``: in tokens, 0 if its model cannot be asked;
    ``passages``: the numbers of those that are no part of a document; ``archives``: the names of those
    attached."""

    kernel: Kernel
    record: AgentRecord
    settings: AgentSettings
    window: int
    sections: tuple[Section, ...]
    documents: tuple[Document, ...]
    passages: tuple[int, ...]
    timers: int
    archives: tuple[str, ...]

    async def rows(self) -> AsyncGenerator[Message]:
        """The rows of its log that count, from the first to that which was the last then."""
        for first in range(1, self.record.last_seq + 1, _ROWS):
            last = min(first + _ROWS - 1, self.record.last_seq)
            for row in await rows_between(self.kernel, self.record.id, first, last):
                if not row.erased:
                    yield row

    async def texts_of(self, numbers: Sequence[int]) -> AsyncGenerator[Passage]:
        """Its passages of these numbers that are still there."""
        for start in range(0, len(numbers), _PASSAGES):
            for passage in await passages_of(self.kernel, self.record.id, numbers[start : start + _PASSAGES]):
                yield passage

    async def text_of(self, document: Document) -> str:
        return await document_text(self.kernel, self.record.id, document)


async def read_agent(kernel: Kernel, name: str) -> ExportedAgent:
    """Read what an agent has; ``NotFoundError`` if there is none of this name."""
    record = await kernel.record(name)
    settings = settings_of(record)
    (memory,) = await memories(kernel, [record])
    return ExportedAgent(
        kernel,
        record,
        settings,
        await _window(kernel, settings),
        memory.sections,
        tuple(await archive_documents(kernel, record.id)),
        tuple(await passage_numbers(kernel, record.id)),
        len(await timers(kernel, name)),
        tuple(archive.name for archive, _ in memory.archives),
    )


async def _window(kernel: Kernel, settings: AgentSettings) -> int:
    try:
        window, _ = await kernel.window(settings)
    except PagefaultError:  # the model's name is not valid any more, or its server is away
        return settings.window or 0
    return window
