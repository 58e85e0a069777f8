"""The main context: what it is made of, how large it is, and the prompt it compiles to.

Three parts in the paper's order: system instructions, working context, FIFO queue. Everything here is
pure: state in, prompt out. How the queue changes is the queue manager's business; when, the agent's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from functools import lru_cache

from pagefault.media import MediaContent
from pagefault.models import Call, FunctionSchema, Prompt, PromptMessage
from pagefault.models.tokens import CALL_OVERHEAD, MESSAGE_OVERHEAD, PROMPT_OVERHEAD, Counter
from pagefault.quoting import escaped, inline, one_word, whole
from pagefault.text_caches import caches_texts
from pagefault.types import Message, QueueState, Role, Section

SCHEMA_OVERHEAD = 4
"""Tokens a provider adds around each function schema."""

_LONGEST_ABOUT = 1000  # characters of a section's description


@dataclass(frozen=True, slots=True)
class Queue:
    """The FIFO queue: a view of the log. Index 0 is the summary, then the pinned open event. ``tokens``: the
    uncalibrated size of all that is shown, and ``prefetched`` of what was prefetched, summed up once and then
    carried on."""

    state: QueueState = field(default_factory=QueueState)
    summary: Message | None = None
    pinned: Message | None = None
    rows: tuple[Message, ...] = ()
    tokens: int = field(default=-1, compare=False)
    prefetched: int = field(default=-1, compare=False)

    def __post_init__(self) -> None:
        if self.tokens < 0:
            object.__setattr__(self, "tokens", sum(row.tokens for row in self.in_order))
            object.__setattr__(self, "prefetched", _prefetched(self.rows))

    @property
    def in_order(self) -> tuple[Message, ...]:
        """All rows that the prompt shows, first to last."""
        return self.front + self.rows

    @property
    def front(self) -> tuple[Message, ...]:
        """The summary and the pinned event, if they are there."""
        return tuple(row for row in (self.summary, self.pinned) if row is not None)

    def admit(self, rows: Iterable[Message]) -> Queue:
        """The queue with rows at its end."""
        more = tuple(rows)
        tokens = self.tokens + sum(row.tokens for row in more)
        prefetched = self.prefetched + _prefetched(more)
        return replace(self, rows=self.rows + more, tokens=tokens, prefetched=prefetched)

    def without_prefetched(self) -> Queue:
        """The queue of what nothing else in memory holds; without what was prefetched, it is itself."""
        if not self.prefetched:
            return self
        rows = tuple(row for row in self.rows if row.role is not Role.PREFETCH)
        return replace(self, rows=rows, tokens=self.tokens - self.prefetched, prefetched=0)


def _prefetched(rows: Iterable[Message]) -> int:
    return sum(row.tokens for row in rows if row.role is Role.PREFETCH)


@dataclass(frozen=True, slots=True)
class MainContext:
    """All that the model will see."""

    instructions: str
    functions: tuple[FunctionSchema, ...]
    queue: Queue


@dataclass(frozen=True, slots=True)
class Sizes:
    """The main context measured against the window, in calibrated tokens (DESIGN: pressure).

    usable = window - reserve - margin; room = usable - head: what the queue may fill.
    """

    window: int
    reserve: int
    margin: int
    instructions: int
    working_context: int
    queue: int

    @property
    def head(self) -> int:
        return self.instructions + self.working_context

    @property
    def prompt(self) -> int:
        return self.head + self.queue

    @property
    def usable(self) -> int:
        return self.window - self.reserve - self.margin

    @property
    def room(self) -> int:
        return self.usable - self.head

    @property
    def free(self) -> int:
        return self.room - self.queue

    @property
    def fits(self) -> bool:
        """True if the prompt leaves at least half of the reply's reserve."""
        return self.prompt <= self.window - self.margin - self.reserve // 2


def render_sections(sections: Sequence[Section]) -> str:
    """The working context as the prompt shows it; no text in it can open or close a section."""
    parts = ["<working_context>"]
    for section in sections:
        name, lock = one_word(section.name), ' read_only="true"' if section.read_only else ""
        about = inline(section.description, _LONGEST_ABOUT).replace('"', "'")
        about = f' about="{escaped(about)}"' if about else ""
        parts.append(f"<{name}{about}{lock}>\n{escaped(section.text)}\n</{name}>")
    return "\n".join([*parts, "</working_context>"])


@lru_cache(maxsize=256)
def contained(head: str) -> str:
    """A stored working context as the prompt shows it. What ``render_sections`` made stays as it is; in one
    that an earlier version or an import left, text is escaped now, and none stands outside."""
    first, *lines = head.split("\n")
    if not head or (first, lines[-1:]) != ("<working_context>", ["</working_context>"]):
        return head and f"<working_context>\n{escaped(head)}\n</working_context>"
    return "\n".join([first, *_contained(lines[:-1]), lines[-1]])


caches_texts(contained)


def _contained(lines: Sequence[str]) -> Iterator[str]:
    text, name = list[str](), ""
    for line in lines:
        opened = None if name else SECTION_OPENING.fullmatch(line)
        if not opened and (not name or line != f"</{name}>"):
            text.append(line)
            continue
        if text:
            yield escaped("\n".join(text))
        text, name = [], opened[1] if opened else ""
        yield f"<{name}{escaped(opened[2] or '')}{opened[3] or ''}>" if opened else line
    if text:
        yield escaped("\n".join(text))


