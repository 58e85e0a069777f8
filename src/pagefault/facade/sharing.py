"""Shared sections and the outbox in asynchronous code.

Each method is a call of a view or of an edit, imported when it is used. Leaves out what those do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagefault.facade.checking import checked_methods
from pagefault.facade.handle import Handle, OpenKernel, agents_of

if TYPE_CHECKING:
    from pagefault.views.sharing import EffectView, SharedSectionView

__all__ = ["AsyncOutbox", "AsyncSharedSections"]


@checked_methods
class AsyncSharedSections:
    """The sections that agents share, by name. ``Pagefault.shared_sections`` has all;
    ``AsyncAgent.shared_sections`` lists those attached to the agent, and attaches to it. Every agent attached
    has the text in its working context, and learns of an edit by an event."""

    def __init__(self, opened: OpenKernel, agent: Handle | None = None) -> None:
        self._opened = opened
        self._agent = agent

    async def share(
        self,
        name: str,
        *agents: str,
        description: str | None = None,
        limit: int | None = None,
        text: str | None = None,
        read_only: bool = False,
    ) -> SharedSectionView:
        """Make a shared section and attach these agents; of ``AsyncAgent.shared_sections`` that agent comes
        first. A section of this name that the first agent has becomes the shared one, with what is not given.

        ``limit``: in tokens; ``read_only``: the agents cannot change the text. ``UsageError``, and nothing is
        stored, if the name is taken or an agent has no room for it.
        """
        from pagefault.kernel import shared_sections

        first = (self._agent.name,) if self._agent else ()
        await shared_sections.share(
            self._opened.kernel, name, list(dict.fromkeys(first + agents)), description=description,
            limit=limit, text=text, read_only=read_only,
        )  # fmt: skip
        return await self.read(name)

    async def list(self) -> tuple[SharedSectionView, ...]:
        """The shared sections by name: all, or those attached to the agent."""
        from pagefault.views import sharing

        return await sharing.shared_sections(self._opened.kernel, self._agent and self._agent.name)

    async def read(self, name: str) -> SharedSectionView:
        """One shared section; ``NotFoundError`` if there is none of this name."""
        from pagefault.views import sharing

        return await sharing.shared_section(self._opened.kernel, name)

    async def write(self, name: str, text: str) -> None:
        """Replace the text, for every agent attached; ``UsageError`` if it is longer than the limit."""
        from pagefault.kernel import shared_sections

        await shared_sections.edit(self._opened.kernel, name, text)

    async def attach(self, name: str, *agents: str, read_only: bool = False) -> None:
        """Attach agents, or change whether they may only read. ``agents``: names; none, of
        ``AsyncAgent.shared_sections``: that agent. ``UsageError`` if one has a section of this name, or no
        room for it."""
        from pagefault.kernel import shared_sections

        for agent in await self._of(agents):
            await shared_sections.attach(self._opened.kernel, name, agent, read_only=read_only)

    async def detach(self, name: str, *agents: str) -> None:
        """Detach agents, as in ``attach``; the section goes from their working context."""
        from pagefault.kernel import shared_sections

        for agent in await self._of(agents):
            await shared_sections.detach(self._opened.kernel, name, agent)

    async def delete(self, name: str) -> None:
        """Delete a shared section; it goes from the working context of every agent attached."""
        from pagefault.kernel import shared_sections

        await shared_sections.delete(self._opened.kernel, name)

    async def _of(self, agents: tuple[str, ...]) -> tuple[str, ...]:
        return await agents_of(self._opened, self._agent, agents, 'pf.shared_sections.attach("plan", "ana")')


@checked_methods
class AsyncOutbox:
    """The changes on their way to what agents share. Those that cannot be made are parked; the others go on.
    ``sender``: an agent's name or, as ``section:plan``, the shared section whose text goes to its agents."""

    def __init__(self, opened: OpenKernel) -> None:
        self._opened = opened

    async def list(self, *, parked: bool = False) -> tuple[EffectView, ...]:
        """The changes that are on their way or parked, by sender and number; with ``parked`` only these."""
        from pagefault.views import sharing

        return await sharing.effects(self._opened.kernel, parked=parked)

    async def retry(self, sender: str, number: int) -> int:
        """Send a parked change again, and return its new number."""
        from pagefault.kernel import parked

        return await parked.retry_effect(self._opened.kernel, sender, number)

    async def drop(self, sender: str, number: int) -> None:
        """Give a parked change up; ``NotFoundError`` if there is none of this number."""
        from pagefault.kernel import parked

        await parked.drop_effect(self._opened.kernel, sender, number)
