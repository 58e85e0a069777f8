"""An agent's memory: the sections of its working context, and search of recall and archival storage.

Pages of results are counted from 1; each call ranks anew, so pass ``as_of`` to keep the pages of recall as
they were. Left out: changes (``kernel.edits``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pagefault.clock import When, time_of
from pagefault.config import settings_of, zone_for
from pagefault.errors import NotFoundError, UsageError
from pagefault.functions.archives import ArchivalStorages
from pagefault.functions.results import label_of
from pagefault.kernel import Kernel
from pagefault.kernel.owners import find_stored, not_stored, storages_to_search
from pagefault.models.tokens import HeuristicCounter, family_of
from pagefault.retrieval import Hit, Like, Ranking, Retriever, excerpt, fold
from pagefault.shared import Archive, StorageOwner
from pagefault.storage import Filter, Transaction
from pagefault.types import SEARCHED_BY_DEFAULT, AgentId, Message, Passage, Role, Tier
from pagefault.views.asking import number_of, page_of, roles_of, tags_of

__all__ = [
    "MessageHit",
    "PassageHit",
    "PassageView",
    "SearchPage",
    "SectionVersion",
    "SectionView",
    "passage",
    "search",
    "section",
    "section_versions",
    "sections",
]

_PAGE = 10  # results on a page
_EXCERPT = 60  # tokens


@dataclass(frozen=True, slots=True)
class SectionView:
    """A section of the working context. ``tokens`` is what its text takes of ``limit``, uncalibrated;
    ``version`` counts its changes, from 1."""

    name: str
    description: str
    text: str
    tokens: int
    limit: int
    read_only: bool
    version: int


@dataclass(frozen=True, slots=True)
class SectionVersion:
    """A section as it was from ``at`` on."""

    version: int
    at: datetime
    text: str
    description: str
    limit: int


@dataclass(frozen=True, slots=True)
class MessageHit:
    """A row of recall storage that was found.

    ``excerpt``: one line around what was asked for. ``label``: date and origin as the agent is shown them.
    ``session``: the sitting, numbered from 1. ``score``, and ``parts`` by name, say why it stands where it
    does (docs/retrieval.md); without a query both are empty. ``like``: the ids of further hits of the same
    text, which have no place of their own.
    """

    id: str
    role: Role
    speaker: str
    session: int
    at: datetime
    text: str
    excerpt: str
    label: str
    score: float
    parts: dict[str, float]
    like: tuple[str, ...] = ()
    tier: Tier = "recall"


@dataclass(frozen=True, slots=True)
class PassageView:
    """A passage of archival storage.

    ``source``: where it came from, empty if the agent wrote it. Of a chunk of a document: the document's id,
    its page (from 1), the heading it is under, and its characters from ``start`` to ``stop`` of that page.
    """

    id: str
    tags: tuple[str, ...]
    source: str
    title: str
    at: datetime
    text: str
    document: str | None = None
    page: int | None = None
    section: str = ""
    start: int | None = None
    stop: int | None = None


@dataclass(frozen=True, slots=True)
class PassageHit(PassageView):
    """A passage that was found; the rest as in ``MessageHit``."""

    excerpt: str = ""
    label: str = ""
    score: float = 0.0
    parts: dict[str, float] | None = None
    like: tuple[str, ...] = ()
    tier: Tier = "archival"


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of results, best first, or newest first without a query. ``total``: of all pages, without
    those that are named as ``like`` others. ``as_of``: the newest message that was looked at."""

    total: int
    page: int
    pages: int
    results: tuple[MessageHit | PassageHit, ...]
    as_of: str

    def __iter__(self) -> Iterator[MessageHit | PassageHit]:
        return iter(self.results)


async def sections(kernel: Kernel, name: str) -> tuple[SectionView, ...]:
    """The sections in the order of their creation."""
    record = await kernel.record(name)
    found = await kernel.store.read(lambda tx: tx.sections(record.id))
    count = HeuristicCounter(family_of(settings_of(record).model)).count
    return tuple(
        SectionView(s.name, s.description, s.text, count(s.text), s.limit, s.read_only, s.version)
        for s in found
    )


async def section(kernel: Kernel, name: str, section: str) -> SectionView:
    """The section of this name; ``NotFoundError`` if there is none."""
    found = {each.name: each for each in await sections(kernel, name)}
    if section not in found:
        raise NotFoundError(f"Agent {name} has no section {section}; it has {', '.join(found) or 'none'}.")
    return found[section]


async def section_versions(kernel: Kernel, name: str, section: str) -> tuple[SectionVersion, ...]:
    """All versions of one section, oldest first; ``NotFoundError`` if there never was one."""
    record = await kernel.record(name)
    found = await kernel.store.read(lambda tx: tx.section_history(record.id, section))
    if not found:
        raise NotFoundError(f"Agent {name} has no section {section}; `pagefault agent show` lists them.")
    zone = zone_for(record)
    return tuple(
        SectionVersion(s.version, at.astimezone(zone), s.text, s.description, s.limit) for at, s in found
    )


