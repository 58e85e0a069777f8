"""Images for tests: their bytes say nothing, their sizes do."""

from __future__ import annotations

from hashlib import sha256

from pagefault.media import Media, MediaContent


def picture(letter: str, media_type: str = "image/png", width: int = 640, height: int = 480) -> MediaContent:
    data = bytes([0, 255]) + letter.encode() * 1000
    media = Media(sha256(data).hexdigest(), media_type, f"{letter}.png", len(data), width, height)
    return MediaContent(media, data)


RED, BLUE, GREEN = picture("r"), picture("b", "image/jpeg"), picture("g", "image/webp")
