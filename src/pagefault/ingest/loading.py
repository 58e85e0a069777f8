"""Loading documents into archival storage, an agent's or an archive: read, extract, cut, store, post events.

Each document is stored in one transaction, whole or not at all, and replaces the one of the same source; an
unchanged one is skipped. A source that cannot be read is reported, and the others are loaded. No turn of an
agent is needed: the event waits in its inbox; of an archive each attached agent has one. Left out: vectors,
which are made in the background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import anyio

from pagefault.config import LoadingSettings, parse_settings
from pagefault.errors import ModelError, UsageError
from pagefault.functions.results import brief, counted
from pagefault.ingest.bounds import Bounds
from pagefault.ingest.extract import check_kind, need_extra
from pagefault.ingest.parts import Nesting
from pagefault.ingest.reader import DocumentReader, ReadDocument
from pagefault.ingest.reading import ReadingOptions
from pagefault.ingest.report import LoadProgress, LoadReport, SilentProgress, SourceResult
from pagefault.ingest.sources import DocumentSource, Skipped
from pagefault.ingest.table_loading import load_table
from pagefault.kernel import Kernel
from pagefault.kernel.archives import post_to_attached
from pagefault.kernel.edits import document_of, put_document
from pagefault.names import system_key
from pagefault.shared import Archive, StorageOwner
from pagefault.types import AgentRecord, Document, Event, EventKind, Page, Passage, Place

__all__ = ["load"]

_NAMED = 12  # documents that the event names
_NOTES = 200  # characters of the notes on each


async def load(
    kernel: Kernel,
    name: StorageOwner,
    sources: Sequence[DocumentSource | Skipped],
    *,
    tags: Sequence[str] = (),
    title: str | None = None,
    watch: LoadProgress | None = None,
    announce: bool = True,
    options: ReadingOptions | None = None,
) -> LoadReport:
    """Load sources for the agent of this name, or into an archive. ``title`` is for a single document.
    ``announce``: an event tells of what was loaded; ``options``: how it is read. ``UsageError`` if the
    packages are missing, ``NotFoundError`` without agent or archive.

    If it is cancelled, the event for the documents stored so far is still posted.
    """
    need_extra()
    if title is not None and sum(not isinstance(source, Skipped) for source in sources) != 1:
        raise UsageError("A title is for one document; leave it out, or name one file.")
    record, watch = await kernel.record(name), watch or SilentProgress()
    options = options or ReadingOptions()
    check_kind(options.kind)
    reader = DocumentReader(_bounds(kernel.loading), watch.page, options)
    items: list[SourceResult] = []
    loader = _Loader(kernel, record, tuple(dict.fromkeys(tags)), title, reader, options.mark, watch, items)
    event, notice, informed = None, "", ()
    try:
        for source in sources:
            if not await load_table(loader, source, options.kind):
                await loader.one(source, Nesting())
    finally:
        await reader.close()
        with anyio.CancelScope(shield=True):
            if announce or isinstance(name, Archive):
                event, notice, informed = await _announced(kernel, name, record, items)
            else:
                notice = await _offered(kernel, record, items)
    return LoadReport(tuple(items), event, notice, informed)


async def _announced(
    kernel: Kernel, name: StorageOwner, record: AgentRecord, items: Sequence[SourceResult]
) -> tuple[Event | None, str, tuple[str, ...]]:
    """Tell of what was loaded: the event, the notice and the agents of a report."""
    fresh = [item for item in items if item.state in ("loaded", "replaced")]
    if isinstance(name, Archive):
        return None, "", await _tell_attached(kernel, record, fresh) if fresh else ()
    notice = await _offered(kernel, record, items)
    told = Event(EventKind.UPLOAD_FINISHED, _event_text(fresh)) if fresh else None
    return await kernel.post(name, told) if told else None, notice, ()


async def _offered(kernel: Kernel, record: AgentRecord, items: Sequence[SourceResult]) -> str:
    return await _offer_functions(kernel, record) if any(item.document for item in items) else ""


@dataclass(frozen=True, slots=True)
class _Read:
    """A source that was read: its name and label, the digest of its bytes, whether a document of it is
    stored."""

    name: str
    label: str
    digest: str
    known: bool
    found: ReadDocument


@dataclass(frozen=True, slots=True)
class _Loader:
    kernel: Kernel
    owner: AgentRecord
    tags: tuple[str, ...]
    title: str | None
    reader: DocumentReader
    mark: str
    watch: LoadProgress
    items: list[SourceResult]

    async def one(self, source: DocumentSource | Skipped, nesting: Nesting) -> None:
        """Load a source. The documents in it are stored before it, so that one which is stored is done."""
        self.watch.begin(source.name)
        place = len(self.items)
        read = await self._read(source)
        if isinstance(read, SourceResult):
            result = read
        else:
            inner = replace(nesting, depth=nesting.depth + 1)
            for part in inner.sources(read.name, read.found.parts):
                await self.untitled().one(part, inner)
            nesting.parts, nesting.size = inner.parts, inner.size
            result = await self._result(read)
        self.items.insert(place, result)
        self.watch.end(result)

    def untitled(self) -> _Loader:
        """This loader for the documents within a source, which have titles of their own."""
        return replace(self, title=None)

    async def _read(self, source: DocumentSource | Skipped) -> SourceResult | _Read:
        """Read a source, unless it is known and unchanged; the outcome, if there is nothing to store."""
        if isinstance(source, Skipped):
            return SourceResult(source.name, "skipped", why=source.why)
        try:
            read = await source.read(self.kernel.loading)
            digest = sha256(read.data + self.mark.encode()).hexdigest()
            name = read.name or source.name
            known = await document_of(self.kernel, self.owner, name)
            if known and self._is_same(known, digest):
                return SourceResult(name, "unchanged", known)
            found = await self.reader.read(read)
            if self.title and not found.leaves:
                raise UsageError("A title is for one document, and this is an archive; leave the title out.")
        except UsageError as error:
            return SourceResult(source.name, "failed", why=str(error))
        except OSError as error:
            return SourceResult(source.name, "failed", why=f"{error.strerror or error}.")
        return _Read(name, source.label, digest, known is not None, found)

    async def _result(self, read: _Read) -> SourceResult:
        found = read.found
        if not found.leaves:
            return SourceResult(read.name, "unpacked", notes=found.notes)
        title = self.title or brief(found.title, 200) or read.label
        now = self.kernel.clock.now()
        document = Document(read.name, title, found.media, read.digest, now, 0, self.tags)
        stored = await self._store(document, found)
        state = "replaced" if read.known else "loaded"
        return SourceResult(read.name, state, stored, len(found.chunks), notes=found.notes)

    def _is_same(self, known: Document, digest: str) -> bool:
        return (known.digest, known.tags) == (digest, self.tags) and self.title in (None, known.title)

    async def _store(self, document: Document, found: ReadDocument) -> Document:
        pages = [Page(number, heading, text) for number, (text, heading) in enumerate(found.leaves, 1)]
        plain = Passage("", document.at, document.tags, document.source, 0, document.title)
        passages = [
            replace(plain, text=c.text, place=Place(0, c.page, c.section, c.start, c.stop))
            for c in found.chunks
        ]
        return await put_document(self.kernel, self.owner, document, pages, passages)


def _bounds(loading: LoadingSettings) -> Bounds:
    return Bounds(loading.seconds, loading.memory, loading.characters, loading.pages)


async def _offer_functions(kernel: Kernel, record: AgentRecord) -> str:
    """Switch the document functions on; return a sentence if that is not possible."""
    settings = parse_settings(dict(record.settings))
    if settings.documents:
        return ""
    try:
        await kernel.change_settings(record.name, settings.model_copy(update={"documents": True}))
    except (UsageError, ModelError) as error:
        return f"The agent can search the documents, but not turn their pages: {error}"
    return ""


async def _tell_attached(
    kernel: Kernel, archive: AgentRecord, items: Sequence[SourceResult]
) -> tuple[str, ...]:
    """Post one event to each agent to which the archive is attached; return their names. Documents that were
    told of before are not told of again."""
    loaded = [(d.number, d.digest, str(d.at)) for item in items if (d := item.document)]
    digest, at = sha256(repr(loaded).encode()).hexdigest(), kernel.clock.now()
    key = system_key(f"loaded:{archive.id}:{digest}")

    def event(name: str) -> Event:
        return Event(EventKind.UPLOAD_FINISHED, _event_text(items, name), key=key, at=at)

    return await post_to_attached(kernel, archive.id, event)


def _event_text(items: Sequence[SourceResult], archive: str = "") -> str:
    """Return the event's text: the loaded documents by the ids that the document functions take."""
    loaded = [(replace(item.document, archive=archive), item.notes) for item in items if item.document]
    named = [_named(document, notes) for document, notes in loaded[:_NAMED]]
    more = len(loaded) - len(named)
    also = f"; and {more} more, see document_list" if more else ""
    return f"Loaded into {f'archive {archive}' if archive else 'archival storage'}: {', '.join(named)}{also}."


def _named(document: Document, notes: Sequence[str]) -> str:
    said = f"; {brief(' '.join(notes), _NOTES).rstrip('.')}" if notes else ""
    return f'{document.id} "{brief(document.title, 80)}" ({counted(document.pages, "page")}{said})'
