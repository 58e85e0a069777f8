"""Images and other media by their bytes: PNG, JPEG, GIF and WebP are told by how they begin, not by a name.

Only headers are read, within bounds; nothing is decoded, so that no image can be a bomb here. Leaves out
where bytes come from and which models see them.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import cast
from urllib.parse import unquote

from pagefault.errors import UsageError
from pagefault.media import Media, MediaContent
from pagefault.quoting import inline
from pagefault.types import Event, EventKind

__all__ = [
    "IMAGE_TYPES",
    "LARGEST_IMAGE",
    "MOST_BYTES",
    "MOST_IMAGES",
    "Image",
    "bytes_in",
    "from_data_url",
    "image_type",
    "is_intact",
    "placeholder",
    "read_image",
    "returned_media",
    "with_media",
    "with_references",
]

LARGEST_IMAGE = 3_932_160
"""Bytes: 5 MiB in base64, which Anthropic takes; other providers take more."""

WIDEST_IMAGE = 8000
"""Pixels on a side that Anthropic takes; other providers take more, or scale down."""

MOST_IMAGES = 20
"""Images of one message, and of one request: of more, Anthropic takes none wider than 2,000 pixels."""

MOST_BYTES = 14_000_000
"""Bytes of the images of one request: under 20 MB in base64, which every provider takes."""

_PLAIN = frozenset({str, int, float, bool, dict, list, tuple, set, type(None)})
_LARGEST_FILE = 16 << 20  # bytes of a file that a tool returns
_FILE = "application/octet-stream"
_FIX = "make it smaller, or send a part of it"


@dataclass(frozen=True, slots=True)
class Image:
    """An image to send, or to return from a tool. ``source``: its bytes, or the path of its file; ``name``:
    what it is called, by default as its file."""

    source: bytes | str | Path
    name: str = ""

    def read(self) -> MediaContent:
        """The image with its size; ``UsageError`` or ``OSError`` if that cannot be read."""
        if isinstance(self.source, bytes | bytearray):
            return read_image(bytes(self.source), self.name)
        path = Path(self.source)
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise UsageError(f"{inline(path.name)} is not a file; give the path of an image.")
        with path.open("rb") as file:
            return read_image(file.read(LARGEST_IMAGE + 1), self.name or os.fspath(path))


def image_type(data: bytes) -> str | None:
    """The media type of an image that models take; None if these bytes begin like none."""
    found = _BEGINNING.match(data)
    return f"image/{found.lastgroup}" if found else None


def read_image(data: bytes, name: str = "") -> MediaContent:
    """The image with its size in pixels and a name that can be shown. ``UsageError`` if it is none, is cut
    off, or is larger than models take."""
    media_type = image_type(data)
    called = _shown_name(name) or "This"
    if media_type is None:
        raise UsageError(f"{called} is no image that models take; give a PNG, JPEG, GIF or WebP image.")
    if len(data) > LARGEST_IMAGE:
        raise UsageError(f"{called} is larger than {LARGEST_IMAGE / 1e6:.1f} MB; {_FIX}.")
    try:
        width, height = IMAGE_TYPES[media_type](data)
    except (struct.error, IndexError, ValueError):
        width = height = 0
    if not width or not height:
        raise UsageError(f"{called} is damaged or cut off; send the whole image.")
    if max(width, height) > WIDEST_IMAGE:
        raise UsageError(
            f"{called} has {width:,} x {height:,} pixels, and models take {WIDEST_IMAGE:,} a side; {_FIX}."
        )
    return _content(data, media_type, name, width, height)


def from_data_url(url: str) -> bytes:
    """The bytes of an address that holds them in base64 (``data:image/png;base64,...``)."""
    head, comma, body = url.partition(",")
    try:
        if not comma or not head.lower().endswith(";base64"):
            raise ValueError
        return b64decode(unquote(body), validate=True)
    except ValueError:
        raise UsageError(
            "The data: address has no bytes in base64; write data:image/png;base64,..."
        ) from None


def with_references(event: Event) -> Event:
    """An event that is posted, with references to its contents and nothing else. ``UsageError`` for more
    images than one message takes, and for an event that says that it is an image and is none."""
    count = len(event.contents)
    if count > MOST_IMAGES:
        raise UsageError(f"A message takes up to {MOST_IMAGES} images, and not {count:,}; send several.")
    if event.kind == EventKind.IMAGE and not count:
        raise UsageError("An event of the kind image comes with one; attach an image, or name another kind.")
    return replace(event, media=tuple(each.media for each in event.contents))


def returned_media(value: object) -> MediaContent | None:
    """The image or file that a tool returned; None if it is to be shown as text. What shows itself as a PNG
    image (``_repr_png_``: Pillow and others) is one. ``UsageError`` or ``OSError`` if it cannot be taken."""
    if type(value) in _PLAIN:
        return None
    if isinstance(value, MediaContent):
        return value
    if isinstance(value, Image):
        return value.read()
    if (data := bytes_in(value)) is not None:
        return _bytes_as_media(data)
    as_png = cast("object", getattr(type(value), "_repr_png_", None))
    if not callable(as_png):
        return None
    data = as_png(value)
    return read_image(data) if isinstance(data, bytes) else None


def bytes_in(value: object) -> bytes | None:
    """The bytes that a value is, or all that a file in memory holds; None if it is anything else."""
    held = value.getvalue() if isinstance(value, BytesIO) else value
    return bytes(cast("bytes", held)) if isinstance(held, bytes | bytearray | memoryview) else None


def is_intact(content: MediaContent) -> bool:
    """Return whether stored bytes are those that their hash, size and type say."""
    media, data = content.media, content.data
    try:
        made = read_image(data).media if media.is_image else _content(data, _FILE, "").media
    except UsageError:
        return False
    mine = (media.hash, media.media_type, media.size, media.width, media.height)
    return mine == (made.hash, made.media_type, made.size, made.width, made.height)


def placeholder(media: Media) -> str:
    """The line of a prompt that stands for media: ``[image photo.jpg, 1024 x 768, 240 kB]``. No text can
    imitate it (``quoting``)."""
    pixels = f"{media.width} x {media.height}, " if media.is_image else ""
    kind = "image" if media.is_image else "file"
    return f"[{kind} {inline(media.name) or 'without a name'}, {pixels}{_shown_size(media.size)}]"


def with_media(text: str, media: Sequence[Media]) -> str:
    """A text with the lines that stand for its media."""
    return "\n".join([*([text] if text else []), *map(placeholder, media)]) if media else text


def _shown_size(size: int) -> str:
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{round(size / 1e3)} kB"


def _content(data: bytes, media_type: str, name: str, width: int = 0, height: int = 0) -> MediaContent:
    hash = sha256(data).hexdigest()
    kind, _, ending = media_type.partition("/")
    made = f"{kind}-{hash[:8]}.{ending}" if width else f"file-{hash[:8]}"
    return MediaContent(Media(hash, media_type, _shown_name(name) or made, len(data), width, height), data)


def _shown_name(name: str) -> str:
    """The last part of a path, on one line, without what is invisible."""
    return inline(re.split(r"[/\\]", name.rstrip("/\\"))[-1]).strip(". ")


def _bytes_as_media(data: bytes) -> MediaContent | None:
    if image_type(data):
        return read_image(data)
    if len(data) > _LARGEST_FILE:
        raise UsageError(f"The file is larger than {_LARGEST_FILE >> 20} MB; return a part of it.")
    with suppress(UnicodeDecodeError):
        data.decode()
        if b"\0" not in data:
            return None
    return _content(data, _FILE, "")


# Sizes in pixels; 0 or an error of these types if the file ends before it is over.


def _png(data: bytes) -> tuple[int, int]:
    size, at, has_data = struct.unpack_from(">II", data, 16), 8, False
    while (kind := data[at + 4 : at + 8]) != b"IEND":
        has_data |= kind == b"IDAT"
        at += 12 + struct.unpack_from(">I", data, at)[0]
    is_whole = has_data and data[12:16] == b"IHDR" and len(data) >= at + 12
    return size if is_whole else (0, 0)


def _jpeg(data: bytes) -> tuple[int, int]:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a filling
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return (width, height) if data.find(b"\xff\xd9", at) > 0 else (0, 0)
        else:
            at += 2 + max(2, struct.unpack_from(">H", data, at + 2)[0])
    return 0, 0


def _gif(data: bytes) -> tuple[int, int]:
    return struct.unpack_from("<HH", data, 6) if data.rstrip(b"\0").endswith(b";") else (0, 0)


def _webp(data: bytes) -> tuple[int, int]:
    if struct.unpack_from("<I", data, 4)[0] + 8 > len(data):
        return 0, 0
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return (width & 0x3FFF, height & 0x3FFF) if data[23:26] == b"\x9d\x01\x2a" else (0, 0)
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    low, lower = struct.unpack_from("<IH", data, 24)
    return (low & 0xFFFFFF) + 1, (low >> 24 | lower << 8) + 1


IMAGE_TYPES: Mapping[str, Callable[[bytes], tuple[int, int]]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/gif": _gif,
    "image/webp": _webp,
}
"""The types of images that models take, each with the reader of its size."""

_BEGINNING = re.compile(
    rb"(?s)(?P<png>\x89PNG\r\n\x1a\n)|(?P<jpeg>\xff\xd8\xff)|(?P<gif>GIF8[79]a)"
    rb"|(?P<webp>RIFF....WEBPVP8[ LX])"
)
