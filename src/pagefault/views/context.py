"""The main context as blocks, each with its tokens: as it stands, or as the model saw it at an earlier step.

A step is one completion of the model. Rows of the log are shown as they were; the working context,
instructions and functions only if they can be recognised (``seen``), else as a block of the size that the log
records, and ``unknown`` says so. The cost depends on the window, not on the length of the log.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from itertools import accumulate, pairwise
from typing import Literal

from pagefault.agent import Process
from pagefault.config import zone_for
from pagefault.context import Queue, Sizes, schema_tokens
from pagefault.context.policy import Policy
from pagefault.context.queue_manager import Budget
from pagefault.context.seen import head_seen
from pagefault.errors import NotFoundError
from pagefault.kernel import Kernel
from pagefault.message_meta import SeenContext
from pagefault.models.tokens import MESSAGE_OVERHEAD, PROMPT_OVERHEAD
from pagefault.storage import Transaction
from pagefault.types import AgentRecord, Message, Role
from pagefault.views.seen import queue_seen, rendered_sections

__all__ = ["BlockKind", "ContextBlock", "ContextBlocks", "SeenStep", "context_blocks"]

BlockKind = Literal[
    "instructions", "function", "section", "unknown",
    "summary", "user", "event", "alert", "thought", "call", "result", "assistant", "prefetch",
]  # fmt: skip
"""The kind of a block; those of the second line are the roles of rows."""

_NOT_RECORDED = "The log does not record what stood before the queue at this step; earlier versions did not."
_OTHER_FIXED = (
    "Instructions or functions were others then; the log records their size, and their text is not kept."
)
_OTHER_HEAD = "No stored state of the sections is the working context of this step; only its size is known."
_ROWS_GONE = "Rows that the queue showed at this step were removed from the log since."
_INEXACT = 0.005  # the ratio is worked out from rounded numbers
_LONGEST = 2000  # rows of the queue with blocks of their own; after an import there may be many more
_OLDER = "{:,} older rows of the queue are shown as one block; the log has them."
_LINES_NOW = "The lines are drawn by the settings as they are now."


@dataclass(frozen=True, slots=True)
class ContextBlock:
    """One part of the prompt. ``tokens``: calibrated; ``id``: of a row, and its verbatim text is in the log;
    ``name``: of a function or a section, of the function that is called or answers, or of the speaker.
    ``text``: as the prompt shows it. ``pinned``: the open event, kept in view though its time has passed;
    ``event``: that of the row's turn."""

    kind: BlockKind
    tokens: int
    text: str
    id: str = ""
    name: str = ""
    at: datetime | None = None
    pinned: bool = False
    failed: bool = False
    images: int = 0
    event: int | None = None


@dataclass(frozen=True, slots=True)
class SeenStep:
    """The place of a step: ``id`` of the first row of its completion, the event of its turn, and that it is
    the ``number``-th of ``of`` steps of this turn. ``before`` and ``after``: ids of the steps beside it."""

    id: str
    at: datetime
    event: int | None
    number: int
    of: int
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ContextBlocks:
    """The main context in calibrated tokens and its blocks, in the order of the prompt; of a very long queue
    the older rows are one block together, of the kind ``unknown``.

    ``usable``: the window without what is kept for the reply. ``warn`` and ``flush``: the size of the prompt
    from which on the model is warned and the queue is flushed. ``step``: None for the context as it stands,
    and ``newest`` the id of the last step, if there was one. ``unknown``: what is not known of a past step,
    or not shown, each a sentence.
    """

    window: int
    usable: int
    warn: int
    flush: int
    instructions: int
    working_context: int
    queue: int
    blocks: tuple[ContextBlock, ...]
    step: SeenStep | None
    newest: str | None
    unknown: tuple[str, ...] = ()

    @property
    def prompt(self) -> int:
        """The tokens of all blocks."""
        return self.instructions + self.working_context + self.queue


