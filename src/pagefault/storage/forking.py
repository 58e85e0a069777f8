"""The part of a transaction by which an agent is forked: copied to another name, a batch at a time.

A fork is a draft, which nobody finds or serves, until the transaction that finishes it; so each batch is
short, and whatever ends the process leaves an agent whole or no agent. What is copied: the log, memory,
documents, vectors, attachments, grants, and the events that are over, without the keys of requests. What is
not: timers, what waits in the inbox, what is on its way to others, and usage, which was spent once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pagefault.types import AgentId, AgentRecord

__all__ = ["ForkPlace", "ForkingTransaction"]


@dataclass(frozen=True, slots=True)
class ForkPlace:
    """A place in what is copied: the number of its part, and the last row of it that was copied."""

    part: int = 0
    after: int | str = 0


class ForkingTransaction(Protocol):
    """See ``storage.transaction.Transaction``."""

    def begin_fork(self, agent: AgentId, name: str, at: datetime) -> AgentRecord:
        """Store the draft of a fork with this name; ``NameTakenError`` if there is an agent or a draft of
        it, ``QuotaError`` if its tenant may not have it."""
        ...

    def copy_next(self, agent: AgentId, fork: AgentId, place: ForkPlace) -> ForkPlace | None:
        """Copy the next batch behind a place to a draft; return the place behind it, None at the end."""
        ...

    def finish_fork(self, agent: AgentId, fork: AgentId, name: str) -> AgentRecord | None:
        """Copy what has come since and all that is small, and make the draft an agent. None, and nothing of
        the draft is to be kept, if rows that were copied are others since. ``InTurnError`` while a turn of
        the agent is open; ``NameTakenError`` and ``QuotaError`` as at the beginning."""
        ...

    def drafts(self) -> list[AgentRecord]:
        """The forks that are not finished."""
        ...
