"""The selection of a forgetting: ids, a query, a speaker, a time; a row must meet all that are given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pagefault.errors import UsageError
from pagefault.literal_query import LiteralQuery, folded
from pagefault.quoting import inline

__all__ = ["NOTHING", "Selection"]

NOTHING = ("m0",)
"""The ids of a selection that takes nothing: no row has this number."""

_ID = re.compile(r"(?:([A-Za-z0-9][\w.-]{0,63})/)?([mpdt])([0-9]{1,15})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Selection:
    """Each thing that meets all that is given. ``ids``: as people know them (``m12``, ``p7``, ``d1``, ``t3``,
    ``manuals/p7``); ``since`` is inclusive, ``until`` exclusive. ``kinds`` (``keep_settings.KeptKind``): of
    the agent's own rows, those of these kinds alone; none: of all. ``UsageError`` if nothing is given."""

    ids: tuple[str, ...] = ()
    query: LiteralQuery | None = None
    speaker: str = ""
    since: datetime | None = None
    until: datetime | None = None
    kinds: frozenset[str] = frozenset()
    _numbers: frozenset[tuple[str, str, int]] = field(init=False)

    def __post_init__(self) -> None:
        if not (self.ids or self.query or self.speaker or self.since or self.until):
            raise UsageError("Say what to forget: a text, ids, a speaker, or a time.")
        if self.speaker and not folded(self.speaker):
            raise UsageError("The name of the speaker is empty; give the name by which they are known.")
        if self.since and self.until and self.since >= self.until:
            raise UsageError("The time to forget ends before it begins; exchange since and until.")
        object.__setattr__(self, "_numbers", frozenset(_parsed(self.ids)))

    @property
    def is_by_text(self) -> bool:
        """Return whether everything that has the query goes, wherever and whenever it was said."""
        return self.query is not None and not (self.ids or self.speaker or self.since or self.until)

    @property
    def named(self) -> tuple[str, ...]:
        """The ids, if all that they name goes."""
        return () if self.query or self.speaker or self.since or self.until else self.ids

    def takes(
        self, texts: Iterator[str | None], at: datetime | None, id: str, archive: str = "", speaker: str = "",
        kind: str = "",
    ) -> bool:  # fmt: skip
        """Return whether something is selected: of these texts and this time, known by ``id`` (empty: by
        none) in an archive, said by ``speaker``; ``kind``: as a rule of retention knows it."""
        if self.kinds and kind not in self.kinds:
            return False
        if self.ids and not (id and (archive, id[0], int(id[1:])) in self._numbers):
            return False
        if self.speaker and folded(speaker) != folded(self.speaker):
            return False
        return self.is_in_time(at) and (self.query is None or self.query.is_in(*texts))

    def is_in_time(self, at: datetime | None) -> bool:
        if at is None:
            return self.since is None and self.until is None
        return not ((self.since and at < self.since) or (self.until and at >= self.until))

    def numbers(self, letter: str, archive: str = "") -> list[int]:
        """The numbers that were named of one kind."""
        return sorted(n for of, kind, n in self._numbers if (of, kind) == (archive, letter))

    @property
    def archives(self) -> frozenset[str]:
        """The archives of which something was named."""
        return frozenset(of for of, _, _ in self._numbers)


def _parsed(ids: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    for id in ids:
        if not (found := _ID.fullmatch(id)):
            raise UsageError(
                f"{inline(id, 64)} is no id to forget; ids are like m12, p7, d1, t3 or manuals/p7, as lists "
                "show them."
            )
        archive, letter, number = found.groups()
        yield archive or "", letter, int(number)