async def context_blocks(kernel: Kernel, name: str, at: int | None = None) -> ContextBlocks:
    """The main context as it stands between two turns, or as the model saw it at the last step that began
    with the row of number ``at`` or before; at the first one, if none did. ``NotFoundError`` if the model was
    never asked."""
    process = await kernel.process(name)
    record, zone = process.record, zone_for(process.record)
    if at is None:
        newest = await kernel.store.read(lambda tx: _step_before(tx, record, record.last_seq))
        return _now(process, zone, newest)
    found = await kernel.store.read(lambda tx: _past(tx, record, at))
    if found is None:
        raise NotFoundError(f"The model of {name} was not asked yet; send it a message first.")
    return _at_step(process, found, zone)


@dataclass(frozen=True, slots=True)
class _Past:
    """A step as it is read from the log. ``steps``: the completions of its turn, in order."""

    first: Message
    saw: SeenContext
    queue: Queue
    head: str | None
    steps: Sequence[int]
    before: Message | None
    after: Message | None
    newest: Message | None


def _step_before(tx: Transaction, record: AgentRecord, last: int) -> Message | None:
    """The first row of the newest completion that began at a row's number or before, and whose context the
    log records."""
    while row := tx.completion_row(record.id, last):
        if row.meta.saw is not None:
            return row
        last = row.seq - 1
    return None


def _step_after(tx: Transaction, record: AgentRecord, seq: int) -> Message | None:
    while row := tx.completion_row(record.id, seq, behind=True):
        if row.meta.saw is not None:
            return row
        seq = row.seq
    return None


def _past(tx: Transaction, record: AgentRecord, at: int) -> _Past | None:
    first = _step_before(tx, record, at) or _step_after(tx, record, at)
    if first is None or first.meta.saw is None:
        return None
    saw = first.meta.saw
    head = head_seen(tx, record, saw, first.at)
    queue = queue_seen(tx, record.id, saw, head or "")
    turn = tx.messages(record.id, event=first.event) if first.event is not None else [first]
    steps = list(dict.fromkeys(row.completion for row in turn if row.completion is not None))
    before, after = _step_before(tx, record, first.seq - 1), _step_after(tx, record, first.seq)
    newest = _step_before(tx, record, record.last_seq)
    return _Past(first, saw, queue, head, steps, before, after, newest)


def _now(process: Process, zone: tzinfo, newest: Message | None) -> ContextBlocks:
    sizes, queue = process.memory.sizes(), process.memory.queue
    blocks = (
        *_fixed(process, sizes.instructions),
        *_sections(process, queue.state.head, sizes.working_context),
        *_rows(queue, sizes.queue, zone),
    )
    warn, flush = _lines(process.memory.policy, sizes)
    return ContextBlocks(
        sizes.window, sizes.usable, warn, flush, sizes.instructions, sizes.working_context, sizes.queue,
        blocks, None, newest and newest.id, _not_shown(queue),
    )  # fmt: skip


def _at_step(process: Process, past: _Past, zone: tzinfo) -> ContextBlocks:
    saw, live, unknown = past.saw, process.memory.sizes(), list[str]()
    fixed, head = _unknown("instructions, functions", saw.instructions), None
    if not saw.fixed:
        unknown.append(_NOT_RECORDED)
    elif saw.fixed != process.memory.budget.digest:
        unknown.append(_OTHER_FIXED)
    else:
        fixed = _fixed(process, saw.instructions)
    if past.head is not None:
        head = _sections(process, past.head, saw.working_context)
    elif saw.head:
        unknown.append(_OTHER_HEAD)
    if not _is_whole(past, process.memory.budget):
        unknown.append(_ROWS_GONE)
    usable = saw.usable or saw.window - (live.window - live.usable)
    sizes = Sizes(saw.window, saw.window - usable, 0, saw.instructions, saw.working_context, saw.queue)
    warn, flush = _lines(process.memory.policy, sizes)
    blocks = (
        *fixed,
        *(_unknown("working context", saw.working_context) if head is None else head),
        *_rows(past.queue, saw.queue, zone),
    )
    return ContextBlocks(
        saw.window, usable, warn, flush, saw.instructions, saw.working_context, saw.queue, blocks,
        _place(past, zone), past.newest and past.newest.id, (*unknown, *_not_shown(past.queue), _LINES_NOW),
    )  # fmt: skip


