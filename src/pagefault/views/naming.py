"""A person by their name: who spoke, and which texts name them.

Left out: who a name belongs to. Two people of one name are one here, and another spelling is another person.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import cast

from pagefault.errors import UsageError
from pagefault.storage.terms import UNSPACED
from pagefault.storage.traces import folded

__all__ = ["PersonName", "texts_in"]

_SPACES = re.compile(r"\s+")


class PersonName:
    """A name, compared without case, differences of Unicode form, and lengths of spaces."""

    def __init__(self, name: str) -> None:
        self.name = name.strip()
        self._plain = _plain(self.name)
        if not self._plain:
            raise UsageError("The name of the speaker is empty; give the name by which they are known.")
        before = r"(?<!\w)" if _joins(self._plain[0]) else ""
        behind = r"(?!\w)" if _joins(self._plain[-1]) else ""
        self._pattern = re.compile(f"{before}{re.escape(self._plain)}{behind}")

    def is_of(self, speaker: str | None) -> bool:
        """Return whether it is the name of this speaker."""
        return bool(speaker) and _plain(speaker or "") == self._plain

    def is_in(self, *texts: str | None) -> bool:
        """Return whether a text has the name as words of its own; scripts without spaces have no such."""
        return any(self._pattern.search(_plain(text)) for text in texts if text)

    def lines_of(self, text: str) -> str:
        """The lines of a text that have the name."""
        return "\n".join(line for line in text.splitlines() if self.is_in(line))


def texts_in(stored: str) -> Iterator[str]:
    """The texts in JSON as it is stored, names of fields among them; of what is no JSON, itself."""
    try:
        value = json.loads(stored)
    except ValueError:
        yield stored
    else:
        yield from _texts(value)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in cast("Mapping[str, object]", value).items():
            yield name
            yield from _texts(item)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _texts(item)


def _plain(text: str) -> str:
    return _SPACES.sub(" ", folded(text)).strip()


def _joins(character: str) -> bool:
    """Return whether a letter beside this one would make it another word."""
    return bool(re.match(r"\w", character)) and not UNSPACED.match(character)
