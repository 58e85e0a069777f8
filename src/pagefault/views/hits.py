"""Rows and passages as they are found: what they say, where they come from, why they stand where they do.

Left out: the search (``memory``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pagefault.functions.results import label_of
from pagefault.models.tokens import HeuristicCounter
from pagefault.retrieval import Hit, excerpt
from pagefault.types import Message, Passage, Role, Tier

__all__ = ["MessageHit", "PassageHit", "PassageView", "hit_of", "passage_fields", "passage_view"]

_EXCERPT = 60  # tokens


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
    ``valid_from``, ``valid_until``: when it holds, if that was said. ``superseded``: the id of the passage
    that took its place, ``ended`` since when; None then: both say the same. ``found``: when a turn of the
    agent last had it as a result. ``said``: the line that says what was done, where it was just kept.
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
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    superseded: str | None = None
    ended: datetime | None = None
    found: datetime | None = None
    said: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class PassageHit(PassageView):
    """A passage that was found; the rest as in ``MessageHit``."""

    excerpt: str = ""
    label: str = ""
    score: float = 0.0
    parts: dict[str, float] | None = None
    like: tuple[str, ...] = ()
    tier: Tier = "archival"


def hit_of(
    hit: Hit, item: Message | Passage, query: str, zone: ZoneInfo, like: tuple[str, ...]
) -> MessageHit | PassageHit:
    """The row or passage that a hit is; ``like``: the ids of others of the same text."""
    why: dict[str, Any] = {
        "excerpt": excerpt(item.text, query, _EXCERPT, HeuristicCounter()),
        "label": label_of(item, zone),
        "score": hit.score,
        "parts": dict(hit.parts),
        "like": like,
    }
    if isinstance(item, Passage):
        return PassageHit(**passage_fields(item, zone), **why)
    at = item.at.astimezone(zone)
    return MessageHit(item.id, item.role, item.speaker, hit.session, at, item.text, **why)


def passage_view(passage: Passage, zone: ZoneInfo) -> PassageView:
    """A passage as a view of it."""
    return PassageView(**passage_fields(passage, zone))


def passage_fields(passage: Passage, zone: ZoneInfo) -> dict[str, Any]:
    """The fields of a passage's view, by name."""
    place, where = passage.place, f"{passage.archive}/" if passage.archive else ""
    fields: dict[str, Any] = {
        "id": passage.id,
        "tags": passage.tags,
        "source": passage.source,
        "title": passage.title,
        "at": passage.at.astimezone(zone),
        "text": passage.text,
    }
    times = ("valid_from", "valid_until", "ended", "found")
    fields |= {name: at and at.astimezone(zone) for name in times if (at := getattr(passage, name))}
    if passage.superseded:
        fields["superseded"] = f"{where}p{passage.superseded}"
    if place is not None:
        fields |= {"document": f"{where}d{place.document}", "page": place.page, "section": place.section}
        fields |= {"start": place.start, "stop": place.stop}
    return fields
