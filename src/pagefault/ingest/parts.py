"""Documents within documents: the files of an archive, what is attached to a message.

Each is a source of its own, named by what it is in (``mail.eml!/report.pdf``) and read like any other, with
its own limits. What one source holds, at any depth, is bounded here. Left out: taking a document apart
(``formats``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pagefault.config import LoadingSettings
from pagefault.errors import UsageError
from pagefault.ingest.pages import ReadPart
from pagefault.ingest.sources import Skipped, SourceContent
from pagefault.quoting import inline

__all__ = ["Nesting", "PartSource"]

_DEEPEST = 4  # an archive attached to a message that is in an archive has 2
_MOST_PARTS = 5_000  # of one source, at any depth
_MOST_BYTES = 512 << 20
_NAME = 200


@dataclass(frozen=True, slots=True)
class PartSource:
    """A part as a source. ``holder``: the name of what it is in; ``within``: a name that no other part there
    has."""

    part: ReadPart
    holder: str
    within: str

    @property
    def name(self) -> str:
        return f"{self.holder}!/{self.within}"

    @property
    def label(self) -> str:
        return PurePosixPath(self.within).stem

    async def read(self, limits: LoadingSettings) -> SourceContent:
        del limits  # they held when it was unpacked
        if self.part.why:
            raise UsageError(self.part.why)
        return SourceContent(self.part.data, PurePosixPath(self.within).name, self.part.declared)


@dataclass(slots=True)
class Nesting:
    """The count of what one source holds. ``depth``: of the documents at work in it."""

    depth: int = 0
    parts: int = 0
    size: int = 0

    def sources(self, holder: str, parts: Sequence[ReadPart]) -> Iterator[PartSource | Skipped]:
        """Yield the parts of a document as sources; what is over a bound is skipped, with the reason."""
        taken: dict[str, int] = {}
        for part in parts:
            source = PartSource(part, holder, _free_name(part.name, taken))
            self.parts, self.size = self.parts + 1, self.size + len(part.data)
            if over := self._over():
                yield Skipped(source.name, over)
                return
            yield Skipped(source.name, part.skip) if part.skip else source

    def _over(self) -> str:
        if self.depth > _DEEPEST:
            return f"It is {self.depth} documents deep; unpack what it is in, and load that."
        if self.parts > _MOST_PARTS:
            return f"Its source holds more than {_MOST_PARTS:,} documents; unpack it, and load the folder."
        if self.size > _MOST_BYTES:
            return f"Its source unpacks to more than {_MOST_BYTES >> 20} MB; unpack it, and load the folder."
        return ""


def _free_name(name: str, taken: dict[str, int]) -> str:
    """Return a name for a part, made of what shows, that no other has; it is never used as a path."""
    steps = [inline(step, _NAME).strip() for step in name.replace("\\", "/").split("/")]
    plain = "/".join(step for step in steps if step.strip(". "))[-_NAME:].lstrip("/") or "part"
    path = PurePosixPath(plain)
    while plain in taken:
        taken[plain] += 1
        plain = str(path.with_name(f"{path.stem} ({taken[plain]}){path.suffix}"))
    taken[plain] = 1
    return plain
