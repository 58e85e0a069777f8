"""Pages of Letta's lists: arrays, asked for with the id of the first or last item of the page before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Literal, TypeVar

from fastapi import Depends, Query

from pagefault.server.letta.ids import IdKind, LettaId, read_id

__all__ = ["ListPage", "NewestFirst", "OldestFirst"]

T = TypeVar("T")

Order = Literal["asc", "desc"]


class ListPage:
    """The part of a list that a request asks for: ``limit`` items ``after`` or ``before`` an id."""

    __slots__ = ("after", "before", "descending", "limit")

    def __init__(self, before: str | None, after: str | None, limit: int, descending: bool) -> None:
        self.before, self.after, self.limit, self.descending = before, after, limit, descending

    def range(self, kind: IdKind) -> tuple[LettaId | None, LettaId | None]:
        """The ids between which the items stand, the lower one first, both left out."""
        after = read_id(kind, self.after) if self.after else None
        before = read_id(kind, self.before) if self.before else None
        return (before, after) if self.descending else (after, before)

    @property
    def from_end(self) -> bool:
        """Return whether the items are the last ones of those in the range."""
        return self.descending != bool(self.before and not self.after)

    def within(self, kind: IdKind, items: Iterable[tuple[LettaId, T]]) -> list[tuple[LettaId, T]]:
        """The items in the range, each with its id."""
        low, high = self.range(kind)
        return [each for each in items if (not low or each[0] > low) and (not high or each[0] < high)]

    def of(self, items: Iterable[T], kind: IdKind, id: Callable[[T], LettaId]) -> list[T]:
        """The items of the page. Of those before an id, the nearest to it."""
        found = sorted(self.within(kind, ((id(each), each) for each in items)), key=lambda each: each[0])
        chosen = [item for _, item in (found[-self.limit :] if self.from_end else found[: self.limit])]
        return chosen[::-1] if self.descending else chosen


def _page(default: Order, most: int) -> Callable[..., Awaitable[ListPage]]:
    async def page(
        before: str | None = None,
        after: str | None = None,
        limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
        order: Order | None = None,
        ascending: bool | None = None,
    ) -> ListPage:
        if order is None and ascending is not None:
            order = "asc" if ascending else "desc"
        return ListPage(before or None, after or None, limit or most, (order or default) == "desc")

    return page


NewestFirst = Annotated[ListPage, Depends(_page("desc", 50))]
"""The page of a request whose list begins with the newest, unless it says otherwise."""

OldestFirst = Annotated[ListPage, Depends(_page("asc", 100))]
"""The page of a request whose list begins with the oldest, unless it says otherwise."""
