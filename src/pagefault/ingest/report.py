"""The report of a load, and the observer of its progress. Left out: loading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from pagefault.types import Document, Event

__all__ = ["LoadProgress", "LoadReport", "SilentProgress", "SourceResult"]


@dataclass(frozen=True, slots=True)
class SourceResult:
    """The outcome for one source; ``unpacked``: it was an archive, and what it holds is listed too. ``why``
    gives the reason if it was skipped or failed; ``notes``: sentences on what of it was not read as it
    stands."""

    source: str
    state: Literal["loaded", "replaced", "unchanged", "unpacked", "skipped", "failed"]
    document: Document | None = None
    chunks: int = 0
    why: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The outcome for all sources. ``event`` was posted to the agent (None if nothing changed, or if it is
    an archive); ``notice`` says why the document functions could not be switched on, empty if they are;
    ``informed``: the agents attached to the archive that got an event."""

    items: tuple[SourceResult, ...]
    event: Event | None = None
    notice: str = ""
    informed: tuple[str, ...] = ()


class LoadProgress(Protocol):
    """An observer of progress: of sources, and of the documents that are found in them. ``page`` may be
    called from another thread."""

    def begin(self, source: str) -> None: ...
    def page(self, done: int, total: int) -> None: ...
    def size(self, done: int, total: int) -> None: ...  # bytes of a large table
    def end(self, item: SourceResult) -> None: ...


class SilentProgress:
    """Ignores all progress."""

    def begin(self, source: str) -> None: ...
    def page(self, done: int, total: int) -> None: ...
    def size(self, done: int, total: int) -> None: ...
    def end(self, item: SourceResult) -> None: ...
