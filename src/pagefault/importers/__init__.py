"""Importers: conversations and memory from elsewhere, read as items and written into an agent.

    items.py      the values that an importer yields
    sources.py    a file, a folder or a ZIP as files that are read within bounds
    json_items.py JSON of any size, item by item;  texts.py: foreign texts, names and dates made storable
    kinds.py      the importers by kind: those shipped, and those of plug-ins
    runner.py     writes what they yield in batches;  report.py: what became of it
    chatgpt.py, claude.py, ...    a module a format

An importer reads and decides nothing: who is who, what is trusted and what is known already is the runner's.
It is synchronous and runs in a worker thread. No agent is woken and nothing is sent to a model. Left out: our
own exports (``transfer``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Protocol

from pagefault.importers.items import (
    BadRecord,
    ImportedAgent,
    ImportedDocument,
    ImportedMessage,
    ImportedPassage,
    ImportedRole,
    ImportedSection,
    ImportItem,
    Omission,
    Remark,
)
from pagefault.importers.sources import Source

__all__ = [
    "BadRecord",
    "ImportItem",
    "ImportOptions",
    "ImportedAgent",
    "ImportedDocument",
    "ImportedMessage",
    "ImportedPassage",
    "ImportedRole",
    "ImportedSection",
    "Importer",
    "Omission",
    "Remark",
    "Source",
]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The part of the caller's wishes that reading depends on. ``now``: what is later is no date; ``zone``:
    of times that name none; ``me``: the name of the person, as it stands in the file."""

    now: datetime
    zone: tzinfo = UTC
    me: str = ""


class Importer(Protocol):
    """Reads one kind of file. A plug-in's entry point in the group ``pagefault.importers`` is a class of this
    protocol, made without arguments; its name is the kind."""

    title: str
    """For people: ``ChatGPT export``."""

    def recognises(self, source: Source) -> bool:
        """Return whether the source is of this kind, by its content. It is asked of each importer in turn,
        so it reads no more than the beginning of a file or two, and raises nothing."""
        ...

    def read(self, source: Source, options: ImportOptions) -> Iterator[ImportItem]:
        """Yield the items in the order in which they are stored. What cannot be read is a ``BadRecord``;
        ``UsageError`` if the whole is not what it seemed."""
        ...
