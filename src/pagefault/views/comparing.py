"""The difference between two memories: of two agents, or of one at two positions of its log.

Compared is what they hold, not the ids under which: sections by name, passages by text, title and tags,
documents by their bytes, timers, and what is attached. Of the past, timers and attachments are not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC
from typing import Literal

from pagefault.functions.results import validity_of
from pagefault.kernel import Kernel
from pagefault.kernel.owners import record_of
from pagefault.quoting import inline
from pagefault.storage import Transaction
from pagefault.types import AgentId, AgentRecord, Passage, Section
from pagefault.views.differences import Difference, difference
from pagefault.views.past import Moment, moment_of, passages_at, sections_at

__all__ = ["Compared", "MemoryDifference", "MemoryItem", "SectionDifference", "compare"]

MOST = 100
"""Items of a kind that are shown; ``MemoryDifference.counts`` has how many there are."""

_LONGEST = 300  # characters of a passage that are shown
ItemKind = Literal["passage", "document", "timer", "archive", "section"]
_KINDS: tuple[ItemKind, ...] = ("passage", "document", "timer", "archive", "section")


@dataclass(frozen=True, slots=True)
class Compared:
    """A side of a comparison: an agent, as it is or as it was when its log ended with the row ``at``."""

    name: str
    at: str | None = None


@dataclass(frozen=True, slots=True)
class SectionDifference:
    """A section that is not the same. ``only``: the side that alone has it; ``limits``: of the first and the
    second side, None where there is none."""

    name: str
    only: Literal["first", "second"] | None
    text: Difference
    limits: tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class MemoryItem:
    """Something that one side alone has. ``kind``: what it is (``archive``, ``section``: attached); ``text``:
    its beginning; ``id``: as that side has it."""

    kind: ItemKind
    side: Literal["first", "second"]
    text: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class MemoryDifference:
    """The memory that differs. ``items``: up to a hundred of each kind and side; ``counts``: of all, by
    ``kind``, on the first and on the second side. ``unknown``: what is not compared, each a sentence."""

    first: Compared
    second: Compared
    sections: tuple[SectionDifference, ...]
    items: tuple[MemoryItem, ...]
    counts: dict[str, tuple[int, int]]
    unknown: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Return whether both hold the same."""
        return not self.sections and not self.items


@dataclass(frozen=True, slots=True)
class _Item:
    """An item by what it holds, in the order of its kind."""

    key: Hashable
    text: str
    id: str


@dataclass(frozen=True, slots=True)
class _Side:
    sections: dict[str, Section]
    items: dict[ItemKind, list[_Item]]


async def compare(
    kernel: Kernel, first: str, second: str, *, at: int | str | None = None, other_at: int | str | None = None
) -> MemoryDifference:
    """Compare the memory of two agents, which may be one at two positions: ``at`` of the first and
    ``other_at`` of the second; None: as it is now. ``NotFoundError`` for an agent or a position that is
    not there."""

    def read(tx: Transaction) -> tuple[list[_Side], list[Compared]]:
        sides, compared = list[_Side](), list[Compared]()
        for name, position in ((first, at), (second, other_at)):
            record = record_of(tx, name)
            then = None if position is None else moment_of(tx, record, position)
            sides.append(_read(tx, record, then))
            compared.append(Compared(name, then and f"m{then.position}"))
        return sides, compared

    (one, other), (a, b) = await kernel.store.read(read)
    unknown = ("Timers and attachments are not compared; the past ones are not known.",)
    items, counts = list[MemoryItem](), dict[str, tuple[int, int]]()
    for kind in _KINDS:
        if kind not in one.items or kind not in other.items:
            continue
        ours, theirs = _only(one.items[kind], other.items[kind]), _only(other.items[kind], one.items[kind])
        counts[kind] = len(ours), len(theirs)
        items += [MemoryItem(kind, "first", each.text, each.id) for each in ours[:MOST]]
        items += [MemoryItem(kind, "second", each.text, each.id) for each in theirs[:MOST]]
    sections = tuple(_sections(one.sections, other.sections))
    return MemoryDifference(
        a, b, sections, tuple(items), counts, () if a.at is None and b.at is None else unknown
    )


def _read(tx: Transaction, record: AgentRecord, then: Moment | None) -> _Side:
    agent = record.id
    sections = tx.sections(agent) if then is None else sections_at(tx, agent, then)
    items: dict[ItemKind, list[_Item]] = {
        "passage": [_passage_item(each) for each in passages_at(tx, agent, then) if each.place is None],
        "document": [
            _Item((each.source, each.digest), inline(each.title or each.source, _LONGEST), each.id)
            for each in tx.documents(agent)
            if then is None or each.at <= then.at
        ],
    }
    return _Side(
        {each.name: each for each in sections}, items | (_read_now(tx, agent) if then is None else {})
    )


def _passage_item(passage: Passage) -> _Item:
    """A fact; one that holds for another time is another fact."""
    held = passage.valid_from, passage.ends, passage.superseded is not None
    limits = validity_of(passage, UTC)
    text = inline(passage.text, _LONGEST) + (f" [{limits}]" if limits else "")
    return _Item((passage.text, passage.title, passage.tags, *held), text, passage.id)


def _read_now(tx: Transaction, agent: AgentId) -> dict[ItemKind, list[_Item]]:
    """The items of which the past is not known."""
    items: dict[ItemKind, list[_Item]] = {"timer": [], "archive": [], "section": []}
    for timer in tx.schedules(agent):
        when = timer.cron or timer.due.isoformat()
        key = timer.note, timer.due, timer.cron, timer.zone
        items["timer"].append(_Item(key, f"{when}: {inline(timer.note, _LONGEST)}", timer.id))
    for each in tx.attachments(agent):
        rights = " read-only" if each.read_only else ""
        items[each.kind].append(_Item((each.name, each.read_only), f"{each.name}{rights}", ""))
    return items


def _only(ours: Iterable[_Item], theirs: Iterable[_Item]) -> list[_Item]:
    """The items that are not among the others, or are there fewer times."""
    left, found = Counter(each.key for each in theirs), list[_Item]()
    for each in ours:
        if left[each.key] > 0:
            left[each.key] -= 1
        else:
            found.append(each)
    return found


def _sections(ours: dict[str, Section], theirs: dict[str, Section]) -> Iterable[SectionDifference]:
    for name in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(name), theirs.get(name)
        same = one and other and (one.text, one.limit, one.description, one.read_only) == (
            other.text, other.limit, other.description, other.read_only
        )  # fmt: skip
        if not same:
            only = None if one and other else "first" if one else "second"
            texts = difference(one.text if one else "", other.text if other else "")
            yield SectionDifference(name, only, texts, (one and one.limit, other and other.limit))
