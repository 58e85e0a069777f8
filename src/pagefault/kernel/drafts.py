"""Drafts that are left of forks whose process ended: nobody finds them, and they have all that an agent had.

They are deleted before the next fork, and before something is forgotten. Left out: making one (``forking``).
"""

from __future__ import annotations

from contextlib import suppress

from pagefault.errors import NotFoundError, TurnHeldError
from pagefault.kernel import Kernel
from pagefault.storage import Transaction
from pagefault.types import AgentId

__all__ = ["clear_drafts", "delete_draft"]


async def clear_drafts(kernel: Kernel) -> None:
    """Delete the drafts of forks of which nobody makes an agent any more."""
    for draft in await kernel.store.read(lambda tx: tx.drafts()):
        with suppress(TurnHeldError, NotFoundError):
            async with kernel.store.turn_lock(draft.id) as hold:
                await kernel.scheduler.store.write(lambda tx, id=draft.id: delete_draft(tx, id), hold)


def delete_draft(tx: Transaction, draft: AgentId) -> None:
    """Delete a draft, if it is there still, and one still: it may have become an agent meanwhile."""
    if any(each.id == draft for each in tx.drafts()):
        tx.delete_agent(draft)