def _is_whole(past: _Past, budget: Budget) -> bool:
    """Return whether the queue has the size that the log records, as far as the ratio of then is known."""
    saw, queue = past.saw, past.queue
    if (queue.summary is None) != (saw.summary is None) or (queue.pinned is None) != (saw.pinned is None):
        return False
    ratio = saw.instructions / budget.fixed
    return saw.fixed != budget.digest or abs(queue.tokens * ratio - saw.queue) <= 2 + _INEXACT * saw.queue


def _place(past: _Past, zone: tzinfo) -> SeenStep:
    first = past.first
    number = past.steps.index(first.seq) + 1 if first.seq in past.steps else 1
    return SeenStep(
        first.id, first.at.astimezone(zone), first.event, number, len(past.steps),
        past.before and past.before.id, past.after and past.after.id,
    )  # fmt: skip


def _unknown(name: str, tokens: int) -> tuple[ContextBlock, ...]:
    return (ContextBlock("unknown", tokens, "", name=name),) if tokens else ()


def _fixed(process: Process, tokens: int) -> tuple[ContextBlock, ...]:
    """System instructions and the functions offered."""
    program, counter = process.program, process.memory.counter
    overhead = PROMPT_OVERHEAD + MESSAGE_OVERHEAD
    parts = [(ContextBlock("instructions", 0, program.instructions), counter.count(program.instructions))]
    parts[0] = parts[0][0], parts[0][1] + overhead
    for each in program.executor.schemas:
        block = ContextBlock("function", 0, each.description, name=each.name)
        parts.append((block, schema_tokens(each, counter)))
    return _scaled(parts, tokens)


def _sections(process: Process, head: str, tokens: int) -> tuple[ContextBlock, ...]:
    """The sections of the working context; the lines around all of them count as theirs."""
    count = process.memory.counter.count
    found = [
        (ContextBlock("section", 0, text, name=name), count(text)) for name, text in rendered_sections(head)
    ]
    return _scaled(found or [(ContextBlock("section", 0, head), 1)], tokens) if head else ()


def _rows(queue: Queue, tokens: int, zone: tzinfo) -> tuple[ContextBlock, ...]:
    older, newest = queue.rows[:-_LONGEST], queue.rows[-_LONGEST:]
    shown = [row for row in newest if row.shown or row.role is Role.CALL or row.meta.echo is not None]
    parts = [(_block(row, row is queue.pinned, zone), row.tokens) for row in (*queue.front, *shown)]
    if older:
        together = ContextBlock("unknown", 0, "", name=f"{len(older):,} older rows")
        parts.insert(len(queue.front), (together, sum(row.tokens for row in older)))
    return _scaled(parts, tokens)


def _not_shown(queue: Queue) -> tuple[str, ...]:
    older = len(queue.rows) - _LONGEST
    return (_OLDER.format(older),) if older > 0 else ()


def _block(row: Message, pinned: bool, zone: tzinfo) -> ContextBlock:
    name = row.name if row.role in (Role.CALL, Role.RESULT, Role.ALERT) else row.speaker
    return ContextBlock(
        row.role.value, 0, row.shown or row.text, row.id, name or "", row.at.astimezone(zone), pinned,
        row.meta.failed, row.meta.images, row.event,
    )  # fmt: skip


def _scaled(parts: Sequence[tuple[ContextBlock, int]], tokens: int) -> tuple[ContextBlock, ...]:
    """The blocks with their shares of ``tokens``, to which they add up."""
    whole = sum(size for _, size in parts) or 1
    ends = [0, *(round(end * tokens / whole) for end in accumulate(size for _, size in parts))]
    return tuple(
        replace(block, tokens=end - start)
        for (block, _), (start, end) in zip(parts, pairwise(ends), strict=True)
    )


def _lines(policy: Policy, sizes: Sizes) -> tuple[int, int]:
    """The sizes of the prompt from which on a policy warns and flushes."""

    def first(says: Callable[[Sizes], bool]) -> int:
        queue = bisect_left(range(sizes.window), True, key=lambda size: says(replace(sizes, queue=size)))
        return min(sizes.window, sizes.head + queue)

    return first(policy.warns), first(policy.flushes)