async def passage(kernel: Kernel, name: StorageOwner, id: str) -> PassageView:
    """The passage of this id (``p7``, ``manuals/p7``); ``NotFoundError`` if there is none."""
    record = await kernel.record(name)

    def read(tx: Transaction) -> Passage | None:
        storage, number = find_stored(tx, record, id, "p")
        found = tx.passage(storage.id, number)
        return found and replace(found, archive=storage.name)

    if found := await kernel.store.read(read):
        return PassageView(**_fields(found, zone_for(record)))
    raise not_stored(record, id, "p")


async def search(
    kernel: Kernel, name: StorageOwner, query: str = "", *, tier: Tier | None = None, page: int = 1,
    size: int = _PAGE, since: When = None, until: When = None, role: Sequence[str] = (),
    tags: Sequence[str] = (), session: int | None = None, as_of: str | None = None,
    archive: str | None = None,
) -> SearchPage:  # fmt: skip
    """Search one tier of external memory, or both; without a query, everything that passes the filters.

    ``since`` is inclusive, ``until`` exclusive, except that a date without a time is included. ``role``
    (user messages, speech and events unless others are named) and ``session`` are of recall, ``tags`` (all
    must be there) and ``archive`` (an attached one, alone) of archival storage; they choose the tier if
    ``tier`` does not. ``as_of``: the newest row.
    """
    if size < 1:
        raise UsageError(f"A page of {size} results is none; ask for 1 or more.")
    record = await kernel.record(name)
    zone, now = zone_for(record), kernel.clock.now()
    last = number_of(as_of, "m") if as_of else record.last_seq
    only = Filter(
        roles_of(role) or SEARCHED_BY_DEFAULT,
        tags_of(tags),
        time_of(since, now, zone),
        time_of(until, now, zone, end=True),
        last + 1,
        session,
    )
    tiers = ("archival",) if isinstance(name, Archive) else _tiers(tier, role, tags, session, archive)
    storages, owners = await kernel.store.read(lambda tx: storages_to_search(tx, record, archive))
    hits, like = await _ranked(kernel.assembly.retriever(zone), record.id, owners, query, tiers, only)
    shown, pages = page_of(hits, page, size)
    results = await _results(kernel, zone, storages, query, shown, like)
    return SearchPage(len(hits), page, pages, results, f"m{last}")


async def _results(
    kernel: Kernel, zone: ZoneInfo, storages: ArchivalStorages, query: str, hits: Sequence[Hit], like: Like
) -> tuple[MessageHit | PassageHit, ...]:
    items = await kernel.store.read(lambda tx: [storages.item(tx, hit) for hit in hits])
    return tuple(
        _hit(hit, item, query, zone, tuple(map(storages.id_of, like.get(hit.key, ()))))
        for hit, item in zip(hits, items, strict=True)
        if item is not None
    )


def _tiers(
    asked: Tier | None, role: Sequence[str], tags: Sequence[str], session: int | None, archive: str | None
) -> tuple[Tier, ...]:
    """The tiers to search: the one asked for, else those to which the filters apply."""
    recall_only, archival_only = bool(role) or session is not None, bool(tags) or archive is not None
    if archive is not None and asked == "recall":
        raise UsageError("An archive has no messages; leave the tier or the archive out.")
    if asked in ("recall", "archival"):
        return (asked,)
    if asked is not None:
        raise UsageError(f"There is no tier {asked!r}; write recall or archival.")
    if recall_only and archival_only:
        raise UsageError(
            "Only passages have tags or an archive, only messages a role or a session; leave one of them out."
        )
    return ("recall",) if recall_only else ("archival",) if archival_only else ("recall", "archival")


async def _ranked(
    retriever: Retriever, agent: AgentId, archival: tuple[AgentId, ...], query: str, tiers: Sequence[Tier],
    only: Filter,
) -> tuple[Ranking, Like]:  # fmt: skip
    filters = {"recall": replace(only, tags=()), "archival": replace(only, before=None)}
    owners = {"recall": (), "archival": archival}
    first, *rest = [
        await retriever.search(agent, tier, query, filters[tier], owners=owners[tier]) for tier in tiers
    ]
    hits = first.merged(rest[0]) if rest else first
    return await retriever.store.read(lambda tx: fold(tx, hits)) if query else (hits, {})


def _hit(
    hit: Hit, item: Message | Passage, query: str, zone: ZoneInfo, like: tuple[str, ...]
) -> MessageHit | PassageHit:
    why: dict[str, Any] = {
        "excerpt": excerpt(item.text, query, _EXCERPT, HeuristicCounter()),
        "label": label_of(item, zone),
        "score": hit.score,
        "parts": dict(hit.parts),
        "like": like,
    }
    if isinstance(item, Passage):
        return PassageHit(**_fields(item, zone), **why)
    at = item.at.astimezone(zone)
    return MessageHit(item.id, item.role, item.speaker, hit.session, at, item.text, **why)


def _fields(passage: Passage, zone: ZoneInfo) -> dict[str, Any]:
    place, where = passage.place, f"{passage.archive}/" if passage.archive else ""
    fields: dict[str, Any] = {
        "id": passage.id,
        "tags": passage.tags,
        "source": passage.source,
        "title": passage.title,
        "at": passage.at.astimezone(zone),
        "text": passage.text,
    }
    if place is not None:
        fields |= {"document": f"{where}d{place.document}", "page": place.page, "section": place.section}
        fields |= {"start": place.start, "stop": place.stop}
    return fields
