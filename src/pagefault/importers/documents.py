"""The documents of a file, loaded as ``pagefault load`` does, but for those that were deleted since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pagefault.config import LoadingSettings
from pagefault.errors import UsageError
from pagefault.importers.items import BadRecord, ImportedDocument
from pagefault.importers.report import AgentTally, ImportTally
from pagefault.importers.texts import plain_text, record_name
from pagefault.ingest.loading import load
from pagefault.ingest.sources import SourceContent
from pagefault.kernel import Kernel
from pagefault.kernel.edits import document_of
from pagefault.kernel.imported import digest_of
from pagefault.kernel.importing import note_imported, was_imported
from pagefault.types import AgentId, AgentRecord

__all__ = ["DocumentImport"]

_TOGETHER = 20  # loaded at a time
_MOST_BYTES = 16 << 20


@dataclass(slots=True)
class DocumentImport:
    """The documents of one agent that wait to be loaded."""

    kernel: Kernel
    kind: str
    tally: AgentTally
    whole: ImportTally
    dry: bool
    waiting: list[ImportedDocument] = field(default_factory=list[ImportedDocument])

    async def flush(self, record: AgentRecord | None) -> None:
        """Load what waits. ``record``: the agent; None if it is not there yet and nothing is stored."""
        while self.waiting:
            size, taken = 0, list[_Given]()
            while self.waiting and len(taken) < _TOGETHER and (not taken or size < _MOST_BYTES):
                taken.append(_Given(self.kind, self.waiting.pop(0)))
                size += len(taken[-1].item.data)
            gone = [record is not None and await self._is_gone(given, record) for given in taken]
            self.tally.documents["forgotten"] += sum(gone)
            wanted = [given for given, is_gone in zip(taken, gone, strict=True) if not is_gone]
            if self.dry or record is None:
                await self._count(wanted, record)
            elif wanted:
                await self._load(wanted, record.id)

    async def _is_gone(self, given: _Given, record: AgentRecord) -> bool:
        """Return whether a document was imported, and deleted or forgotten since."""
        if not await was_imported(self.kernel, record.id, f"{self.kind}.documents", given.key):
            return False
        return await document_of(self.kernel, record, given.name) is None

    async def _count(self, wanted: Sequence[_Given], record: AgentRecord | None) -> None:
        for given in wanted:
            is_there = record is not None and await document_of(self.kernel, record, given.name) is not None
            self.tally.documents["known" if is_there else "added"] += 1

    async def _load(self, wanted: Sequence[_Given], agent: AgentId) -> None:
        try:
            report = await load(self.kernel, self.tally.agent, wanted, announce=False)
        except UsageError as error:  # the packages are missing
            for given in wanted:
                self.whole.refuse(BadRecord(f"document {given.label}", str(error)))
            return
        for given, result in zip(wanted, report.items, strict=True):
            if result.state in ("failed", "skipped"):
                self.whole.refuse(BadRecord(f"document {given.label}", result.why))
                continue
            self.tally.documents["known" if result.state == "unchanged" else "added"] += 1
            await note_imported(self.kernel, agent, f"{self.kind}.documents", given.key)


@dataclass(frozen=True, slots=True)
class _Given:
    """The document of a file, as a source of documents."""

    kind: str
    item: ImportedDocument

    @property
    def name(self) -> str:
        return f"{self.kind}:{plain_text(self.item.source)}"

    @property
    def label(self) -> str:
        return record_name(self.item.title or self.item.file or self.item.source)

    @property
    def key(self) -> int:
        return digest_of("document", self.item.source)

    async def read(self, limits: LoadingSettings) -> SourceContent:
        if len(self.item.data) > limits.file << 20:
            raise UsageError(f"It has more than {limits.file:,} MB, the most that a document may have.")
        return SourceContent(self.item.data, self.item.file)
