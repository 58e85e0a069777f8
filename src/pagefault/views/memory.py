"""An agent's memory: the sections of its working context, and search of recall and archival storage.

Pages of results are counted from 1; each call ranks anew, so pass ``as_of`` to keep the pages of recall as
they were. Left out: changes (``kernel.edits``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pagefault.clock import When, time_of
from pagefault.config import settings_of, zone_for
from pagefault.errors import NotFoundError, UsageError
from pagefault.functions.archives import ArchivalStorages
from pagefault.kernel import Kernel
from pagefault.kernel.facts import RememberedFact
from pagefault.kernel.owners import find_edited, find_stored, not_stored, storages_to_search
from pagefault.models.tokens import HeuristicCounter, family_of
from pagefault.retrieval import Hit, Like, Ranking, Retriever, fold
from pagefault.shared import Archive, StorageOwner
from pagefault.storage import Filter, Transaction
from pagefault.types import SEARCHED_BY_DEFAULT, AgentId, AgentRecord, Passage, Tier
from pagefault.views.asking import number_of, page_of, roles_of, tags_of
from pagefault.views.hits import MessageHit, PassageHit, PassageView, hit_of, passage_view

__all__ = [
    "MessageHit",
    "PassageHit",
    "PassageView",
    "SearchPage",
    "SectionVersion",
    "SectionView",
    "kept_passage",
    "passage",
    "search",
    "section",
    "section_versions",
    "sections",
    "speakers",
]

_PAGE = 10  # results on a page
_LEAST = timedelta(microseconds=1)


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
class SearchPage:
    """One page of results, best first, or newest first without a query. ``total``: of all pages, without
    those that are named as ``like`` others. ``as_of``: the newest message that was looked at, or the time
    that was asked for; given again, further pages are as they were."""

    total: int
    page: int
    pages: int
    results: tuple[MessageHit | PassageHit, ...]
    as_of: str

    def __iter__(self) -> Iterator[MessageHit | PassageHit]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, place: int) -> MessageHit | PassageHit:
        return self.results[place]


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


async def speakers(kernel: Kernel, name: str) -> tuple[str, ...]:
    """The names of those whose messages are in recall storage, in order."""
    record = await kernel.record(name)
    return tuple(await kernel.store.read(lambda tx: tx.speakers(record.id)))


async def passage(kernel: Kernel, name: StorageOwner, id: str) -> PassageView:
    """The passage of this id (``p7``, ``manuals/p7``), or of an earlier id of it; ``NotFoundError`` if there
    is none."""
    record = await kernel.record(name)

    def read(tx: Transaction) -> Passage | None:
        storage, number = find_stored(tx, record, id, "p")
        found = tx.passage(storage.id, find_edited(tx, storage.id, number))
        return found and replace(found, archive=storage.name)

    if found := await kernel.store.read(read):
        return passage_view(found, zone_for(record))
    raise not_stored(record, id, "p")


async def kept_passage(kernel: Kernel, name: StorageOwner, kept: RememberedFact) -> PassageView:
    """The passage that ``kernel.facts.remember`` has kept, or found, with what it said."""
    return replace(passage_view(kept.passage, zone_for(await kernel.record(name))), said=kept.said)


async def search(
    kernel: Kernel, name: StorageOwner, query: str = "", *, tier: Tier | None = None, page: int = 1,
    size: int = _PAGE, since: When = None, until: When = None, role: Sequence[str] = (),
    tags: Sequence[str] = (), session: int | None = None, as_of: When = None,
    archive: str | None = None, speaker: str = "", document: str = "",
) -> SearchPage:  # fmt: skip
    """Search one tier of external memory, or both; without a query, everything that passes the filters.

    ``since`` is inclusive, ``until`` exclusive, except that a date without a time is included. ``role`` (user
    messages, speech and events unless others are named), ``session`` and ``speaker`` are of recall, ``tags``
    (all must be there), ``archive`` (an attached one, alone) and ``document`` (the id of one) of archival
    storage; they choose the tier if ``tier`` does not. ``as_of``: the newest row (``m12``), or a time: then
    messages until then are found, and facts that held then, a day being looked back on from its end.
    """
    if size < 1:
        raise UsageError(f"A page of {size} results is none; ask for 1 or more.")
    record = await kernel.record(name)
    zone, now = zone_for(record), kernel.clock.now()
    then = _moment(as_of, now, zone)
    last = number_of(str(as_of), "m") if as_of and not then else record.last_seq
    spans, roles = (time_of(since, now, zone), time_of(until, now, zone, end=True)), roles_of(role)
    only = Filter(roles or SEARCHED_BY_DEFAULT, tags_of(tags), *spans, last + 1, session, speaker or None)
    tiers = _tiers(
        "archival" if isinstance(name, Archive) else tier,
        any((role, session is not None, speaker)), any((tags, archive is not None, document)),
    )  # fmt: skip
    if archive is not None and tiers != ("archival",):
        raise UsageError("An archive has no messages; leave the tier or the archive out.")
    storages, owners, part = await kernel.store.read(lambda tx: _places(tx, record, archive, document))
    stored = replace(only, before=None, session=session if part is None else part)
    said = replace(only, tags=(), until=_earlier(only.until, then))
    filters: dict[Tier, Filter] = {"recall": said, "archival": stored}
    hits, like = await _ranked(
        kernel.assembly.retriever(zone), record.id, owners, query, tiers, filters, then
    )
    shown, pages = page_of(hits, page, size)
    results = await _results(kernel, zone, storages, query, shown, like)
    seen = then.astimezone(zone).isoformat() if then else f"m{last}"
    return SearchPage(len(hits), page, pages, results, seen)


def _moment(as_of: When, now: datetime, zone: ZoneInfo) -> datetime | None:
    """The time to search as of, of a day its last moment; None for a row of the log, or nothing."""
    if not as_of or (isinstance(as_of, str) and re.fullmatch(r"m?\d{1,15}", as_of.strip())):
        return None
    begin, end = time_of(as_of, now, zone), time_of(as_of, now, zone, end=True)
    return end if begin == end or end is None else end - _LEAST


def _earlier(until: datetime | None, then: datetime | None) -> datetime | None:
    """The end of what messages are found: before ``until``, and not later than ``then``."""
    return min((at for at in (until, then and then + _LEAST) if at), default=None)


async def _results(
    kernel: Kernel, zone: ZoneInfo, storages: ArchivalStorages, query: str, hits: Sequence[Hit], like: Like
) -> tuple[MessageHit | PassageHit, ...]:
    items = await kernel.store.read(lambda tx: [storages.item(tx, hit) for hit in hits])
    return tuple(
        hit_of(hit, item, query, zone, tuple(map(storages.id_of, like.get(hit.key, ()))))
        for hit, item in zip(hits, items, strict=True)
        if item is not None
    )


def _places(
    tx: Transaction, record: AgentRecord, archive: str | None, document: str
) -> tuple[ArchivalStorages, tuple[AgentId, ...], int | None]:
    """The storages of an agent, the ids of those to search, and the number of the document to search, if
    only one."""
    storages, owners = storages_to_search(tx, record, archive)
    if not document:
        return storages, owners, None
    storage, number = find_stored(tx, record, document, "d")
    if tx.document(storage.id, number) is None:
        raise not_stored(record, document, "d")
    return storages, (storage.id,), number


def _tiers(asked: Tier | None, recall_only: bool, archival_only: bool) -> tuple[Tier, ...]:
    """The tiers to search: the one asked for, else those to which the filters apply."""
    if asked in ("recall", "archival"):
        return (asked,)
    if asked is not None:
        raise UsageError(f"There is no tier {asked!r}; write recall or archival.")
    if recall_only and archival_only:
        raise UsageError(
            "Only passages have tags, an archive or a document, only messages a role, a speaker or a "
            "session; leave one of them out."
        )
    return ("recall",) if recall_only else ("archival",) if archival_only else ("recall", "archival")


async def _ranked(
    retriever: Retriever, agent: AgentId, archival: tuple[AgentId, ...], query: str, tiers: Sequence[Tier],
    filters: Mapping[Tier, Filter], as_of: datetime | None,
) -> tuple[Ranking, Like]:  # fmt: skip
    owners = {"recall": (), "archival": archival}
    first, *rest = [
        await retriever.search(agent, tier, query, filters[tier], owners=owners[tier], as_of=as_of)
        for tier in tiers
    ]
    hits = first.merged(rest[0]) if rest else first
    return await retriever.store.read(lambda tx: fold(tx, hits)) if query else (hits, {})
