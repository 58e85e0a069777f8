"""The reply to one event: the outputs of its turn, with the sources it drew on and the tokens it took.

Left out: the turn step by step (``trace``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic
from zoneinfo import ZoneInfo

from typing_extensions import TypeVar

from pagefault.config import zone_for
from pagefault.errors import DamageError, FunctionError
from pagefault.functions.archives import ArchivalStorages, archival_storages
from pagefault.kernel import Kernel
from pagefault.media import Media, media_of
from pagefault.storage import Transaction
from pagefault.types import UNCOMMITTED, AgentId, AgentRecord, Document, Message, Output, Passage, Role
from pagefault.views.approvals import ApprovalView, waiting_calls
from pagefault.views.usage import Spending, prices_of, row_usage, spending_of

__all__ = ["Reply", "ReplySource", "reply_of"]


ValueT = TypeVar("ValueT", default=None)


@dataclass(frozen=True, slots=True)
class ReplySource:
    """A message, passage or document that the agent looked up in this turn, or that was prefetched for it.

    ``id``: as the agent's functions and ``search`` take it. ``title``: of a message, its role and speaker;
    of a passage or document, its title, or where it came from (empty: the agent wrote it). ``page``: of a
    passage from a document, from 1. ``at``: when it was said or stored, in the agent's zone.
    """

    id: str
    title: str
    page: int | None
    at: datetime


@dataclass(frozen=True, slots=True, repr=False)
class Reply(Generic[ValueT]):
    """The reply to one event, and to no other.

    ``outputs``: all that was committed in its turn, in order. ``sources``: found or read in its turn, each
    once, in order. ``usage``: the requests of its turn. ``str(reply)`` is its text;
    ``value`` the same as the type that ``send(into=...)`` asked for. ``waiting``: the calls that a person has
    to decide on before the turn goes on; empty: it is over.
    """

    outputs: tuple[Output, ...] = ()
    sources: tuple[ReplySource, ...] = ()
    usage: Spending = field(default_factory=Spending)
    waiting: tuple[ApprovalView, ...] = ()
    value: ValueT = field(default=None)  # pyright: ignore[reportAssignmentType]  # as ValueT's default

    @property
    def text(self) -> str:
        """The speech of the agent, empty if it said nothing."""
        return "\n".join(output.text for output in self.outputs if output.type == "said")

    @property
    def media(self) -> tuple[Media, ...]:
        """The images and files that tools returned; ``ana.media(hash)`` has the bytes."""
        found = (each for output in self.outputs for each in output.data.get("media", ()))
        return tuple(map(media_of, found))

    @property
    def alerts(self) -> tuple[str, ...]:
        """The reasons why the turn was cut short: the step limit, a failed model, a cancelled turn."""
        return tuple(output.text for output in self.outputs if output.type == "alerted")

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        about = [repr(self.text)]
        about += [f"value={self.value!r}"] if self.value is not None else []
        about += [f"alerts={list(self.alerts)}"] if self.alerts else []
        about += [f"waiting={[call.id for call in self.waiting]}"] if self.waiting else []
        about += [f"sources={[source.id for source in self.sources]}"] if self.sources else []
        about += [f"tokens={self.usage.input + self.usage.output}", f"outputs={len(self.outputs)}"]
        return f"Reply({', '.join(about)})"


async def reply_of(kernel: Kernel, agent: AgentId, outputs: Iterable[Output]) -> Reply:
    """The reply made of all outputs of one event, of which ``done`` or ``waiting`` is the last; without usage
    and sources if the agent is deleted by now."""
    committed = tuple(output for output in outputs if output.type not in UNCOMMITTED)
    event = committed[-1].event if committed else None
    found = event is not None and await kernel.store.read(lambda tx: _read(tx, agent, event))
    if not found:
        return Reply(committed)
    record, rows, sources = found
    waiting = waiting_calls(record, committed[-1])
    return Reply(committed, sources, spending_of(map(row_usage, rows), prices_of(kernel)), waiting)


def _read(
    tx: Transaction, agent: AgentId, event: int
) -> tuple[AgentRecord, Sequence[Message], tuple[ReplySource, ...]] | None:
    """The agent, and of the event's turn the rows and the sources: none if a row is damaged, as an output
    says then. None if the agent is deleted."""
    if (record := tx.agent_by_id(agent)) is None:
        return None
    try:
        rows = tx.messages(agent, event=event)
        return record, rows, _sources(tx, record, rows)
    except DamageError:
        return record, (), ()


def _sources(tx: Transaction, record: AgentRecord, rows: Sequence[Message]) -> tuple[ReplySource, ...]:
    zone = zone_for(record)
    results = (row.meta.sources for row in rows if row.role in (Role.RESULT, Role.PREFETCH))
    ids = dict.fromkeys(id for each in results for id in each)
    storages = archival_storages(tx, record)
    found = ((id, _stored(tx, storages, id)) for id in ids)
    return tuple(_source(id, item, zone) for id, item in found if item is not None)


def _stored(tx: Transaction, storages: ArchivalStorages, id: str) -> Message | Passage | Document | None:
    """The item of this id; None if it was deleted, or is in an archive that was detached since."""
    letter = id.rpartition("/")[2][0]
    read = {"m": tx.message, "p": tx.passage, "d": tx.document}[letter]
    try:
        storage, number = storages.find(tx, id, letter)
    except FunctionError:
        return None
    return read(storage.id, number)


def _source(id: str, item: Message | Passage | Document, zone: ZoneInfo) -> ReplySource:
    at, page = item.at.astimezone(zone), None
    if isinstance(item, Message):
        return ReplySource(id, f"{item.role} {item.speaker}".rstrip(), page, at)
    if isinstance(item, Passage) and item.place:
        page = item.place.page
    return ReplySource(id, item.title or item.source, page, at)
