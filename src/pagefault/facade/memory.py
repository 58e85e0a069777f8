"""An agent's memory alone, in asynchronous code: kept and searched by a loop of one's own, no model asked.

Each method is a call of a view or of an edit, imported when it is used. Leaves out what those do, and talking
with the agent (``facade.agent``), which has the same memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from pagefault.errors import UsageError
from pagefault.facade.checking import checked_methods
from pagefault.facade.handle import Handle

if TYPE_CHECKING:
    from pagefault.kernel import Kernel
    from pagefault.kernel.conversations import Appended, AppendedMessage
    from pagefault.views.history import History, LogRow
    from pagefault.views.memory import PassageView, SearchPage

    Given = str | Mapping[str, Any] | AppendedMessage

__all__ = ["AsyncMemory"]


@checked_methods
class AsyncMemory:
    """The memory of one agent: conversations in recall storage, facts in archival storage.
    ``Pagefault.memory`` and ``AsyncAgent.memory`` have it."""

    def __init__(self, handle: Handle, make: Callable[[], Awaitable[object]] | None = None) -> None:
        self._handle = handle
        self._make = make

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._handle.name

    def __repr__(self) -> str:
        return f"<AsyncMemory {self.name!r}>"

    async def _kernel(self) -> Kernel:
        """The kernel, once the agent is there."""
        kernel = self._handle.kernel
        if self._make:
            await self._make()
            self._make = None
        return kernel

    # conversations

    async def append(self, messages: Given | Sequence[Given], *, key: str | None = None) -> Appended:
        """Append messages that were said elsewhere, in their order; return their ids (``m12``).

        A message is a text, ``{"role": "user", "content": "...", "speaker": "Bo", "at": "2026-11-20 18:00",
        "key": "..."}`` or an ``AppendedMessage``; roles are user, assistant, event and system. ``key``, or
        keys of messages: what has one is appended once, however often it is given. ``UsageError``, and
        nothing is appended, for what cannot be a message.
        """
        from pagefault.kernel.conversations import append
        from pagefault.views.given_messages import given_messages

        return await append(await self._kernel(), self.name, given_messages(messages), key=key)

    async def conversation(
        self,
        id: str | None = None,
        *,
        before: str | None = None,
        after: str | None = None,
        limit: int = 20,
    ) -> History:
        """The ``limit`` messages around the one of this id, before or after another, or the newest. The page
        has the ids for the pages ``before`` and ``after`` it."""
        from pagefault.views.history import history

        kernel = await self._kernel()
        return await history(kernel, self.name, around=id, before=before, after=after, limit=limit)

    # both

    async def search(
        self,
        query: str = "",
        *,
        tier: Literal["recall", "archival"] | None = None,
        page: int = 1,
        size: int = 10,
        since: datetime | date | str | None = None,
        until: datetime | date | str | None = None,
        role: Sequence[str] = (),
        tags: Sequence[str] = (),
        as_of: datetime | date | str | None = None,
    ) -> SearchPage:
        """Search messages (``tier="recall"``), facts (``"archival"``) or both, as ``AsyncAgent.search``."""
        from pagefault.views.memory import search

        return await search(
            await self._kernel(), self.name, query, tier=tier, page=page, size=size, since=since, until=until,
            role=role, tags=tags, as_of=as_of,
        )  # fmt: skip

    async def get(self, id: str) -> PassageView | LogRow:
        """The fact (``p7``) or the message (``m12``) of this id; ``NotFoundError`` if there is none."""
        kernel = await self._kernel()
        if not id.startswith("m"):
            from pagefault.views.memory import passage

            return await passage(kernel, self.name, id)
        from pagefault.views.history import history

        return (await history(kernel, self.name, around=id, limit=1)).rows[0]

    # facts

    async def add(
        self,
        text: str,
        *,
        tags: Sequence[str] = (),
        at: datetime | date | str | None = None,
        valid_from: datetime | date | str | None = None,
        valid_until: datetime | date | str | None = None,
        always: bool = False,
    ) -> PassageView:
        """Put a fact into archival storage unless it is there already; ``said`` of the answer is a line that
        says what was done. A fact that the new one contradicts stays, marked (docs/tidy.md).

        ``at``: its time; None: now. ``valid_from``, ``valid_until``: when it holds. ``always``: store it
        whatever is there.
        """
        from pagefault.kernel.facts import remember
        from pagefault.views.memory import kept_passage

        kernel = await self._kernel()
        kept = await remember(
            kernel,
            self.name,
            text,
            tags=tags,
            at=at,
            valid_from=valid_from,
            valid_until=valid_until,
            always=always,
        )
        return await kept_passage(kernel, self.name, kept)

    async def supersede(self, id: str, by: str, *, since: datetime | date | str | None = None) -> PassageView:
        """Mark a fact as superseded by another one, ``since`` a time (None: from when the other one holds).
        It stays, and is found below the other one; ``restore`` takes the mark away."""
        from pagefault.kernel.facts import supersede
        from pagefault.views.memory import passage

        kernel = await self._kernel()
        return await passage(kernel, self.name, (await supersede(kernel, self.name, id, by, since=since)).id)

    async def restore(self, id: str) -> PassageView:
        """Let a fact that was superseded hold again; ``UsageError`` if it was not."""
        from pagefault.kernel.facts import restore
        from pagefault.views.memory import passage

        kernel = await self._kernel()
        return await passage(kernel, self.name, (await restore(kernel, self.name, id)).id)

    async def update(self, id: str, text: str, *, tags: Sequence[str] | None = None) -> PassageView:
        """Replace the text of a fact, and its ``tags`` if given. It is stored anew, with another id; each
        that it had goes on naming it."""
        from pagefault.kernel.edits import edit_passage
        from pagefault.views.memory import passage

        kernel = await self._kernel()
        stored = await edit_passage(kernel, self.name, _fact(id), text, tags=tags)
        return await passage(kernel, self.name, stored.id)

    async def delete(self, id: str) -> None:
        """Delete a fact; ``NotFoundError`` if there is none of this id. Messages stay: the log only grows."""
        from pagefault.kernel.edits import delete_passage

        await delete_passage(await self._kernel(), self.name, _fact(id))

    async def list(self, *, page: int = 1, size: int = 10, tags: Sequence[str] = ()) -> SearchPage:
        """One page of the facts, newest first; ``tags``: only those with all of them."""
        return await self.search(tier="archival", page=page, size=size, tags=tags)

    # files

    async def file_command(self, command: str, *arguments: Any) -> str:
        """Run a command of Anthropic's memory tool (view, create, str_replace, insert, delete, rename, clear)
        on the files under ``/memories``; ``pagefault.facade.anthropic_tool`` has the tool."""
        from pagefault.facade.memory_files import COMMANDS, MemoryFiles

        if command not in COMMANDS:
            raise UsageError(f"{command!r} is not a command; commands are {', '.join(COMMANDS)}.")
        return await getattr(MemoryFiles(await self._kernel(), self.name), command)(*arguments)


def _fact(id: str) -> str:
    """The id; ``UsageError`` for that of a message."""
    if id.startswith("m") and "/" not in id:
        raise UsageError(f"{id} is a message, and messages stay as they were said; facts have ids like p7.")
    return id
