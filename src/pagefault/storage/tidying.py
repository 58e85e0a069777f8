"""The part of the transaction protocol by which archival storage is kept tidy.

Facts that are alike are found by their keys; one that another supersedes stays, marked, for as long as that
other one counts. Leaves out which facts are alike, and which contradict each other
(``retrieval.statements``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pagefault.types import AgentId, Passage

__all__ = ["FactKeys", "FactSpan", "TidyingTransaction"]


@dataclass(frozen=True, slots=True)
class FactSpan:
    """When a passage holds, as far as that is limited; the fields are those of a passage."""

    number: int
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    superseded: int | None = None
    ended: datetime | None = None

    @property
    def ends(self) -> datetime | None:
        """Until when it holds; None: no end of it is known."""
        return min(filter(None, (self.valid_until, self.ended)), default=None)


@dataclass(frozen=True, slots=True)
class FactKeys:
    """The keys of a fact, positive numbers of 63 bits: of its words, and of what it is a statement about
    (None: it is none that can be read)."""

    same: int
    about: int | None = None


class TidyingTransaction(Protocol):
    """The work on facts that are alike. What was withdrawn, and chunks of documents, are not among them."""

    def alike_passages(self, agent: AgentId, keys: FactKeys) -> list[Passage]:
        """The passages that have one of these keys and that no other supersedes, newest first, up to some
        hundred of each; the agent stays locked, so that nobody stores such a one meanwhile."""
        ...

    def supersede_passage(
        self, agent: AgentId, number: int, by: int, ended: datetime | None, event: int | None = None
    ) -> bool:
        """Mark a passage as superseded by the one of another number, since ``ended`` (None: both say the
        same), in the turn of an event (None: from outside); False if one of them is not there.

        The mark goes when the other one is deleted, forgotten or withdrawn, or the turn is undone. Then the
        passage holds again or, if the other one was superseded itself, that one's successor takes its place.
        """
        ...

    def restore_passage(self, agent: AgentId, number: int) -> bool:
        """Take the mark away; False if there is none."""
        ...

    def fact_spans(self, agent: AgentId) -> list[FactSpan]:
        """The passages that hold for a time or are superseded, by number."""
        ...

    def note_found(self, agent: AgentId, numbers: Collection[int], at: datetime) -> None:
        """Note when passages were found; those that are not there are left out."""
        ...

    def unkeyed_passages(self, agent: AgentId, limit: int) -> list[Passage]:
        """Up to so many passages that have no keys, by number."""
        ...

    def key_passages(self, agent: AgentId, keys: Mapping[int, FactKeys]) -> None: ...  # by number
