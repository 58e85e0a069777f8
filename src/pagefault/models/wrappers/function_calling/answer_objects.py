"""The object in an answer in JSON mode: found in its text, and repaired. Left out: its meaning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from pagefault.models.json_text import read_json, repair_json
from pagefault.models.wrappers.function_calling.forms import json_end
from pagefault.models.wrappers.function_calling.quotation import begins_line, is_enclosed

__all__ = ["AnswerObject", "message_in", "object_in"]

_CLOSES = re.compile(r"\s*```[ \t]*(?=\n|\Z)"), re.compile(r"[ \t]*(?=\n|\Z)")  # with a fence, and without
_OPENS = re.compile(r"^(```\w*[ \t]*\n\s*)?(?=\{)", re.MULTILINE)
_KEYS = frozenset(("thoughts", "function", "arguments"))
_MOST_READ = 2_000_000  # characters, most of them again, in which the object is looked for


@dataclass(frozen=True, slots=True)
class AnswerObject:
    """The object of an answer as it was written (``raw``), and the prose before and after it."""

    value: Mapping[str, Any]
    raw: str
    before: str = ""
    after: str = ""
    repaired: bool = False

    @property
    def around(self) -> bool:
        return bool(self.before or self.after)

    @property
    def name(self) -> object:
        return self.value.get("function") or self.value.get("name")

    @property
    def arguments(self) -> object:
        return self.value.get("arguments", self.value.get("parameters"))

    @property
    def is_answer(self) -> bool:
        """True for the object that was asked for, and nothing else."""
        return not (self.around or self.repaired) and "function" in self.value and set(self.value) <= _KEYS


def object_in(text: str) -> AnswerObject | None:
    """Return the first object on lines of its own, which may have a fence; None if there is none."""
    text = text.strip()
    for opened in islice(_OPENS.finditer(text), 16 + _MOST_READ // (len(text) + 1)):
        at, end = opened.start(), json_end(text, opened.end())
        if end < 0 and not at:  # cut short
            return _made(text[opened.end() :].removesuffix("```"), repaired=True)
        closed = _CLOSES[not opened[1]].match(text, end) if end >= 0 else None
        if closed and begins_line(text, at) and not is_enclosed(text, at):
            return _made(text[opened.end() : end], text[:at].strip(), text[closed.end() :].strip())
    return None


def _made(raw: str, before: str = "", after: str = "", *, repaired: bool = False) -> AnswerObject | None:
    value: object = None
    if not repaired:
        try:
            value = read_json(raw)
        except ValueError:
            repaired = True
    if repaired:
        value = repair_json(raw)
    if not isinstance(value, dict) or (repaired and "function" not in value):
        return None
    return AnswerObject(cast("dict[str, Any]", value), raw, before, after, repaired)


def message_in(arguments: object) -> str:
    """Return the message in the arguments of a function that speaks; empty if there is none."""
    if isinstance(arguments, dict):
        arguments = cast("dict[str, Any]", arguments).get("message")
    return str(arguments or "")
