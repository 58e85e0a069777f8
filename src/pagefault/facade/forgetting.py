"""Exporting what is held of a person, and forgetting, in asynchronous code.

Leaves out what else can be done with an agent (``facade.agent``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from pagefault.facade.checking import checked_methods
from pagefault.facade.talking import AsyncTalking

if TYPE_CHECKING:
    from pagefault.kernel.forgetting import ForgetReceipt, Tombstone
    from pagefault.views.held_items import HeldItem

__all__ = ["AsyncForgetting"]


@checked_methods
class AsyncForgetting(AsyncTalking):
    """The part of ``AsyncAgent`` on what is held, and goes for good."""

    async def export(self, *, speaker: str) -> tuple[HeldItem, ...]:
        """All that is held of the person of this name by the agent and by what is attached to it: what they
        sent and attached, what was answered to them, and what names them, whoever wrote it."""
        from pagefault.views.held import held_of

        return tuple([item async for item in held_of(self._handle.kernel, speaker, [self.name])])

    async def forget(
        self,
        query: str = "",
        *,
        ids: Sequence[str] = (),
        speaker: str = "",
        since: datetime | date | str | None = None,
        until: datetime | date | str | None = None,
        dry_run: bool = False,
        by: str = "",
    ) -> ForgetReceipt:
        """Forget what meets all that is given, everywhere, for good; return the receipt.

        ``query``: a text that it contains literally, apart from case, Unicode form and white space.
        ``ids``: of messages, passages, documents and timers (``m12``, ``p7``, ``manuals/p7``). Times as in
        ``search``. What quotes it goes with it, and summaries over it are written anew. ``dry_run``: change
        nothing, and list in ``places`` all that would be changed. ``by``: at whose word, for the tombstone.
        """
        from pagefault.kernel.forgetting.asking import ask_to_forget

        return await ask_to_forget(
            self._handle.kernel, self.name, query, ids=ids, speaker=speaker, since=since, until=until,
            dry_run=dry_run, by=by,
        )  # fmt: skip

    async def tombstones(self) -> tuple[Tombstone, ...]:
        """The forgettings so far: when, at whose word and how many items of each kind, the oldest first."""
        from pagefault.kernel.forgetting.asking import tombstones

        return await tombstones(self._handle.kernel, self.name)

    async def keep_to_rules(self) -> tuple[ForgetReceipt, ...]:
        """Forget now what the setting ``keep`` does not let the agent keep, as is done once a day; the
        receipts of what went."""
        from pagefault.kernel.forgetting.retention import keep_to_rules

        return await keep_to_rules(self._handle.kernel, self.name)

    async def hold(self, why: str) -> None:
        """Let nothing of the agent be forgotten, and the agent not be deleted, until ``lift_hold``; ``why``:
        for whoever is refused."""
        from pagefault.kernel.forgetting.holding import hold

        await hold(self._handle.kernel, self.name, why)

    async def lift_hold(self) -> bool:
        """Let the agent be forgotten and deleted again; False if it was not held."""
        from pagefault.kernel.forgetting.holding import lift_hold

        return await lift_hold(self._handle.kernel, self.name)
