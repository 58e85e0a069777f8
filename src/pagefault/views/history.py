"""The log as a person reads it: one page of rows, and how to ask for the page before it.

Left out: search (``memory``), and what one turn did and cost (``trace``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from pagefault.config import zone_for
from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.types import Message, Role
from pagefault.views.asking import number_of

__all__ = ["READABLE", "History", "LogRow", "history", "log_row", "newest", "rows_after"]

READABLE = (Role.USER, Role.ASSISTANT, Role.EVENT, Role.ALERT)
"""The roles of a page unless others are asked for: what was said, and what came to the agent."""


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
    ``extracted``: of a summary that the model did not write, the reason; else empty.
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


@dataclass(frozen=True, slots=True)
class History:
    """Rows, oldest first. ``before``: the id to ask for the page before this one; None at the beginning."""

    rows: tuple[LogRow, ...]
    before: str | None

    def __iter__(self) -> Iterator[LogRow]:
        return iter(self.rows)


async def history(
    kernel: Kernel,
    name: str,
    *,
    before: str | None = None,
    limit: int = 50,
    roles: Sequence[Role] = READABLE,
) -> History:
    """The newest ``limit`` rows of these roles, or the newest before the message of id ``before``."""
    if limit < 1:
        raise UsageError(f"A history of {limit} rows is none; ask for 1 or more.")
    last = number_of(before, "m") - 1 if before else None
    record = await kernel.record(name)
    rows = await kernel.store.read(
        lambda tx: tx.messages(record.id, last=last, roles=roles, newest=limit + 1)
    )
    shown, zone = rows[-limit:], zone_for(record)
    return History(
        tuple(log_row(row, zone) for row in shown), shown[0].id if len(rows) > limit and shown else None
    )


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
        row.text,
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
    )


def _prefetch(row: Message) -> str:
    if row.role is not Role.PREFETCH:
        return row.meta.skipped and f"nothing prefetched: {row.meta.skipped}"
    if not row.shown:
        return "what was prefetched before is out of view"
    return f"{len(row.meta.sources)} prefetched, {row.tokens} tokens, {row.meta.milliseconds} ms"
