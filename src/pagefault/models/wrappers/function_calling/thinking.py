"""Thinking that a model writes before its answer, taken out of the text while it streams.

Only a closed block at the very beginning of a completion is thinking; its marks anywhere else are text, which
passes unchanged. ``late``: the model was found to write the end of its thinking without the beginning, which
its chat template had written. Left out: thinking that the provider sends separately.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pagefault.models import Completion, Delta, Notice, Prompt, StreamItem
from pagefault.models.wrappers.function_calling.quotation import PromptData, is_enclosed

__all__ = ["ThinkingReader", "ends_late"]

_BLOCKS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "[THINK]": "[/THINK]",
    "<|channel|>analysis<|message|>": "<|end|>",
}
_ANSWER = ("<|start|>assistant", "<|channel|>final<|message|>")  # harmony's marks before the answer
_BEGINS = (*_BLOCKS, *_ANSWER)
_CLOSES = ("<|return|>", "<|end|>")  # harmony's marks behind the answer
_CLOSED = re.compile(rf"(?:{'|'.join(map(re.escape, _CLOSES))})\s*\Z")
_LATE = "</think>"
_LATE_LINE = re.compile(r"</think>[ \t]*(\n|\Z)")


def ends_late(text: str) -> bool:
    """Return True if a text has the end of thinking without its beginning."""
    return bool(_LATE_LINE.search(text)) and not text.lstrip().startswith(_BEGINS)


def _partial(text: str, *words: str) -> int:
    """Return the length of the longest end of a text that begins one of the words, and is not the whole."""
    longest = max(map(len, words)) - 1
    return next(
        (n for n in range(longest, 0, -1) if any(w[:n] == text[-n:] and n < len(w) for w in words)), 0
    )


class ThinkingReader:
    """Reads one completion while it streams. The result does not depend on how the text is cut in pieces."""

    def __init__(self, prompt: Prompt, *, late: bool = False) -> None:
        self._data = PromptData(prompt)
        self._late = late
        self._state: Literal["begin", "think", "late", "harmony", "answer"] = "begin"
        self._raw = ""
        self._read = 0  # characters that were read
        self._answer = 0  # where the answer begins
        self._end = ""  # of the block that is open
        self._thinking = ""
        self._before = 0  # length of the thinking when that block began
        self._harmony = False

    def take(self, item: StreamItem) -> Sequence[StreamItem]:
        """Return the items that stand for this one, as far as they are certain."""
        if isinstance(item, Completion):
            return self._whole(item)
        if not isinstance(item, Delta) or item.call is not None or self._state == "answer":
            return (item,)
        if item.thinking:
            self._late = False  # the server knows the marks
            return (item,)
        self._raw += item.text
        return self._advance(final=False)

    def _advance(self, *, final: bool) -> list[StreamItem]:
        items: list[StreamItem] = []
        while True:
            before = (self._state, self._read)
            if self._state == "begin":
                items += self._begin(final=final)
            elif self._state == "think":
                items += self._think(final=final)
            elif self._state == "late":
                items += self._wait_for_late(final=final)
            elif self._state == "harmony":
                items += self._speak_harmony(final=final)
            if before == (self._state, self._read):
                return items

    def _whole(self, whole: Completion) -> Sequence[StreamItem]:
        """Return the completion with its thinking apart."""
        self._raw = self._raw or whole.text  # of an adapter that does not stream
        items = self._advance(final=True)
        if self._state == "think" and not (whole.cut or whole.calls):
            items += self._unclosed()
        text = whole.text[self._answer :]
        if self._state == "think":
            text = ""
        elif self._state == "harmony":
            text = _CLOSED.sub("", text)
        if text != whole.text:
            text = text.strip()
        return (*items, replace(whole, text=text, thinking=whole.thinking + self._thinking))

    def _say(self, stop: int) -> list[StreamItem]:
        said, self._read = self._raw[self._read : stop], stop
        return [Delta(said)] if said else []

    # the beginning

    def _begin(self, *, final: bool) -> list[StreamItem]:
        rest = self._raw[self._read :]
        start = rest.lstrip()
        mark = next((begin for begin in _BEGINS if start.startswith(begin)), "")
        if not mark and not final and any(begin.startswith(start) for begin in _BEGINS):
            return []
        at = len(self._raw) - len(start)
        if not mark:
            return self._begin_answer(at)
        self._harmony = self._harmony or mark.startswith("<|")
        self._answer, self._read = at, at + len(mark)
        if mark in _BLOCKS:
            self._end, self._before, self._state = _BLOCKS[mark], len(self._thinking), "think"
        return []

    def _begin_answer(self, at: int) -> list[StreamItem]:
        if self._read:  # something was taken; the space behind it goes too
            self._read = self._answer = at
        late = self._late and not self._read
        self._state = "harmony" if self._harmony else "late" if late else "answer"
        return self._say(len(self._raw)) if self._state == "answer" else []

    def _think(self, *, final: bool) -> list[StreamItem]:
        at = self._raw.find(self._end, self._read)
        stop = at if at >= 0 else len(self._raw)
        if at < 0 and not final:
            stop = max(self._read, stop - _partial(self._raw, self._end))
        thought, self._read = self._raw[self._read : stop], stop
        if at >= 0:
            self._read, self._state = at + len(self._end), "begin"
        self._thinking += thought
        return [Delta(thought, thinking=True)] if thought else []

    def _unclosed(self) -> list[StreamItem]:
        """Turn a block that was never closed into text: its mark was mentioned, not used."""
        self._thinking, self._state = self._thinking[: self._before], "answer"
        thought = [Delta(self._thinking, thinking=True)] if self._thinking else []
        notice = Notice("The mark of thinking was text.", restart=True)
        return [notice, *thought, Delta(self._raw[self._answer :])]

    # later marks

    def _wait_for_late(self, *, final: bool) -> list[StreamItem]:
        at = self._raw.find(_LATE, self._read)
        if at < 0:
            return self._say(self._unmarked(_LATE, final=final))
        found = _LATE_LINE.match(self._raw, at)
        if found and not found[1] and not final:  # the line may go on
            return self._say(at)
        if not found or is_enclosed(self._raw, at) or self._data.holds(_LATE):
            self._state = "answer"
            return self._say(len(self._raw))
        self._thinking, self._read, self._answer = self._raw[:at], found.end(), found.end()
        self._state, self._late = "begin", False
        return [Notice("The text so far was thinking.", restart=True), Delta(self._thinking, thinking=True)]

    def _speak_harmony(self, *, final: bool) -> list[StreamItem]:
        closed = _CLOSED.search(self._raw, self._read)
        return self._say(closed.start() if closed else self._unmarked(*_CLOSES, final=final))

    def _unmarked(self, *marks: str, final: bool) -> int:
        """Return the place up to which no mark can begin any more."""
        return max(self._read, len(self._raw) - (0 if final else _partial(self._raw, *marks)))
