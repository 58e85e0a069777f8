"""Media: images and files that a message refers to, by the hash of their bytes.

The log keeps the reference (``MessageMeta.media``), a store the bytes, once for each agent. Leaves out where
bytes come from and how a model is shown them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

__all__ = ["NOT_SHOWN", "Media", "MediaContent", "dumped", "loaded", "media_of"]

NOT_SHOWN = "[images are not shown to you]"
"""The line behind the text of a message whose images the model is not sent."""


@dataclass(frozen=True, slots=True)
class Media:
    """A reference to bytes. ``hash``: their SHA-256, hexadecimal; ``size``: their number; ``name``: of the
    file, as it was given; ``width`` and ``height`` in pixels, 0 if it is no image."""

    hash: str
    media_type: str
    name: str
    size: int
    width: int = 0
    height: int = 0

    @property
    def is_image(self) -> bool:
        return self.media_type.startswith("image/")


@dataclass(frozen=True, slots=True)
class MediaContent:
    """Media with their bytes."""

    media: Media
    data: bytes

    def __repr__(self) -> str:
        return f"MediaContent({self.media!r}, {len(self.data)} bytes)"


def media_of(values: Mapping[str, Any]) -> Media:
    """The reference that ``dataclasses.asdict`` gave; keys of other versions are ignored."""
    return Media(**{name: values[name] for name in _FIELDS if name in values})


def dumped(media: Sequence[Media]) -> str | None:
    """References as an inbox stores them."""
    return json.dumps([asdict(each) for each in media]) if media else None


def loaded(stored: str | None) -> tuple[Media, ...]:
    """The references that ``dumped`` gave."""
    return tuple(map(media_of, json.loads(stored))) if stored else ()


_FIELDS = tuple(f.name for f in fields(Media))
