"""An agent that is imported into: found or made, then filled batch by batch.

Messages go to recall storage behind what is there, with their own dates; passages and documents to archival
storage. The sections of a file are those of an agent that the import makes; one that exists keeps its own,
and gets the texts as passages. Left out: reading (the importers), and which agent it is (``runner``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pagefault.config import AgentSettings
from pagefault.errors import NameTakenError, NotFoundError, UsageError
from pagefault.importers.documents import DocumentImport
from pagefault.importers.items import (
    ImportedAgent,
    ImportedDocument,
    ImportedMessage,
    ImportedPassage,
    ImportedSection,
    Omission,
)
from pagefault.importers.making import AgentMaker, suggested_settings
from pagefault.importers.report import AgentTally
from pagefault.importers.texts import plain_text, record_name, section_name
from pagefault.importers.values import ValueMaker
from pagefault.kernel import Kernel
from pagefault.kernel.imported import digest_of
from pagefault.kernel.importing import ImportedValue, ImportRun, note_imported, was_imported
from pagefault.types import AgentId, AgentRecord
from pagefault.views import memory as views

__all__ = ["ImportTarget"]

_MOST_ROWS = 1000  # in a transaction
_MOST_CHARACTERS = 2_000_000


@dataclass(slots=True)
class ImportTarget:
    """One agent while it is imported into. ``about``: it as the file has it, if it has one; ``is_named``: the
    caller said which agent it is; ``defaults``: the settings of a new agent; ``is_new``: it may not exist."""

    kernel: Kernel
    kind: str
    about: ImportedAgent | None
    is_named: bool
    make: ValueMaker
    defaults: AgentSettings
    trust: bool
    dry: bool
    is_new: bool
    _record: AgentRecord | None = None
    _is_open: bool = False
    _sections: list[ImportedSection] = field(default_factory=list[ImportedSection])
    _rows: list[ImportedValue] = field(default_factory=list[ImportedValue])
    _passages: list[ImportedValue] = field(default_factory=list[ImportedValue])
    _documents: DocumentImport = field(init=False)
    _runs: dict[str, ImportRun] = field(default_factory=dict[str, ImportRun])

    def __post_init__(self) -> None:
        self._documents = DocumentImport(self.kernel, self.kind, self.tally, self.make.whole, self.dry)

    @property
    def tally(self) -> AgentTally:
        return self.make.tally

    @property
    def has_any(self) -> bool:
        """Return whether something came that is not a section."""
        return self._is_open or bool(self._rows or self._passages or self._documents.waiting)

    def take(self, item: ImportedMessage | ImportedPassage | ImportedSection | ImportedDocument) -> None:
        """Keep an item until the next flush."""
        if isinstance(item, ImportedMessage):
            if row := self.make.message(item):
                self._rows.append(row)
        elif isinstance(item, ImportedPassage):
            if passage := self.make.passage(item):
                self._passages.append(passage)
        elif isinstance(item, ImportedSection):
            self._sections.append(item)
        elif self.make.is_since(self.make.utc(item.at) or self.make.now):
            self._documents.waiting.append(item)

    async def flush(self, *, is_last: bool) -> None:
        """Store what has come. Sections wait until something else comes, or all is there."""
        if not is_last and not self.has_any:
            return
        if not self._is_open:
            self._is_open = True
            self._record = await self._found() or await self._made()
        sections, self._sections = self._sections, []
        for section in sections:
            await self._keep(section)
        for group, values, counts in (
            (self.kind, self._rows, self.tally.messages),
            (f"{self.kind}.passages", self._passages, self.tally.passages),
        ):
            agent = self._record.id if self._record else AgentId(0)
            run = self._runs.setdefault(group, ImportRun(self.kernel, agent, group, self.dry))
            for batch in _batches(values):
                counts.update(await run.store(batch))
            values.clear()
        await self._documents.flush(self._record)

    async def _found(self) -> AgentRecord | None:
        """The agent, if it exists and is meant; its settings stay as they are."""
        try:
            record = await self.kernel.record(self.tally.agent)
        except NotFoundError:
            return None
        if self.is_new:
            raise NameTakenError(record.name)
        if self.about is not None:
            group, key = f"{self.kind}.agent", digest_of(self.about.name)
            if not self.is_named and not await was_imported(self.kernel, record.id, group, key):
                raise UsageError(
                    f"There is an agent {record.name} already; import into it with --agent {record.name}, or "
                    "into another with --agent and its name."
                )
            self.tally.left_out.update(suggested_settings(self.about))
        return record

    async def _made(self) -> AgentRecord | None:
        """Make the agent with the sections that have come; those that are too large stay."""
        maker = AgentMaker(self.kernel, self.kind, self.tally.agent, self.about, self.defaults, self.trust)
        record = await maker.make(self._sections, dry=self.dry)
        self.tally.made, self.tally.sections, self._sections = True, maker.sections, maker.too_large
        self.tally.left_out.update(maker.left_out)
        if record and self.about is not None:
            await note_imported(self.kernel, record.id, f"{self.kind}.agent", digest_of(self.about.name))
            if sections := list(map(digest_of, maker.sections)):
                await note_imported(self.kernel, record.id, self._group_of_sections, *sections)
        return record

    @property
    def _group_of_sections(self) -> str:
        return f"{self.kind}.sections"

    async def _keep(self, section: ImportedSection) -> None:
        """Store a section's text as a passage, unless the agent has it."""
        text, name = plain_text(section.text), section_name(section.name)
        if not text or (
            self._record
            and any(each.text == text for each in await views.sections(self.kernel, self._record.name))
        ):
            return
        if self._record and await was_imported(
            self.kernel, self._record.id, self._group_of_sections, digest_of(name)
        ):  # it was changed since, or forgotten
            self.make.whole.omit(Omission("section that was imported before", section.name))
            return
        self.make.whole.omit(Omission("section kept as a passage", section.name))
        self.take(
            ImportedPassage(text, None, ("section",), record_name(section.name), place=f"section:{name}")
        )


def _batches(values: Sequence[ImportedValue]) -> Iterator[list[ImportedValue]]:
    batch, size = list[ImportedValue](), 0
    for value in values:
        length = len(value.value.text)
        if batch and (len(batch) == _MOST_ROWS or size + length > _MOST_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(value)
        size += length
    if batch:
        yield batch
