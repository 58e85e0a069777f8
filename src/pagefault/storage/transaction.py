"""The transaction protocol: all that can be done to a database inside one atomic unit of work."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from pagefault.storage.approvals import ApprovalTransaction
from pagefault.storage.embedding import EmbedderRecord, PendingVector
from pagefault.storage.forking import ForkingTransaction
from pagefault.storage.matching import Filter, Found, Match
from pagefault.storage.media import MediaTransaction
from pagefault.storage.scheduling import SchedulingTransaction
from pagefault.storage.seen import SeenTransaction
from pagefault.storage.segments import SealStep, SegmentSizes
from pagefault.storage.sharing import SharingTransaction
from pagefault.storage.tenancy import TenancyTransaction
from pagefault.storage.tidying import TidyingTransaction
from pagefault.storage.usage import RowUsage, UsageTotal
from pagefault.storage.withdrawing import WithdrawingTransaction
from pagefault.types import (
    AgentId,
    AgentRecord,
    Document,
    Event,
    EventState,
    Message,
    Page,
    Passage,
    QueueState,
    Role,
    Section,
    Tier,
)

if TYPE_CHECKING:  # numpy takes longer to import than all of this package
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Transaction"]


class Transaction(
    SharingTransaction, ApprovalTransaction, MediaTransaction, TenancyTransaction, SeenTransaction,
    SchedulingTransaction, WithdrawingTransaction, TidyingTransaction, ForkingTransaction, Protocol,
):  # fmt: skip
    """All that can be done inside one atomic unit of work. Synchronous; raises ``StorageError``.

    It sees all tenants: agents by id and in lists; by name, those of the default tenant, which has no name.
    """

    def within(self, tenant: str, by: str = "") -> Transaction:
        """The same transaction as a tenant has it: agents, and what they share, of this tenant alone are
        found by name or by id and listed, and what is made is the tenant's. ``by``: who acts; what is made,
        changed or deleted of agents, keys and quotas is noted with that name."""
        ...

    def confined(self, tenant: str, by: str = "") -> Transaction:
        """``within`` for the whole rest of the transaction: a protected database, too, refuses other rows."""
        ...

    # agents
    def create_agent(self, record: AgentRecord) -> AgentRecord:
        """Store a new agent and return it with its id; ``UsageError`` if its tenant has one of that name."""
        ...

    def agent(self, name: str) -> AgentRecord | None: ...
    def agent_by_id(self, agent: AgentId) -> AgentRecord | None: ...
    def agent_names(self) -> list[str]: ...
    def agents(self, after: str = "", limit: int | None = None) -> list[AgentRecord]:
        """Agents by name, then tenant; not what they share. ``after``: only the names behind this one."""
        ...

    def delete_agent(self, agent: AgentId) -> None:
        """Delete the agent, archive or shared section and all it owns; nobody is attached to it any more."""
        ...

    def rename_agent(self, agent: AgentId, name: str) -> None:
        """Give it another name, as stored; ``NameTakenError`` if its tenant has one. Attachments follow."""
        ...

    def save_settings(self, agent: AgentId, settings: dict[str, object]) -> None: ...
    def save_queue(self, agent: AgentId, queue: QueueState) -> None: ...
    def park_agent(self, agent: AgentId, why: str) -> None: ...
    # recall storage
    def append(
        self, agent: AgentId, rows: Sequence[Message], queue: QueueState | None = None
    ) -> list[Message]:
        """Append rows to the log and to its lexical index; returns them with ``seq`` set, consecutive
        per agent from 1. ``completion=0`` stands for the seq of the first row of this batch. With a ``queue``
        it is saved too, as ``save_queue`` does, at no cost."""
        ...

    def speakers(self, agent: AgentId) -> list[str]:
        """The names of those who ever spoke in the log, in alphabetical order; not the empty one."""
        ...

    def message(self, agent: AgentId, seq: int) -> Message | None: ...  # also one that was undone
    def messages(
        self,
        agent: AgentId,
        *,
        first: int = 1,
        last: int | None = None,
        roles: Sequence[Role] | None = None,
        event: int | None = None,
        newest: int | None = None,
        appended: bool = True,
        withdrawn: bool = False,
    ) -> list[Message]:
        """Rows with first <= seq <= last in order of seq; ``newest`` keeps only that many of the newest.
        ``appended=False``: without those that were appended from outside (``Message.is_appended``);
        ``withdrawn``: also those that were undone."""
        ...

    def spent(
        self,
        agent: AgentId,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        model: str | None = None,
        newest: int | None = None,
    ) -> list[RowUsage]:
        """The usage of rows with since <= at < until, oldest first; only those with a request to ``model``;
        ``newest`` keeps that many of the newest; none of rows that were undone. Of a long log only these rows
        are read."""
        ...

    def usage_totals(
        self,
        agent: AgentId,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        step: timedelta = timedelta(hours=1),
    ) -> list[UsageTotal]:
        """The usage of rows with since <= at < until, exact to the row, summed by period, model and price
        tier, in order of time, then model. It reads sums that are kept: quick, however long the log is. Rows
        that were undone count, for they were paid for (``withdrawn_usage``).

        ``step``: the length of a period, a multiple of 15 minutes; periods are counted from 1970 in UTC. An
        hour suits time zones of whole hours, 15 minutes all. A period in which nothing was used is left out.
        """
        ...

    def usage_of_all(self, since: datetime, tenant: str | None = None) -> list[UsageTotal]:
        """The usage of all agents, or of those of one tenant, since the start of a quarter of an hour, summed
        by quarter, model and price tier."""
        ...

    # working context
    def sections(self, agent: AgentId) -> list[Section]:
        """The sections in order of creation, without those that were removed."""
        ...

    def put_section(self, agent: AgentId, section: Section, at: datetime) -> Section:
        """Create or replace a section by name; the old text stays in its history. Returns it with its
        new version, from 1. A limit of 0 removes it: only its history has it then."""
        ...

    def section_history(self, agent: AgentId, name: str) -> list[tuple[datetime, Section]]:
        """All versions of one section, oldest first."""
        ...

    # archival storage
    def insert_passage(self, agent: AgentId, passage: Passage) -> Passage: ...
    def insert_passages(self, agent: AgentId, passages: Sequence[Passage]) -> list[Passage]:
        """Store passages and index them by words, title included; returns them with their numbers,
        consecutive in the order given."""
        ...

    def passage(self, agent: AgentId, number: int) -> Passage | None: ...
    def passages(self, agent: AgentId, numbers: Sequence[int]) -> list[Passage]:
        """The passages of these numbers that exist, in the order asked."""
        ...

    def delete_passage(self, agent: AgentId, number: int) -> bool: ...
    def holdings(self, agent: AgentId) -> tuple[int, int]:
        """Count the passages, those of documents included, and the documents."""
        ...

    # documents
    def put_document(
        self, agent: AgentId, document: Document, pages: Sequence[Page], chunks: Sequence[Passage]
    ) -> Document:
        """Store a document with its pages and, as passages, its chunks. It takes the place and the number
        of the one of the same source, which goes with all its chunks. Returns it with its number and its
        count of pages; a chunk's ``place`` gets the document's number, whatever it says."""
        ...

    def documents(self, agent: AgentId) -> list[Document]:
        """All documents by number."""
        ...

    def document(self, agent: AgentId, number: int) -> Document | None: ...
    def document_by_source(self, agent: AgentId, source: str) -> Document | None: ...
    def document_page(self, agent: AgentId, number: int, page: int) -> Page | None: ...
    def document_pages(self, agent: AgentId, number: int, first: int, last: int) -> list[Page]:
        """The pages from first to last, both included, that there are."""
        ...

    def erase_page(self, agent: AgentId, number: int, page: Page) -> bool:
        """Put a page in the place of the one of its number, from which something was forgotten."""
        ...

    def delete_document(self, agent: AgentId, number: int) -> bool: ...  # with its pages and its chunks

    # inbox
    def post(self, agent: AgentId, event: Event) -> Event:
        """Store an event as pending, with its ``contents``, and return it with its id, without these; if one
        with its key is already there, return that one and store nothing."""
        ...

    def event(self, agent: AgentId, event: int) -> Event | None: ...
    def event_of_key(self, agent: AgentId, key: str) -> Event | None: ...
    def next_event(self, agent: AgentId) -> Event | None:
        """The active event if there is one, else the oldest pending of kind ``memory_pressure``, else
        the oldest pending. None while a turn waits for a decision: the others wait behind it."""
        ...

    def set_event(
        self, agent: AgentId, event: int, state: EventState, started: int | None = None, *,
        attempts: int | None = None, parked: str = "",
    ) -> None: ...  # fmt: skip
    def finish_event(self, agent: AgentId, event: int) -> bool:
        """Set an event to done; True if no other can be served. The agent's rows must have been
        written before in this transaction: then nobody can be about to post."""
        ...

    def settle(self, agent: AgentId) -> bool:
        """Note whether an event of the agent's inbox can be served, from now on, or its turn waits for a
        decision; True if there is nothing to serve. Whatever gives an event to an inbox or takes it out does
        so; the agent's rows must have been written before in this transaction."""
        ...

    def events(self, agent: AgentId, *, state: EventState | None = None) -> list[Event]: ...
    def waiting(self, limit: int, after: str | None = None, but: Sequence[AgentId] = ()) -> list[AgentRecord]:
        """Up to ``limit`` agents with a pending or active event that are not parked and held by no worker,
        without ``but``. Tenants take turns, in the order of their names from behind ``after`` on (None: from
        the first) and then from the first; of each comes first the agent that has waited longest."""
        ...

    def count_sent(self, agent: AgentId, sender: str, since: datetime) -> int:
        """Count the messages of another agent in the inbox, sent after ``since``, served ones included."""
        ...

    # search
    def search(self, agent: AgentId, tier: Tier, match: Match, filter: Filter, fingerprint: str) -> Found:
        """The rows that pass the filter and match, with their context; ``fingerprint`` is the vectors'."""
        ...

    def texts(self, agent: AgentId, tier: Tier, numbers: Sequence[int]) -> Mapping[int, str]:
        """The text of each of these rows that exists, as it is indexed: a passage's title before it."""
        ...

    # vectors
    def pending_vectors(self, fingerprint: str, limit: int) -> list[PendingVector]:
        """Searchable rows (roles ``SEARCHED_BY_DEFAULT``, not blank) and passages without a vector."""
        ...

    def settle_vectors(self, fingerprints: Collection[str]) -> bool:
        """Note for a batch of agents that these embedders have all their vectors, so that they are not looked
        through again; return whether rows may still wait. To be called when none is pending."""
        ...

    def put_vectors(
        self, fingerprint: str, items: Sequence[PendingVector], vectors: Sequence[NDArray[np.float32]]
    ) -> None:
        """Store the vectors of each item, shape (windows, dimensions); idempotent. One of no windows is done:
        the embedder does not read it. Skipped are items that are gone or whose text is another.
        ``StorageError`` for vectors of another length than those of this fingerprint."""
        ...

    def forget_vectors(self, fingerprint: str, limit: int) -> int:
        """Delete up to about ``limit`` vectors of a fingerprint, at last its record; how many went."""
        ...

    def embedded(self, fingerprint: str) -> tuple[int, int]:
        """Count the rows and passages that the embedder of this fingerprint is done with, and all."""
        ...

    def sealable(self, sizes: SegmentSizes) -> list[AgentId]:
        """The agents, and what they share, that ``seal`` may have something to do for."""
        ...

    def seal(self, agent: AgentId, sizes: SegmentSizes) -> SealStep:
        """Do the next step of sealing the agent's rows, merging or rebuilding its segments, and say which.
        Searches find the same throughout; deletions may wait for the short step that publishes."""
        ...

    def embedders(self) -> list[EmbedderRecord]: ...
    def put_embedder(self, record: EmbedderRecord) -> None:
        """Create or replace a record; if it is wanted, or in service, no other is any more."""
        ...
