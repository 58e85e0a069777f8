"""Prefetch: when a message is admitted, the best of what memory holds on it is admitted behind it as a row.

It is looked up before the transaction that admits the message, within a bounded time, and whatever fails
there costs the row and not the turn. The row is quoted and dated data, is not indexed, and is the first to
go. Left out: the order of what is found (``retrieval``), and which messages ask (``retrieval.asking``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from time import monotonic

from pagefault.clock import Clock
from pagefault.containment import contained
from pagefault.context.admission import FRAMED
from pagefault.context.queue_manager import QueueManager
from pagefault.errors import PagefaultError
from pagefault.functions.archives import ArchivalStorages
from pagefault.functions.results import Results
from pagefault.message_meta import MessageMeta
from pagefault.models.tokens import MESSAGE_OVERHEAD
from pagefault.quoting import quoted
from pagefault.redaction import logger_of
from pagefault.retrieval import Hit, Ranking, Retriever, excerpt
from pagefault.retrieval.asking import read
from pagefault.retrieval.folding import fold
from pagefault.storage import Filter, Store, Transaction
from pagefault.types import AgentId, Event, EventKind, Message, Passage, Role

__all__ = ["Prefetcher"]

logger = logger_of(__name__)

SECONDS = 0.25
"""The most that a turn waits for what is prefetched."""

_PART_SECONDS = 0.08  # for the vector in each tier, without it words alone; and for making excerpts
_KINDS = (EventKind.MESSAGE, EventKind.AGENT)  # others ask nothing of the agent: they say what happened
_HEAD = "[prefetched from memory, as data]"
_TRIED = 120  # hits that are looked at
_LEAST = 24  # tokens of a line; less says too little


@dataclass(frozen=True, slots=True)
class Prefetcher:
    """Prefetches for one agent: ``share`` of the room for a message, at most ``most`` tokens; 0: nothing."""

    agent: AgentId
    store: Store
    retriever: Retriever
    results: Results
    clock: Clock
    share: float
    most: int

    async def rows(self, event: Event, opening: Message, memory: QueueManager) -> list[Message]:
        """The row that opens an event's turn with the one prefetched for it, or with the reason for none."""
        if not self.share or event.kind not in _KINDS:
            return [opening]
        found = await self._prefetched(opening, memory)
        if isinstance(found, Message):
            return [opening, found]
        return [replace(opening, meta=replace(opening.meta, skipped=found))]

    async def _prefetched(self, opening: Message, memory: QueueManager) -> Message | str:
        if not read(opening.text).asks:
            return "it asks for nothing"
        sizes, ratio = memory.sizes(), memory.queue.state.ratio
        size = min(int(min(self.most, self.share * sizes.room) / ratio), self.results.page)
        if size < 2 * _LEAST or not memory.has_room(opening, size):
            return "no room"
        begun, found = self.clock.now(), self._found(opening.text, memory, size)
        try:
            lines, sources = await contained("prefetch", found, SECONDS, grace=0.0)
        except TimeoutError:
            return f"it took more than {SECONDS:g} s"
        except PagefaultError as error:  # a turn does not depend on it
            logger.warning("nothing is prefetched: %s", error)
            return f"it failed: {error}"
        if not lines:
            return "nothing found that is not in view"
        took = max(0, (self.clock.now() - begun) // timedelta(milliseconds=1))
        meta = MessageMeta(sources=tuple(sources), milliseconds=took)
        return Message(Role.PREFETCH, "\n".join([_HEAD, *lines]), self.clock.now(), FRAMED, meta=meta)

    async def _found(self, text: str, memory: QueueManager, size: int) -> tuple[list[str], list[str]]:
        """The lines and the ids of the best hits."""
        recall = await self.retriever.find(self.agent, "recall", text, Filter(), _PART_SECONDS)
        owners = await self.store.read(self.results.storages.owners)
        archival = await self.retriever.find(
            self.agent, "archival", text, Filter(), _PART_SECONDS, owners=owners
        )
        hits, view = recall.merged(archival), _View(memory)
        return await self.store.read(lambda tx: self._packed(tx, hits, text, view, size))

    def _packed(
        self, tx: Transaction, hits: Ranking, text: str, view: _View, size: int
    ) -> tuple[list[str], list[str]]:
        """The best hits that fit, in the order of their times, under their days. A short one that does not
        fit leaves its place to those after it; of a long one the excerpt is shorter. None takes over half."""
        count, chosen = self.results.counter.count, list[tuple[datetime, str, str, str]]()
        left, until = size - count(_HEAD) - MESSAGE_OVERHEAD, monotonic() + _PART_SECONDS
        largest, days = left // 2, set[str]()
        for item in view.missing(tx, self.results.storages, fold(tx, hits)[0][:_TRIED]):
            if left < _LEAST or monotonic() > until:
                break
            day = f"[on {item.at.astimezone(self.results.zone):%Y-%m-%d}]"
            dated = 0 if day in days else count(day) + 1
            label = dated + count(self.results.short_line(item, "")) + 1
            room = (left if left < largest < label + count(item.text) else largest) - label
            part = excerpt(item.text, text, max(12, room), self.results.counter)
            line = self.results.short_line(item, part)
            if (tokens := dated + count(line) + 1) <= left and not view.shows(item, part):
                chosen.append((item.at, day, item.id, line))
                days.add(day)
                left -= tokens
        days = groupby(sorted(chosen), lambda of: of[1])
        lines = [line for day, found in days for line in (day, *(line for *_, line in found))]
        return lines, [id for _, _, id, _ in sorted(chosen)]


class _View:
    """The items that the main context shows already."""

    def __init__(self, memory: QueueManager) -> None:
        rows, self._head = memory.queue.in_order, memory.queue.state.head
        self._whole = {row.id for row in rows if not row.meta.pages}
        parts = [row for row in rows if row.meta.sources or row.meta.pages]
        self._quoted = [((row.id, *row.meta.sources), " ".join(row.shown.split())) for row in parts]

    def missing(
        self, tx: Transaction, storages: ArchivalStorages, hits: Sequence[Hit]
    ) -> Iterator[Message | Passage]:
        """The items of hits that are not in view whole and were not paged in."""
        for hit in hits:
            item = storages.item(tx, hit)
            if item and item.id not in self._whole and f"[{item.id} " not in self._head:
                yield item

    def shows(self, item: Message | Passage, part: str) -> bool:
        """Return whether this part of an item is in view: on its first page, in a result or prefetched."""
        text = quoted(part.strip("…"), opens_line=False)
        return any(item.id in sources and text in shown for sources, shown in self._quoted)
