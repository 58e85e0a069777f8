"""An agent in asynchronous code: what can be done with it, each a call of the kernel or of a view.

Leaves out how an agent is made and opened (``facade.session``) and how calls block (``facade.sync``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pagefault.facade.archives import AsyncArchives
from pagefault.facade.checking import checked_methods
from pagefault.facade.handle import Handle
from pagefault.facade.memory import AsyncMemory
from pagefault.facade.moving import AsyncMoving
from pagefault.facade.parts import (
    AsyncDocuments,
    AsyncEvents,
    AsyncPassages,
    AsyncSections,
    AsyncSettings,
    AsyncTimers,
)
from pagefault.facade.past import AsyncPastAgent
from pagefault.facade.sharing import AsyncSharedSections

if TYPE_CHECKING:
    from pagefault.views.agents import ContextView
    from pagefault.views.approvals import ApprovalView, GrantView
    from pagefault.views.auditing import MemoryAudit
    from pagefault.views.comparing import MemoryDifference
    from pagefault.views.history import History
    from pagefault.views.memory import SearchPage
    from pagefault.views.reply import Reply
    from pagefault.views.trace import Trace
    from pagefault.views.usage import Spending, UsageRow

__all__ = ["AsyncAgent"]

T = TypeVar("T")


@checked_methods
class AsyncAgent(AsyncMoving):
    """One agent. ``Pagefault.agent`` makes it; it is of use as long as that is open."""

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        self.memory = AsyncMemory(handle)
        self.sections = AsyncSections(handle)
        self.passages = AsyncPassages(handle)
        self.documents = AsyncDocuments(handle)
        self.timers = AsyncTimers(handle)
        self.events = AsyncEvents(handle)
        self.settings = AsyncSettings(handle)
        self.archives = AsyncArchives(handle, handle)
        self.shared_sections = AsyncSharedSections(handle, handle)

    def __repr__(self) -> str:
        return f"<AsyncAgent {self.name!r}>"

    # approval

    async def approvals(self) -> tuple[ApprovalView, ...]:
        """The calls that wait until a person decides on them; later events wait behind them."""
        from pagefault.views.approvals import approvals

        return await approvals(self._handle.kernel, self.name)

    async def approve(
        self,
        id: str,
        approved: bool = True,
        *,
        note: str = "",
        arguments: Mapping[str, object] | None = None,
        remember: Literal["once", "session", "always"] = "once",
        by: str = "",
        into: Any = None,
    ) -> Reply[Any]:
        """Approve or refuse a call (``m12``), once; return the reply that follows in its turn, which may wait
        for the next call; ``into`` as in ``send``.

        ``note``: the model reads it with the result. ``arguments``: run the call with these instead; they
        are checked first. ``remember``: do not ask for this function again while this installation is open
        (``session``) or until ``revoke`` (``always``). ``by``: who decided, for the log.
        """
        from pagefault.kernel.approvals import answer
        from pagefault.views.reply import reply_of
        from pagefault.views.structured import reply_as, structured_output

        wanted = None if into is None else structured_output(into)
        kernel, agent = self._handle.kernel, (await self._handle.kernel.record(self.name)).id
        outputs = answer(
            kernel, self.name, id, approved,
            note=note, arguments=arguments, remember=remember, by=by,
        )  # fmt: skip
        reply = await reply_of(kernel, agent, [output async for output in outputs])
        return reply if wanted is None else await reply_as(wanted, reply, self._reply)

    async def grants(self) -> tuple[GrantView, ...]:
        """The functions that the agent may call without being asked, until ``revoke``."""
        from pagefault.views.approvals import grants

        return await grants(self._handle.kernel, self.name)

    async def revoke(self, function: str) -> None:
        """Ask again before calls of a function; ``NotFoundError`` if it was not allowed."""
        from pagefault.kernel.approvals import revoke

        await revoke(self._handle.kernel, self.name, function)

    # memory

    async def history(
        self,
        *,
        before: str | None = None,
        limit: int = 50,
        roles: Sequence[str] = (),
        withdrawn: bool = False,
    ) -> History:
        """The newest ``limit`` messages, oldest first, or the newest before the message of id ``before``.

        ``roles``: those of rows to show; user messages, speech, events and alerts if none are named.
        ``withdrawn``: also those that were undone.
        """
        from pagefault.views.asking import roles_of
        from pagefault.views.history import READABLE, history

        shown = roles_of(roles) or READABLE
        kernel = self._handle.kernel
        return await history(kernel, self.name, before=before, limit=limit, roles=shown, withdrawn=withdrawn)

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
        session: int | None = None,
        as_of: datetime | date | str | None = None,
        archive: str | None = None,
    ) -> SearchPage:
        """Search the messages (``tier="recall"``), the passages (``"archival"``) or both, as the agent does.

        Without a query it finds all that passes the filters, newest first. ``page``, from 1, of ``size``
        results. ``since`` is inclusive, ``until`` exclusive, except that a date without a time is included
        (``"2026-11-20"``, ``"2026-11-20T18:00"`` or an aware datetime). ``role`` and ``session`` (a sitting,
        as results number them) are of messages, ``tags`` (all must be there) and ``archive`` (the name of an
        attached one, to search it alone) of passages; they choose the tier if ``tier`` does not. ``as_of``:
        the id of the newest message to look at (``m12``), or a time: what was said until then, and facts that
        held then.
        """
        from pagefault.views.memory import search

        return await search(
            self._handle.kernel, self.name, query, tier=tier, page=page, size=size, since=since, until=until,
            role=role, tags=tags, session=session, as_of=as_of, archive=archive,
        )  # fmt: skip

    async def remember(
        self,
        text: str,
        *,
        tags: Sequence[str] = (),
        at: datetime | str | None = None,
        archive: str | None = None,
        valid_from: datetime | str | None = None,
        valid_until: datetime | str | None = None,
        always: bool = False,
    ) -> str:
        """Put a text into archival storage and return its id (``p7``); the agent finds it by searching. One
        that is there already is not stored again: return its id. ``memory.add`` says what was done.

        ``at``: the time it is of, as in ``search``; None: now. ``archive``: the name of an attached archive,
        into which it goes instead (``manuals/p7``). The rest as in ``memory.add``.
        """
        from pagefault.kernel.facts import remember

        kept = await remember(
            self._handle.kernel, self.name, text, tags=tags, at=at, archive=archive, valid_from=valid_from,
            valid_until=valid_until, always=always,
        )  # fmt: skip
        return kept.id

    async def audit(self) -> MemoryAudit:
        """An audit of archival storage: items by source, doubles, what is superseded or was never found, the
        oldest, and the share that is junk by the rules of docs/tidy.md. It reads all that is there."""
        from pagefault.views.auditing import audit

        return await audit(self._handle.kernel, self.name)

    async def context(self) -> ContextView:
        """The main context as the next request would send it, with the size of each part."""
        from pagefault.views.agents import context

        return await context(self._handle.kernel, self.name)

    async def flush(self) -> bool:
        """Flush the queue now; False if there is nothing to evict or the agent is in a turn elsewhere."""
        return await self._handle.kernel.flush(self.name)

    # accounts

    async def usage(
        self,
        *,
        since: datetime | date | str | None = None,
        until: datetime | date | str | None = None,
        withdrawn: bool = False,
    ) -> Spending:
        """The tokens and the cost of all requests to models; times as in ``search``. ``withdrawn``: also of
        turns that were undone, which were paid for."""
        (row,) = await self.usage_by("agent", since=since, until=until, withdrawn=withdrawn)
        return row.spent

    async def usage_by(
        self,
        part: Literal["agent", "turn", "day", "model"],
        *,
        since: datetime | date | str | None = None,
        until: datetime | date | str | None = None,
        withdrawn: bool = False,
    ) -> tuple[UsageRow, ...]:
        """The same by turn, day or model."""
        from pagefault.views.usage import usage

        kernel = self._handle.kernel
        return await usage(kernel, self.name, by=part, since=since, until=until, withdrawn=withdrawn)

    async def trace(self, event: int | str | None = None) -> Trace:
        """One turn step by step: what was in the context, what was called, what it cost.

        ``event``: the number of its event (``Output.event``) or the id of a message in it (``m12``);
        None: that of the last user message.
        """
        from pagefault.views.trace import trace

        return await trace(self._handle.kernel, self.name, event)

    # the past, and others like it

    def at(self, position: int | str) -> AsyncPastAgent:
        """The agent as it was when its log ended with this row (``m12``): what it knew then, read-only."""
        return AsyncPastAgent(self._handle, position)

    async def fork(self, name: str, *, at: int | str | None = None) -> AsyncAgent:
        """Copy the agent to a new one of this name, and return that. ``at``: as it was at a position
        (``m12``).

        Timers and what waits in the inbox stay with this one; archives and shared sections are shared. A turn
        that is open is waited for. ``UsageError`` if the name is taken, or the tenant may have no more. In a
        script it is open as long as this one, and closing it closes both.
        """
        from pagefault.kernel.forking import fork

        await fork(self._handle.kernel, self.name, name, at=at)
        return AsyncAgent(Handle(self._handle.opened, name))

    async def diff(
        self, other: str | None = None, *, at: int | str | None = None, other_at: int | str | None = None
    ) -> MemoryDifference:
        """The memory that differs between this agent and another (None: this one itself), each as it is or as
        it was ``at`` a position."""
        from pagefault.views.comparing import compare

        return await compare(self._handle.kernel, self.name, other or self.name, at=at, other_at=other_at)

    # the agent itself

    async def rename(self, name: str) -> None:
        """Give the agent another name; ``UsageError`` if it is taken, and while the agent is in a turn."""
        await self._handle.kernel.rename(self.name, name)
        self._handle.name = name

    async def delete(self) -> None:
        """Delete the agent with all its memory; ``UsageError`` while it is in a turn."""
        await self._handle.kernel.delete(self.name)