SECTION_OPENING = re.compile(r'<([\w.-]{1,64})( about="[^"]*")?( read_only="true")?>', re.ASCII)
"""The line that opens a section in a rendered working context; the first group is its name."""


def stamp(at: datetime, zone: tzinfo) -> str:
    """Local time as the model reads it: its only clock."""
    return at.astimezone(zone).strftime("%Y-%m-%d %a %H:%M")


def label(kind: str, at: datetime, zone: tzinfo, text: str) -> str:
    """An event's message as the prompt shows it."""
    return f"[{kind} {stamp(at, zone)}] {text}"


def row_tokens(row: Message, count: Counter) -> int:
    """Uncalibrated size of a row as shown, and of thinking that its provider wants back; 0 for other rows."""
    if row.role is Role.CALL:
        return count.count(row.shown) + count.count(row.name or "") + CALL_OVERHEAD
    if row.shown:
        return count.count(row.shown) + MESSAGE_OVERHEAD
    return count.count(row.text) if row.meta.echo is not None else 0


def fixed_tokens(instructions: str, functions: Sequence[FunctionSchema], count: Counter) -> int:
    """Uncalibrated size of what never changes: system instructions and function schemas."""
    schemas = sum(schema_tokens(schema, count) for schema in functions)
    return PROMPT_OVERHEAD + MESSAGE_OVERHEAD + _instruction_tokens(instructions, count) + schemas


@lru_cache(maxsize=1024)
def schema_tokens(schema: FunctionSchema, count: Counter) -> int:
    """Uncalibrated size of a function's schema."""
    parameters = json.dumps(schema.parameters, separators=(",", ":"), ensure_ascii=False)
    return sum(map(count.count, (schema.name, schema.description, parameters))) + SCHEMA_OVERHEAD


@lru_cache(maxsize=64)
def _instruction_tokens(instructions: str, count: Counter) -> int:
    return count.count(instructions)


class Compiler:
    """Compiles prompts of one agent, and only what is new: messages of rows that were compiled before are the
    same objects in the next prompt, so that an adapter can keep what it made of them."""

    def __init__(self) -> None:
        self._system = PromptMessage("system", "")
        self._front: tuple[Message, ...] = ()
        self._rows: tuple[Message, ...] = ()
        self._messages: list[PromptMessage] = []
        self._open_completion: int | None = None  # of the last message, to which further rows may belong
        self._images: Mapping[int, tuple[MediaContent, ...]] = {}  # of the messages, by row

    def prompt(
        self,
        context: MainContext,
        max_tokens: int,
        images: Mapping[int, tuple[MediaContent, ...]] | None = None,
    ) -> Prompt:
        """The prompt of one request. The same rows always give the same bytes, so that appending to the
        queue only ever appends to the prompt. ``images``: those to send, by the number of their row;
        None: as before."""
        system = whole(f"{context.instructions}\n\n{contained(context.queue.state.head)}")
        if system != self._system.text:
            self._system = PromptMessage("system", system)
        queue = context.queue
        front = queue.front
        images = self._images if images is None else images
        dropped, self._images = self._images.keys() - images.keys(), images
        if dropped or not self._continues(front, queue.rows):
            self._front, self._rows, self._messages, self._open_completion = front, (), [], None
            self._add(front)
        self._add(queue.rows[len(self._rows) :])
        self._rows = queue.rows
        messages = (self._system, *self._messages)
        return Prompt(messages, context.functions, max_tokens, instructions=context.instructions)

    def _continues(self, front: tuple[Message, ...], rows: tuple[Message, ...]) -> bool:
        """Return whether the queue is the one compiled last, with rows appended (rows are never changed)."""
        known = len(self._rows)
        if front != self._front or len(rows) < known:
            return False
        return not known or (rows[0] is self._rows[0] and rows[known - 1] is self._rows[-1])

    def _add(self, rows: Sequence[Message]) -> None:
        messages = self._messages
        for row in rows:
            is_shown = row.shown or row.role is Role.CALL or (row.erased and row.role is Role.RESULT)
            if not is_shown and row.meta.echo is None:
                continue
            if row.role in (Role.THOUGHT, Role.ASSISTANT, Role.CALL):
                joins = row.completion is not None and row.completion == self._open_completion
                messages.append(_joined(messages.pop() if joins else _NOTHING_YET, row))
                self._open_completion = row.completion
                continue
            self._open_completion = None
            if row.role is Role.RESULT:
                messages.append(_returned(row, self._images.get(row.seq, ())))
            else:
                messages.append(PromptMessage("user", row.shown, images=self._images.get(row.seq, ())))


_FORGOTTEN = "[forgotten]"
_NOTHING_YET = PromptMessage("assistant", "")


def _returned(row: Message, images: tuple[MediaContent, ...]) -> PromptMessage:
    name = row.name and one_word(row.name)
    shown = _FORGOTTEN if row.erased else row.shown  # a call must have its result
    return PromptMessage("tool", shown, call_id=row.call_id, name=name, images=images)


def _joined(message: PromptMessage, row: Message) -> PromptMessage:
    echo = message.echo if row.meta.echo is None else row.meta.echo
    if row.role is Role.CALL:
        call = Call(row.call_id or row.id, one_word(row.name or ""), row.shown)
        return PromptMessage("assistant", message.text, (*message.calls, call), echo=echo)
    text = f"{message.text}\n{row.shown}" if message.text else row.shown
    return PromptMessage("assistant", text, message.calls, echo=echo)
