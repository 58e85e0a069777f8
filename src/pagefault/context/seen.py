"""The main context in a few words, for the log: which rows a queue has, and digests of what stands before it,
by which a past working context is found again.

Left out: finding the queue again (``views.seen``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2s

from pagefault.context import Queue, Sizes, render_sections
from pagefault.message_meta import SeenContext
from pagefault.models import FunctionSchema
from pagefault.storage import Transaction
from pagefault.text_caches import caches_texts
from pagefault.types import AgentId, AgentRecord, Message, Role

__all__ = ["fixed_digest", "head_digest", "head_seen", "queue_rows", "seen_context"]

_STEPS_BACK = 32  # edits that are undone to find the working context of a step
_INSTANT = timedelta(microseconds=1)


@lru_cache(maxsize=256)
def head_digest(head: str) -> str:
    """The digest of a rendered working context, 12 hexadecimal digits."""
    return blake2s(head.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


caches_texts(head_digest)


def fixed_digest(instructions: str, functions: Sequence[FunctionSchema]) -> str:
    """The digest of what never changes in a prompt: system instructions and function schemas."""
    schemas = [[each.name, each.description, each.parameters] for each in functions]
    return head_digest(json.dumps([instructions, schemas]))


def seen_context(queue: Queue, sizes: Sizes, last: int, digest: str) -> SeenContext:
    """The main context as the model sees it now. ``last``: the number of the last row; ``digest``: of what
    never changes."""
    return SeenContext(
        sizes.window, sizes.instructions, sizes.working_context, sizes.queue,
        first=queue.rows[0].seq if queue.rows else last,
        last=last,
        summary=queue.state.summary,
        pinned=queue.state.pinned,
        usable=sizes.usable,
        head=head_digest(queue.state.head),
        fixed=digest,
    )  # fmt: skip


def queue_rows(rows: Sequence[Message]) -> tuple[Message, ...]:
    """The rows that the queue has of a part of the log: summaries stand before it, and what was prefetched
    is gone once a summary, or a row that says so, follows."""
    ends = (row for row in rows if row.role is Role.SUMMARY or (row.role is Role.PREFETCH and not row.shown))
    dropped = max((row.seq for row in ends), default=0)
    return tuple(
        row
        for row in rows
        if row.role is not Role.SUMMARY and (row.role is not Role.PREFETCH or row.seq > dropped)
    )


def head_seen(tx: Transaction, record: AgentRecord, saw: SeenContext, at: datetime) -> str | None:
    """The working context of a step that was committed ``at`` this time; None if no state of the sections
    has its digest, or the log does not record one."""
    if not saw.head:
        return None
    if head_digest(record.queue.head) == saw.head:
        return record.queue.head
    summary = tx.message(record.id, saw.summary) if saw.summary else None
    for since in (summary.at if summary else record.created, at):
        for head in _states(tx, record.id, since):
            if head_digest(head) == saw.head:
                return head
    return None


def _states(tx: Transaction, agent: AgentId, at: datetime) -> Iterator[str]:
    """The working context as it stood at a time, then before the last edit, and the one before that."""
    for _ in range(_STEPS_BACK):
        if not (found := tx.sections_at(agent, at)):
            return
        yield render_sections([section for _, section in found if section.limit])
        at = max(time for time, _ in found) - _INSTANT
