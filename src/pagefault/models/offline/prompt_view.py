"""The prompt as the offline model reads it: notes, the queue, the open event, and the calls made for it.

Parses what ``pagefault.context`` and the memory functions write. Leaves out what any text means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from pagefault.models import Call, Prompt, PromptMessage
from pagefault.models.json_text import read_json

_LABEL = r"\[([^\W\d]\w*)(?: [^\]]*?)? (\d{4}-\d\d-\d\d)[^\]]*\] ?"  # [user Ana 2026-11-22 Sun 18:00]
_LINE = (
    r"(?m)^\[on ([-\d]{10})\]$"
    r"|^\[(?:\w+ )?([\w.-]+/)?([mp])(\d+)(?: ([-\d]{10}) \w+ [:\d]+)? ?([^\]]*)\] (.*)$"
)
_SECTION = r"(?s)<(?!working_context|persona)([\w-]+)(?: [^>]*)?>\n?(.*?)\n?</\1>"  # that tells of the user
_SUMMARY = "[summary of earlier messages]"
PREFETCHED = "prefetched"
"""The name of the step that a prefetched row is read as; no function has it."""

_PREFETCHED_ROW = "[prefetched "
_IN_QUEUE = 10**9  # the order of what is in the queue: after all that was found


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call to make, or one that was made, with its result."""

    name: str
    arguments: Mapping[str, object]
    result: str | None = None

    @property
    def failed(self) -> bool:
        return (self.result or "").startswith("Error: ")

    def is_of(self, call: FunctionCall) -> bool:
        """Return whether this was made as that call."""
        return (self.name, self.arguments) == (call.name, call.arguments)

    @property
    def text(self) -> str:
        return str(self.arguments.get("text") or self.arguments.get("message", ""))


@dataclass(frozen=True, slots=True)
class SourcedText:
    """A text in view. ``source``: ``user``, ``assistant``, another kind of event, a speaker or a title;
    ``day``: an ISO date or empty; ``order`` says which of one day is newer; ``passage`` is its id in archival
    storage; ``rank`` is its place in the search for the question, from 0."""

    text: str
    day: str = ""
    source: str = "user"
    order: float = 0.0
    passage: str = ""
    rank: int = 9


@dataclass(frozen=True, slots=True)
class PromptView:
    """``notes``: lines of the summary and the working context; ``rows`` of the queue end with the open event;
    ``steps`` are the calls since it, ``earlier`` those before."""

    functions: frozenset[str]
    notes: tuple[SourcedText, ...]
    rows: tuple[SourcedText, ...]
    earlier: tuple[FunctionCall, ...]
    steps: tuple[FunctionCall, ...]
    has_spoken: bool

    @property
    def event(self) -> SourcedText:
        return self.rows[-1]

    def has_made(self, call: FunctionCall) -> bool:
        return any(step.is_of(call) for step in self.steps)

    @classmethod
    def of(cls, prompt: Prompt) -> PromptView:
        """Read a prompt. Without any event there is an empty alert, which nothing answers."""
        functions = frozenset(schema.name for schema in prompt.functions)
        items = [SourcedText("", source="alert"), *_items(prompt, by_call="send_message" in functions)]
        opened, spoken = 0, True
        for number, item in enumerate(items):
            if isinstance(item, FunctionCall) or item.source == "assistant":
                spoken = spoken or isinstance(item, SourcedText)
            elif item.source != "alert" or spoken:  # an alert within a turn opens none
                opened, spoken = number, False
        calls = [item for item in items if isinstance(item, FunctionCall)]
        earlier = [item for item in items[:opened] if isinstance(item, FunctionCall)]
        rows = [item for item in items[: opened + 1] if isinstance(item, SourcedText)]
        notes = tuple(_note(line, number / _IN_QUEUE) for number, line in enumerate(_notes(prompt, calls)))
        return cls(functions, notes, tuple(rows), tuple(earlier), tuple(calls[len(earlier) :]), spoken)


def _items(prompt: Prompt, *, by_call: bool) -> Iterator[SourcedText | FunctionCall]:
    """Rows of the queue and calls, in order. ``by_call``: only ``send_message`` speaks."""
    results = {message.call_id: message.text for message in prompt.messages if message.role == "tool"}
    day = ""
    for order, message in enumerate(prompt.messages, _IN_QUEUE):
        calls = _calls(message, results)
        yield from calls
        if message.role == "user" and not message.text.startswith((_SUMMARY, _PREFETCHED_ROW)):
            row = _row(message.text, order)
            day = row.day or day
            yield row
        elif message.role == "assistant":
            said = [c.text for c in calls if c.name == "send_message"] if by_call else [message.text]
            yield from (SourcedText(text, day, "assistant", order) for text in said if text)


def _calls(message: PromptMessage, results: Mapping[str | None, str]) -> list[FunctionCall]:
    """The calls of a message with their results; of a prefetched row, that it was looked up."""
    if message.role == "user" and message.text.startswith(_PREFETCHED_ROW):
        return [FunctionCall(PREFETCHED, {}, message.text)]
    return [FunctionCall(c.name, _arguments(c), results.get(c.id)) for c in message.calls]


def _notes(prompt: Prompt, calls: list[FunctionCall]) -> Iterator[str]:
    """Lines of the summary, of the working context, and of appends that are still calls in the queue."""
    for message in prompt.messages:
        if message.role == "system":
            yield from (line for _, text in re.findall(_SECTION, message.text) for line in text.splitlines())
        elif message.role == "user" and message.text.startswith(_SUMMARY):
            yield from message.text.splitlines()[1:]
    yield from (c.text for c in calls if c.name == "working_context_append" and not c.failed)


def results_in(call: FunctionCall) -> list[SourcedText]:
    """The texts that a call brought back: the lines of a search, or the page of a passage that was opened."""
    found, day, result = list[SourcedText](), "", call.result or ""
    for above, archive, letter, number, own, label, text in re.findall(_LINE, result):
        day = above + own or day
        role, _, speaker = label.partition(" ")
        if letter == "m":
            found.append(SourcedText(text, day, speaker or role, int(number)))
        elif letter and re.match(r"\d{4}-", text):  # a note that was saved there
            found.append(_note(text, int(number) / _IN_QUEUE))
        elif letter:
            title = re.sub(r" ?(?<!\S)#.*", "", label)  # without tags
            found.append(SourcedText(text, day, title or "user", 0, archive + letter + number))
    if call.name == "archival_read" and found:
        return [SourcedText(result.partition("\n")[2], found[0].day, found[0].source)]
    return found


def _note(line: str, order: float) -> SourcedText:
    """A line of notes, which begins with its day if this model wrote it."""
    day = re.match(r"(?:- )?(\d{4}-\d\d-\d\d): ", line)
    return SourcedText(line[day.end() :], day[1], order=order) if day else SourcedText(line, "", order=order)


def _row(text: str, order: int) -> SourcedText:
    text = re.sub(r"(?m)^\[shown: .*\]$", "", text).strip()
    if label := re.match(_LABEL, text):
        return SourcedText(text[label.end() :].strip(), label[2], label[1], order)
    return SourcedText(text, order=order)


def _arguments(call: Call) -> Mapping[str, object]:
    try:
        value = read_json(call.arguments)
    except ValueError:
        return {}
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}
