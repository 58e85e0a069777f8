"""Edits of the text of a section, as values: made in the transaction of the call, or sent to be made there.

Left out: where a section is stored, and whose it is (``working_context``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, get_args

from pagefault.errors import FunctionError
from pagefault.models.tokens import Counter
from pagefault.quoting import places
from pagefault.types import Section

__all__ = ["EDITS", "EditKind", "SectionEdit", "fitting"]

EditKind = Literal["append", "replace", "page_in", "page_out"]
EDITS: tuple[EditKind, ...] = get_args(EditKind)

_PAGED = re.compile(r"\[(?:[A-Za-z0-9][\w.-]{0,63}/)?[mp]\d+ ", re.ASCII)


@dataclass(frozen=True, slots=True)
class SectionEdit:
    """One edit: ``text`` is appended, or takes the place of ``old``; a line is paged in, or out, for the id
    that is ``old``."""

    kind: EditKind
    text: str = ""
    old: str = ""

    @property
    def payload(self) -> dict[str, str]:
        return {"text": self.text, "old": self.old}

    def applied(self, section: Section, counter: Counter) -> Section:
        """The section with its text edited; ``FunctionError`` if that cannot be done or does not fit."""
        match self.kind:
            case "append":
                text = f"{section.text}\n{self.text}" if section.text else self.text
            case "replace":
                text = self._replaced(section)
            case "page_in":
                text = self._paged_in(section, counter)
            case "page_out":
                text = "\n".join(self._others(section.text.split("\n")))
        return fitting(replace(section, text=text), counter)

    def _replaced(self, section: Section) -> str:
        found = places(section.text, self.old)
        if len(found) != 1:
            raise FunctionError(
                f"old occurs {len(found)} times in {section.name}; give the exact text of one place. "
                f"The section reads: {section.text or '(empty)'}"
            )
        ((start, stop),) = found
        edited = section.text[:start] + self.text + section.text[stop:]
        return "\n".join(line for line in edited.split("\n") if line.strip())

    def _paged_in(self, section: Section, counter: Counter) -> str:
        """The text with the line at its end; lines that were paged in earlier make room for it."""
        lines = [line for line in self._others(section.text.split("\n")) if line]
        while lines and counter.count("\n".join([*lines, self.text])) > section.limit:
            oldest = next((line for line in lines if _PAGED.match(line)), None)
            if oldest is None:
                break
            lines.remove(oldest)
        return "\n".join([*lines, self.text])

    def _others(self, lines: list[str]) -> list[str]:
        return [line for line in lines if not line.startswith(f"[{self.old} ")]


def fitting(section: Section, counter: Counter) -> Section:
    """The section; ``FunctionError`` if its text is larger than its limit."""
    if (size := counter.count(section.text)) > section.limit:
        raise FunctionError(
            f"{section.name} would take {size} of {section.limit} tokens; shorten it with "
            "working_context_replace or save to archival_insert instead."
        )
    return section
