"""The text objects of archival storage: facts, and chunks of documents. Left out: documents (``types``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["Passage", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a document a passage stands: the document's number, its page (from 1), the heading it is
    under, and from which to which character of that page it goes."""

    document: int
    page: int
    section: str = ""
    start: int = 0
    stop: int = 0


@dataclass(frozen=True, slots=True)
class Passage:
    """One text object of archival storage. ``source``: where it came from (empty: the agent); ``place`` is
    set for a chunk of a document. ``archive``: the name of the archive through which it is read, if any.
    ``event``: the inbox id of the event in whose turn the agent stored it; None: it is from outside.
    ``born``: the last number of the log when it was stored; None: not known. ``withdrawn``: as of a message.
    ``valid_from``, ``valid_until``: when it holds, as far as it was said. ``superseded``: the number of the
    passage that took its place, ``ended`` since when; None then: both say the same. ``found``: when a turn of
    the agent last had it as a result. ``same``, ``about``: keys of facts alike (``retrieval.statements``).
    """

    text: str
    at: datetime
    tags: tuple[str, ...] = ()
    source: str = ""
    number: int = 0
    title: str = ""
    place: Place | None = None
    archive: str = ""
    event: int | None = None
    born: int | None = field(default=None, compare=False)
    withdrawn: int | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    superseded: int | None = None
    ended: datetime | None = None
    found: datetime | None = field(default=None, compare=False)
    same: int | None = field(default=None, compare=False)
    about: int | None = field(default=None, compare=False)

    @property
    def id(self) -> str:
        """The handle of functions: ``p7``, behind the name of its archive if it is in one: ``manuals/p7``."""
        return f"{self.archive}/p{self.number}" if self.archive else f"p{self.number}"

    @property
    def begins(self) -> datetime:
        """From when it holds: since it was noted, unless another time was said."""
        return self.valid_from or self.at

    @property
    def ends(self) -> datetime | None:
        """Until when it holds; None: no end is known."""
        return min(filter(None, (self.valid_until, self.ended)), default=None)
