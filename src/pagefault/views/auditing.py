"""An audit of archival storage: what is there, from where, what is there twice, and what is junk by stated
rules.

Junk are facts that are there already (all but the first), that another one superseded, whose time is over,
and texts without a letter or a digit. What was never found is counted, and is no junk: it may be found
tomorrow. It reads all passages, some at a time. Left out: tidying up (``kernel.facts``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Literal

from anyio import to_thread

from pagefault.config import zone_for
from pagefault.kernel import Kernel
from pagefault.kernel.owners import record_of
from pagefault.quoting import inline
from pagefault.retrieval.wording import key_of, words_of
from pagefault.shared import StorageOwner, archive_of
from pagefault.types import Passage

__all__ = ["AuditItem", "DoubleGroup", "MemoryAudit", "SourceCount", "audit"]

_READ = 500  # passages at a time
_MOST_SOURCES = 50
_LONGEST = 120  # characters of a text
_COUNTED = ("facts", "chunks", "doubles", "superseded", "ended", "empty", "never_found")

Kept = Literal["agent", "outside", "document"]
"""The ways in which a passage came: in a turn of the agent, from outside, as a part of a document."""


@dataclass(frozen=True, slots=True)
class SourceCount:
    """A number of passages that came in one way, of one source (the path or URL of a document; empty:
    none)."""

    kept: Kept
    source: str
    items: int


@dataclass(frozen=True, slots=True)
class AuditItem:
    """A passage, its text cut. ``until``: when it ended; ``by``: the id of the one in its place."""

    id: str
    at: datetime
    text: str
    until: datetime | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class DoubleGroup:
    """Passages of the same words; ``ids`` with the first one first, some of many."""

    count: int
    ids: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class MemoryAudit:
    """The audit of one archival storage. Lists show some; ``counts`` has how many there are of each:
    ``facts``, ``chunks`` (of documents), ``doubles`` (without the first of each), ``superseded``, ``ended``,
    ``empty``, ``never_found`` (facts that hold). ``junk``: doubles, superseded, ended and empty; ``share``:
    of all."""

    name: str
    at: datetime
    items: int
    counts: dict[str, int]
    sources: tuple[SourceCount, ...]
    doubles: tuple[DoubleGroup, ...]
    superseded: tuple[AuditItem, ...]
    ended: tuple[AuditItem, ...]
    never_found: tuple[AuditItem, ...]
    oldest: tuple[AuditItem, ...]
    junk: int
    share: float


@dataclass(slots=True)
class _Survey:
    """The passages seen so far, counted; of each list the first ``most``."""

    now: datetime
    archive: str
    most: int
    counts: Counter[str] = field(default_factory=Counter[str])
    sources: Counter[tuple[Kept, str]] = field(default_factory=Counter["tuple[Kept, str]"])
    same: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    texts: dict[int, str] = field(default_factory=dict[int, str])
    sizes: Counter[int] = field(default_factory=Counter[int])
    listed: dict[str, list[AuditItem]] = field(default_factory=dict[str, list[AuditItem]])

    def see(self, passages: Iterable[Passage]) -> None:
        for passage in passages:
            self.counts["facts" if passage.place is None else "chunks"] += 1
            self.sources[_kept(passage), passage.source] += 1
            if kind := self._junk(passage):
                self.counts[kind] += 1
                self._list(kind, passage)
            else:
                self._see_good(passage)

    def _junk(self, passage: Passage) -> str:
        """The rule by which a passage is junk by itself; empty for none."""
        if not any(map(str.isalnum, passage.text)):
            return "empty"
        if passage.superseded is not None and (passage.ended is None or passage.ended <= self.now):
            return "superseded"
        return "ended" if passage.valid_until and passage.valid_until <= self.now else ""

    def _see_good(self, passage: Passage) -> None:
        words = words_of(passage.text) if passage.place is None else passage.text.split()
        key = key_of(*words)
        self.sizes[key] += 1
        ids = self.same.setdefault(key, [])
        if len(ids) < self.most:
            ids.append(self._id(passage.number))
        if len(ids) == 1 and self.sizes[key] == 1:
            self.texts[key] = inline(passage.text, _LONGEST)
        if self.sizes[key] > 1:
            self.counts["doubles"] += 1
        elif passage.place is None and passage.found is None:
            self.counts["never_found"] += 1
            self._list("never_found", passage)

    def _id(self, number: int) -> str:
        return f"{self.archive}/p{number}" if self.archive else f"p{number}"

    def item(self, passage: Passage) -> AuditItem:
        by = None if passage.superseded is None else self._id(passage.superseded)
        text = inline(passage.text, _LONGEST)
        return AuditItem(self._id(passage.number), passage.at, text, passage.ends, by)

    def _list(self, kind: str, passage: Passage) -> None:
        listed = self.listed.setdefault(kind, [])
        if len(listed) < self.most:
            listed.append(self.item(passage))


async def audit(kernel: Kernel, name: StorageOwner, *, most: int = 20) -> MemoryAudit:
    """The audit of the own storage of an agent, or of an archive; ``most``: items that each list shows."""
    record, now = await kernel.record(name), kernel.clock.now()
    survey, oldest, after = _Survey(now, archive_of(record), most), list[Passage](), 0
    while batch := await kernel.store.read(
        lambda tx, after=after: tx.stored_passages(record_of(tx, name).id, after, _READ)
    ):
        after = batch[-1].number
        there = [passage for passage in batch if passage.withdrawn is None]
        await to_thread.run_sync(survey.see, there)
        oldest = sorted((*oldest, *there), key=lambda each: (each.begins, each.number))[:most]
    return _audited(survey, archive_of(record) or record.name, oldest, zone_for(record))


def _kept(passage: Passage) -> Kept:
    if passage.place is not None:
        return "document"
    return "outside" if passage.event is None else "agent"


def _audited(survey: _Survey, name: str, oldest: Sequence[Passage], zone: tzinfo) -> MemoryAudit:
    counts = {kind: survey.counts[kind] for kind in _COUNTED}
    items = counts["facts"] + counts["chunks"]
    junk = sum(counts[kind] for kind in ("doubles", "superseded", "ended", "empty"))
    doubles = [(size, key) for key, size in survey.sizes.items() if size > 1]
    doubles = sorted(doubles, key=lambda each: -each[0])[: survey.most]
    return MemoryAudit(
        name,
        survey.now.astimezone(zone),
        items,
        counts,
        tuple(
            SourceCount(kept, source, n) for (kept, source), n in survey.sources.most_common(_MOST_SOURCES)
        ),
        tuple(DoubleGroup(size, tuple(survey.same[key]), survey.texts[key]) for size, key in doubles),
        _local(survey.listed.get("superseded", ()), zone),
        _local(survey.listed.get("ended", ()), zone),
        _local(survey.listed.get("never_found", ()), zone),
        _local(map(survey.item, oldest), zone),
        junk,
        round(junk / items, 4) if items else 0.0,
    )


def _local(items: Iterable[AuditItem], zone: tzinfo) -> tuple[AuditItem, ...]:
    """Items with their times in the agent's zone."""
    return tuple(
        replace(item, at=item.at.astimezone(zone), until=item.until and item.until.astimezone(zone))
        for item in items
    )
