"""Thinking and calls that a model writes as plain text, taken out of it while it streams.

Chat templates differ in how a model marks its thinking and its calls; a server that does not know a model's
marks hands them through as text. Only what is marked, or is nothing but a call of a function that is offered,
is taken; all other text passes unchanged, code and JSON included. Left out: whether arguments are valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pagefault.models import Call, Completion, Delta, FunctionSchema, Notice, StreamItem, own_id
from pagefault.models.wrappers.function_calling.forms import (
    CALL_MARKS,
    Mark,
    Written,
    looks_like_call,
    read_calls,
)

__all__ = ["TextSplitter"]

_THINKING = (
    Mark("<think>", "</think>"),
    Mark("<thinking>", "</thinking>"),
    Mark("[THINK]", "[/THINK]"),
    Mark("<|channel|>analysis<|message|>", "<|end|>"),
)
_LATE = "</think>"  # without its beginning: the chat template had written that already
_NOISE = ("<|start|>assistant", "<|channel|>final<|message|>", "<|return|>")


class TextSplitter:
    """Takes one completion's text as it comes. The result does not depend on how it is cut in pieces."""

    def __init__(self, functions: Sequence[FunctionSchema]) -> None:
        self._functions = {function.name: function for function in functions}
        self._buffer = ""
        self._open: Mark | None = None
        self._text = ""
        self._thinking = ""
        self._written: list[Written] = []
        self._fresh = True  # nothing but thinking and white space has come

    @property
    def written(self) -> int:
        """How many calls were found so far; they go before those of the provider's own protocol."""
        return len(self._written)

    def feed(self, text: str) -> Iterator[StreamItem]:
        """What can be told of the text so far."""
        self._buffer += text
        yield from self._advance(final=False)

    def end(self) -> Iterator[StreamItem]:
        """The rest."""
        yield from self._advance(final=True)

    def completion(self, whole: Completion) -> Completion:
        """The completion with what was taken out of its text in its place."""
        if not self._written and not self._thinking and self._text == whole.text:
            return whole
        calls = tuple(Call(own_id(), call.name, call.arguments) for call in self._written)
        note = ("Calls that were written as text were understood.",) if calls else ()
        thinking = whole.thinking + self._thinking
        text = self._text.strip() if calls or self._thinking else self._text
        made, notes = (*calls, *whole.calls), (*whole.notes, *note)
        return replace(whole, text=text, calls=made, thinking=thinking, notes=notes)

    def _advance(self, *, final: bool) -> Iterator[StreamItem]:
        while self._buffer:
            before = (len(self._buffer), self._open)
            step = self._within(final) if self._open else self._outside(final)
            yield from step
            if (len(self._buffer), self._open) == before:
                break
        if final and self._open:  # a mark that was not closed
            yield from self._close(self._open, self._buffer, closed=False)
            self._buffer, self._open = "", None

    def _marks(self) -> tuple[Mark, ...]:
        """What may begin here: thinking at the beginning only, calls where functions are offered."""
        return (_THINKING if self._fresh else ()) + (CALL_MARKS if self._functions else ())

    def _outside(self, final: bool) -> Iterator[StreamItem]:
        at, mark = self._first_mark()
        late = self._buffer.find(_LATE) if not self._thinking and not self._written else -1
        noise = min((n for word in _NOISE if (n := self._buffer.find(word)) >= 0), default=-1)
        if noise >= 0 and all(other < 0 or noise < other for other in (at, late)):
            yield from self._say(self._buffer[:noise])
            word = next(word for word in _NOISE if self._buffer.startswith(word, noise))
            self._buffer = self._buffer[noise + len(word) :]
        elif late >= 0 and (at < 0 or late < at):
            yield from self._think_late(late)
        elif mark:
            if not self._fresh or self._buffer[:at].strip():
                yield from self._say(self._buffer[:at])
            self._buffer, self._open = self._buffer[at + len(mark.begin) :], mark
        else:
            keep = 0 if final else self._held_back()
            ready = self._buffer[: len(self._buffer) - keep]
            if final and self._functions and self._fresh and (calls := self._bare(ready)):
                yield from self._call(calls)
            else:
                yield from self._say(ready)
            self._buffer = self._buffer[len(ready) :]

    def _first_mark(self) -> tuple[int, Mark | None]:
        """Where the first mark in the buffer begins, of several there the longest; -1 if none does."""
        found = [(self._buffer.find(mark.begin), mark) for mark in self._marks()]
        begun = [
            (at, mark)
            for at, mark in found
            if at >= 0 and (mark not in _THINKING or not self._buffer[:at].strip())
        ]
        return min(begun, key=lambda hit: (hit[0], -len(hit[1].begin)), default=(-1, None))

    def _held_back(self) -> int:
        """Characters at the end of the buffer that may be the beginning of a mark, or of a bare call."""
        start = self._buffer.lstrip()
        if self._fresh and (not start or (self._functions and looks_like_call(start))):
            return len(self._buffer)
        begins = [mark.begin for mark in self._marks()] + [_LATE, *_NOISE]
        longest = max(map(len, begins)) - 1
        for size in range(min(longest, len(self._buffer)), 0, -1):
            if any(begin.startswith(self._buffer[-size:]) for begin in begins):
                return size
        return 0

    def _within(self, final: bool) -> Iterator[StreamItem]:
        mark = self._open
        assert mark is not None
        at = self._buffer.find(mark.end) if mark.end else -1
        if at >= 0:
            body, self._buffer = self._buffer[:at], self._buffer[at + len(mark.end) :]
            self._open = None
            yield from self._close(mark, body, closed=True)
        elif mark in _THINKING and not final:
            keep = next(
                (n for n in range(len(mark.end) - 1, 0, -1) if self._buffer.endswith(mark.end[:n])), 0
            )
            ready, self._buffer = (
                self._buffer[: len(self._buffer) - keep],
                self._buffer[len(self._buffer) - keep :],
            )
            yield from self._think(ready)

    def _close(self, mark: Mark, body: str, *, closed: bool) -> Iterator[StreamItem]:
        if mark in _THINKING:
            yield from self._think(body)
        elif calls := read_calls(mark, body, self._functions):
            yield from self._call(calls)
        else:
            yield from self._say(mark.begin + body + (mark.end if closed else ""))

    def _bare(self, text: str) -> list[Written]:
        """The calls if the whole answer is nothing else."""
        start = text.strip()
        return read_calls(Mark("", ""), start, self._functions) if looks_like_call(start) else []

    def _think(self, text: str) -> Iterator[StreamItem]:
        if text:
            self._thinking += text
            yield Delta(text, thinking=True)

    def _think_late(self, at: int) -> Iterator[StreamItem]:
        """All so far was thinking."""
        thought = self._text + self._buffer[:at]
        self._text, self._buffer, self._fresh = "", self._buffer[at + len(_LATE) :], True
        yield Notice("What came so far was thinking.", restart=True)
        yield from self._think(thought)

    def _say(self, text: str) -> Iterator[StreamItem]:
        if text:
            self._fresh &= not text.strip()
            self._text += text
            yield Delta(text)

    def _call(self, calls: Sequence[Written]) -> Iterator[StreamItem]:
        for call in calls:
            self._written.append(call)
            yield Delta(call.arguments, len(self._written) - 1, call.name)
