"""Calls that a model writes as text, for a model that was found to write them so.

They are read only where they are the whole answer or its end, each on a line of its own, outside fences and
quotation, and only if the prompt does not hold the same: a model that repeats what it was given quotes it.
All other text passes unchanged. Left out: thinking (``thinking``), validating arguments.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from pagefault.models import Call, Completion, Delta, Prompt, StreamItem, own_id
from pagefault.models.wrappers.function_calling.forms import (
    CALL_MARKS,
    MOST_CALLS,
    Mark,
    WrittenCall,
    after_space,
    looks_like_call,
    looks_like_fence,
    read_calls,
    read_unmarked,
)
from pagefault.models.wrappers.function_calling.quotation import PromptData, begins_line, is_enclosed

__all__ = ["QUOTED", "UNDERSTOOD", "TextReader"]

UNDERSTOOD = "Calls that were written as text were understood."
QUOTED = "A call written as text was left as text, because the same stands in what the model was given."

_MARKS = {mark.begin: mark for mark in CALL_MARKS}
_MARK = re.compile("|".join(map(re.escape, _MARKS)))
_LONGEST_UNMARKED = 20_000  # characters of an answer that may be calls without marks
_LONGEST = max(len(begin) for begin in _MARKS)
_MAY_BEGIN = re.compile("[" + re.escape("".join({begin[0] for begin in _MARKS})) + "]")
_SENTENCE = re.compile(r"(?![\s>|#*`-]).*\w\w[.!?。！？…]\Z")


class TextReader:
    """Reads one completion while it streams. The result does not depend on how the text is cut in pieces."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self._functions = {function.name: function for function in prompt.functions}
        self._data = PromptData(prompt)
        self._text = ""
        self._said = 0  # characters that were passed on
        self._from: int = 0  # where the search for a call goes on
        self._open = -1  # where the call begins of which the end has not come
        self._closed = 0  # the end of the calls from there that have come
        self._mentioned: set[str] = set()  # marks that the answer itself has quoted
        self._unmarked = bool(prompt.functions)  # the whole answer may still be calls without marks
        self._quoted = False

    def take(self, item: StreamItem) -> Sequence[StreamItem]:
        """Return the items that stand for this one, as far as they are certain."""
        if isinstance(item, Completion):
            return self._whole(item)
        if not isinstance(item, Delta) or item.thinking or item.call is not None:
            return (item,)
        self._text += item.text
        return self._say(self._certain()) if self._functions else (item,)

    def _say(self, stop: int) -> list[StreamItem]:
        said, self._said = self._text[self._said : stop], max(stop, self._said)
        return [Delta(said)] if said else []

    def _whole(self, whole: Completion) -> Sequence[StreamItem]:
        """Return the completion with the calls at the end of its text in their place."""
        if not self._functions:
            return (whole,)
        start = self._certain(final=True)
        calls = [] if whole.calls else self._calls_from(start)
        if not calls:
            notes = (*whole.notes, QUOTED) if self._quoted else whole.notes
            return (*self._say(len(self._text)), replace(whole, notes=notes))
        made = tuple(Call(own_id(), call.name, call.arguments, from_text=True) for call in calls)
        deltas = [Delta(call.arguments, number, call.name) for number, call in enumerate(calls)]
        notes, text = (*whole.notes, UNDERSTOOD), self._text[:start].strip()
        return (*self._say(start), *deltas, replace(whole, text=text, calls=made, notes=notes))

    # where calls may begin

    def _certain(self, *, final: bool = False) -> int:
        """Return the place up to which the text is speech, whatever follows."""
        if self._unmarked:
            if self._may_be_unmarked(final=final):
                return 0
            self._unmarked = False
        while found := _MARK.search(self._text, self._from):
            at = found.start()
            if (self._open == at or self._may_call(_MARKS[found[0]], at)) and self._goes_on(at):
                self._open = at
                return at
            self._mentioned.add(found[0])
            self._from = found.end()
        self._from = max(self._from, len(self._text) + 1 - _LONGEST)
        return len(self._text) - (0 if final else self._held_back())

    def _may_be_unmarked(self, *, final: bool) -> bool:
        start = self._text.lstrip()
        if not start or len(start) > _LONGEST_UNMARKED:
            return not (start or final)
        at = len(self._text) - len(start)
        if not (looks_like_call(start) or looks_like_fence(start)) or not begins_line(self._text, at):
            return False
        return not final or bool(self._calls_from(0))

    def _may_call(self, mark: Mark, at: int) -> bool:
        """Return True if a mark does not stand within a line or a quotation, and was not mentioned before."""
        if mark.begin in self._mentioned:
            return False
        above = self._text[:at].rpartition("\n")[2]
        placed = begins_line(self._text, at) or (mark.glued and _SENTENCE.match(above))
        if not placed or is_enclosed(self._text, at):
            return False
        quoted = self._data.holds(mark.begin)
        self._quoted = self._quoted or quoted
        return not quoted

    def _goes_on(self, at: int) -> bool:
        """Return True if nothing but calls has come from there on."""
        if self._open == at:
            at = after_space(self._text, self._closed)
        while found := _MARK.match(self._text, at):
            mark = _MARKS[found[0]]
            self._closed = at
            end = self._text.find(mark.end, found.end()) if mark.end else -1
            if end < 0:
                return True
            self._closed = end + len(mark.end)
            at = after_space(self._text, self._closed)
        rest = self._text[at:]
        return any(begin.startswith(rest) for begin in _MARKS)

    def _held_back(self) -> int:
        """Return the number of characters at the end of the text that may begin a mark."""
        tail = self._text[max(self._said, len(self._text) + 1 - _LONGEST) :]
        for found in _MAY_BEGIN.finditer(tail):
            end = tail[found.start() :]
            if any(begin.startswith(end) for begin in _MARKS):
                return len(end)
        return 0

    # what they are

    def _calls_from(self, at: int) -> list[WrittenCall]:
        """Return the calls from a place to the end; none if there is anything else, or they are quoted."""
        calls = self._unmarked_calls() if self._unmarked else self._marked_calls(at)
        data = self._data
        if len(calls) > MOST_CALLS:
            return []
        if any(data.holds_name(call.name) or data.holds_arguments(call.arguments) for call in calls):
            self._quoted = True
            return []
        return calls

    def _unmarked_calls(self) -> list[WrittenCall]:
        return read_unmarked(self._text.strip(), self._functions)

    def _marked_calls(self, at: int) -> list[WrittenCall]:
        calls: list[WrittenCall] = []
        rest = self._text[at:].strip()
        while len(calls) <= MOST_CALLS and (found := _MARK.match(rest)):
            mark, body = _MARKS[found[0]], rest[found.end() :]
            closed = bool(mark.end) and mark.end in body
            body, _, rest = body.partition(mark.end) if closed else (body, "", "")
            if not (read := read_calls(mark, body, self._functions, closed=closed)):
                return []
            calls, rest = calls + read, rest.strip()
        return [] if rest else calls
