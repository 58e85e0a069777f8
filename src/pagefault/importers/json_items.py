"""JSON of any size, item by item: only one item is in memory at a time.

An item that is nested too deeply or is too large is replaced by ``Unreadable``, and those behind it are read.
Left out: what items mean.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import ijson  # pyright: ignore[reportMissingTypeStubs]  # the standard library holds the whole of a file

from pagefault.errors import UsageError
from pagefault.importers.json_bytes import CleanBytes
from pagefault.importers.sources import Source

__all__ = ["BEGINS", "Unreadable", "json_items", "json_outline"]

_DEEPEST = 64
_LARGEST = 32 << 20  # characters of texts in an item, and values in it, each counted as 16
_VALUE = 16
_CHUNK = 1 << 20  # bytes; a text with many escapes is read anew with each chunk of it
_LONGEST_PLACE = 100  # characters
_ELSEWHERE = "\0"  # a place that nobody asks for
_FAULTS = (ijson.JSONError, UnicodeDecodeError, ValueError)
_ENDED = "The JSON ends in the middle, or is damaged; export it again."


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for an item that cannot be read. ``why``: a sentence."""

    why: str


BEGINS = "^"
"""Before a place that is asked for: that an object begins there is said, with an empty value."""


def json_items(source: Source, name: str, *prefixes: str) -> Iterator[tuple[str, Any]]:
    """Yield the values at these places of a file with the place of each, as they come: ``item`` is each of a
    list, ``chats.list.item`` each of a list within objects. A place within another that is asked for is part
    of that one. If the file is damaged, an ``Unreadable`` of an empty place is the last."""
    with source.open(name) as file:
        try:
            yield from _items(file, frozenset(prefixes))
        except _FAULTS:
            yield "", Unreadable(_ENDED)
        except UsageError as error:
            yield "", Unreadable(str(error))


def json_outline(source: Source, name: str) -> dict[str, Any]:
    """The places that the beginning of a file has, each with its first value; of an object or list None.
    Empty if it is not JSON."""
    found = dict[str, Any]()
    head = source.head(name)
    if head[:1] not in b"\xef[{ \t\r\n":
        return found
    try:
        for place, event, value in _events(io.BytesIO(head)):
            if event not in ("map_key", "end_map", "end_array") and place != _ELSEWHERE:
                found.setdefault(place, value)
    except _FAULTS:
        pass
    return found


def _items(file: BinaryIO, wanted: frozenset[str]) -> Iterator[tuple[str, Any]]:
    building: _Building | None = None
    for place, event, value in _events(file):
        if building is None:
            if event == "start_map" and (begun := f"{BEGINS}{place}") in wanted:
                yield begun, None
            if place not in wanted or event in ("map_key", "end_map", "end_array"):
                continue
            building = _Building(place)
        if building.take(event, value):
            yield building.place, building.made()
            building = None


def _events(file: BinaryIO) -> Iterator[tuple[str, str, Any]]:
    """The events of a file, each with its place, as ``ijson.parse`` has them; but no place is longer than
    those that are asked for, which of what is nested deeply would take for ever to write."""
    within = list[str]()  # the places of what is open, and of what is in it
    key = ""
    for event, value in ijson.basic_parse(CleanBytes(file), use_float=True, buf_size=_CHUNK):
        if event == "map_key":
            key = value
            yield _ELSEWHERE, event, value
            continue
        if event in ("end_map", "end_array"):
            within.pop()
            yield _ELSEWHERE, event, value
            continue
        place = "" if not within else _joined(within[-1], key)
        if event in ("start_map", "start_array"):
            within.append(f"{place}\n" if event == "start_map" else place)
        yield place, event, value


def _joined(outer: str, key: str) -> str:
    """The place of a value: in an object, whose place ends with a new line, or in a list."""
    if outer.startswith(_ELSEWHERE):
        return _ELSEWHERE
    name, base = (key, outer[:-1]) if outer.endswith("\n") else ("item", outer)
    place = f"{base}.{name}" if base else name
    return place if len(place) <= _LONGEST_PLACE else _ELSEWHERE


@dataclass(slots=True)
class _Building:
    """A value that is being built. ``size``: of what it has so far; ``depth``: of where it is."""

    place: str
    depth: int = 0
    size: int = 0
    why: str = ""
    _result: Any = None
    _open: list[Any] = field(default_factory=list[Any])
    _key: list[str] = field(default_factory=list[str])

    def take(self, event: str, value: Any) -> bool:
        """Take the next event; return whether the value is whole."""
        if event in ("start_map", "start_array"):
            self.depth += 1
            self._grow(_VALUE)
            if not self.why:
                self._begin({} if event == "start_map" else [])
        elif event in ("end_map", "end_array"):
            self.depth -= 1
            if not self.why:
                ended = self._open.pop()
                if isinstance(ended, dict):
                    self._key.pop()
        elif event == "map_key":
            self._grow(_VALUE + len(value))
            if not self.why:
                self._key[-1] = value
        else:
            self._grow(_VALUE + (len(value) if isinstance(value, str) else 0))
            if not self.why:
                self._put(value)
        return self.depth == 0

    def made(self) -> Any:
        return Unreadable(self.why) if self.why else self._result

    def _begin(self, made: Any) -> None:
        self._put(made)
        self._open.append(made)
        if isinstance(made, dict):
            self._key.append("")

    def _put(self, value: Any) -> None:
        if not self._open:
            self._result = value
        elif isinstance(self._open[-1], dict):
            self._open[-1][self._key[-1]] = value
        else:
            self._open[-1].append(value)

    def _grow(self, by: int) -> None:
        self.size += by
        if not self.why and (self.size > _LARGEST or self.depth > _DEEPEST):
            nested = self.depth > _DEEPEST
            what = f"nested more than {_DEEPEST} deep" if nested else f"larger than {_LARGEST:,} characters"
            self.why = f"It is {what}."
            self._result, self._open, self._key = None, [], []
