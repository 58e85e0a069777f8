"""Parts of an agent in asynchronous code: its sections, passages, documents, timers and settings.

Each method is a call of a view or of an edit, imported when it is used. Leaves out what those do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import to_thread

from pagefault.errors import UsageError
from pagefault.facade.checking import checked_methods
from pagefault.facade.handle import Handle

if TYPE_CHECKING:
    from typing import Unpack

    from pagefault.clock import When
    from pagefault.config import AgentSettings
    from pagefault.facade.options import AgentOptions
    from pagefault.ingest import LoadReport
    from pagefault.views.agents import TimerView
    from pagefault.views.documents import DocumentFinds, DocumentList, DocumentPage, DocumentView
    from pagefault.views.events import EventView
    from pagefault.views.memory import PassageView, SearchPage, SectionVersion, SectionView

__all__ = ["AsyncDocuments", "AsyncEvents", "AsyncPassages", "AsyncSections", "AsyncSettings", "AsyncTimers"]


class _Part:
    """Base of the parts."""

    def __init__(self, handle: Handle) -> None:
        self._agent = handle


@checked_methods
class AsyncSections(_Part):
    """The sections of the working context. The agent learns of a change by an event; the head of its prompt
    changes at the next flush."""

    async def list(self) -> tuple[SectionView, ...]:
        """All sections in the order of their creation."""
        from pagefault.views import memory

        return await memory.sections(self._agent.kernel, self._agent.name)

    async def read(self, section: str) -> SectionView:
        """One section; ``NotFoundError`` if there is none of this name."""
        from pagefault.views import memory

        return await memory.section(self._agent.kernel, self._agent.name, section)

    async def versions(self, section: str) -> tuple[SectionVersion, ...]:
        """All versions of a section, oldest first; the current one is the last."""
        from pagefault.views import memory

        return await memory.section_versions(self._agent.kernel, self._agent.name, section)

    async def write(self, section: str, text: str) -> None:
        """Replace the text of a section; ``UsageError`` if it is longer than the section's limit."""
        from pagefault.kernel import sections

        await sections.edit_section(self._agent.kernel, self._agent.name, section, text)

    async def add(
        self,
        section: str,
        description: str = "",
        *,
        limit: float = 200,
        text: str = "",
        read_only: bool = False,
    ) -> None:
        """Add a section. ``description`` tells the agent what belongs there; with ``read_only`` it cannot
        change the text. ``limit``: tokens or, below 1, a share of the window; ``UsageError`` if that leaves
        no room for messages."""
        from pagefault.kernel import sections

        await sections.add_section(
            self._agent.kernel, self._agent.name, section, description=description, limit=limit, text=text,
            read_only=read_only,
        )  # fmt: skip

    async def remove(self, section: str) -> None:
        """Remove a section; ``versions`` still has its texts."""
        from pagefault.kernel import sections

        await sections.remove_section(self._agent.kernel, self._agent.name, section)

    async def set_limit(self, section: str, limit: float) -> None:
        """Give a section another limit: tokens or, below 1, a share of the window, whatever that is later.

        ``UsageError`` if its text does not fit, or if that leaves no room for messages.
        """
        from pagefault.kernel import sections

        await sections.set_limit(self._agent.kernel, self._agent.name, section, limit)


@checked_methods
class AsyncPassages(_Part):
    """The passages of archival storage by id (``p7``); ``AsyncAgent.remember`` adds one."""

    async def get(self, id: str) -> PassageView:
        """One passage; ``NotFoundError`` if there is none of this id."""
        from pagefault.views import memory

        return await memory.passage(self._agent.kernel, self._agent.name, id)

    async def edit(self, id: str, text: str, *, tags: Sequence[str] | None = None) -> str:
        """Replace the text of a passage, and its ``tags`` if given. It is stored anew: return its new id.
        Those it had go on naming it.

        ``UsageError`` for a part of a document: load the changed document instead.
        """
        from pagefault.kernel import edits

        edited = await edits.edit_passage(self._agent.kernel, self._agent.name, id, text, tags=tags)
        return edited.id

    async def delete(self, id: str) -> None:
        """Delete a passage; ``NotFoundError`` if there is none of this id."""
        from pagefault.kernel import edits

        await edits.delete_passage(self._agent.kernel, self._agent.name, id)

    async def list(self, *, page: int = 1, tags: Sequence[str] = ()) -> SearchPage:
        """One page of the passages, newest first; ``page`` from 1. ``tags``: only those with all of them."""
        from pagefault.views import memory

        return await memory.search(
            self._agent.kernel, self._agent.name, tier="archival", page=page, tags=tags
        )

    async def import_from(self, importer: str, path: str | Path) -> tuple[str, ...]:
        """Store what an importer reads from a file or folder, all or nothing; return the ids of the passages.

        ``importer``: the name of a plug-in of the group ``pagefault.importers``.
        """
        from pagefault.kernel import edits
        from pagefault.plugins import Plugins

        importers = Plugins("importers")
        if importer not in importers:
            names = ", ".join(importers) or "none; install a package that has it"
            raise UsageError(f"There is no importer {importer!r}; installed are: {names}.")
        read = await to_thread.run_sync(lambda: importers[importer]()(Path(path)))
        return await edits.add_passages(self._agent.kernel, self._agent.name, read)


