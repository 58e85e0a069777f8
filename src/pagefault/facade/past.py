"""An agent as it was at a position of its log, in asynchronous code: read-only.

Each method is a call of a view, imported when it is used. Leaves out what those do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pagefault.facade.checking import checked_methods
from pagefault.facade.handle import Handle

if TYPE_CHECKING:
    from pagefault.views.comparing import MemoryDifference
    from pagefault.views.context import ContextBlocks
    from pagefault.views.history import History
    from pagefault.views.memory import SectionView
    from pagefault.views.past import PassagePage

__all__ = ["AsyncPastAgent"]


@checked_methods
class AsyncPastAgent:
    """An agent at a position. ``AsyncAgent.at`` makes it; ``NotFoundError``, at the first question, if the
    log has no such row. What was deleted or forgotten since is gone here too."""

    def __init__(self, handle: Handle, position: int | str) -> None:
        self._handle = handle
        self.position = position

    def __repr__(self) -> str:
        return f"<AsyncPastAgent {self._handle.name!r} at {self.position!r}>"

    async def sections(self) -> tuple[SectionView, ...]:
        """The sections of the working context as they were."""
        from pagefault.views.past import past_sections

        return await past_sections(self._handle.kernel, self._handle.name, self.position)

    async def history(
        self, *, before: str | None = None, limit: int = 50, roles: Sequence[str] = ()
    ) -> History:
        """The newest ``limit`` messages up to the position, as ``AsyncAgent.history``; what was undone since
        is there."""
        from pagefault.views.asking import roles_of
        from pagefault.views.history import READABLE
        from pagefault.views.past import past_history

        shown, kernel = roles_of(roles) or READABLE, self._handle.kernel
        return await past_history(
            kernel, self._handle.name, self.position, before=before, limit=limit, roles=shown
        )

    async def passages(self, *, page: int = 1, size: int = 10) -> PassagePage:
        """One page of the passages of then, newest first."""
        from pagefault.views.past import past_passages

        return await past_passages(
            self._handle.kernel, self._handle.name, self.position, page=page, size=size
        )

    async def context(self) -> ContextBlocks:
        """The main context as the model saw it at the last step that began at the position or before."""
        from pagefault.kernel.points import position_of
        from pagefault.views.context import context_blocks

        return await context_blocks(self._handle.kernel, self._handle.name, position_of(self.position))

    async def diff(self, position: int | str | None = None) -> MemoryDifference:
        """The memory that differs between then and another position; None: now."""
        from pagefault.views.comparing import compare

        name = self._handle.name
        return await compare(self._handle.kernel, name, name, at=self.position, other_at=position)
