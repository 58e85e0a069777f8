"""References to media in the log."""

from __future__ import annotations

import json

from pagefault.media import Media, MediaContent
from pagefault.message_meta import MessageMeta, meta_of, values_of

PHOTO = Media("ab" * 32, "image/jpeg", "photo.jpg", 240_000, 1024, 768)


def test_a_reference_goes_through_the_log_and_back() -> None:
    meta = MessageMeta(media=(PHOTO, Media("cd" * 32, "text/vtt", "talk.vtt", 12)))
    assert meta_of(json.loads(json.dumps(values_of(meta)))) == meta
    assert "media" not in values_of(MessageMeta())


def test_bytes_are_not_printed() -> None:
    assert repr(MediaContent(PHOTO, b"secret")) == f"MediaContent({PHOTO!r}, 6 bytes)"