@checked_methods
class AsyncDocuments(_Part):
    """The documents that were loaded, by id (``d1``)."""

    async def load(
        self,
        *targets: str | Path,
        tags: Sequence[str] = (),
        title: str | None = None,
        kind: str = "",
        encoding: str = "",
        ocr: bool = False,
        password: str = "",
    ) -> LoadReport:
        """Load files, folders and URLs into archival storage; the agent learns of it by an event.

        ``title`` is for a single document; ``encoding`` is the character set of text, by default detected;
        with ``ocr`` the text of scanned pages is recognised; ``password`` opens PDFs that have one, and is
        not kept. The report says of each source whether it was loaded, what of it was left out, and why not;
        ``UsageError`` if the extra ``pagefault[documents]`` is not installed.
        """
        from pagefault import ingest

        sources = list(ingest.find([str(target) for target in targets], kind=kind))
        how = ingest.ReadingOptions(encoding, ocr, password, kind)
        return await ingest.load(
            self._agent.kernel, self._agent.name, sources, tags=tags, title=title, options=how
        )

    async def list(self, *, page: int = 1) -> DocumentList:
        """One page of the documents, newest first; ``page`` from 1."""
        from pagefault.views import documents

        return await documents.documents(self._agent.kernel, self._agent.name, page=page)

    async def get(self, id: str) -> DocumentView:
        """One document; ``NotFoundError`` if there is none of this id."""
        from pagefault.views import documents

        return await documents.document(self._agent.kernel, self._agent.name, id)

    async def page(self, id: str, page: int = 1) -> DocumentPage:
        """One page of a document; ``NotFoundError`` if there is no such document or page."""
        from pagefault.views import documents

        return await documents.document_page(self._agent.kernel, self._agent.name, id, page)

    async def find(self, id: str, text: str, *, page: int = 1) -> DocumentFinds:
        """The pages of a document that have this text; case and accents do not matter. ``page``: of the
        results."""
        from pagefault.views import documents

        return await documents.find(self._agent.kernel, self._agent.name, id, text, page=page)

    async def delete(self, id: str) -> None:
        """Delete a document with its pages and passages; ``NotFoundError`` if there is none of this id."""
        from pagefault.kernel import edits

        await edits.delete_document(self._agent.kernel, self._agent.name, id)


@checked_methods
class AsyncTimers(_Part):
    """The agent's timers by id (``t3``). They fire while ``Pagefault.serve`` runs, here or in another
    process."""

    async def list(self) -> tuple[TimerView, ...]:
        """All timers, the next one first."""
        from pagefault.views import agents

        return await agents.timers(self._agent.kernel, self._agent.name)

    async def add(
        self, note: str, *, when: When = None, cron: str | None = None, catch_up: str = "once"
    ) -> str:
        """Set a timer and return its id. ``note``: the text that the agent gets when it fires.

        ``when``: a time, a time from now, or either as people write it (``tomorrow 9am``, ``+2h``); or
        ``cron``: a cron line. ``catch_up``: if its time is missed it fires ``once`` later, or it does not
        (``skip``).
        """
        from pagefault.kernel import edits

        added = await edits.add_timer(
            self._agent.kernel, self._agent.name, note, when=when, cron=cron, catch_up=catch_up
        )
        return added.id

    async def remove(self, id: str) -> None:
        """Remove a timer; ``NotFoundError`` if there is none of this id."""
        from pagefault.kernel import edits

        await edits.remove_timer(self._agent.kernel, self._agent.name, id)


@checked_methods
class AsyncEvents(_Part):
    """The agent's inbox: events that wait, and those that are parked because their turn failed again and
    again."""

    async def list(self, *, parked: bool = False) -> tuple[EventView, ...]:
        """The events that are open or parked; only the parked ones if so."""
        from pagefault.views.events import events

        return await events(self._agent.kernel, self._agent.name, parked=parked)

    async def retry(self, id: int) -> int:
        """Post a parked event again, and return the number of the new one."""
        from pagefault.kernel import parked

        return (await parked.retry_event(self._agent.kernel, self._agent.name, id)).id

    async def drop(self, id: int) -> None:
        """Give a parked event up; ``NotFoundError`` if there is none of this number."""
        from pagefault.kernel import parked

        await parked.drop_event(self._agent.kernel, self._agent.name, id)


@checked_methods
class AsyncSettings(_Part):
    """The agent's settings, stored with it."""

    async def read(self) -> AgentSettings:
        """All settings with their values."""
        from pagefault.config import settings_of

        return settings_of(await self._agent.kernel.record(self._agent.name))

    async def change(self, **options: Unpack[AgentOptions]) -> AgentSettings:
        """Change the settings given and return all; they hold from the next event on.

        With ``sections`` the working context gets those declared: a new one starts with its ``text``, the
        others keep what they say. Limits that are shares of the window change with the window.
        ``UsageError``, and nothing is changed, if the agent could not work so.
        """
        from pagefault.config import parse_settings

        stored = dict((await self._agent.kernel.record(self._agent.name)).settings)
        changed = parse_settings(stored | dict(options))
        await self._agent.kernel.change_settings(self._agent.name, changed)
        return changed
