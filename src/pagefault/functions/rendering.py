"""The value of a function as text for the model: any value of any type, within a bound.

A value is written out piece by piece, and no further than the bound: it may be endless, circular or deep, and
of types that nobody foresaw.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import chain
from typing import Any, cast

from pydantic_core import PydanticSerializationError, SchemaSerializer, to_jsonable_python

from pagefault.errors import UsageError
from pagefault.functions import Outcome
from pagefault.images import MOST_IMAGES, bytes_in, returned_media
from pagefault.media import MediaContent

__all__ = ["collected", "outcome_of"]

_LONGEST = 1_000_000  # characters of a result
_DEEPEST = 32  # levels of nesting
_LARGEST = 10**300  # the interpreter refuses to write longer numbers in decimal digits


def outcome_of(value: object) -> Outcome:
    """A function's return value as the model reads it: text as it is, else JSON, None as ``Done.`` Images and
    files in it stand there by their names, and come with it. What is beyond a million characters is left out,
    and the text says so."""
    if isinstance(value, Outcome):
        return value
    found = _FoundMedia()
    if value is None:
        text = "Done."
    elif (name := found.name_of(value)) is not None:
        text = name
    else:
        text = as_text(value, found)
    return Outcome(text, media=tuple(found.media))


class _FoundMedia:
    """The images and files in a value, each of them once."""

    def __init__(self) -> None:
        self.media: list[MediaContent] = []

    def name_of(self, value: object) -> str | None:
        """The name of an image or file, or the reason why it cannot be taken; None for any other value."""
        try:
            content = returned_media(value)
        except (UsageError, OSError) as error:
            return f"({error})"
        if content is None:
            return None
        if content not in self.media:
            if len(self.media) == MOST_IMAGES:
                return f"(left out: a result takes up to {MOST_IMAGES} images and files)"
            self.media.append(content)
        return content.media.name


def as_text(value: object, found: _FoundMedia | None = None) -> str:
    """A value as text, or as JSON."""
    if isinstance(value, str):
        whole = value[: _LONGEST + 1]
    else:
        pieces: list[str] = []
        size = 0
        for piece in _pieces(value, (), found or _FoundMedia()):
            pieces.append(piece[: _LONGEST + 1])
            size += len(piece)
            if size > _LONGEST:
                break
        whole = "".join(pieces)
    if len(whole) <= _LONGEST:
        return whole
    return f"{whole[:_LONGEST]}\n(The result was cut here, at {_LONGEST:,} characters; ask for less.)"


async def collected(values: AsyncIterator[object]) -> list[object]:
    """The values of an asynchronous generator, no more than ``as_text`` shows, and then it is closed."""
    items: list[object] = []
    size = 0
    try:
        async for value in values:
            items.append(value)
            size += len(as_text(value)) + len(", ")
            if size > _LONGEST:
                break
    finally:
        if close := getattr(values, "aclose", None):
            await close()
    return items


def _pieces(value: Any, around: tuple[int, ...], found: _FoundMedia) -> Iterator[str]:
    """The JSON of a value in pieces; ``around`` are the ids of the values that it is part of."""
    if id(value) in around:
        yield '"(circular)"'
        return
    if len(around) == _DEEPEST:
        yield '"(deeper)"'
        return
    if (name := found.name_of(value)) is not None:
        yield json.dumps(name, ensure_ascii=False)
        return
    around, plain = (*around, id(value)), _dumped(value)
    if (pairs := _pairs(plain)) is not None:
        yield from _joined("{}", (_pair(key, part, around, found) for key, part in pairs))
    elif (parts := _parts(plain)) is not None:
        yield from _joined("[]", (_pieces(part, around, found) for part in parts))
    else:
        yield _scalar(plain)


def _pair(key: object, value: object, around: tuple[int, ...], found: _FoundMedia) -> Iterator[str]:
    name = key if isinstance(key, str) else _scalar(key).strip('"')
    return chain((json.dumps(name, ensure_ascii=False), ": "), _pieces(value, around, found))


def _joined(brackets: str, parts: Iterable[Iterator[str]]) -> Iterator[str]:
    yield brackets[0]
    for number, part in enumerate(parts):
        if number:
            yield ", "
        yield from part
    yield brackets[1]


def _pairs(value: Any) -> Iterable[tuple[object, object]] | None:
    """The named parts of a value; None if it has none."""
    if isinstance(value, Mapping):
        return cast("Mapping[object, object]", value).items()
    if is_dataclass(value) and not isinstance(value, type):
        return ((field.name, getattr(value, field.name, None)) for field in fields(value))
    return None


def _dumped(value: Any) -> object:
    """A pydantic model or dataclass as its serializers have it: without excluded fields, generators not run
    yet; the value of an enumeration's member, and bytes that a buffer holds; any other value as it is. A
    circular one is text."""
    if (held := value.value if isinstance(value, Enum) else bytes_in(value)) is not None:
        return held
    serializer = getattr(cast("object", type(value)), "__pydantic_serializer__", None)
    if not isinstance(serializer, SchemaSerializer):
        return value
    try:
        return serializer.to_python(value, warnings=False)
    except PydanticSerializationError:
        raise
    except ValueError:
        return "(circular)"


def _parts(value: Any) -> Iterable[object] | None:
    """The parts of a value in their order; None if it has none."""
    if isinstance(value, (str, bytes, type)) or getattr(value, "ndim", 1) == 0:
        return None  # an array of no dimensions is a number
    return cast("Iterable[object]", value) if isinstance(value, Iterable) else None


def _scalar(value: Any) -> str:
    """The JSON of a value without parts; of an unknown type, what it says of itself."""
    plain: object = value
    if isinstance(value, int):
        plain = value if abs(value) < _LARGEST else hex(value)
    elif isinstance(value, str):
        plain = value[: _LONGEST + 1]
    elif isinstance(value, bytes):
        plain = value[: _LONGEST + 1].decode("utf-8", "backslashreplace")
    elif getattr(value, "ndim", 1) == 0:
        plain = value.item()
    return json.dumps(to_jsonable_python(plain, serialize_unknown=True), ensure_ascii=False)
