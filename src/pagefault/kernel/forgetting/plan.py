"""The plan of a forgetting: each place that has something of it, before anything is changed. Values only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pagefault.shared import archive_of
from pagefault.types import AgentId, AgentRecord, Message, Page, Section

__all__ = ["Covering", "ForgetPlan", "OwnerPlan", "PageEdit", "PlannedPlace", "SectionEdits"]


@dataclass(frozen=True, slots=True)
class PlannedPlace:
    """One place that is forgotten, or edited: its ``kind`` (message, passage, section version ...), the id
    under which people know it, whose it is, and why: it ``matches``, or is ``derived`` from what does."""

    kind: str
    id: str
    owner: str
    why: str = "matches"


@dataclass(frozen=True, slots=True)
class SectionEdits:
    """A section of the working context by name: as it is to be (None: it stays), the versions to erase."""

    name: str
    edited: Section | None
    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PageEdit:
    """A page as it is to be, of the document of this number."""

    document: int
    page: Page


@dataclass(frozen=True, slots=True)
class Covering:
    """The live summary, which covers rows that go: it is written anew from ``base``, the last summary that
    covers none of them (None: from nothing), and the rows from ``first`` to ``last``, without those."""

    live: Message
    base: Message | None
    first: int
    last: int


@dataclass(slots=True)
class OwnerPlan:
    """The part of a plan on one agent, archive or shared section; numbers go with the reason.

    ``copies_only``: of an agent that is reached by its copies of shared sections alone. ``whole_documents``
    go with all their pages and chunks. ``settings``: as they are to be, None: they stay. ``covering``: the
    live summary to be written anew. ``head``: the queue's head is rendered anew. ``standing``: what the
    owner had when it was planned, all by which later writes are noticed, but for passages, of which it is the
    newest number, ``last_passage``.
    """

    record: AgentRecord
    copies_only: bool = False
    rows: dict[int, str] = field(default_factory=dict[int, str])
    passages: dict[int, str] = field(default_factory=dict[int, str])
    whole_documents: dict[int, str] = field(default_factory=dict[int, str])
    pages: list[PageEdit] = field(default_factory=list[PageEdit])
    sections: list[SectionEdits] = field(default_factory=list[SectionEdits])
    events: dict[int, str] = field(default_factory=dict[int, str])
    timers: dict[int, str] = field(default_factory=dict[int, str])
    outgoing: dict[int, str] = field(default_factory=dict[int, str])
    grants: dict[str, str] = field(default_factory=dict[str, str])
    settings: Mapping[str, object] | None = None
    covering: Covering | None = None
    head: bool = False
    standing: tuple[object, ...] = ()
    last_passage: int = 0

    @property
    def id(self) -> AgentId:
        return self.record.id

    @property
    def is_empty(self) -> bool:
        return not self.head and self.settings is None and next(self.places(), None) is None

    def gone_ids(self) -> Iterator[str]:
        """The ids of what goes as a whole, as results and lines that were paged in name it."""
        archive = archive_of(self.record)
        before = f"{archive}/" if archive else ""
        for letter, found in (("m", self.rows), ("p", self.passages), ("d", self.whole_documents)):
            yield from (f"{before}{letter}{number}" for number in found)

    def places(self) -> Iterator[PlannedPlace]:
        """Each place, in the order of the kinds."""
        name = self.record.name
        for kind, letter, found in (
            ("message", "m", self.rows),
            ("passage", "p", self.passages),
            ("document", "d", self.whole_documents),
            ("event", "", self.events),
            ("timer", "t", self.timers),
            ("change on its way", "", self.outgoing),
        ):
            for number, why in sorted(found.items()):
                yield PlannedPlace(kind, f"{letter}{number}", name, why)
        for page in self.pages:
            yield PlannedPlace("page", f"d{page.document} page {page.page.number}", name)
        for each in self.sections:
            if each.edited is not None:
                yield PlannedPlace("section", each.name, name)
            for version in each.versions:
                yield PlannedPlace("section version", f"{each.name} {version}", name)
        for grant, why in sorted(self.grants.items()):
            yield PlannedPlace("grant", grant, name, why)
        if self.settings is not None:
            yield PlannedPlace("settings", "", name)
        if self.covering:
            yield PlannedPlace("live summary", self.covering.live.id, name, "written anew")


@dataclass(frozen=True, slots=True)
class ForgetPlan:
    """All that a forgetting changes, by owner, the agent itself first. ``kept``: places that have something
    of it and stay, a sentence for each."""

    owners: tuple[OwnerPlan, ...]
    kept: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[PlannedPlace, ...]:
        """Each place, the agent's own first."""
        return tuple(place for owner in self.owners for place in owner.places())

    @property
    def is_empty(self) -> bool:
        return all(owner.is_empty for owner in self.owners)

    @property
    def counts(self) -> dict[str, int]:
        """The number of places by kind."""
        return count_places(self.places)


def count_places(places: Sequence[PlannedPlace]) -> dict[str, int]:
    """The number of places by kind, in the order in which kinds come first."""
    return dict(Counter(place.kind for place in places))
