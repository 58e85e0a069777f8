"""The part of the transaction protocol by which rows are undone, and by which they are forgotten.

What is withdrawn stays stored, marked, and out of all that is read by default. What is erased has no content
any more: a tombstone says when and how many. Leaves out which rows these are (``kernel``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pagefault.storage.usage import UsageTotal
from pagefault.types import AgentId, Passage, Schedule

__all__ = ["Tombstone", "WithdrawingTransaction"]


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The fact that something was forgotten: when, at whose word, and how many items of each kind. Nothing of
    what it was."""

    at: datetime
    by: str
    counts: Mapping[str, int]
    number: int = 0


class WithdrawingTransaction(Protocol):
    """The work on what was undone or is to be forgotten. The agent stays locked."""

    # undone
    def withdraw_rows(self, agent: AgentId, first: int, by: int) -> int:
        """Withdraw the rows of the log with first <= seq < by that were not appended from outside: they are
        marked with ``by``, the row that says so, and leave every index. Return how many there were that were
        not withdrawn before."""
        ...

    def withdraw_passages(
        self, agent: AgentId, by: int, *, events: Collection[int] = (), numbers: Collection[int] = ()
    ) -> list[int]:
        """Withdraw the passages that the agent stored in the turns of these events, and those of these
        numbers; they leave every index. Return the numbers of those that were not withdrawn before."""
        ...

    def withdraw_schedules(self, agent: AgentId, events: Collection[int], by: int) -> list[Schedule]:
        """Withdraw the timers that were set in the turns of these events and are still there; they do not
        fire. Return those that were not withdrawn before."""
        ...

    def withdrawn_usage(
        self,
        agent: AgentId,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        step: timedelta = timedelta(hours=1),
    ) -> list[UsageTotal]:
        """The part of ``usage_totals`` that is of withdrawn rows."""
        ...

    def stored_passages(self, agent: AgentId, after: int = 0, limit: int = 1000) -> list[Passage]:
        """The next passages behind a number, in order of number, also those that were withdrawn."""
        ...

    # forgotten
    def erase_rows(self, agent: AgentId, seqs: Collection[int]) -> int:
        """Blank rows of the log, withdrawn ones too: nothing is left of text, form in the prompt and speaker,
        nor of what the log keeps beside the text but numbers and marks. They leave every index; media that
        nothing refers to any more are deleted, and speakers of no other row are not listed. Role, time,
        event, completion, usage, and name and id of a call and its result stay. Return how many of these
        there were that were not erased before."""
        ...

    def erase_passages(self, agent: AgentId, numbers: Collection[int]) -> int:
        """Delete passages, withdrawn ones too; how many there were."""
        ...

    def erase_versions(self, agent: AgentId, name: str, versions: Collection[int]) -> int:
        """Blank text and description of versions of a section; how many there were."""
        ...

    def erase_events(self, agent: AgentId, numbers: Collection[int]) -> int:
        """Blank events of the inbox: text, key, sender, trace, media. One that was not served yet, or was
        parked, is done. Return how many there were."""
        ...

    def erase_schedules(self, agent: AgentId, numbers: Collection[int]) -> int:
        """Delete timers, withdrawn ones too; how many there were."""
        ...

    def put_tombstone(self, agent: AgentId, stone: Tombstone) -> Tombstone:
        """Store it, and return it with its number, from 1."""
        ...

    def tombstones(self, agent: AgentId) -> Sequence[Tombstone]: ...  # by number
    def hold(self, agent: AgentId, why: str) -> None:
        """Note why nothing of the agent may be forgotten (``AgentRecord.hold``); empty: it may."""
        ...
