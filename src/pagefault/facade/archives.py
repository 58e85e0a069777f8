"""Archives in asynchronous code: archival storage with a name, attached to any number of agents.

Each method is a call of a view or of an edit, imported when it is used. Leaves out what those do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pagefault.facade.checking import checked_methods
from pagefault.facade.handle import Handle, OpenKernel, agents_of
from pagefault.shared import Archive

if TYPE_CHECKING:
    from pagefault.clock import When
    from pagefault.ingest import LoadReport
    from pagefault.views.archives import ArchiveView
    from pagefault.views.documents import DocumentList, DocumentPage
    from pagefault.views.memory import PassageView, SearchPage

__all__ = ["AsyncArchives"]


@checked_methods
class AsyncArchives:
    """The archives, by name. ``Pagefault.archives`` has all; ``AsyncAgent.archives`` lists those attached to
    the agent, and attaches to it. Ids are as an agent sees them (``manuals/p7``), or without the name."""

    def __init__(self, opened: OpenKernel, agent: Handle | None = None) -> None:
        self._opened = opened
        self._agent = agent

    async def create(self, name: str, description: str = "") -> ArchiveView:
        """Make an archive; ``UsageError`` if there is one of this name. ``description`` is told to each agent
        to which it is attached."""
        from pagefault.kernel import archives

        await archives.create(self._opened.kernel, name, description)
        return await self.get(name)

    async def list(self) -> tuple[ArchiveView, ...]:
        """The archives by name: all, or those attached to the agent."""
        from pagefault.views import archives

        return await archives.archives(self._opened.kernel, self._agent and self._agent.name)

    async def get(self, name: str) -> ArchiveView:
        """One archive; ``NotFoundError`` if there is none of this name."""
        from pagefault.views import archives

        return await archives.archive(self._opened.kernel, name)

    async def rename(self, name: str, new: str) -> None:
        """Give an archive another name; it stays attached, and its agents learn of it by an event."""
        from pagefault.kernel import archives

        await archives.rename(self._opened.kernel, name, new)

    async def delete(self, name: str) -> None:
        """Delete an archive with all that is in it; its agents learn of it by an event."""
        from pagefault.kernel import archives

        await archives.delete(self._opened.kernel, name)

    async def attach(self, name: str, *agents: str, read_only: bool = False) -> None:
        """Attach an archive to agents, which learn of it by an event; with ``read_only`` they can search and
        read it, and not change it. ``agents``: names; none, of ``AsyncAgent.archives``: that agent."""
        from pagefault.kernel import archives

        for agent in await self._of(agents):
            await archives.attach(self._opened.kernel, name, agent, read_only=read_only)

    async def detach(self, name: str, *agents: str) -> None:
        """Detach an archive from agents, as in ``attach``; ``NotFoundError`` if it is not attached."""
        from pagefault.kernel import archives

        for agent in await self._of(agents):
            await archives.detach(self._opened.kernel, name, agent)

    async def load(
        self,
        name: str,
        *targets: str | Path,
        tags: Sequence[str] = (),
        title: str | None = None,
        kind: str = "",
        encoding: str = "",
        ocr: bool = False,
        password: str = "",
    ) -> LoadReport:
        """Load files, folders and URLs into an archive, once for all its agents; each learns of it by an
        event. The rest as ``AsyncDocuments.load``."""
        from pagefault import ingest

        sources = list(ingest.find([str(target) for target in targets], kind=kind))
        how = ingest.ReadingOptions(encoding, ocr, password, kind)
        return await ingest.load(
            self._opened.kernel, Archive(name), sources, tags=tags, title=title, options=how
        )

    async def insert(self, name: str, text: str, *, tags: Sequence[str] = (), at: When = None) -> str:
        """Put a text into an archive unless it is there, and return its id (``manuals/p7``). ``at``: its
        time; None: now."""
        from pagefault.kernel.facts import remember

        return (await remember(self._opened.kernel, Archive(name), text, tags=tags, at=at)).id

    async def passage(self, name: str, id: str) -> PassageView:
        """One passage of an archive; ``NotFoundError`` if there is none of this id."""
        from pagefault.views import memory

        return await memory.passage(self._opened.kernel, Archive(name), id)

    async def delete_passage(self, name: str, id: str) -> None:
        """Delete a passage of an archive; ``NotFoundError`` if there is none of this id."""
        from pagefault.kernel import edits

        await edits.delete_passage(self._opened.kernel, Archive(name), id)

    async def search(
        self, name: str, query: str = "", *, page: int = 1, size: int = 10, tags: Sequence[str] = ()
    ) -> SearchPage:
        """Search one archive; without a query its passages, newest first. ``page``, from 1, of ``size``
        results; ``tags``: only those with all of them."""
        from pagefault.views import memory

        archive = Archive(name)
        return await memory.search(self._opened.kernel, archive, query, page=page, size=size, tags=tags)

    async def documents(self, name: str, *, page: int = 1) -> DocumentList:
        """One page of the documents of an archive, newest first."""
        from pagefault.views import documents

        return await documents.documents(self._opened.kernel, Archive(name), page=page)

    async def document_page(self, name: str, id: str, page: int = 1) -> DocumentPage:
        """One page of a document (``manuals/d1``); ``NotFoundError`` if there is no such document or page."""
        from pagefault.views import documents

        return await documents.document_page(self._opened.kernel, Archive(name), id, page)

    async def delete_document(self, name: str, id: str) -> None:
        """Delete a document of an archive with its passages; ``NotFoundError`` if there is none."""
        from pagefault.kernel import edits

        await edits.delete_document(self._opened.kernel, Archive(name), id)

    async def _of(self, agents: tuple[str, ...]) -> tuple[str, ...]:
        return await agents_of(self._opened, self._agent, agents, 'pf.archives.attach("manuals", "ana")')
