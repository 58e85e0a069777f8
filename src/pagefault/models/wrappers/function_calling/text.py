"""Thinking and calls that a model writes as plain text, taken out of the text while it streams.

Chat templates differ in how a model marks its thinking and its calls; a server that does not know the marks
of a model passes them on as text. Only what is marked, or is nothing but a call of an offered function, is
taken out; all other text passes unchanged, code and JSON included. Left out: validating arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache

from pagefault.models import Call, Completion, Delta, Notice, Prompt, StreamItem, own_id
from pagefault.models.wrappers.function_calling.forms import (
    CALL_MARKS,
    Mark,
    WrittenCall,
    looks_like_call,
    read_calls,
)

__all__ = ["TextReader"]

_THINKING = (
    Mark("<think>", "</think>"),
    Mark("<thinking>", "</thinking>"),
    Mark("[THINK]", "[/THINK]"),
    Mark("<|channel|>analysis<|message|>", "<|end|>"),
)
_LATE = "</think>"  # without its beginning, which the chat template had written
_NOISE = ("<|start|>assistant", "<|channel|>final<|message|>", "<|return|>")

_MARKS = {mark.begin: mark for mark in (*_THINKING, *CALL_MARKS)}
_BEGINS = (*_MARKS, _LATE, *_NOISE)
_LONGEST = max(map(len, _BEGINS))
_MAY_BEGIN = re.compile("[" + re.escape("".join({begin[0] for begin in _BEGINS})) + "]")


@cache
def _pattern(*, fresh: bool, calls: bool, late: bool) -> re.Pattern[str]:
    """Return the pattern of the first mark; thinking is one at the beginning only."""
    options = [f"(?P<noise>{_any_of(_NOISE)})"]
    if fresh:
        options.append(rf"\A\s*(?P<thinking>{_any_of(mark.begin for mark in _THINKING)})")
    if calls:
        options.append(f"(?P<call>{_any_of(mark.begin for mark in CALL_MARKS)})")
    if late:
        options.append(f"(?P<late>{re.escape(_LATE)})")
    return re.compile("|".join(options))


def _any_of(words: Iterable[str]) -> str:
    """Return the pattern of the words, the longest first."""
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


class TextReader:
    """Reads one completion while it streams. The result does not depend on how the text is cut in pieces."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self._functions = {function.name: function for function in prompt.functions}
        self._buffer = ""
        self._open: Mark | None = None
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._written: list[WrittenCall] = []
        self._fresh = True  # nothing but thinking and white space has come

    def take(self, item: StreamItem) -> Sequence[StreamItem]:
        """Return the items that stand for this one, as far as they are certain. Calls written as text come
        before those of the provider's protocol."""
        if isinstance(item, Delta):
            if item.call is not None:
                return (replace(item, call=item.call + len(self._written)) if self._written else item,)
            return (item,) if item.thinking else self._take_text(item)
        if isinstance(item, Completion):
            return (*self._advance(final=True), self._whole(item))
        return (item,)

    def _take_text(self, delta: Delta) -> Sequence[StreamItem]:
        if not (self._fresh or self._buffer or self._open or _MAY_BEGIN.search(delta.text)):
            self._text.append(delta.text)
            return (delta,) if delta.text else ()
        self._buffer += delta.text
        return self._advance(final=False)

    def _whole(self, whole: Completion) -> Completion:
        """Return the completion with the thinking and the calls of its text in their places."""
        text, thinking = "".join(self._text), "".join(self._thinking)
        if not self._written and not thinking and text == whole.text:
            return whole
        calls = tuple(Call(own_id(), call.name, call.arguments) for call in self._written)
        note = ("Calls that were written as text were understood.",) if calls else ()
        return replace(
            whole,
            text=text.strip() if calls or thinking else text,
            calls=(*calls, *whole.calls),
            thinking=whole.thinking + thinking,
            notes=(*whole.notes, *note),
        )

    def _advance(self, *, final: bool) -> list[StreamItem]:
        items: list[StreamItem] = []
        while self._buffer:
            before = (len(self._buffer), self._open)
            items += self._inside(self._open, final) if self._open else self._outside(final)
            if (len(self._buffer), self._open) == before:
                break
        if final and self._open:  # a mark that was not closed
            items += self._close(self._open, self._buffer, closed=False)
            self._buffer, self._open = "", None
        return items

    # outside of marks

    def _outside(self, final: bool) -> list[StreamItem]:
        late = not self._thinking and not self._written
        found = _pattern(fresh=self._fresh, calls=bool(self._functions), late=late).search(self._buffer)
        if not found or not found.lastgroup:
            return self._rest() if final else self._unmarked()
        kind = found.lastgroup
        before, self._buffer = self._buffer[: found.start(kind)], self._buffer[found.end() :]
        if kind == "late":
            return self._think_late(before)
        if kind != "noise":
            self._open = _MARKS[found[kind]]
            if self._fresh and not before.strip():
                return []
        return self._say(before)

    def _unmarked(self) -> list[StreamItem]:
        """Say the buffer without its end that may begin a mark, or without all of it if it may be a call."""
        start = self._buffer.lstrip()
        if self._fresh and (not start or (self._functions and looks_like_call(start))):
            return []
        cut = len(self._buffer) - self._held_back()
        text, self._buffer = self._buffer[:cut], self._buffer[cut:]
        return self._say(text)

    def _held_back(self) -> int:
        """Return the number of characters at the end of the buffer that may begin a mark."""
        tail = self._buffer[1 - _LONGEST :]
        for found in _MAY_BEGIN.finditer(tail):
            end = tail[found.start() :]
            if any(begin.startswith(end) for begin in self._begins()):
                return len(end)
        return 0

    def _begins(self) -> Iterable[str]:
        yield from (_LATE, *_NOISE)
        if self._fresh:
            yield from (mark.begin for mark in _THINKING)
        if self._functions:
            yield from (mark.begin for mark in CALL_MARKS)

    def _rest(self) -> list[StreamItem]:
        """Take the end of the answer; the whole of it may be calls without marks."""
        text, self._buffer = self._buffer, ""
        start = text.strip()
        bare = self._functions and self._fresh and looks_like_call(start)
        calls = read_calls(Mark("", ""), start, self._functions) if bare else []
        return self._call(calls) if calls else self._say(text)

    # inside of marks

    def _inside(self, mark: Mark, final: bool) -> list[StreamItem]:
        at = self._buffer.find(mark.end) if mark.end else -1
        if at >= 0:
            body, self._buffer = self._buffer[:at], self._buffer[at + len(mark.end) :]
            self._open = None
            return self._close(mark, body, closed=True)
        if mark not in _THINKING or final:
            return []
        sizes = range(len(mark.end) - 1, 0, -1)
        cut = len(self._buffer) - next((n for n in sizes if self._buffer.endswith(mark.end[:n])), 0)
        text, self._buffer = self._buffer[:cut], self._buffer[cut:]
        return self._think(text)

    def _close(self, mark: Mark, body: str, *, closed: bool) -> list[StreamItem]:
        if mark in _THINKING:
            return self._think(body)
        if calls := read_calls(mark, body, self._functions):
            return self._call(calls)
        return self._say(mark.begin + body + (mark.end if closed else ""))

    # results

    def _think(self, text: str) -> list[StreamItem]:
        if not text:
            return []
        self._thinking.append(text)
        return [Delta(text, thinking=True)]

    def _think_late(self, before: str) -> list[StreamItem]:
        """Turn all text so far into thinking."""
        thought = "".join(self._text) + before
        self._text, self._fresh = [], True
        return [Notice("The text so far was thinking.", restart=True), *self._think(thought)]

    def _say(self, text: str) -> list[StreamItem]:
        if not text:
            return []
        self._fresh = self._fresh and not text.strip()
        self._text.append(text)
        return [Delta(text)]

    def _call(self, calls: Sequence[WrittenCall]) -> list[StreamItem]:
        first = len(self._written)
        self._written += calls
        return [Delta(call.arguments, number, call.name) for number, call in enumerate(calls, first)]
