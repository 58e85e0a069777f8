"""The declaration of a format: how its files are known, and what reads them. Left out: the formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pagefault.ingest.pages import Extracted
from pagefault.ingest.reading import Reading

__all__ = ["Format"]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of document. ``suffixes``: of the names of its files; ``declared``: further media types that
    servers give it; ``kind``: its name as an option, for text whose kind only a name tells; ``modules``: the
    packages that its reader imports."""

    media: str
    read: Callable[[bytes, Reading], Extracted]
    suffixes: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    kind: str = ""
    modules: tuple[str, ...] = ()
