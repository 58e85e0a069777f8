"""The log as a person reads it: one page of rows, and how to ask for the pages before and behind it.

Left out: search (``memory``), and what one turn did and cost (``trace``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from pagefault.config import zone_for
from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel import Kernel
from pagefault.media import Media
from pagefault.storage import Transaction
from pagefault.types import AgentId, Message, Role
from pagefault.views.asking import number_of

__all__ = ["FORGOTTEN_TEXT", "READABLE", "History", "LogRow", "history", "log_row", "newest", "rows_after"]

READABLE = (Role.USER, Role.ASSISTANT, Role.EVENT, Role.ALERT)
"""The roles of a page unless others are asked for: what was said, and what came to the agent."""

FORGOTTEN_TEXT = "[forgotten]"
"""The text of a row of which nothing else is left."""

_END = 10**15  # behind every row
_MOST_READ = 4096  # rows read at once to find some of a role


@dataclass(frozen=True, slots=True)
class LogRow:
    """One row of the log.

    ``id``: ``m`` and its number; rows are numbered in the order in which they were written. ``at``: in the
    agent's zone. ``name``: the function of a call or result, or the kind of an alert. ``speaker``: the sender
    of an event, if it names one. ``event``: the number of the event in whose turn the row was written.
    ``completion``: rows of one completion have the same. ``failed``: a result that is an error.
    ``cut``: speech whose turn was cancelled while it streamed, or a call cut at the limit of one reply.
    ``decision``: of a result, what a person decided on the call (``approved``, ``refused``, ``expired``), and
    ``decided_by`` who, if that was said. ``prefetch``: of a row that was prefetched, what it holds and took;
    of an event's, why none was.
    ``extracted``: of a summary that the model did not write, the reason; else empty. ``media``: images and
    files that came with it, or that a tool returned. ``withdrawn``: it was undone.
    """

    id: str
    role: Role
    at: datetime
    text: str
    name: str | None = None
    speaker: str = ""
    event: int | None = None
    completion: int | None = None
    failed: bool = False
    cut: bool = False
    extracted: str = ""
    decision: str = ""
    decided_by: str = ""
    prefetch: str = ""
    media: tuple[Media, ...] = ()
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """Rows, oldest first. ``before``: the id to ask for the page before this one; None at the beginning.
    ``after``: the id to ask for the page behind it; None at the end."""

    rows: tuple[LogRow, ...]
    before: str | None
    after: str | None = None

    def __iter__(self) -> Iterator[LogRow]:
        return iter(self.rows)


async def history(
    kernel: Kernel,
    name: str,
    *,
    before: str | None = None,
    after: str | None = None,
    around: str | None = None,
    limit: int = 50,
    roles: Sequence[Role] = READABLE,
    withdrawn: bool = False,
) -> History:
    """The newest ``limit`` rows of these roles; or the newest before the message of id ``before``, the oldest
    behind that of id ``after``, or that of id ``around`` amid as many before it as behind it, whatever its
    own role. ``withdrawn``: rows that were undone, too. ``NotFoundError`` if there is no message ``around``
    which to look."""
    if limit < 1:
        raise UsageError(f"A history of {limit} rows is none; ask for 1 or more.")
    if len(asked := [id for id in (before, after, around) if id]) > 1:
        raise UsageError("Ask for the rows before, after or around a message: one of them.")
    record = await kernel.record(name)
    log = _Log(record.id, record.last_seq, roles, withdrawn)
    place = number_of(asked[0], "m") if asked else _END
    read = log.around if around else log.behind if after else log.before
    page = await kernel.store.read(lambda tx: read(tx, place, limit))
    zone, rows = zone_for(record), page.rows
    return History(
        tuple(log_row(row, zone) for row in rows),
        rows[0].id if rows and page.has_earlier else None,
        rows[-1].id if rows and page.has_later else None,
    )


@dataclass(frozen=True, slots=True)
class _Page:
    """Rows, and whether there are others of their roles before and behind them."""

    rows: list[Message]
    has_earlier: bool
    has_later: bool


@dataclass(frozen=True, slots=True)
class _Log:
    """The log of an agent up to the row of number ``end``, of some roles, perhaps with what was undone."""

    agent: AgentId
    end: int
    roles: Sequence[Role]
    withdrawn: bool

    def before(self, tx: Transaction, place: int, limit: int) -> _Page:
        """The newest rows before a place."""
        last = min(place - 1, self.end)
        rows = tx.messages(
            self.agent, last=last, roles=self.roles, newest=limit + 1, withdrawn=self.withdrawn
        )
        has_earlier = len(rows) > limit
        return _Page(rows[1:] if has_earlier else rows, has_earlier, place <= self.end)

    def behind(self, tx: Transaction, place: int, limit: int) -> _Page:
        """The oldest rows behind a place."""
        rows, first, step = list[Message](), place + 1, min(_MOST_READ, 4 * limit + 4)
        while first <= self.end and len(rows) <= limit:
            last = min(self.end, first + step - 1)
            rows += tx.messages(
                self.agent, first=first, last=last, roles=self.roles, withdrawn=self.withdrawn
            )
            first, step = last + 1, min(_MOST_READ, 2 * step)
        return _Page(rows[:limit], place >= 1, len(rows) > limit)

    def around(self, tx: Transaction, place: int, limit: int) -> _Page:
        """The row at a place amid others."""
        if not (row := tx.message(self.agent, place)):
            raise NotFoundError(f"There is no message m{place}; the log ends with m{self.end}.")
        behind = self.behind(tx, place, limit // 2)
        before = self.before(tx, place, limit - 1 - len(behind.rows))
        return _Page([*before.rows, row, *behind.rows], before.has_earlier, behind.has_later)


async def rows_after(
    kernel: Kernel, name: str, position: int = 0, roles: Sequence[Role] | None = None
) -> list[Message]:
    """The stored rows behind a row's number, of all roles or of these, oldest first: for programs."""
    record = await kernel.record(name)
    return await kernel.store.read(lambda tx: tx.messages(record.id, first=position + 1, roles=roles))


async def newest(kernel: Kernel, name: str) -> int:
    """The number of the newest row; 0 in an empty log."""
    return (await kernel.record(name)).last_seq


def log_row(row: Message, zone: tzinfo) -> LogRow:
    """A stored row as a view of it."""
    return LogRow(
        row.id,
        row.role,
        row.at.astimezone(zone),
        FORGOTTEN_TEXT if row.erased else row.text,
        row.name,
        row.speaker,
        row.event,
        row.completion,
        row.meta.failed,
        row.meta.cut,
        row.meta.extracted,
        row.meta.decision,
        row.meta.decided_by,
        _prefetch(row),
        row.meta.media,
        row.withdrawn is not None,
    )


def _prefetch(row: Message) -> str:
    if row.role is not Role.PREFETCH:
        return row.meta.skipped and f"nothing prefetched: {row.meta.skipped}"
    if not row.shown:
        return "what was prefetched before is out of view"
    return f"{len(row.meta.sources)} prefetched, {row.tokens} tokens, {row.meta.milliseconds} ms"
