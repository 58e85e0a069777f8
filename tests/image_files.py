"""Small images of every type that models take, made without a library."""

from __future__ import annotations

import struct
import zlib

__all__ = ["GIF", "JPEG", "PNG", "WEBP", "chunk", "png"]

PNG_BEGINNING = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int = 1, height: int = 1, shade: int = 0) -> bytes:
    """A grey image; of more than a million pixels only the header says so."""
    rows = (b"\0" + bytes([shade]) * width) * min(height, 1_000_000 // width)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return PNG_BEGINNING + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND")


PNG = png(3, 2)
GIF = b"GIF89a\x05\0\x04\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x05\0\x04\0\0\x02\x05\x84\x8f\xa9\xcb\x05\0;"
JPEG = (
    b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
    b"\xff\xc0\0\x0b\x08\0\x07\0\x09\1\1\x11\0"  # 9 x 7
    b"\xff\xda\0\x08\1\1\0\0\x3f\0\xd2\xcf\x20\xff\xd9"
)
WEBP = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\x0a\xc0\x02\0\x07\x50\x1a\xd0\xc2\x88\x88\x00\x00"  # 11 x 12
