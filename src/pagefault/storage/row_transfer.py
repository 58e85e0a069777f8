"""Rows on the move: all that an agent owns, table by table, as one SQL store hands it to another.

Copies, exports, backups and checks are made of these, so every number stays what it was. What follows from
the rows is not handed over but made anew where they are restored: the lexical index, what BM25 counts, how
far each embedder has come. A database in memory keeps no such rows. Leaves out files and checksums
(``pagefault.transfer``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from pagefault.message_meta import meta_of
from pagefault.storage import EmbedderRecord
from pagefault.storage.terms import message_terms, passage_terms
from pagefault.storage.transfer_tables import (
    AGENT,
    APPROVALS,
    DELIVERIES,
    DERIVED,
    GRANTS,
    MEDIA,
    OUTBOX,
    OWNED,
    Row,
    TransferTable,
    Value,
)
from pagefault.storage.usage import RowUsage, UsageTotal
from pagefault.tenancy import AgentKey
from pagefault.types import AgentId, Tier

__all__ = [
    "AGENT",
    "APPROVALS",
    "DELIVERIES",
    "DERIVED",
    "GRANTS",
    "MEDIA",
    "OUTBOX",
    "OWNED",
    "FileDatabase",
    "IndexFault",
    "IndexSize",
    "Row",
    "TransferDatabase",
    "TransferRows",
    "TransferTable",
    "Value",
]


@dataclass(frozen=True, slots=True)
class IndexSize:
    """Rows in a lexical index, and their units."""

    rows: int
    units: int


@dataclass(frozen=True, slots=True)
class IndexFault:
    """A fault of the words or, with a ``fingerprint``, of the vectors of a tier, as a sentence."""

    tier: Tier
    fingerprint: str
    what: str


def units_of(tier: Tier, row: Mapping[str, Value]) -> list[str]:
    """The lexical units of a row of ``messages`` or ``passages``, given by column."""
    if row.get("withdrawn") is not None:  # an earlier version has no such column
        return []
    text = str(row["text"])
    if tier == "recall":
        return message_terms(text, meta_of(json.loads(str(row["meta"]))))
    return passage_terms(str(row["title"]), text)


class TransferRows(Protocol):
    """A database inside one transaction. Synchronous; raises ``StorageError``."""

    def agents(self) -> dict[AgentKey, AgentId]:
        """All agents, in order of name, then tenant."""
        ...

    def agent(self, agent: AgentId) -> Row:
        """The agent's row of ``AGENT``; ``NotFoundError`` if there is none."""
        ...

    def count(self, agent: AgentId, table: TransferTable) -> int: ...
    def rows(self, agent: AgentId, table: TransferTable) -> Iterator[Sequence[Row]]:
        """The agent's rows in batches, as few at a time as will do; in no order unless the table has one."""
        ...

    def unapplied(self, agent: AgentId, outbox: Sequence[Row]) -> Sequence[Row]:
        """The rows of the agent's outbox that were not applied to their target so far."""
        ...

    def ahead(self, agent: AgentId) -> list[AgentId]:
        """The senders of whom more is said to be applied to this agent, or what is shared, than they sent."""
        ...

    def create(self, name: str, row: Row) -> AgentId:
        """Store an agent's own row under a new id; ``UsageError`` if the name is taken."""
        ...

    def restore(self, agent: AgentId, table: TransferTable, rows: Sequence[Row]) -> None:
        """Store rows of a new agent, as ``rows`` gave them, and enter them into the lexical index."""
        ...

    def finish(self, agent: AgentId) -> None: ...  # make what follows from the rows, when all are restored
    def totals(self, agent: AgentId) -> list[UsageTotal]:
        """The usage totals as they are stored, in order of time, then model."""
        ...

    def spent(self, agent: AgentId) -> Iterator[RowUsage]:
        """The usage of the agent's rows, in no order."""
        ...

    def embedders(self) -> list[EmbedderRecord]: ...
    def put_embedder(self, record: EmbedderRecord) -> None: ...
    def index_sizes(self, agent: AgentId, tier: Tier) -> tuple[IndexSize, IndexSize]:
        """As the agent's row counts them, and as its messages or passages do."""
        ...

    def frequencies(self, agent: AgentId, tier: Tier) -> Iterator[tuple[str, int, int]]:
        """The lexical index: each unit, in how many rows it is, and how often."""
        ...

    def stale_blocks(self, agent: AgentId, tier: Tier) -> list[int]:
        """The index blocks that differ from the rows they are copies of."""
        ...

    def index_faults(self, agent: AgentId) -> list[IndexFault]: ...  # of segments, and what has no vectors
    def reindex(self, agent: AgentId) -> None:
        """Make all that follows from the rows anew; take vectors out of faulty segments."""
        ...

    def unowned_tables(self) -> list[str]: ...  # of segments that are not there
    def drop_unowned_tables(self) -> None: ...

    def is_settled(self, agent: AgentId) -> bool:
        """Return whether the agent is ready for a turn if something waits in its inbox, and only then."""
        ...

    def parked(self, agent: AgentId) -> list[str]: ...
    def faults(self) -> list[str]:
        """The faults that the database itself finds, a sentence for each."""
        ...


class TransferDatabase(Protocol):
    """A database opened for its raw rows, by one thread. ``place`` is what to call it in a sentence."""

    @property
    def place(self) -> str: ...
    def reading(self) -> AbstractContextManager[TransferRows]:
        """One snapshot, as long as the context lasts."""
        ...

    def writing(self) -> AbstractContextManager[TransferRows]:
        """One transaction, committed at the end of the context, undone by what is raised in it."""
        ...

    def traces(self, words: Sequence[str], *, rewrite: bool) -> tuple[list[str], list[str]]:
        """Complete the removal of what was deleted, with ``rewrite`` by writing all anew; return a sentence
        for each place where one of these words still is, and for each that cannot be looked at."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class FileDatabase(TransferDatabase, Protocol):
    """A database that is one file."""

    def backup(self, path: Path, progress: Callable[[int, int], None]) -> None:
        """Copy the file as it stands now, while others go on writing. ``progress`` hears how many pages of
        how many are copied."""
        ...
